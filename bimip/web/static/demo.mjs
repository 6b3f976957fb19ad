// The demonstration: four devices of two people, and what happens below them. `bimip serve --demo` serves it.

import { url } from "./client.mjs";
import { ask } from "./demonstration.mjs";
import { DevicePanel } from "./device_panel.mjs";
import { Frames } from "./frames.mjs";
import { showGuide } from "./guide.mjs";
import { Processes } from "./processes.mjs";
import { setScene } from "./scene.mjs";
import { element, mark, nameOf, write } from "./words.mjs";

const LABELS = { "page-phone": "phone", "page-laptop": "laptop" };
const AGAIN_MS = 1000;
const at = (id) => document.getElementById(id);

const frames = new Frames(at("frames"), at("frames-on"));
const processes = new Processes(at("tree"), { count: at("process-count"), said: at("process-said"), onState: showServer });

function showServer(isThere) {
  mark(at("server"), "data-state", isThere ? "on" : "off");
  write(at("server"), isThere ? "The server runs" : "The server is not there");
}

/** What the server gives to its own page: tokens, which stay in memory. It is asked until it answers. */
async function askForDevices() {
  for (;;) {
    try {
      return await (await ask("POST", "/devices")).json();
    } catch (error) {
      showServer(false);
      if (error.status && error.status < 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function showCommands({ pid, kill, again }) {
  write(at("pid"), String(pid));
  write(at("kill"), kill);
  write(at("again"), again);
}

async function begin() {
  const told = await askForDevices();
  showCommands(told);
  const ours = told.devices.filter(({ device }) => device in LABELS);
  const tokens = new Map(ours.map(({ eid, device, token }) => [`${eid}/${device}`, token]));
  const panels = ours.map(({ eid, device }) => new DevicePanel({
    url, eid, device, label: `${nameOf(eid)}’s ${LABELS[device]}`,
    token: async () => tokens.get(`${eid}/${device}`),
    onFrame: (frame) => frames.add(frame, `${nameOf(eid)}’s ${LABELS[device]}`),
  }));
  at("devices").append(...panels.map((panel) => panel.box));
  globalThis.demonstration = { panels }; // for who looks into the page with the browser's tools
  showGuide(at("guide"), panels);
  processes.watch(ours.map(({ eid }) => eid), async () => {
    const again = await askForDevices(); // it came back: with another pid, and its tokens are renewed
    showCommands(again);
    for (const { eid, device, token } of again.devices) tokens.set(`${eid}/${device}`, token);
  });
  await Promise.all(panels.map((panel) => panel.open()));
  await setScene(panels);
}

begin().catch((error) => at("devices").append(element("p", { class: "note", role: "alert" }, `This page cannot begin: ${error.message}`)));
