// The browser's microphone: which one, with what processing, how loud.

const FLOOR_DB = -60;

export class Microphone extends EventTarget {
  track = null;
  #stream = null;
  #context = null;
  #analyser = null;
  #timer = 0;
  #muted = false;

  get muted() { return this.#muted; }

  // False where a browser without a loudspeaker lets no AudioContext run; the server's level has to do then.
  get measuring() { return this.#context?.state === "running"; }

  // Throws an Error with one line and `kind` "denied", "absent", "busy" or "insecure".
  async open({ device, echo, noise, gain }) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw problem("insecure", "Browsers give the microphone only to localhost and to https pages. Open this page there.");
    }
    const audio = {
      deviceId: device ? { exact: device } : undefined,
      echoCancellation: echo, noiseSuppression: noise, autoGainControl: gain,
      channelCount: 1, sampleRate: 48000, latency: 0.01,
    };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw explained(error);
    }
    const before = this.#stream;
    this.#stream = stream;
    this.track = stream.getAudioTracks()[0];
    this.track.enabled = !this.#muted;
    this.track.contentHint = "speech";
    this.track.addEventListener("ended", () => this.dispatchEvent(new Event("ended")));
    before?.getTracks().forEach((track) => track.stop());
    this.#measure(stream);
    return this.track;
  }

  set muted(muted) {
    this.#muted = muted;
    if (this.track) this.track.enabled = !muted;
  }

  close() {
    clearInterval(this.#timer);
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.track = null;
    this.#context?.close().catch(() => {});
    this.#context = null;
    this.dispatchEvent(new CustomEvent("level", { detail: FLOOR_DB }));
  }

  #measure(stream) {
    clearInterval(this.#timer);
    this.#context ??= new AudioContext();
    this.#context.resume().catch(() => {}); // some browsers let it begin only after the microphone was allowed
    this.#analyser?.disconnect();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 2048;
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    const wave = new Float32Array(this.#analyser.fftSize);
    this.#timer = setInterval(() => {
      if (!this.measuring) return;
      this.#analyser.getFloatTimeDomainData(wave);
      const power = wave.reduce((sum, x) => sum + x * x, 0) / wave.length;
      this.dispatchEvent(new CustomEvent("level", { detail: Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-9)) }));
    }, 60);
  }
}

export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices.filter((device) => device.kind === "audioinput" && device.deviceId && device.deviceId !== "default");
}

function problem(kind, line) {
  return Object.assign(new Error(line), { kind });
}

function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return problem("denied", "The microphone is blocked. Allow it by the icon in the address bar, then press Start again.");
    case "NotFoundError":
    case "OverconstrainedError":
      return problem("absent", "No microphone was found. Plug one in and press Start again.");
    case "NotReadableError":
    case "AbortError":
      return problem("busy", "The microphone is in use by another program. Close that and press Start again.");
    default:
      return problem("absent", `The microphone cannot be used (${error.name}).`);
  }
}
