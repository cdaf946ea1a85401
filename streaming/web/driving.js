// The person before the camera drives the face: the camera's switch, what it sees, and what it moves.

import { Camera, cameras } from "./camera.js";
import { Factors } from "./factors.js";
import { SelfView } from "./selfview.js";

const $ = (id) => document.getElementById(id);

const KEEP = "mien.camera";
const MACHINE = "machine"; // the server's own camera, as a choice beside this browser's
const TAKEN_MS = 2500;
const PATIENCE_MS = 6000; // a peer stands within a second; after this its pictures do not get through

// What the server says of a camera, as a word and what to do about it. Meanwhile the voice moves the face.
const TROUBLES = {
  starting: ["Starting", "The camera is starting."],
  "no face": ["No face", "No face is in view. Sit so that the camera sees all of yours."],
  dark: ["Dark", "It is too dark. Put a light in front of you."],
  covered: ["Covered", "The camera is covered. Open its shutter, or take away what is before it."],
  frozen: ["Frozen", "The camera’s picture stands still. Switch it off and on again."],
  "turned away": ["Turned away", "You are turned away. Look towards the camera."],
  "too small": ["Too small", "Your face is too small. Come closer."],
  gone: ["Gone", "No pictures arrive. If they do not come back, switch the camera off and on again."],
};

export class Driving extends EventTarget {
  #live;
  #camera = new Camera();
  #view = new SelfView();
  #factors = new Factors((chosen) => this.#choose({ factors: chosen }));
  #kept = read();
  #machine = false; // whether the server has a camera of its own
  #opening = false;
  #problem = null;
  #since = 0;
  #taken = 0;

