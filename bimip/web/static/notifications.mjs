// Notifications of the browser: while the page is open, and by Web Push while it is not.

const WORKER = "/worker.mjs";
const WISH = "bimip notifications"; // whether this browser's user wants them
let registration = null;

/** Registers the service worker, which also keeps the page for when the server is away. Without one all else works. */
export async function begin() {
  if (!navigator.serviceWorker) return;
  const address = globalThis.trustedTypes ? trustedTypes.createPolicy("worker", { createScriptURL: () => WORKER }).createScriptURL("") : WORKER;
  registration = await navigator.serviceWorker.register(address, { type: "module" }).catch(() => null);
  if (!registration) return;
  const { active } = await navigator.serviceWorker.ready;
  active.postMessage({ read: [location.href, ...performance.getEntriesByType("resource").map((one) => one.name)] });
}

/** What there is: {isOn, isPushed, isImpossible, why}. */
export async function state() {
  if (!("Notification" in globalThis)) return { isImpossible: true, why: "This browser has no notifications." };
  if (Notification.permission === "denied") return { isImpossible: true, why: "This browser was told to show no notifications of this page." };
  const isOn = Notification.permission === "granted" && localStorage.getItem(WISH) === "yes";
  const subscription = await registration?.pushManager?.getSubscription().catch(() => null);
  return { isOn, isPushed: Boolean(subscription), why: "You are asked by the browser." };
}

export async function turnOn(device) {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("the browser does not show notifications of this page");
  localStorage.setItem(WISH, "yes");
  const key = await device.pushKey();
  if (!key || !registration?.pushManager) return; // they are shown while the page is open
  const { pushManager } = await navigator.serviceWorker.ready;
  const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }).catch((error) => {
    throw new Error(`you are told while this page is open; the browser's push service refuses to tell you otherwise (${error.message})`);
  });
  await device.registerPush(subscription);
}

export async function turnOff(device) {
  localStorage.removeItem(WISH);
  const subscription = await registration?.pushManager?.getSubscription().catch(() => null);
  if (!subscription) return;
  await device.unregisterPush();
  await subscription.unsubscribe();
}

/** Shows a message that came while nobody looks. */
export async function tell(title, body, conversation, onClick) {
  const { isOn, isPushed } = await state();
  if (!isOn || isPushed || document.visibilityState === "visible") return;
  if (registration) return registration.showNotification(title, { body, tag: conversation, icon: "/page/icon.svg", data: { conversation } });
  new Notification(title, { body, tag: conversation }).addEventListener("click", onClick);
}

/** A notification was pressed, in a page that was there already. */
export function onPressed(act) {
  navigator.serviceWorker?.addEventListener("message", ({ data }) => { if (data?.conversation) act(data.conversation); });
}
