// Devices for tests in a page, which a test drives by evaluating lines in it.

import { openDevice } from "./device.mjs";

const TEXT = /^message \d+$/;
window.devices = {};
window.told = {}; // by device: {errors, gossip, fetched: entries that the server sent, shown: texts of messages that were told as new}

window.open_ = async (name, options) => {
  const device = await openDevice({ name, start: { start: "FIRST" }, ...options }), told = (window.told[name] = { errors: [], gossip: [], fetched: 0, shown: [] });
  device.on("error", (error) => told.errors.push(`${error.code ?? ""} ${error}`));
  device.on("gossip", (one) => told.gossip.push(one));
  device.on("frame", ({ direction, frame }) => { if (direction === "in") told.fetched += frame.body?.messages?.length ?? 0; });
  device.on("message", (view) => { if (!view.isMine) told.shown.push(view.text); });
  window.devices[name] = device;
};
window.texts = async (name) => (await devices[name].export()).map((one) => one.text).filter((text) => TEXT.test(text));
window.sameOn = async (one, other) => JSON.stringify(await devices[one].export()) === JSON.stringify(await devices[other].export());
window.ready = true;
