// How much later this browser plays the sound than the picture that belongs to it. The server lets both RTP clocks begin
// at the same instant (streaming/rtc/clock.py): 90 kHz times 8 and 48 kHz times 15 are the same 720 kHz.

const TURN = 2 ** 32;
const OUTPUT_MS = 60; // from where a browser takes the sound out of its buffer to the ear
const KEPT = 120; // pictures: of some seconds
const BELIEVED_MS = 1000;
const PATIENCE = 250; // pictures

export class Lips {
  #sound;
  #seen = [];
  #unknown = 0; // pictures in a row of which nothing was known

  constructor(receiver) {
    this.#sound = receiver; // of the sound
  }

  // Whether this browser can say what it plays when. Without that it keeps sound and picture together by itself.
  static get known() {
    return "getSynchronizationSources" in RTCRtpReceiver.prototype && "requestVideoFrameCallback" in HTMLVideoElement.prototype;
  }

  // Whether it turns out not to say it.
  get silent() {
    return this.#unknown > PATIENCE;
  }

  // A picture is on the screen: `metadata` as requestVideoFrameCallback has it.
  see({ rtpTimestamp, expectedDisplayTime }) {
    const [heard] = this.#sound.getSynchronizationSources();
    const known = rtpTimestamp !== undefined && heard?.rtpTimestamp !== undefined;
    this.#unknown = known ? 0 : this.#unknown + 1;
    if (!known) return;
    const apart = (((8 * rtpTimestamp - 15 * heard.rtpTimestamp) % TURN) + TURN) % TURN;
    const ahead = (apart < TURN / 2 ? apart : apart - TURN) / 720;
    this.#seen.push(ahead + instant(heard.timestamp) - expectedDisplayTime + OUTPUT_MS);
    if (this.#seen.length > KEPT) this.#seen.shift();
  }

  // The median since it was taken last, in ms; NaN when nothing was seen.
  takeLate() {
    const seen = this.#seen.splice(0).sort((a, b) => a - b);
    return seen[seen.length >> 1] ?? NaN;
  }
}

// When a packet was played, on the page's clock. Safari told the time of another clock until 2026: there it was just now,
// or a packet ago.
function instant(timestamp) {
  const at = timestamp - performance.timeOrigin, now = performance.now();
  return Math.abs(now - at) < BELIEVED_MS ? at : now;
}
