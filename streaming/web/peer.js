// One WebRTC connection: WHEP brings the face down, WHIP takes the microphone and the camera up, a connection each.

import { candidates, fragment, restarted } from "./ice.js";
import { Lips } from "./lips.js";
import { amend, iceServers, offer, withdraw } from "./server.js";

const GATHER_MS = 60; // the machine's own addresses come in a few milliseconds; what comes later is told later
const TELL_MS = 30; // candidates that come together are told together
const RESTART_MS = 300; // a connection that is lost for so long looks for another way
const AGAIN_MS = 3000; // and not more often than this
const CAMERA_BPS = 800_000;
const CAMERA_FPS = 30;

export class Peer {
  #resource = null;
  #tag = null; // of the ICE side that the server knows
  #late = []; // candidates that it does not know yet
  #amending = Promise.resolve(); // what the server is being told
  #telling = 0;
  #restarting = false;
  #restartedAt = -Infinity;
  #lostAt = null;
  #stood = false;

  constructor() {
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.connection.addEventListener("connectionstatechange", () => {
      const state = this.connection.connectionState;
      if (state === "connected") this.#stood = true;
      if (state === "disconnected" || state === "failed" || state === "closed") this.#lostAt ??= performance.now();
      else this.#lostAt = null;
      if (state === "disconnected") setTimeout(() => this.#lostAt !== null && this.restart(), RESTART_MS);
    });
    this.connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.candidate) this.#tell(candidate.candidate);
    });
    addEventListener("online", this.restart); // another network: the way it had may be gone before it is missed
  }

  async negotiate(path) {
    const pc = this.connection;
    pc.setConfiguration({ ...pc.getConfiguration(), iceServers: await iceServers(path) });
    await pc.setLocalDescription(await pc.createOffer());
    const answer = await offer(path, await this.#gathered());
    this.#resource = answer.resource;
    this.#tag = answer.tag;
    if (pc.signalingState === "closed") return this.close();
    await pc.setRemoteDescription({ type: "answer", sdp: this.lips ? apart(answer.sdp) : answer.sdp });
    return this.#tellLate();
  }

  // Looks for another way for the same connection, which goes on over the one it has until then. Whoever tends to a
  // peer replaces it when that does not help.
  restart = async () => {
    const pc = this.connection;
    if (!this.#stood || this.#restarting || pc.signalingState !== "stable" || pc.connectionState === "failed") return;
    if (performance.now() - this.#restartedAt < AGAIN_MS) return;
    this.#restarting = true;
    this.#restartedAt = performance.now();
    try {
      const answer = pc.remoteDescription.sdp;
      await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
      const ours = await this.#gathered();
      const { side, tag } = await this.#amend("*", fragment(ours, candidates(ours)));
      this.#tag = tag;
      await pc.setRemoteDescription({ type: "answer", sdp: restarted(answer, side) });
      await this.#tellLate();
    } catch {
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
    } finally {
      this.#restarting = false;
    }
  };

  // The local description with the candidates that come soon.
  async #gathered() {
    await gathered(this.connection);
    this.#late = [];
    return this.connection.localDescription.sdp;
  }

  #tell(candidate) {
    this.#late.push(candidate);
    clearTimeout(this.#telling);
    this.#telling = setTimeout(() => this.#tellLate(), TELL_MS);
  }

  async #tellLate() {
    if (!this.#resource || !this.#late.length || this.connection.signalingState !== "stable") return;
    const side = fragment(this.connection.localDescription.sdp, this.#late.splice(0));
    await this.#amend(this.#tag, side).catch(() => {}); // the server finds the peer by its checks, too
  }

  // Tells the server of another ICE side, unless this end was closed meanwhile.
  async #amend(tag, side) {
    if (!this.#resource) throw new Error("closed");
    const told = amend(this.#resource, tag, side);
    this.#amending = told.catch(() => {});
    return told;
  }

  // Seconds since the connection was lost; 0 while it stands or is being made.
  get lostFor() {
    if (this.connection.connectionState === "failed" || this.connection.connectionState === "closed") return Infinity;
    return this.#lostAt === null ? 0 : (performance.now() - this.#lostAt) / 1000;
  }

  // Whether the server answered but nothing ever came through.
  get blocked() {
    return this.connection.connectionState === "failed" && !this.#stood;
  }

  // Ends both sides, the far one first; the server finds out by itself about a connection that is already lost.
  async close() {
    const resource = this.lostFor > 0 ? null : this.#resource;
    this.#resource = null;
    removeEventListener("online", this.restart);
    await this.#amending; // or it would be told of what it has forgotten
    if (resource) await withdraw(resource);
    this.connection.close();
  }
}

// A browser keeps the sound of a stream back for its picture, and the other way round. Who watches the lips (`lips`) tells
// the server how far both are apart, and it holds back what is early: with the browser at it, too, they chase each other.
export function player(onStream, { lips = false } = {}) {
  const peer = new Peer();
  peer.connection.addTransceiver("video", { direction: "recvonly" });
  const sound = peer.connection.addTransceiver("audio", { direction: "recvonly" });
  if (lips && Lips.known) peer.lips = new Lips(sound.receiver);
  const stream = new MediaStream();
  peer.connection.addEventListener("track", ({ track }) => {
    stream.addTrack(track);
    onStream(stream);
  });
  return peer;
}

// The same answer with the sound in a stream of its own.
function apart(sdp) {
  const sections = sdp.split(/^(?=m=)/m);
  return sections.map((part) => (part.startsWith("m=audio") ? part.replace(/^(a=msid:\S+)/m, "$1-sound") : part)).join("");
}

export function publisher(track) {
  const peer = new Peer();
  const { sender } = peer.connection.addTransceiver(track, { direction: "sendonly" });
  peer.sender = sender;
  return peer;
}

// A camera's pictures: soon and often rather than sharp.
export function filmer(track) {
  const peer = new Peer();
  const sendEncodings = [{ maxBitrate: CAMERA_BPS, maxFramerate: CAMERA_FPS }];
  const { sender } = peer.connection.addTransceiver(track, { direction: "sendonly", sendEncodings });
  const parameters = { ...sender.getParameters(), degradationPreference: "maintain-framerate" };
  sender.setParameters(parameters).catch(() => {}); // the track's contentHint asks for the same
  peer.sender = sender;
  return peer;
}

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      pc.removeEventListener("icegatheringstatechange", check);
      resolve();
    };
    const check = () => pc.iceGatheringState === "complete" && done();
    const timer = setTimeout(done, GATHER_MS);
    pc.addEventListener("icegatheringstatechange", check);
  });
}
