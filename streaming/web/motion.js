// Sliders, pads and presets. Signs as the viewer sees them: right is the person's left, up is up.

const SEND_MS = 33;
const RANGES = "#roll, #head-gain, #mouth-gain, #expressions input";

// Each slider drives channels: [channel, weight] for its positive and its negative half.
const EXPRESSIONS = [
  { id: "smile", name: "Frown to smile", up: [["mouthSmileLeft", 0.9], ["mouthSmileRight", 0.9], ["cheekSquintLeft", 0.4], ["cheekSquintRight", 0.4]], down: [["mouthFrownLeft", 0.9], ["mouthFrownRight", 0.9]] },
  { id: "brows", name: "Brows", up: [["browInnerUp", 0.8], ["browOuterUpLeft", 0.8], ["browOuterUpRight", 0.8]], down: [["browDownLeft", 1], ["browDownRight", 1]] },
  { id: "worry", name: "Worry", up: [["browInnerUp", 1]] },
  { id: "eyes", name: "Squint to wide", up: [["eyeWideLeft", 1], ["eyeWideRight", 1]], down: [["eyeSquintLeft", 1], ["eyeSquintRight", 1]] },
  { id: "lids", name: "Eyes closed", up: [["eyeBlinkLeft", 1], ["eyeBlinkRight", 1]] },
  { id: "jaw", name: "Mouth open", up: [["jawOpen", 0.7]] },
  { id: "pucker", name: "Lips round", up: [["mouthPucker", 1]] },
];

export class Motion {
  #send;
  #pending = null;
  #timer = 0;
  #range = 30;
  #presets = [];

  // `send` takes a change of controls, see Controls on the server.
  constructor(send) {
    this.#send = send;
    const gaze = new Pad("gaze", (x, y) => this.#channels(gazeChannels(x, y, this.#range)));
    const head = new Pad("head", (x, y) => this.#channels({ yaw: x || null, pitch: y || null }));
    this.#slider("roll", (value) => this.#channels({ roll: value || null }), degrees, { twoWay: true });
    this.#slider("head-gain", (value) => this.#queue({ head_gain: value }), percent);
    this.#slider("mouth-gain", (value) => this.#queue({ mouth_gain: value }), percent);
    document.getElementById("idle").addEventListener("change", ({ target }) => this.#queue({ idle: target.checked }));
    this.#expressions();
    document.getElementById("reset").addEventListener("click", () => {
      gaze.set(0, 0);
      head.set(0, 0);
      this.#neutral();
    });
    this.pads = { gaze, head };
  }

  offer({ presets, gaze_range_deg: range }) {
    this.#range = range;
    this.#presets = presets.map((preset) => this.#preset(preset));
    const moves = (id) => /^(look|nod|shake)/.test(id);
    document.getElementById("looks").replaceChildren(...this.#presets.filter(({ dataset }) => moves(dataset.id)));
    document.getElementById("presets").replaceChildren(...this.#presets.filter(({ dataset }) => !moves(dataset.id)));
  }

  // Where everything stands, for a page that is loaded anew: nothing is sent, as the session stands there already.
  get shown() {
    return {
      ranges: Object.fromEntries(Array.from(document.querySelectorAll(RANGES), ({ id, value }) => [id, Number(value)])),
      pads: Object.fromEntries(Object.entries(this.pads).map(([name, pad]) => [name, pad.at])),
      idle: document.getElementById("idle").checked,
      preset: this.#presets.find((button) => button.getAttribute("aria-pressed") === "true")?.dataset.id,
    };
  }

  show({ ranges, pads, idle, preset }) {
    for (const range of document.querySelectorAll(RANGES)) show(range, ranges[range.id] ?? range.defaultValue);
    for (const [name, pad] of Object.entries(this.pads)) pad.show(...(pads[name] ?? [0, 0]));
    document.getElementById("idle").checked = idle;
    this.#press(this.#presets.find((button) => button.dataset.id === preset) ?? null);
  }

  #preset({ id, gesture }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "preset";
    button.dataset.id = id;
    button.textContent = (id.charAt(0).toUpperCase() + id.slice(1)).replaceAll("_", " ");
    if (!gesture) button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (!gesture) {
        this.#showNeutral();
        this.#press(button);
      }
      this.#flush();
      this.#send({ preset: id });
    });
    return button;
  }

  #press(button) {
    for (const other of this.#presets) if (other.hasAttribute("aria-pressed")) other.setAttribute("aria-pressed", String(other === button));
  }

  // A preset lets go of everything that was set by hand, so the sliders return to their middle.
  #showNeutral() {
    this.pads.gaze.show(0, 0);
    this.pads.head.show(0, 0);
    for (const range of document.querySelectorAll("#roll, #expressions input")) show(range, 0);
  }

  #neutral() {
    this.#showNeutral();
    this.#press(null);
    this.#pending = null;
    this.#send({ preset: "neutral" });
  }

