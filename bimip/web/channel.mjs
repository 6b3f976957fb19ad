/**
 * One data channel of WebRTC to another device of this user, from the first description on. Descriptions have all candidates in them, and
 * there is no server that tells addresses: both ends are in one network, or it does not come about.
 *
 *     giver: const offer = await channel.offer(); … await channel.accept(answer); await channel.opened;
 *     taker: const answer = await channel.answer(offer); await channel.opened;
 *     await channel.send(bytes); const bytes = await channel.receive(30_000);   // null: it is closed, or nothing came for so long
 */

export const LABEL = "bimip.gossip.1";
const GATHERING_MS = 2000; // what is found by then has to do
const CLOSING_MS = 5000; // for the other end's answer
const MOST_BUFFERED = 1 << 20;

export class Channel {
  #peer = new RTCPeerConnection({ iceServers: [] }); #channel = null; #arrived = []; #wake = () => {}; #isClosed = false;

  constructor() {
    /** Resolves with whether it is open. */
    this.opened = new Promise((resolve) => { this.#isOpen = resolve; });
    this.#peer.ondatachannel = (event) => this.#take(event.channel);
    this.#peer.onconnectionstatechange = () => { if (["failed", "closed"].includes(this.#peer.connectionState)) this.#end(); };
  }
  #isOpen;

  async offer() {
    this.#take(this.#peer.createDataChannel(LABEL, { ordered: true }));
    await this.#peer.setLocalDescription(await this.#peer.createOffer());
    return this.#description();
  }

  async answer(offer) {
    await this.accept(offer);
    await this.#peer.setLocalDescription(await this.#peer.createAnswer());
    return this.#description();
  }

  accept({ type, sdp }) { return this.#peer.setRemoteDescription({ type: String(type), sdp: String(sdp) }); }

  async #description() {
    if (this.#peer.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        setTimeout(resolve, GATHERING_MS);
        this.#peer.addEventListener("icegatheringstatechange", () => { if (this.#peer.iceGatheringState === "complete") resolve(); });
      });
    }
    const { type, sdp } = this.#peer.localDescription;
    return { type, sdp };
  }

  #take(channel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = MOST_BUFFERED / 2;
    channel.onmessage = ({ data }) => {
      this.#arrived.push(typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data));
      this.#wake();
    };
    channel.onclose = () => this.#end();
    channel.onopen = () => this.#isOpen(true);
    if (channel.readyState === "open") this.#isOpen(true);
  }

  /** Sends a message once there is room for it. Returns whether it could. */
  async send(bytes) {
    const channel = this.#channel;
    while (!this.#isClosed && channel.bufferedAmount > MOST_BUFFERED) {
      await new Promise((resolve) => {
        channel.addEventListener("bufferedamountlow", resolve, { once: true });
        channel.addEventListener("close", resolve, { once: true });
      });
    }
    if (this.#isClosed || channel?.readyState !== "open") return false;
    channel.send(bytes);
    return true;
  }

  async receive(ms) {
    if (!this.#arrived.length && !this.#isClosed) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => { clearTimeout(timer); resolve(); };
      });
      this.#wake = () => {};
    }
    return this.#arrived.shift() ?? null;
  }

  #end() {
    this.#isClosed = true;
    this.#isOpen(false);
    this.#wake();
  }

  /**
   * Closes it: the channel first, which the other end answers, and then the connection. That alone is told by a packet that may be lost,
   * and the other end would wait for more.
   */
  close() {
    this.#end();
    const channel = this.#channel;
    if (channel?.readyState !== "open") return this.#peer.close();
    channel.addEventListener("close", () => this.#peer.close());
    setTimeout(() => this.#peer.close(), CLOSING_MS);
    channel.close();
  }
}
