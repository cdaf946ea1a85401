// Put into the product's own page before its scripts run: a microphone with clicks, and eyes and ears for what comes back.
//
// Instants are milliseconds of performance.now(). `bench.said` are the clicks that left the source (T0), `bench.heard`
// those that left the loudspeaker, `bench.frames` the pictures: [displayed (T11), media instant, click, painted,
// received (T9), decoding took, RTP timestamp, handed to the compositor (T10)].

(() => {
  const { clicks, bits, row, quietS, voice } = __CONFIG__;
  const bench = { peers: [], said: [], heard: [], frames: [], output: null, origin: performance.timeOrigin };
  window.bench = bench;

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...parts) {
      super(...parts);
      bench.peers = [...bench.peers.filter((peer) => peer.connectionState !== "closed"), this]; // Chromium lets a page have 500
    }
  };

  let context = null;
  const shared = () => (context ??= new AudioContext({ sampleRate: 48000, latencyHint: "interactive" }));

  // The source's sound is rendered in bursts, at the latest when it leaves: the earliest rendering seen dates a sample. Of
  // the last one to two seconds: a crowded machine's sound falls behind for good.
  let earliest = Infinity;
  let [before, latest, since] = [Infinity, Infinity, 0];
  setInterval(() => {
    if (!context) return;
    const at = performance.now();
    if (at - since > 1000) [before, latest, since] = [latest, Infinity, at];
    latest = Math.min(latest, at - context.currentTime * 1000);
    earliest = Math.min(before, latest);
  }, 3);

  if (clicks) {
    navigator.mediaDevices.getUserMedia = async () => {
      const audio = shared();
      await audio.resume();
      const out = audio.createMediaStreamDestination();
      (await speech(audio)).connect(out);
      const gate = tone(audio, 2000, 0);
      gate.connect(out);
      let next = audio.currentTime + 1.5;
      setInterval(() => {
        for (; next < audio.currentTime + 0.3; next += 1.2 + 0.2 * Math.random()) {
          gate.gain.setValueAtTime(0.8, next);
          gate.gain.setValueAtTime(0, next + 0.005);
          bench.said.push(next * 1000 + earliest);
        }
      }, 50);
      return out.stream;
    };
  }

  function tone(audio, hertz, level) {
    const oscillator = new OscillatorNode(audio, { frequency: hertz });
    const gain = new GainNode(audio, { gain: level });
    oscillator.connect(gain);
    oscillator.start();
    return gain;
  }

  // Quiet speech, again and again: what the browser's coder repeats for lost packets is repeated for speech alone.
  async function speech(audio) {
    const bytes = Uint8Array.from(atob(voice), (letter) => letter.charCodeAt(0));
    const buffer = await audio.decodeAudioData(bytes.buffer);
    const gain = new GainNode(audio, { gain: 0.12 / buffer.getChannelData(0).reduce((most, x) => Math.max(most, Math.abs(x)), 0) });
    const source = new AudioBufferSourceNode(audio, { buffer, loop: true });
    source.connect(gain);
    source.start();
    return gain;
  }

  const detector = `registerProcessor("clicks", class extends AudioWorkletProcessor {
    process([[sound]]) {
      for (let i = 0; sound && i < sound.length; i++) {
        if (Math.abs(sound[i]) < 0.2) continue;
        const at = currentTime + i / sampleRate;
        if (at - (this.loud ?? -1) > ${quietS}) this.port.postMessage(at);
        this.loud = at;
      }
      return true;
    }
  })`;

  bench.listen = async (track) => {
    const audio = shared();
    await audio.resume();
    await audio.audioWorklet.addModule(URL.createObjectURL(new Blob([detector], { type: "text/javascript" })));
    const node = new AudioWorkletNode(audio, "clicks");
    node.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = audio.getOutputTimestamp();
      bench.heard.push((data - contextTime) * 1000 + performanceTime);
      bench.output = [audio.baseLatency * 1000, audio.outputLatency * 1000];
    };
    node.connect(audio.destination);
    let source = null;
    const hear = () => {
      source?.disconnect();
      source = audio.createMediaStreamSource(new MediaStream([track]));
      source.connect(node);
    };
    hear();
    setInterval(hear, 20_000); // what WebAudio kept waiting while the machine was crowded it keeps waiting for good
  };

  bench.watch = (video) => {
    const canvas = new OffscreenCanvas(bits * 8, 3);
    const picture = canvas.getContext("2d", { willReadFrequently: true });
    const next = (_, shown) => {
      const cell = Math.floor(video.videoWidth / bits);
      picture.drawImage(video, 0, 0, cell * bits, row * 3, 0, 0, bits * 8, 3);
      const pixels = picture.getImageData(0, 0, bits * 8, 3).data;
      const numbers = [0, 1, 2].map((line) => read(pixels, line));
      const received = [shown.receiveTime ?? NaN, 1000 * (shown.processingDuration ?? NaN), shown.rtpTimestamp ?? NaN];
      bench.frames.push([shown.expectedDisplayTime, ...numbers, ...received, shown.presentationTime]);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  };

  function read(pixels, line) {
    let code = 0;
    for (let bit = 0; bit < bits; bit++) if (pixels[4 * (line * bits * 8 + bit * 8 + 4) + 1] > 127) code |= 1 << bit;
    for (let shift = 1; shift < bits; shift <<= 1) code ^= code >>> shift;
    return code;
  }

  bench.stats = async () => {
    const found = {};
    for (const peer of bench.peers) {
      if (peer.connectionState !== "connected") continue;
      for (const entry of (await peer.getStats()).values()) {
        if (entry.type === "inbound-rtp") found[entry.kind] = entry;
        if (entry.type === "codec" && entry.mimeType.startsWith("video/") && !entry.mimeType.endsWith("rtx")) found.codec = entry.mimeType;
      }
    }
    return found;
  };

  // What the page tells the server: by how much its sound is later than its picture, ms.
  bench.told = NaN;
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    bench.told = JSON.parse(text).sound_late_ms ?? bench.told;
    return send.call(this, text);
  };

  // From the press of the button to the first picture on the screen.
  bench.start = (button, video) => new Promise((resolve, reject) => {
    let pressed = 0;
    setTimeout(() => reject(new Error(document.getElementById("notice-text").textContent || "no picture came")), 60_000);
    const first = (_, shown) => {
      if (shown.rtpTimestamp === undefined) video.requestVideoFrameCallback(first); // black: nothing has come yet
      else resolve(shown.expectedDisplayTime - pressed);
    };
    video.requestVideoFrameCallback(first);
    pressed = performance.now();
    button.click();
  });
})();
