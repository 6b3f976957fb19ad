// What a messenger does with devices, against the real server: alice has a phone and a laptop, bob a phone. Prints each step that holds.

import assert from "node:assert/strict";
import { memoryDatabase } from "../../bimip/web/database.mjs";
import { openDevice } from "../../bimip/web/device.mjs";

const [url, ...tokens] = process.argv.slice(2);
const databases = tokens.map(() => memoryDatabase()), errors = [], told = { phone: [], bob: [], laptop: [] };

async function open(at, name) {
  const device = await openDevice({ url, token: tokens[at], database: databases[at] });
  device.on("error", (error) => errors.push(error.code ?? String(error)));
  for (const event of ["typing", "message", "frame"]) device.on(event, (what) => told[name].push([event, structuredClone(what)]));
  return device;
}

async function until(look) {
  for (let count = 0; count < 2000; count++) {
    if (await look()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never: ${look}`);
}

let [phone, bob, laptop] = [await open(0, "phone"), await open(1, "bob"), await open(2, "laptop")];
await until(() => [phone, bob, laptop].every((one) => one.condition.isConnected));
const rows = async (device, conversation, ...fields) => (await device.messages(conversation)).map((view) => fields.map((field) => view[field]));
const byEid = (one, other) => one.eid.localeCompare(other.eid); // a group's members stand in an order of the server's
const texts = async (device, conversation) => (await device.messages(conversation)).map((view) => view.text);
const row = async (device, conversation) => (await device.inbox()).find((one) => one.conversation === conversation);

let chat, first, group;
const STEPS = {
  async "what is written stands in the conversation at once, and has the server's once it is sent"() {
    const { id, sent } = await phone.send({ to: "bob", text: "Hello" });
    assert.deepEqual(await texts(phone, "to:bob"), ["Hello"]);
    first = (await sent).signal_id;
    chat = await phone.conversationWith("bob");
    assert.match(chat, /^c\d+$/);
    const [view] = await phone.messages("to:bob");
    assert.deepEqual([view.id, view.signalId, view.offset, view.isMine, view.author], [id, first, 1, true, { eid: "alice", device: "phone" }]);
    assert.deepEqual((await phone.inbox()).map((one) => [one.conversation, one.title, one.unread]), [[chat, "bob", 0]]);
  },

  async "receipts make it delivered and read, and what is unread is counted"() {
    await until(async () => (await rows(phone, chat, "status"))[0][0] === "delivered");
    await until(async () => (await row(bob, chat))?.unread === 1);
    await bob.markRead(chat);
    assert.equal((await row(bob, chat)).unread, 0);
    await until(async () => (await rows(laptop, chat, "status"))[0]?.[0] === "read");
    assert.deepEqual((await laptop.messages(chat))[0].by, { delivered: ["bob"], read: ["bob"] });
  },

  async "offline all can be done that can be done online, and it is merged"() {
    phone.unplug();
    await until(() => !phone.condition.isConnected);
    await phone.send({ conversation: chat, text: "offline" });
    await phone.edit(first, "Hello there");
    await phone.react(first, "👍");
    const own = (await phone.messages(chat))[1];
    await phone.edit(own.id, "written offline, edited offline");
    await bob.send({ conversation: chat, text: "an answer", replyTo: first });
    assert.deepEqual(await rows(phone, chat, "text", "status"), [["Hello there", "read"], ["written offline, edited offline", "waiting"]]);
    assert.equal(phone.condition.outbox, 4);
    phone.plug();
    await until(() => phone.condition.isConnected && phone.condition.outbox === 0);
    const wanted = ["Hello there", "an answer", "written offline, edited offline"];
    for (const device of [phone, bob, laptop]) {
      await until(async () => JSON.stringify(await texts(device, chat)) === JSON.stringify(wanted));
      await until(async () => (await device.messages(chat))[0].reactions.length);
      assert.deepEqual((await device.messages(chat))[0].reactions, [{ emoji: "👍", eids: ["alice"], mine: device !== bob }]);
      assert.deepEqual((await rows(device, chat, "replies"))[0], [1]);
    }
    assert.ok((await bob.messages(chat))[0].editedAt > 0);
  },

  async "a thread has its first message and those that answer it"() {
    assert.deepEqual((await phone.messages(chat, { thread: first })).map((view) => view.text), ["Hello there", "an answer"]);
  },

  async "who types is told, until a message of theirs comes"() {
    phone.typing(chat, "TYPING");
    await until(async () => (await row(bob, chat)).typing.length);
    await (await phone.send({ conversation: chat, text: "typed" })).sent;
    await until(async () => !(await row(bob, chat)).typing.length);
    assert.deepEqual(told.bob.filter(([event]) => event === "typing").map(([, { eid, kind, on }]) => [eid, kind, on]), [["alice", "TYPING", true], ["alice", "TYPING", false]]);
  },

  async "how a conversation is kept is the same on all devices of a user"() {
    await phone.archive(chat);
    await phone.mute(chat, Date.now() + 1e6);
    await phone.draft(chat, "a dra");
    await phone.draft(chat, "a draft");
    await phone.markUnread(chat);
    assert.deepEqual([(await row(phone, chat)).archived, (await row(phone, chat)).draft], [true, "a draft"]);
    await until(async () => { const { archived, muted, draft, marked } = (await row(laptop, chat)) ?? {}; return archived && muted && draft === "a draft" && marked; });
    await laptop.draft(chat, "");
    await laptop.archive(chat, false);
    await until(async () => { const { archived, draft } = await row(phone, chat); return !archived && draft === ""; });
  },

  async "a group has members, events and a title of its own"() {
    group = await phone.createGroup("The group", ["bob"]);
    await until(async () => await bob.group(group));
    assert.deepEqual((await bob.group(group)).members.sort(byEid), [{ eid: "alice", role: "owner" }, { eid: "bob", role: "member" }]);
    await (await bob.send({ conversation: group, text: "in the group" })).sent;
    await phone.rename(group, "Another title");
    await until(async () => (await row(laptop, group))?.title === "Another title" && (await texts(laptop, group)).length === 3);
    assert.deepEqual((await laptop.messages(group)).map((view) => view.event?.kind ?? view.text), ["CREATED", "in the group", "RENAMED"]);
    assert.equal((await row(laptop, group)).kind, "group");
    await until(async () => (await rows(bob, group, "status"))[1][0] === "delivered");
    await bob.leave(group);
    await until(async () => !(await bob.group(group)) && !(await row(bob, group)).isMember);
  },

  async "contacts see each other"() {
    await phone.requestContact("bob");
    await until(async () => (await bob.contacts())[0]?.state === "asked");
    await bob.acceptContact("alice");
    await until(() => phone.presence("bob").status === "ONLINE");
    await bob.setStatus("BUSY");
    await until(() => phone.presence("bob").status === "BUSY");
    await phone.nameContact("bob", "Bobby");
    await until(async () => (await row(laptop, chat)).title === "Bobby");
  },

  async "what is refused is told and taken back"() {
    const { sent } = await phone.send({ to: "c999999", text: "to nobody" });
    await assert.rejects(sent, { code: "NOT_FOUND" });
    const [view] = await phone.messages("to:c999999");
    assert.deepEqual([view.status, view.error.code], ["refused", "NOT_FOUND"]);
    await phone.delete(view.id);
    assert.deepEqual(await phone.messages("to:c999999"), []);
    const theirs = (await phone.messages(chat)).find((one) => one.text === "an answer");
    await phone.edit(theirs.signalId, "not mine");
    await until(async () => errors.includes("FORBIDDEN"));
    await until(async () => (await texts(phone, chat)).includes("an answer"));
    assert.deepEqual(errors.splice(0), ["NOT_FOUND", "FORBIDDEN"]);
  },

  async "what is deleted is gone, for everybody or for oneself"() {
    const answer = (await phone.messages(chat)).find((one) => one.text === "an answer");
    await phone.delete(answer.signalId);
    assert.ok(!(await texts(phone, chat)).includes("an answer"));
    await phone.delete(first, { forAll: true });
    for (const device of [phone, laptop, bob]) await until(async () => (await device.messages(chat))[0].isDeleted);
    await until(async () => !(await texts(laptop, chat)).includes("an answer"));
    assert.ok((await texts(bob, chat)).includes("an answer"));
    assert.equal((await laptop.messages(chat))[0].text, null);
  },

  async "a message disappears when its time is over"() {
    const { sent } = await phone.send({ conversation: chat, text: "for a second", disappearAfterMs: 1000 });
    await sent;
    await until(async () => (await bob.messages(chat)).at(-1).isDeleted);
    await until(async () => (await phone.messages(chat)).at(-1).isDeleted);
  },

  async "what is kept is searched, the newest first"() {
    assert.deepEqual((await bob.search("OFFLINE")).map((view) => view.text), ["written offline, edited offline"]);
    assert.deepEqual(await bob.search("Hello"), []);
  },

  async "devices of one user have the same entries"() {
    await until(async () => JSON.stringify(await phone.export()) === JSON.stringify(await laptop.export()));
    assert.ok((await phone.export()).length > 7);
  },

  async "a reload finds all that was there, and what was not sent yet is sent"() {
    phone.unplug();
    await phone.send({ conversation: chat, text: "before the reload" });
    const last = (await phone.messages(chat)).at(-1);
    await phone.react(last.id, "🎉");
    await phone.close();
    phone = await openDevice({ url, token: tokens[0], database: databases[0], plugged: false });
    assert.deepEqual((await rows(phone, chat, "text", "status")).at(-1), ["before the reload", "waiting"]);
    assert.equal((await phone.messages(chat)).at(-1).reactions.length, 1);
    phone.plug();
    await until(async () => (await bob.messages(chat)).at(-1).reactions.length);
    assert.equal((await texts(bob, chat)).filter((text) => text === "before the reload").length, 1);
    await until(async () => JSON.stringify(await phone.export()) === JSON.stringify(await laptop.export()));
  },

  async "a device that comes later has the list from the server, and history when it asks"() {
    await laptop.close();
    laptop = await openDevice({ url, token: tokens[3], database: memoryDatabase(), start: { start: "HEAD" } });
    await until(async () => (await laptop.inbox()).length === 2);
    const kept = await row(laptop, chat), wanted = await row(phone, chat);
    assert.deepEqual([kept.peer, kept.title, kept.unread, kept.last.signalId], ["bob", "Bobby", wanted.unread, wanted.last.signalId]);
    assert.equal((await laptop.messages(chat)).length, 1);
    while (await laptop.older(chat, 3));
    const seen = async (device) => (await device.messages(chat)).map(({ signalId, text, reactions, isDeleted }) => ({ signalId, text, isDeleted, reactions }));
    assert.deepEqual(await seen(laptop), await seen(phone));
  },

  async "frames are told without what nobody is to see"() {
    const hellos = Object.values(told).flat().filter(([event, { frame, direction }]) => event === "frame" && direction === "out" && frame.hello);
    assert.ok(hellos.length > 3);
    for (const [, { frame }] of hellos) assert.equal(frame.hello.token, "…");
  },
};

for (const [step, holds] of Object.entries(STEPS)) {
  try {
    await holds();
  } catch (error) {
    console.error(`does not hold: ${step}`);
    throw error;
  }
  console.log(step);
}
assert.deepEqual(errors, []);
for (const device of [phone, bob, laptop]) await device.close();
