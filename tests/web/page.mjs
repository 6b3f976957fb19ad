// Devices for tests in a page: tells its own server what happens to them, and does what that says.

let told = Promise.resolve();
const tell = (line) => {
  told = told.then(() => fetch("/told", { method: "POST", body: JSON.stringify(line) }));
};
const devices = {};

async function open({ device, module, url, token }) {
  const { connect, browserStore, textOf } = await import(module);
  devices[device] = connect(url, {
    token,
    store: browserStore(device),
    onMessage: (message) => tell({ shown: textOf(message), device }),
    onSent: (signal) => tell({ sent: signal.id, device }),
    onConnected: () => tell({ connected: true, device }),
    onDisconnected: (end) => tell({ disconnected: end.code, again: "retryMs" in end, device }),
    onError: (error) => tell({ error: String(error), device }),
  });
}

const orders = {
  open,
  send: ({ device, to, texts }) => { for (const text of texts) devices[device].send({ to, text, id: text }).catch(() => {}); },
  close: async ({ device }) => { await devices[device].close(); tell({ closed: true, device }); },
  frame: ({ url }) => document.body.append(Object.assign(document.createElement("iframe"), { src: url })),
  reload: async () => { await told; location.reload(); await new Promise(() => {}); },
};

tell({ loaded: location.origin });
for (;;) {
  const order = await (await fetch("/order")).json();
  try {
    await orders[order.what]?.(order);
  } catch (error) {
    tell({ failed: String(error), device: order.device });
  }
}
