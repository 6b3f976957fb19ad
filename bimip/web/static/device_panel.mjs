// One device of the demonstration: a plug, a choice of conversations, and the conversation.

import { openDevice } from "./client.mjs";
import { Conversation } from "./conversation.mjs";
import { button, element, mark, nameOf, several, write } from "./words.mjs";

const MANY = 20; // messages that one press writes
const GOSSIP = { least: 10, awayMs: 0 };
const GOSSIP_SAYS = { asking: "asks another device of its own", offering: "offers what another device lacks", open: "is connected with another device" };

export class DevicePanel {
  device = null;
  isRefused = false;
  onHappening = () => {};
  #conversation; #isOpen = false; #wasAway = false; #choice = ""; #kind; #passed = { given: 0, taken: 0 };

  constructor({ url, eid, device, label, token, onFrame }) {
    Object.assign(this, { url, eid, name: device, label, token, onFrame });
    this.connected = new Promise((resolve) => { this.#isConnected = resolve; });
    this.plug = button("Plug", () => this.#toggle(), { class: "switch", role: "switch", "aria-checked": "true", "aria-label": `${label}: plugged in`, disabled: true });
    this.condition = element("p", { class: "condition", role: "status" }, "opens");
    this.choose = element("select", { "aria-label": `${label}: conversation` });
    this.choose.addEventListener("change", () => this.#show(this.choose.value));
    this.peer = element("span", { class: "peer" });
    this.more = button(`Write ${MANY} messages`, () => this.#writeMany(), { icon: "burst", disabled: true });
    this.place = element("p", { class: "place" });
    this.body = element("div", { class: "body" });
    this.box = element("article", { class: "device", "aria-label": label, "data-eid": eid, "data-device": device },
      element("header", {}, element("h2", {}, label), this.condition, this.plug),
      element("div", { class: "choice" }, this.choose, this.peer, this.more), this.body, this.place);
    for (const name of ["pointerenter", "focusin"]) this.box.addEventListener(name, () => this.#look(true));
    this.box.addEventListener("pointerleave", () => { if (!this.box.contains(document.activeElement)) this.#look(false); });
    this.box.addEventListener("focusout", (event) => { if (!this.box.contains(event.relatedTarget)) this.#look(false); });
  }
  #isConnected;

  async open() {
    try {
      this.device = await openDevice({
        url: this.url, token: this.token, name: `demonstration ${this.eid}/${this.name}`, gossip: GOSSIP, agent: "demonstration",
      });
    } catch (error) {
      this.isRefused = true;
      const why = error.code === "IN_USE" ? "Another tab of this browser has this page open. Close it, and load this one again." : error.message;
      write(this.condition, "not here");
      this.body.append(element("p", { class: "note", role: "alert" }, why));
      return;
    }
    const { device } = this;
    this.#conversation = new Conversation(device, {
      records: true, label: `${this.label}: messages`,
      onThread: (id, signalId) => this.#openThread(id, signalId),
      onMoved: () => this.refreshChoices(),
      onRefused: (error) => write(this.place, error.message),
    });
    this.body.append(this.#conversation.box);
    device.on("condition", () => this.#showCondition());
    device.on("inbox", () => this.refreshChoices());
    device.on("presence", () => this.#showPeer());
    device.on("contacts", () => this.#showPeer());
    device.on("frame", (frame) => this.onFrame(frame));
    device.on("gossip", (told) => this.#onGossip(told));
    device.on("error", (error) => write(this.place, error.message));
    device.on("message", (view) => this.#onMessage(view));
    device.on("conversation", () => this.#onChanged());
    this.plug.disabled = this.more.disabled = false;
    this.#isOpen = true;
    this.#showCondition();
    await this.refreshChoices();
  }

  /** Shows the conversations that there are: with the other one always, written or not. */
  async refreshChoices() {
    if (!this.#isOpen) return;
    const other = this.eid.startsWith("alice") ? this.eid.replace("alice", "bob") : this.eid.replace("bob", "alice");
    const direct = await this.device.conversationWith(other);
    const rows = [{ conversation: direct, title: nameOf(other), unread: 0 }];
    for (const one of await this.device.inbox()) {
      if (one.kind === "feed") continue;
      if (one.conversation === direct) rows[0].unread = one.unread;
      else rows.push({ conversation: one.conversation, title: one.title || nameOf(one.peer), unread: one.unread });
    }
    const wanted = rows.some((one) => one.conversation === this.#choice) ? this.#choice : direct;
    const said = JSON.stringify(rows);
    if (said !== this.choose.dataset.said) {
      this.choose.dataset.said = said;
      this.choose.replaceChildren(...rows.map(({ conversation, title, unread }) => element("option", { value: conversation }, unread ? `${title} (${unread} new)` : title)));
    }
    this.choose.value = wanted;
    if (wanted !== this.#choice) await this.#show(wanted);
    this.#showPeer();
  }

  async #show(id) {
    this.#choice = id;
    this.thread?.close();
    this.thread = null;
    this.#conversation.box.hidden = false;
    const row = (await this.device.inbox()).find((one) => one.conversation === id);
    this.#kind = row?.kind;
    await this.#conversation.show(id, { kind: row?.kind });
    this.#showPeer();
  }

  async #showPeer() {
    const row = (await this.device.inbox()).find((one) => one.conversation === this.#choice);
    const eid = this.#choice.startsWith("to:") ? this.#choice.slice(3) : row?.kind === "group" ? "" : row?.peer;
    if (!eid) {
      const group = row && (await this.device.group(row.conversation));
      return write(this.peer, group ? several(group.memberCount ?? group.members.length, "member") : "");
    }
    const { status } = (await this.device.presence(eid)) ?? {};
    mark(this.peer, "data-status", status ?? "OFFLINE");
    write(this.peer, status ? String(status).toLowerCase() : "");
  }

  #showCondition() {
    const { isConnected, isPlugged, isStopped, toSend, lag } = this.device.condition;
    const state = isConnected ? "on" : isPlugged && !isStopped ? "wait" : "off";
    mark(this.box, "data-state", state);
    mark(this.condition, "data-state", state);
    this.plug.setAttribute("aria-checked", String(isPlugged && !isStopped));
    const words = isConnected ? "connected" : isStopped ? "taken over elsewhere" : isPlugged ? "waits for the server" : "no network";
    write(this.condition, toSend ? `${words}, ${toSend} to send` : lag > 1 && isConnected ? `${words}, ${lag} to come` : words);
    if (isConnected) {
      this.#isConnected();
      if (this.#wasAway === "server") this.onHappening("server");
      if (this.#wasAway === "plug") this.onHappening("merge");
      this.#wasAway = false;
    } else if (!isPlugged) this.#wasAway = "plug";
    else if (!this.#wasAway && this.condition.dataset.was === "on") this.#wasAway = "server";
    this.condition.dataset.was = state;
  }

  #toggle() {
    const { isPlugged, isStopped } = this.device.condition;
    if (isPlugged && !isStopped) this.device.unplug();
    else this.device.plug();
    this.#showCondition();
  }

  async #writeMany() {
    const to = this.#choice.startsWith("to:") ? { to: this.#choice.slice(3) } : { conversation: this.#choice };
    for (let number = 1; number <= MANY; number++) {
      const { sent } = await this.device.send({ ...to, text: `Message ${number} of ${MANY} from ${this.label}` });
      sent.catch((error) => write(this.place, error.message));
    }
  }

  #openThread(id, signalId) {
    this.thread?.close();
    const back = button("Back to the conversation", () => this.#show(id), { icon: "back" });
    this.thread = new Conversation(this.device, { thread: signalId, label: `${this.label}: thread` });
    this.thread.box.prepend(element("p", { class: "banner" }, back, element("span", {}, "Thread")));
    this.#conversation.box.hidden = true;
    this.body.append(this.thread.box);
    this.thread.show(id, { kind: this.#kind });
  }

  #look(isLooked) {
    this.#conversation?.look(isLooked);
    this.thread?.look(isLooked);
  }

  #onMessage(view) {
    if (view.status === "waiting" && !this.device.condition.isConnected) this.onHappening("offline");
    if (view.isMine && view.status === "sent") this.onHappening("write");
  }

  #onChanged() {
    const views = this.#conversation.messages.views;
    if (views.some((view) => view.isMine && view.status === "read")) this.onHappening("read");
    if (views.some((view) => view.reactions?.length || view.editedAt || view.isDeleted)) this.onHappening("react");
  }

  /** What passed stays, until the next time. */
  #onGossip({ phase, sibling, given, taken }) {
    const began = phase === "asking" || phase === "offering", other = sibling ? `the ${sibling.replace(/^page-/, "")}` : "another device";
    if (began) this.#passed = { given, taken };
    const gave = given - this.#passed.given, took = taken - this.#passed.taken;
    if (phase === "taken" && took) {
      write(this.place, `Took ${several(took, "entry", "entries")} of its log from ${other}, not from the server`);
      this.onHappening("gossip");
    } else if (phase === "given" && gave) write(this.place, `Gave ${other} ${several(gave, "entry", "entries")} of the log`);
    else if (phase === "dropped") write(this.place, `What ${other} gave is not the log: the server gives it`);
    else if (phase === "over") return this.place.dataset.gossip in GOSSIP_SAYS ? this.#showNoGossip() : undefined;
    else if (GOSSIP_SAYS[phase]) write(this.place, GOSSIP_SAYS[phase]);
    mark(this.place, "data-gossip", phase);
  }

  #showNoGossip() {
    write(this.place, "");
    mark(this.place, "data-gossip", null);
  }
}
