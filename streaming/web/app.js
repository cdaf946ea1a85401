// Ties the page together.

import * as server from "./server.js";
import { Adding } from "./adding.js";
import { Driving } from "./driving.js";
import { Faces } from "./faces.js";
import { Hud } from "./hud.js";
import { Live, interrupted } from "./live.js";
import { Microphone, microphones } from "./microphone.js";
import { Motion } from "./motion.js";

const $ = (id) => document.getElementById(id);
const live = new Live();
const microphone = new Microphone();
const faces = new Faces($("gallery"), $("face-notes"));
const motion = new Motion((change) => live.control(change));
const driving = new Driving(live);
const hud = new Hud(live);
const adding = new Adding();
const video = $("video");

let options = null;
let ready = false;
let startedAt = 0;
let sampleWanted = false;
let sampleAskedAt = 0;
let before = interrupted(); // the session that this page had before it was loaded anew

// -- what the page says ---------------------------------------------------------------------------------------------

function say(state, line) {
  if ($("status").dataset.state === state && $("status-text").textContent === line) return;
  $("status").dataset.state = state;
  $("status-text").textContent = line;
}

function notice(line, { tone = "error", about = "", action = null } = {}) {
  $("notice").hidden = !line;
  $("notice").dataset.tone = tone;
  $("notice").dataset.about = about;
  $("notice-text").textContent = line;
  $("notice-action").hidden = !action;
  if (!action) return;
  $("notice-action").textContent = action.name;
  $("notice-action").onclick = () => {
    notice("");
    action.act();
  };
}

function toast(line) {
  $("toast").textContent = line;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), 3500);
}

function veil(line) {
  $("veil").hidden = !line;
  $("veil-text").textContent = line;
}

function drawButtons() {
  const on = live.wanted;
  const button = $("start");
  button.disabled = !ready || !faces.chosen;
  button.dataset.live = String(on);
  button.querySelector("use").setAttribute("href", on ? "#i-stop" : "#i-play");
  button.querySelector("span").textContent = on ? "Stop" : "Start";
  $("mute").disabled = !on || !microphone.track;
  $("mute").setAttribute("aria-pressed", String(microphone.muted));
  $("mute").querySelector("use").setAttribute("href", microphone.muted ? "#i-mic-off" : "#i-mic");
  $("mute").querySelector("span").textContent = microphone.muted ? "Unmute" : "Mute";
  $("say").disabled = !ready || !faces.chosen || !options?.samples.length;
  $("say").setAttribute("aria-pressed", String(Boolean(live.status?.speaking)));
  $("say").querySelector("span").textContent = live.status?.speaking ? "Stop the sample" : "Speak a sample";
  $("hear-hint").hidden = $("hear").getAttribute("aria-pressed") !== "true";
  for (const id of ["size", "fps", "look-ahead"]) $(id).disabled = on;
  for (const id of ["stage-link", "fullscreen"]) $(id).disabled = !on;
  $("pip").disabled = !on || !document.pictureInPictureEnabled;
}

// The face as it will appear; a small picture until the workers can draw it.
function drawPoster() {
  const face = faces.chosen;
  if (!face || live.wanted) return;
  const source = ready ? face.poster : face.thumbnail;
  if ($("poster").getAttribute("src") !== source) $("poster").src = source;
}

// The face is silent by default: hearing oneself late is confusing. A sample is always heard.
function drawSound() {
  const asked = $("hear").getAttribute("aria-pressed") === "true" || source() !== "browser";
  video.muted = !(asked || sampleWanted || live.status?.speaking);
}

const source = () => (["microphone", "file"].includes($("microphone").value) ? $("microphone").value : "browser");

// -- start and stop ---------------------------------------------------------------------------------------------------

async function start({ withMicrophone = true, controls = {} } = {}) {
  if (live.wanted || !faces.chosen) return;
  notice("");
  startedAt = performance.now();
  hud.reset();
  veil("Starting");
  driving.begin();
  const track = withMicrophone && source() === "browser" ? openMicrophone() : Promise.resolve(null);
  try {
    // The picture does not wait for the microphone, nor for whoever has to allow it.
    const opening = live.start({ portrait: faces.chosen.id, size: Number($("size").value), fps: Number($("fps").value), look_ahead_ms: Number($("look-ahead").value), source: source(), camera: driving.source }, null, controls);
    drawButtons();
    await opening;
    const mic = await track;
    if (live.wanted && mic) await live.speakWith(mic);
    else if (!live.wanted) microphone.close();
  } catch (error) {
    microphone.close();
    veil("");
    notice(error.message);
  }
  drawButtons();
}

