// A device for tests: prints what happens to it as JSON lines, and does what the lines on its standard input say.

import { createInterface } from "node:readline";
import { connect, fileStore, textOf } from "../../bimip/web/bimip.mjs";

const [url, token, path] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const client = connect(url, {
  token,
  store: fileStore(path),
  onMessage: (message) => say({ shown: textOf(message), from: message.from.eid }),
  onState: (page) => say({ state: Object.assign({}, ...(page.items ?? [])) }),
  onConnected: () => say({ connected: true }),
  onDisconnected: (end) => say({ disconnected: end.code, reason: end.reason, again: "retryMs" in end }),
  onError: (error) => say({ error: String(error) }),
});
client.done.then(() => process.exit(0), (error) => { say({ stopped: error.code }); process.exit(3); });
for await (const line of createInterface({ input: process.stdin })) {
  const { send, to, request, payload } = JSON.parse(line);
  if (send) for (const text of send) client.send({ to, text, id: text }).then((signal) => say({ sent: signal.id }), (error) => say({ refused: error.code }));
  else if (request) client.request(request, payload).then((answer) => say({ answer }), (error) => say({ refused: error.code, field: error.field }));
  else await client.close();
}
