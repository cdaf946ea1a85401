// The honest numbers: what the server measured, what the browser measured, and their sum.

const $ = (id) => document.getElementById(id);

const STAGES = [
  ["uplink", "network up"], ["hold", "sound held"], ["ahead", "look-ahead"], ["wait", "wait for frame"], ["draw", "drawing"],
  ["encode", "encoding"], ["picture", "picture held"], ["down", "network down"], ["jitter", "jitter buffer"], ["decode", "decoding"],
];

const HERE = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

export class Hud {
  #live;
  #before = {};
  #first = null;

  constructor(live) {
    this.#live = live;
    setInterval(() => this.#update(), 1000);
  }

  firstFrame(milliseconds) {
    this.#first = milliseconds;
    $("hud-first").textContent = Math.round(milliseconds);
  }

  reset() {
    this.#before = {};
    this.#first = null;
    $("hud").hidden = true;
    $("hud-step").textContent = "";
  }

  async #update() {
    const { down, up, eye, status } = this.#live;
    if (!down || !status || this.#first === null) return;
    const [received, sent, filmed] = await Promise.all([measured(down), measured(up), measured(eye)]);
    this.#tellLateness(down.lips?.takeLate());
    const stages = { ...server(status), ...this.#browser(received, sent, status) };
    $("hud").hidden = false;
    $("hud-fps").textContent = Math.round(received.video?.framesPerSecond ?? status.fps);
    $("hud-rtt").textContent = number(received.rtt * 1000);
    $("hud-total").textContent = Math.round(STAGES.reduce((sum, [id]) => sum + (stages[id] ?? 0), 0));
    draw(stages);
    tellStep(status);
    drawCamera(status, stages, filmed);
  }

  // How much later this browser plays the sound than the picture that belongs to it: the server holds the picture for it.
  #tellLateness(late) {
    if (Number.isFinite(late)) this.#live.send({ sound_late_ms: Math.max(-10000, Math.min(10000, late)) });
  }

  // Means over the last second, from getStats' running sums.
  #browser({ video, rtt }, { rtt: upRtt }, status) {
    const before = this.#before;
    this.#before = video ?? {};
    const mean = (sum, count) => {
      const n = (video?.[count] ?? 0) - (before[count] ?? 0);
      return n > 0 ? (1000 * (video[sum] - (before[sum] ?? 0))) / n : 0;
    };
    return {
      uplink: status.source === "browser" ? 500 * (upRtt || rtt) : 0,
      down: 500 * rtt,
      jitter: mean("jitterBufferDelay", "jitterBufferEmittedCount"),
      decode: mean("totalDecodeTime", "framesDecoded"),
    };
  }
}

function server({ stages_ms: ms, look_ahead_held_ms: ahead, picture_hold_ms: held }) {
  const p50 = (...names) => names.reduce((sum, name) => sum + (ms[name]?.p50 ?? 0), 0);
  return {
    hold: p50("audio_hold"), ahead, wait: p50("queue"), draw: p50("features", "inference", "colour"),
    encode: p50("encode", "send"), picture: held,
  };
}

async function measured(peer) {
  const found = { rtt: 0, video: null, audio: null, coded_ms: 0 };
  if (!peer || peer.connection.connectionState === "closed") return found;
  const report = await peer.connection.getStats();
  for (const entry of report.values()) {
    if (entry.type === "inbound-rtp") found[entry.kind] = entry;
    if (entry.type === "outbound-rtp" && entry.framesEncoded) found.coded_ms = (1000 * entry.totalEncodeTime) / entry.framesEncoded;
    if (entry.type === "candidate-pair" && entry.nominated) found.rtt = entry.currentRoundTripTime ?? found.rtt;
  }
  return found;
}

function draw(stages) {
  const shown = STAGES.filter(([id]) => (stages[id] ?? 0) >= 0.05);
  const total = shown.reduce((sum, [id]) => sum + stages[id], 0) || 1;
  $("hud-bar").replaceChildren(...shown.map(([id, name]) => {
    const part = document.createElement("span");
    part.dataset.stage = id;
    part.title = `${name}: ${number(stages[id])} ms`;
    part.style.width = `calc(${(100 * stages[id]) / total}% - 2px)`;
    return part;
  }));
  $("hud-bar").setAttribute("aria-label", `Latency by stage: ${shown.map(([id, name]) => `${name} ${number(stages[id])} ms`).join(", ")}`);
  $("hud-legend").replaceChildren(...shown.map(([id, name]) => {
    const item = document.createElement("li");
    const key = document.createElement("i");
    key.dataset.stage = id;
    item.append(key, `${name} `, Object.assign(document.createElement("b"), { textContent: number(stages[id]) }));
    return item;
  }));
}

// How much of the face is drawn, while that is not all of it.
function tellStep({ step, size }) {
  const told = step ? `${drawn(step, size)}: ${HERE ? "this computer" : "the server"} is busy` : "";
  if ($("hud-step").textContent !== told) $("hud-step").textContent = told; // a screen reader says it once
}

function drawn(step, size) {
  if (step.fps === 0) return "A still portrait with sound";
  return `${step.fps} pictures a second${step.size < size ? `, ${step.size} px` : ""}`;
}

// A movement is shown by the first frame that is drawn after it was read: it waits for half a frame on average.
function drawCamera({ camera, fps }, stages, { rtt, coded_ms: coded }) {
  const following = camera?.state === "following" && fps > 0;
  $("hud-camera").hidden = !following;
  if (!following) return;
  const up = camera.source === "browser" ? coded + 500 * rtt : 0;
  const shown = ["draw", "encode", "picture", "down", "jitter", "decode"].reduce((sum, id) => sum + (stages[id] ?? 0), 0);
  $("hud-camera-fps").textContent = Math.round(camera.fps);
  $("hud-camera-age").textContent = Math.round(up + camera.late_ms + 500 / fps + shown);
}

const number = (value) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));