// A page that was loaded anew goes on where it was.
async function comeBack() {
  const { request, controls, shown } = before;
  before = null;
  for (const [id, value] of [["size", request.size], ["fps", request.fps], ["look-ahead", request.look_ahead_ms]]) $(id).value = value;
  if (request.source !== "browser") $("microphone").value = request.source;
  if (shown) motion.show(shown);
  await start({ controls });
}

async function stop() {
  microphone.close();
  await live.stop();
}

async function openMicrophone() {
  try {
    const device = $("microphone").value;
    const track = await microphone.open({
      device: device === "browser" ? "" : device,
      echo: $("echo").checked, noise: $("noise").checked, gain: $("gain").checked,
    });
    listMicrophones();
    return track;
  } catch (error) {
    const action = options.samples.length ? { name: "Speak a sample", act: saySample } : null;
    notice(error.message, { action });
    return null;
  }
}

async function reopenMicrophone() {
  if (!live.wanted || source() !== "browser") return;
  const track = await openMicrophone();
  if (track) await live.speakWith(track);
  drawButtons();
}

async function saySample() {
  if (live.status?.speaking) return live.send({ sample: false });
  sampleWanted = true;
  sampleAskedAt = 0;
  drawSound(); // now, while the click still counts: some browsers give sound only to a gesture
  if (!live.wanted) await start({ withMicrophone: false });
  speakIfWanted();
  return undefined;
}

// Asks until the server says that it speaks: a session that is being mended may not have heard.
function speakIfWanted() {
  if (!sampleWanted || !live.status) return;
  if (live.status.speaking) {
    sampleWanted = false;
  } else if (performance.now() - sampleAskedAt > 1500) {
    sampleAskedAt = performance.now();
    live.send({ sample: true });
  }
}

// -- what happens -----------------------------------------------------------------------------------------------------

live.addEventListener("state", ({ detail }) => {
  say(detail.state, detail.line);
  if ($("stage").dataset.state === "live") veil(detail.state === "busy" ? detail.line : "");
});
live.addEventListener("status", () => {
  speakIfWanted();
  if (!microphone.measuring && !microphone.muted) drawLevel(live.status.level_dbfs);
  drawButtons();
  drawSound();
});
live.addEventListener("error", ({ detail }) => {
  sampleWanted = false;
  notice(detail);
});
live.addEventListener("stream", ({ detail }) => {
  if (video.srcObject === detail) return;
  video.srcObject = detail;
  drawSound();
  video.play().catch(() => {
    video.muted = true;
    video.play().catch(() => {});
  });
  awaitFrames();
});
live.addEventListener("ended", () => {
  video.srcObject = null;
  $("stage").dataset.state = "idle";
  veil("");
  hud.reset();
  driving.end();
  sampleWanted = false;
  if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
  say(ready ? "ready" : "busy", ready ? "Ready" : "Warming up");
  drawButtons();
  drawPoster();
});