  #expressions() {
    const box = document.getElementById("expressions");
    for (const { id, name, up, down } of EXPRESSIONS) {
      const label = document.createElement("label");
      label.className = "slider";
      const range = Object.assign(document.createElement("input"), { type: "range", id, min: down ? -100 : 0, max: 100, step: 1, value: 0 });
      range.setAttribute("value", "0");
      label.append(Object.assign(document.createElement("span"), { textContent: name }), range, document.createElement("output"));
      box.append(label);
      this.#slider(id, (value) => this.#channels(weighted(value / 100, up, down)), (value) => `${value}`, { twoWay: Boolean(down) });
    }
  }

  #slider(id, onValue, text, { twoWay = false } = {}) {
    const range = document.getElementById(id);
    range.classList.toggle("two-way", twoWay);
    range.mienText = text;
    show(range, Number(range.value));
    range.addEventListener("input", () => {
      show(range, Number(range.value));
      onValue(Number(range.value));
    });
    range.addEventListener("dblclick", () => {
      range.value = range.defaultValue;
      range.dispatchEvent(new Event("input"));
    });
  }

  #channels(channels) {
    this.#queue({ channels });
  }

  // Hands move faster than a face: changes are gathered and sent 30 times a second.
  #queue({ channels, ...rest }) {
    this.#pending = { ...this.#pending, ...rest };
    if (channels) this.#pending.channels = { ...this.#pending.channels, ...channels };
    this.#timer ||= setTimeout(() => this.#flush(), SEND_MS);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const change = this.#pending;
    this.#pending = null;
    if (change) this.#send(change);
  }
}

class Pad {
  #pad;
  #thumb;
  #x;
  #y;
  #onMove;

  constructor(name, onMove) {
    this.#pad = document.getElementById(`${name}-pad`);
    this.#thumb = this.#pad.querySelector(".thumb");
    this.#x = document.getElementById(`${name}-x`);
    this.#y = document.getElementById(`${name}-y`);
    this.#onMove = onMove;
    this.#pad.addEventListener("pointerdown", (event) => {
      this.#pad.setPointerCapture(event.pointerId);
      this.#follow(event);
    });
    this.#pad.addEventListener("pointermove", (event) => this.#pad.hasPointerCapture(event.pointerId) && this.#follow(event));
    this.#pad.addEventListener("dblclick", () => this.set(0, 0));
    for (const range of [this.#x, this.#y]) {
      range.addEventListener("input", () => this.set(Number(this.#x.value), Number(this.#y.value)));
      range.addEventListener("dblclick", () => this.set(0, 0));
    }
  }

  #follow(event) {
    const box = this.#pad.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(-1, value));
    const x = inside(((event.clientX - box.left) / box.width) * 2 - 1);
    const y = inside(1 - ((event.clientY - box.top) / box.height) * 2);
    const snap = (value) => (Math.abs(value) < 0.06 ? 0 : value);
    this.set(snap(x) * Number(this.#x.max), snap(y) * Number(this.#y.max));
  }

  get at() { return [Number(this.#x.value), Number(this.#y.value)]; }

  set(x, y) {
    this.show(x, y);
    this.#onMove(Number(this.#x.value), Number(this.#y.value));
  }

  show(x, y) {
    this.#x.value = x;
    this.#y.value = y;
    this.#x.setAttribute("aria-valuetext", spoken(Number(this.#x.value), "right", "left"));
    this.#y.setAttribute("aria-valuetext", spoken(Number(this.#y.value), "up", "down"));
    this.#thumb.style.left = `${50 + 44 * (this.#x.value / this.#x.max)}%`;
    this.#thumb.style.top = `${50 - 44 * (this.#y.value / this.#y.max)}%`;
  }
}

const degrees = (value) => `${value}°`;
const percent = (value) => `${Math.round(value * 100)} %`;
const spoken = (value, more, less) => (value === 0 ? "straight" : `${Math.abs(value)} degrees ${value > 0 ? more : less}`);

function show(range, value) {
  range.value = value;
  const share = (100 * (range.value - range.min)) / (range.max - range.min);
  range.style.setProperty("--fill", `${share}%`);
  range.style.setProperty("--from", `${Math.min(50, share)}%`);
  range.style.setProperty("--to", `${Math.max(50, share)}%`);
  const output = range.parentElement.querySelector("output");
  if (output) output.textContent = range.mienText(Number(range.value));
}

// null gives a channel back to idle life and the voice.
function weighted(value, up = [], down = []) {
  const channels = {};
  for (const [name, weight] of down) channels[name] = value < 0 ? -value * weight : null;
  for (const [name, weight] of up) channels[name] = value > 0 ? value * weight : null;
  return channels;
}

function gazeChannels(x, y, range) {
  const [left, up] = [x / range, y / range];
  const values = {
    eyeLookOutLeft: left, eyeLookInRight: left, eyeLookInLeft: -left, eyeLookOutRight: -left,
    eyeLookUpLeft: up, eyeLookUpRight: up, eyeLookDownLeft: -up, eyeLookDownRight: -up,
  };
  const released = x === 0 && y === 0;
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, released ? null : Math.max(0, value)]));
}
