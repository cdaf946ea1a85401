// A WHEP client of libwebrtc outside a browser: node whep_watch.mjs FOLDER_OF_NODE_MODULES URL FRAMES
// Trickles its candidates, counts what it decodes, restarts ICE half-way, says goodbye; prints one JSON document.

import { createRequire } from "node:module";

const [, , modules, url, frames] = process.argv;
const { RTCPeerConnection, nonstandard } = createRequire(`${modules}/`)("@roamhq/wrtc");
const FRAGMENT = "application/trickle-ice-sdpfrag";

const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
const seen = { pictures: 0, samples: 0, width: 0, patches: [], restarted: 0, atRestart: 0 };
const late = [];
let resource = null;
let tag = null;

const first = (name, sdp) => sdp.match(new RegExp(`^${name}.*$`, "m"))[0];
const fragment = (sdp, candidates) =>
  [...["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].map((name) => first(name, sdp)), ...candidates, ""].join("\r\n");

async function patch(match, body) {
  const response = await fetch(resource, { method: "PATCH", headers: { "Content-Type": FRAGMENT, "If-Match": match }, body });
  seen.patches.push(response.status);
  tag = response.headers.get("ETag") ?? tag;
  return response.text();
}

async function restart() {
  const answer = pc.remoteDescription.sdp;
  await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
  const side = await patch("*", fragment(pc.localDescription.sdp, []));
  const lines = answer.split("\r\n").filter((line) => !/^a=(candidate|end-of-candidates|ice-ufrag|ice-pwd)/.test(line));
  const ours = side.split("\r\n").filter((line) => /^a=(candidate|ice-ufrag|ice-pwd)/.test(line));
  const renewed = lines.flatMap((line) => (line.startsWith("a=mid:") ? [line, ...ours] : [line]));
  await pc.setRemoteDescription({ type: "answer", sdp: renewed.join("\r\n") });
}

async function done() {
  seen.state = pc.connectionState;
  seen.deleted = (await fetch(resource, { method: "DELETE" })).status;
  pc.close();
  console.log(JSON.stringify(seen));
  process.exit(0);
}

pc.ontrack = ({ track }) => {
  if (track.kind === "audio") {
    new nonstandard.RTCAudioSink(track).ondata = ({ samples }) => (seen.samples += samples.length);
    return;
  }
  new nonstandard.RTCVideoSink(track).onframe = ({ frame }) => {
    if (seen.state) return; // it says goodbye
    seen.pictures += 1;
    seen.width = frame.width;
    if (seen.pictures === Number(frames)) restart();
    if (seen.pictures === 2 * Number(frames)) done();
  };
};
pc.onicecandidate = async ({ candidate }) => {
  if (!candidate?.candidate) return;
  late.push(`a=${candidate.candidate}`);
  if (resource && pc.signalingState === "stable") await patch(tag, fragment(pc.localDescription.sdp, late.splice(0)));
};
pc.addTransceiver("video", { direction: "recvonly" });
pc.addTransceiver("audio", { direction: "recvonly" });
await pc.setLocalDescription(await pc.createOffer());
const offer = pc.localDescription.sdp.replace(/^a=candidate.*\r\n/gm, ""); // told later, all of them
const response = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: offer });
resource = new URL(response.headers.get("Location"), url).href;
tag = response.headers.get("ETag");
await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
if (late.length) await patch(tag, fragment(pc.localDescription.sdp, late.splice(0)));