  // Events: "problem" (one line, or "" when it is mended), "change" (of anything shown elsewhere).
  constructor(live) {
    super();
    this.#live = live;
    $("webcam").addEventListener("click", () => this.#turn(!this.on));
    $("webcam-source").addEventListener("change", ({ target }) => this.#use(target.value));
    $("eye-contact").addEventListener("change", ({ target }) => this.#choose({ eye_contact: target.checked }));
    $("neutral").addEventListener("click", () => this.#takeNeutral());
    $("eye-contact").checked = Boolean(this.#kept.eye_contact);
    this.#camera.addEventListener("lost", ({ detail }) => this.#fail(detail));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#list());
    document.addEventListener("visibilitychange", () => this.#ask());
    live.addEventListener("status", () => this.#draw());
    live.addEventListener("outline", ({ detail }) => this.on && this.#view.draw(detail));
    this.#draw();
  }

  get on() { return Boolean(this.#kept.on); }
  get following() { return this.#seen?.state === "following"; }

  // Whose pictures the server shall follow.
  get source() { return this.on ? this.#own : "off"; }

  // Whether the camera and not the pads moves any of these factors now.
  moves(...factors) { return this.on && this.following && this.#factors.uses("camera", ...factors); }

  async offer({ cameras: sources, factors, outline }) {
    this.#machine = sources.includes(MACHINE);
    this.#factors.offer(factors, this.#kept.factors);
    this.#view.curves = outline;
    await this.#list();
    this.#draw();
  }

  // The session is about to be opened: everything that was chosen goes with it.
  begin() {
    this.#since = performance.now();
    this.#live.control({ factors: this.#factors.chosen, eye_contact: Boolean(this.#kept.eye_contact), camera: this.source });
    if (this.on && !this.#camera.track) this.#open();
  }

  // The session is over: the camera's light goes out, and on again with the next one.
  end() {
    this.#camera.close();
    this.#draw();
  }

  get #own() { return this.#kept.device === MACHINE && this.#machine ? MACHINE : "browser"; }
  get #seen() { return this.on && this.#live.wanted ? this.#live.status?.camera : null; }

  #choose(change) {
    Object.assign(this.#kept, change);
    this.#keep();
    this.#live.control(change);
    this.#draw();
  }

  #keep() { localStorage.setItem(KEEP, JSON.stringify(this.#kept)); }

  // -- on and off --------------------------------------------------------------------------------------------------------

  async #turn(on) {
    this.#kept.on = on;
    this.#keep();
    this.#problem = null;
    this.dispatchEvent(new CustomEvent("problem", { detail: "" }));
    if (this.#live.wanted) this.#live.control({ camera: this.source });
    if (on) return this.#open();
    return this.#close();
  }

  async #use(device) {
    this.#kept.device = device;
    this.#keep();
    if (!this.on) return;
    if (this.#live.wanted) this.#live.control({ camera: this.source });
    if (this.#own === MACHINE) await this.#close();
    await this.#open();
  }

  async #open() {
    this.#opening = this.#own !== MACHINE;
    this.#draw();
    if (!this.#opening) return;
    try {
      const track = await this.#camera.open(this.#kept.device);
      if (!track) return; // switched off meanwhile, or another one is being opened
      this.#opening = false;
      this.#since = performance.now();
      await this.#live.film(track);
      await this.#list();
      this.#draw();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #close() {
    this.#opening = false;
    this.#camera.close();
    this.#draw();
    await this.#live.film(null);
  }

  // The camera cannot be used: off, with one line that says why. The voice is not troubled.
  #fail(error) {
    this.#kept.on = false;
    this.#keep();
    this.#problem = error;
    if (this.#live.wanted) this.#live.control({ camera: "off" });
    this.#close();
    this.dispatchEvent(new CustomEvent("problem", { detail: error.message }));
  }

  async #list() {
    const found = await cameras();
    const entries = [["", "Default camera"], ...found.map((device) => [device.deviceId, device.label])];
    if (this.#machine) entries.push([MACHINE, "The server’s own camera"]);
    const kept = entries.some(([value]) => value === this.#kept.device) ? this.#kept.device : "";
    $("webcam-source").replaceChildren(...entries.map(([value, name]) => new Option(name, value, false, value === kept)));
    $("webcam-device").hidden = found.length < 2 && !this.#machine;
  }

  // -- neutral -----------------------------------------------------------------------------------------------------------

  #takeNeutral() {
    if (!this.following) return;
    this.#live.send({ control: { neutral: true } });
    clearTimeout(this.#taken);
    this.#taken = setTimeout(() => {
      this.#taken = 0;
      this.#draw();
    }, TAKEN_MS);
    this.#draw();
  }

  // -- what is shown -----------------------------------------------------------------------------------------------------

  #ask() {
    this.#live.outline = this.on && this.#live.wanted && document.visibilityState === "visible";
  }

  #draw() {
    const [tone, word, line, chip] = this.#condition();
    const following = tone === "good" || tone === "learning";
    $("webcam").setAttribute("aria-pressed", String(this.on));
    $("webcam").dataset.tone = tone;
    put($("webcam-state"), word);
    $("webcam-state").dataset.tone = tone;
    put($("webcam-line"), line);
    this.#show(tone, chip);
    $("neutral").disabled = !following;
    put($("neutral-text"), this.#taken ? "Taken: this face is at rest" : "This is my neutral");
    $("neutral").dataset.taken = String(Boolean(this.#taken));
    $("learned").hidden = tone !== "learning";
    $("learned").value = this.#seen?.calibrated ?? 0;
    this.#factors.show(this.on);
    this.#ask();
    this.dispatchEvent(new Event("change"));
  }

  #show(tone, chip) {
    const shown = this.#camera.track || (this.source === MACHINE && this.#live.wanted);
    if (shown) this.#view.show(this.#camera.stream);
    else this.#view.hide();
    this.#view.say(tone, chip);
    if (tone === "bad" || tone === "wait") this.#view.draw([]);
  }

  // [tone, word, line, what the picture's chip says]; tone is "off", "wait", "learning", "good" or "bad".
  #condition() {
    if (this.#problem) return ["bad", this.#problem.word, "", ""];
    if (!this.on) return ["off", "Off", "Switch it on, and you move the head, the eyes and the expression while your voice moves the lips.", ""];
    if (this.#opening) return ["wait", "Asking", "Allow the camera in your browser.", "Opening the camera"];
    if (!this.#live.wanted) return ["wait", this.#camera.track ? "Ready" : "With Start", "The camera moves the face once you press Start.", "Ready: press Start"];
    return this.#followed(this.#seen);
  }

  #followed(seen) {
    if (seen?.reason) return ["bad", "Not usable", sentence(seen.reason), "The camera cannot be used"];
    if (seen?.state === "following") return this.#good(seen);
    const late = seen?.state === "off" && performance.now() - this.#since > PATIENCE_MS;
    const waiting = !seen || seen.state === "off" || seen.state === "starting";
    const [word, line] = TROUBLES[late ? "gone" : waiting ? "starting" : seen.state] ?? [seen.state, ""];
    return [waiting && !late ? "wait" : "bad", word, line, line];
  }

  #good({ calibrated, faces }) {
    if (calibrated < 1) return ["learning", "Learning", "Learning your neutral face: look at the screen, lips closed.", "Learning your neutral face"];
    if (faces > 1) return ["good", `${faces} people`, `${faces} people are in view. It stays with the one it follows.`, this.#factors.words];
    return ["good", "Following", "Following you.", this.#factors.words];
  }
}

// Screen readers hear a line when it changes, not twice a second.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function sentence(line) {
  return line.charAt(0).toUpperCase() + line.slice(1) + (/[.!?]$/.test(line) ? "" : ".");
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEEP)) ?? {};
  } catch {
    return {};
  }
}
