// The server's JSON interface. Every failure is an Error whose message is one line fit to be shown.

import { SCOPES, firstAdmission, forget, keep, secretOf } from "./access.js";
import { linkedServers } from "./ice.js";

const AMEND_MS = 2000;
const SERVERS_MS = 15 * 60_000; // a quarter of the time for which credentials are good

let servers = { until: -Infinity, known: [] };

export class Refusal extends Error {
  constructor(line, status) {
    super(line);
    this.status = status; // 0: the server did not answer
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Refusal("The server does not answer. Is it still running?", 0);
  }
  if (response.ok) return response;
  throw new Refusal(await reason(response), response.status);
}

async function reason(response) {
  const text = await response.text().catch(() => "");
  let line = "";
  try {
    line = JSON.parse(text).error;
  } catch {
    line = text.split("\n", 1)[0];
  }
  line = String(line || `The server answered ${response.status}.`);
  return line.charAt(0).toUpperCase() + line.slice(1) + (/[.!?]$/.test(line) ? "" : ".");
}

const json = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const options = async () => (await ask("/api/options")).json();
export const portraits = async () => (await ask("/api/portraits")).json();
export const removePortrait = (id) => ask(`/api/portraits/${encodeURIComponent(id)}`, { method: "DELETE" });

// Opens a session, or comes back to the one of that id if this tab had it.
export async function openSession(request) {
  const secret = secretOf(request.id);
  const options = json(request);
  if (secret) options.headers.Authorization = `Bearer ${secret}`;
  try {
    const session = await (await ask("/api/sessions", options)).json();
    keep(session);
    return session;
  } catch (error) {
    if (!secret || error.status !== 401) throw error;
    forget(); // another server by now: it knows nothing of the session
    return openSession(request);
  }
}

export function closeSession(id) {
  forget();
  return ask(`/api/sessions/${id}`, { method: "DELETE", keepalive: true });
}

// {ready, reachable, line}: whether sessions can be opened, and what they wait for if not.
export async function readiness() {
  try {
    const { ready, waiting_for: line } = await (await ask("/api/readiness")).json();
    return { ready, reachable: true, line };
  } catch (error) {
    return { ready: false, reachable: error.status !== 0, line: error.message };
  }
}

// Tells the server that a photo will probably come, so that it is quick when it does.
export const prepareEnrolment = () => ask("/api/enrolments", { method: "POST" }).catch(() => {});

// Sends a photo and reports what the server is doing with it until the portrait is there.
export async function enrol({ photo, filename, name, consent, onProgress }) {
  const ticket = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const form = new FormData();
  form.append("name", name);
  form.append("consent", consent);
  form.append("photo", photo, filename);
  const poll = setInterval(async () => {
    const response = await fetch(`/api/enrolments/${ticket}`, { cache: "no-store" }).catch(() => null);
    if (response?.status === 200) onProgress((await response.json()).progress);
  }, 700);
  try {
    return await (await ask("/api/portraits", { method: "POST", headers: { "X-Ticket": ticket }, body: form })).json();
  } finally {
    clearInterval(poll);
  }
}

export const eventsAddress = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;

// Offers SDP to a WHIP or WHEP address; returns the answer, the address that ends the peer, and the tag of its ICE side.
export async function offer(path, sdp) {
  const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${await admission(path)}` };
  const response = await ask(path, { method: "POST", headers, body: sdp });
  return { sdp: await response.text(), resource: response.headers.get("Location"), tag: response.headers.get("ETag") };
}

// What lets this page offer to a WHIP or WHEP address.
async function admission(path) {
  const [, role, session] = path.split("/");
  const scope = SCOPES[role];
  const first = firstAdmission(session, scope);
  return first ?? (await (await ask("/api/admissions", json({ session, scopes: [scope] }))).json()).admission;
}

// Tells of candidates (`match` is the tag) or of an ICE restart (`match` is "*"); returns the server's new ICE side, if any.
export async function amend(resource, match, body) {
  const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": match };
  const response = await ask(resource, { method: "PATCH", headers, body, signal: AbortSignal.timeout(AMEND_MS) });
  return { side: await response.text(), tag: response.headers.get("ETag") };
}

// The STUN and TURN servers to connect with; asked for again before their credentials expire.
export async function iceServers(path) {
  if (performance.now() > servers.until) {
    const response = await ask(path, { method: "OPTIONS" });
    servers = { until: performance.now() + SERVERS_MS, known: linkedServers(response.headers.get("Link")) };
  }
  return servers.known;
}

export async function withdraw(resource) {
  await fetch(resource, { method: "DELETE", keepalive: true }).catch(() => {});
}
