// The picture alone, for OBS and for onlookers: plays, and comes back by itself.
//
// Options in the address: ?background=black, ?fit=cover, ?muted.

import { player } from "./peer.js";

const session = location.pathname.split("/").pop();
const wishes = new URLSearchParams(location.search);
const video = document.getElementById("video");
const unmute = document.getElementById("unmute");
const root = document.documentElement;
const LOST_S = 2.5;
const STILL_S = 1;
const STALL_S = 4;

let peer = null;
let frameAt = 0;

root.dataset.background = wishes.get("background") ?? "transparent";
root.dataset.fit = wishes.get("fit") ?? "contain";
video.muted = wishes.has("muted");

function watchFrames() {
  if (!video.requestVideoFrameCallback) {
    video.addEventListener("timeupdate", shown);
    return;
  }
  const next = () => {
    shown();
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
}

function shown() {
  frameAt = performance.now();
  root.dataset.state = "live";
}

// OBS plays sound unasked; a browser tab may want a click first.
async function play() {
  try {
    await video.play();
    unmute.hidden = true;
  } catch {
    video.muted = true;
    unmute.hidden = false;
    await video.play().catch(() => {});
  }
}

async function connect() {
  peer?.close();
  peer = player((stream) => {
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    play();
  });
  frameAt = performance.now();
  await peer.negotiate(`/whep/${session}`);
}

async function tend() {
  for (;;) {
    const still = (performance.now() - frameAt) / 1000;
    try {
      if (!peer || peer.lostFor > LOST_S || still > STALL_S) await connect();
      else if (still > STILL_S) peer.restart();
    } catch {
      peer?.close();
      peer = null; // the session is not there (yet, or any more): ask again
    }
    if (still > STALL_S) root.dataset.state = "waiting";
    await new Promise((resolve) => setTimeout(resolve, peer ? 500 : 1000));
  }
}

unmute.addEventListener("click", () => {
  video.muted = false;
  unmute.hidden = true;
});
addEventListener("pagehide", () => peer?.close());
watchFrames();
tend();
