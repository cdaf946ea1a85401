// A live session from the page's side: opened, watched and mended until it is no longer wanted.
//
// Events: "state" (detail: {state, line}), "status" (the server's, twice a second), "error" (one line),
// "stream" (a MediaStream), "outline" (points of the face that a camera follows), "ended".
// One loop tends to everything, so nothing races.

import { closeSession, eventsAddress, openSession } from "./server.js";
import { filmer, player, publisher } from "./peer.js";

const TEND_MS = 300;
const LOST_S = 2.5; // a "disconnected" peer often comes back by itself within two seconds
const STILL_S = 1; // a browser notices after 5 s and more that its network has changed: a picture that stands still says it first
const STALL_S = 4;
const PATIENCE_MS = 700;
const CAMERA_WAIT_MS = 3000; // a camera that is refused is offered again after this long
const WAITS_MS = [0, 400, 800, 1500, 2500, 4000];
const KEEP = "mien.session"; // the stage's address stays the same from one start to the next
const PARTS = ["down", "up", "eye"]; // the picture's and the voice's connection, and the camera's
const TRACE = "mien.live"; // of this tab: what it was doing when it was left
const BACK_MS = 12_000; // the server keeps a session that nobody uses a little longer

// What this tab's session was when the page was left a moment ago: {request, controls, shown}; null if there was none.
export function interrupted() {
  const trace = JSON.parse(sessionStorage.getItem(TRACE));
  sessionStorage.removeItem(TRACE);
  return trace && Date.now() - trace.at < BACK_MS ? trace : null;
}

export class Live extends EventTarget {
  session = null;
  down = null;
  up = null;
  eye = null;
  status = null;
  #request = null;
  #track = null;
  #film = null;
  #filmAt = 0;
  #outline = false;
  #socket = null;
  #wanted = false;
  #failures = 0;
  #run = 0; // how often it was started or stopped: what an earlier start has begun counts no more
  #working = null; // what is being opened or mended
  #ending = null; // of the session before
  #frameAt = 0;
  #lips = true; // until the browser turns out not to say what it plays when
  #recoveringSince = 0;
  #controls = {};

