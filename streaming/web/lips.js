// How much later this browser plays the sound than the picture that belongs to it. The server lets both RTP clocks begin
// at the same instant (streaming/rtc/clock.py): 90 kHz times 8 and 48 kHz times 15 are the same 720 kHz.

const TURN = 2 ** 32;
const OUTPUT_MS = 60; // from where a browser takes the sound out of its buffer to the ear

export class Lips {
  #sound;
  #seen = [];

  constructor(receiver) {
    this.#sound = receiver; // of the sound
  }

  // Whether this browser says what it plays when. Without that it keeps sound and picture together by itself.
  static get known() {
    return "getSynchronizationSources" in RTCRtpReceiver.prototype && "requestVideoFrameCallback" in HTMLVideoElement.prototype;
  }

  // A picture is on the screen: `metadata` as requestVideoFrameCallback has it.
  see({ rtpTimestamp, expectedDisplayTime }) {
    const [heard] = this.#sound.getSynchronizationSources();
    if (rtpTimestamp === undefined || heard?.rtpTimestamp === undefined) return;
    const apart = (((8 * rtpTimestamp - 15 * heard.rtpTimestamp) % TURN) + TURN) % TURN;
    const ahead = (apart < TURN / 2 ? apart : apart - TURN) / 720;
    this.#seen.push(ahead + (heard.timestamp - performance.timeOrigin) - expectedDisplayTime + OUTPUT_MS);
  }

  // The median since it was asked last, in ms; NaN when nothing was seen.
  get late() {
    const seen = this.#seen.splice(0).sort((a, b) => a - b);
    return seen[seen.length >> 1] ?? NaN;
  }
}
