// Where the pages have their client from: the server's own modules, of its own version.

export { openDevice, UNMEANT } from "/api/v1/device.mjs";
export { BimipError } from "/api/v1/bimip.mjs";

/** The address of this server's WebSocket. */
export const url = location.origin.replace(/^http/, "ws");
