// One WebRTC connection: WHEP brings the face down, WHIP takes the microphone and the camera up, a connection each.

import { offer, withdraw } from "./server.js";

const GATHER_MS = 250; // loopback and local networks gather in a few milliseconds; STUN has no part in it
const CAMERA_BPS = 800_000;
const CAMERA_FPS = 30;

export class Peer {
  #resource = null;
  #lostAt = null;
  #stood = false;

  constructor() {
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.connection.addEventListener("connectionstatechange", () => {
      const state = this.connection.connectionState;
      if (state === "connected") this.#stood = true;
      if (state === "disconnected" || state === "failed" || state === "closed") this.#lostAt ??= performance.now();
      else this.#lostAt = null;
    });
  }

  async negotiate(path) {
    const pc = this.connection;
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    const answer = await offer(path, pc.localDescription.sdp);
    this.#resource = answer.resource;
    if (pc.signalingState === "closed") return this.close();
    return pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
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
    if (resource) await withdraw(resource);
    this.connection.close();
  }
}

export function player(onStream) {
  const peer = new Peer();
  peer.connection.addTransceiver("video", { direction: "recvonly" });
  peer.connection.addTransceiver("audio", { direction: "recvonly" });
  const stream = new MediaStream();
  peer.connection.addEventListener("track", ({ track, streams }) => {
    if (!streams[0]) stream.addTrack(track);
    onStream(streams[0] ?? stream);
  });
  return peer;
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