  get wanted() { return this.#wanted; }

  // `controls`: what had been set in a session that is come back to; what has been set since counts more.
  async start(request, track, controls = {}) {
    const run = (this.#run += 1);
    this.#request = request;
    const since = this.#controls;
    this.#controls = controls;
    remember(this.#controls, since);
    this.#track = track;
    this.#wanted = true;
    this.#failures = 0;
    this.#say("busy", "Starting");
    await this.#ending; // the session before has the same id
    if (run !== this.#run) return;
    try {
      await (this.#working = this.#open());
    } catch (error) {
      if (run !== this.#run) return;
      // What the server refuses now it would refuse again; what it did not hear is tried again.
      if (error.status && !/warming up/i.test(error.message)) {
        await this.stop();
        throw error;
      }
    }
    if (run === this.#run) this.#tend(run);
  }

  async stop() {
    this.#wanted = false;
    this.#run += 1;
    this.#ending = this.#end(this.session, this.#drop(), this.#working);
    this.#controls = {};
    this.#film = null;
    this.#outline = false;
    this.dispatchEvent(new Event("ended"));
    await this.#ending;
  }

  // The browser's last words when the page is closed or loaded anew: the peers end; the session ends soon, unless the
  // page comes back to it. `shown` is what the page's own controls show.
  leave(shown) {
    if (!this.session) return;
    sessionStorage.setItem(TRACE, JSON.stringify({ at: Date.now(), request: this.#request, controls: this.#controls, shown }));
    for (const part of PARTS) this[part]?.close();
  }

  // The microphone's track may come, change or go while the session lives.
  async speakWith(track) {
    this.#track = track;
    if (!track) {
      await this.#lose("up");
    } else if (this.up) {
      await this.up.sender.replaceTrack(track).catch(() => this.#lose("up"));
    }
  }

  // Likewise the camera's. What goes wrong with it leaves the voice and the picture alone.
  async film(track) {
    this.#film = track;
    this.#filmAt = 0;
    if (!track) {
      await this.#lose("eye");
    } else if (this.eye) {
      await this.eye.sender.replaceTrack(track).catch(() => this.#lose("eye"));
    }
  }

  // Whether to be told where the face is that the camera follows.
  set outline(wanted) {
    if (wanted === this.#outline) return;
    this.#outline = wanted;
    this.send({ outline: wanted });
  }

  control(change) {
    remember(this.#controls, change);
    this.send({ control: change });
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  frameShown(metadata) {
    this.#frameAt = performance.now();
    if (metadata) this.down?.lips?.see(metadata);
  }

  // -- one session -------------------------------------------------------------------------------------------------

  async #open() {
    this.session = await this.#claim();
    localStorage.setItem(KEEP, this.session.id);
    this.#listen();
    await Promise.all([this.#watch(), this.#track && this.#speak()]);
    this.#see();
    this.#failures = 0;
  }

  // What was being done meanwhile may have opened more.
  async #end(session, dropped, working) {
    await dropped;
    await working?.catch(() => {});
    const late = this.session;
    await this.#drop();
    for (const one of [session, late]) if (one) await closeSession(one.id).catch(() => {});
  }

  // The same id as before, unless another page holds it.
  async #claim() {
    const kept = this.session?.id ?? localStorage.getItem(KEEP);
    const id = /^[a-z0-9-]{1,64}$/.test(kept ?? "") ? kept : fresh();
    try {
      return await openSession({ ...this.#request, id });
    } catch (error) {
      if (error.status !== 409) throw error;
      return openSession({ ...this.#request, id: fresh() });
    }
  }

  #listen() {
    this.#socket?.close();
    const socket = new WebSocket(eventsAddress(this.session.events));
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (Object.keys(this.#controls).length) this.send({ control: this.#controls });
      if (this.#outline) this.send({ outline: true });
    });
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.status) {
        this.status = message.status;
        this.dispatchEvent(new CustomEvent("status", { detail: message.status }));
      }
      if (message.outline) this.dispatchEvent(new CustomEvent("outline", { detail: message.outline }));
      if (message.error) this.#complain(message.error);
    });
    socket.addEventListener("close", ({ code }) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (code === 4404) this.#drop();
    });
  }

  async #watch() {
    this.#lose("down");
    const peer = player((stream) => this.dispatchEvent(new CustomEvent("stream", { detail: stream })), { lips: this.#lips });
    this.down = peer;
    this.#frameAt = performance.now();
    await peer.negotiate(this.session.whep);
  }

  async #speak() {
    this.#lose("up");
    const peer = publisher(this.#track);
    this.up = peer;
    await peer.negotiate(this.session.whip);
  }

  async #see() {
    if (!this.session || this.#film?.readyState !== "live" || performance.now() < this.#filmAt) return;
    this.#filmAt = performance.now() + CAMERA_WAIT_MS;
    this.#lose("eye");
    const peer = filmer(this.#film);
    this.eye = peer;
    await peer.negotiate(this.session.whip).catch(() => this.eye === peer && this.#lose("eye"));
  }

  async #lose(part) {
    const peer = this[part];
    this[part] = null;
    await peer?.close();
  }

  async #drop() {
    const peers = PARTS.map((part) => this.#lose(part));
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.session = null;
    this.status = null;
    await Promise.all(peers);
  }

  // -- mending -----------------------------------------------------------------------------------------------------

  async #tend(run) {
    while (run === this.#run) {
      try {
        await (this.#working = this.#mend());
      } catch (error) {
        if (run !== this.#run) return;
        if (error.status === 404) this.#drop();
        this.#failures += 1;
        this.#say("busy", error.status === 0 ? "Server away, trying again" : `Reconnecting: ${error.message}`);
        await sleep(WAITS_MS[Math.min(this.#failures, WAITS_MS.length - 1)]);
      }
      await sleep(TEND_MS);
    }
  }

  async #mend() {
    if (!this.session) {
      if (this.#failures) this.#say("busy", "Reconnecting");
      return this.#open();
    }
    if (!this.#socket) {
      this.#say("busy", "Reconnecting");
      await this.#askWhetherItLives();
      this.#listen();
    }
    const still = (performance.now() - this.#frameAt) / 1000;
    const seen = this.status?.state === "live" && document.visibilityState === "visible";
    const stalled = seen && still > STALL_S;
    if (seen && still > STILL_S) for (const part of PARTS) this[part]?.restart();
    if (this.down?.blocked) this.#complain("The picture does not get through: a firewall or VPN blocks UDP between this browser and the server.");
    if (this.down?.lips?.silent) this.#lips = false;
    if (!this.down || this.down.lostFor > LOST_S || stalled) {
      this.#say("busy", "Reconnecting the picture");
      await this.#watch();
    } else if (this.down.lips?.silent) {
      await this.#watch();
    }
    if (this.#track && this.#track.readyState === "live" && (!this.up || this.up.lostFor > LOST_S)) await this.#speak();
    if (!this.eye || this.eye.lostFor > LOST_S) this.#see();
    return this.#report(still);
  }

  async #askWhetherItLives() {
    const response = await fetch(`/api/sessions/${this.session.id}`, { cache: "no-store" }).catch(() => null);
    if (!response) throw Object.assign(new Error("The server does not answer."), { status: 0 });
    if (response.status === 404) throw Object.assign(new Error("The session ended."), { status: 404 });
  }

  #report(still) {
    const recovering = this.status?.state === "recovering";
    this.#recoveringSince = recovering ? this.#recoveringSince || performance.now() : 0;
    // A worker that was late for a moment is not worth a word.
    if (recovering && performance.now() - this.#recoveringSince > PATIENCE_MS) this.#say("busy", "Recovering the picture");
    else if (still < 1.5 && this.down?.connection.connectionState === "connected") this.#say("live", "Live");
    else if (still > 2 && this.#socket) this.#say("busy", "Waiting for the picture");
  }

  #complain(line) {
    this.dispatchEvent(new CustomEvent("error", { detail: line }));
  }

  #say(state, line) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, line } }));
  }
}

// Keeps what has been set, so that a session opened anew looks as the page says.
function remember(kept, { channels, preset, factors, ...rest }) {
  Object.assign(kept, rest);
  if (preset) delete kept.channels;
  if (preset && !["nod", "shake", "wink"].includes(preset)) kept.preset = preset;
  if (factors) kept.factors = { ...kept.factors, ...factors };
  if (channels) kept.channels = { ...kept.channels, ...channels };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => byte.toString(16).padStart(2, "0")).join("");