function awaitFrames() {
  const shown = (metadata) => {
    live.frameShown(metadata);
    if (startedAt && live.wanted) {
      const took = performance.now() - startedAt;
      startedAt = 0;
      hud.firstFrame(took);
      document.documentElement.dataset.firstFrameMs = took.toFixed(0);
    }
    if (live.wanted && $("stage").dataset.state !== "live") {
      $("stage").dataset.state = "live";
      veil("");
    }
  };
  if (!video.requestVideoFrameCallback) {
    video.ontimeupdate = () => shown();
    return;
  }
  const stream = video.srcObject;
  const next = (_, metadata) => {
    if (video.srcObject !== stream) return;
    shown(metadata);
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
}

function drawLevel(decibels) {
  const level = Math.min(0, Math.max(-60, decibels));
  $("meter-fill").style.clipPath = `inset(0 ${(-100 * level) / 60}% 0 0)`;
  $("meter").setAttribute("aria-valuenow", String(Math.round(level)));
  $("meter").setAttribute("aria-valuetext", `${Math.round(level)} decibels`);
}

microphone.addEventListener("level", ({ detail }) => drawLevel(detail));
microphone.addEventListener("ended", () => {
  notice("The microphone was unplugged. Choose another one.");
  live.speakWith(null);
});

driving.addEventListener("problem", ({ detail }) => (detail || $("notice").dataset.about === "camera") && notice(detail, { about: "camera" }));
driving.addEventListener("change", () => ($("motion-hint").hidden = !driving.moves("gaze", "pose")));

async function listMicrophones() {
  const found = await microphones();
  const select = $("microphone");
  const chosen = select.value;
  const entries = [["browser", "Default microphone"]];
  found.forEach((device, i) => device.label && entries.push([device.deviceId, device.label || `Microphone ${i + 1}`]));
  if (options?.sources.includes("microphone")) entries.push(["microphone", "The server’s own microphone"]);
  if (options?.sources.includes("file")) entries.push(["file", "The server’s sound file"]);
  select.replaceChildren(...entries.map(([value, name]) => new Option(name, value)));
  if (entries.some(([value]) => value === chosen)) select.value = chosen;
}

// -- controls ---------------------------------------------------------------------------------------------------------

$("start").addEventListener("click", () => (live.wanted ? stop() : start()));
$("say").addEventListener("click", saySample);
$("mute").addEventListener("click", () => {
  microphone.muted = !microphone.muted;
  drawButtons();
});
$("hear").addEventListener("click", ({ currentTarget: button }) => {
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  drawButtons();
  drawSound();
});
$("microphone").addEventListener("change", async () => {
  if (!live.wanted) return;
  if (live.status && live.status.source !== source()) {
    await stop();
    await start();
  } else {
    await reopenMicrophone();
  }
});
for (const id of ["echo", "noise", "gain"]) $(id).addEventListener("change", reopenMicrophone);
navigator.mediaDevices?.addEventListener?.("devicechange", listMicrophones);

$("add-face").addEventListener("click", () => adding.open());
adding.addEventListener("added", async ({ detail }) => {
  await faces.load(detail.id);
  toast(`${detail.name} is ready to speak`);
});
faces.addEventListener("error", ({ detail }) => notice(detail));
faces.addEventListener("chosen", () => {
  const face = faces.chosen;
  if (!face) return;
  drawPoster();
  if (live.wanted) live.control({ portrait: face.id });
  drawButtons();
});

$("stage-link").addEventListener("click", async () => {
  const address = new URL(live.session?.stage ?? "", location.href).href;
  try {
    await navigator.clipboard.writeText(address);
    toast("Copied. Paste it as the address of an OBS browser source.");
  } catch {
    notice(`The stage is at ${address}`, { tone: "info" });
  }
});
$("fullscreen").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else if ($("stage").requestFullscreen) $("stage").requestFullscreen();
  else video.webkitEnterFullscreen?.();
});
$("pip").addEventListener("click", async () => {
  try {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await video.requestPictureInPicture();
  } catch {
    toast("This browser keeps the picture in the page");
  }
});
addEventListener("pagehide", () => live.leave(motion.shown));

// -- the beginning ----------------------------------------------------------------------------------------------------

async function load() {
  options = await server.options();
  fill($("size"), options.sizes, options.size, (size) => `${size} px`);
  fill($("fps"), options.rates, options.fps, (fps) => `${fps} fps`);
  fill($("look-ahead"), options.look_aheads_ms, options.look_ahead_ms, (ms) => `${ms} ms`);
  motion.offer(options);
  await driving.offer(options);
  await faces.load(before?.request.portrait ?? options.portrait);
  await listMicrophones();
}

function fill(select, values, chosen, name) {
  select.replaceChildren(...values.map((value) => new Option(name(value), value, false, value === chosen)));
}

// The page is there at once; the workers take a few seconds. Afterwards the server may come and go.
async function keepInTouch() {
  for (;;) {
    const { ready: warm, reachable, line } = await server.readiness();
    ready = warm;
    try {
      if (warm || reachable) {
        if (!options) await load();
        else if (faces.empty) await faces.load(options.portrait);
      }
      if (warm && before) await comeBack();
    } catch (error) {
      notice(error.message);
    }
    if (!live.wanted) {
      if (warm) say("ready", "Ready");
      else say(reachable ? "busy" : "error", reachable ? (line === "warming up" ? "Warming up" : line) : "Server away, trying again");
    }
    drawButtons();
    drawPoster();
    await new Promise((resolve) => setTimeout(resolve, warm ? 5000 : 700));
  }
}

keepInTouch();
