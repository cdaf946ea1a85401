// What lets this page into its sessions: admissions, good once for each of their scopes and for two minutes, and the
// secret by which it comes back to the session it had.

export const SCOPES = { whip: "speak", whep: "watch" };

const SECRET = "mien.resume"; // of this tab, over a reload: another tab is another page
const GOOD_MS = 100_000; // less than the server's 120 s

const admissions = new Map(); // session: {token, scopes, until}

// Keeps what a session was opened with.
export function keep({ id, resume, admission }) {
  sessionStorage.setItem(SECRET, resume);
  admissions.clear();
  admissions.set(id, { token: admission, scopes: new Set(Object.values(SCOPES)), until: performance.now() + GOOD_MS });
}

export const forget = () => sessionStorage.removeItem(SECRET);

// The secret of a session, null if this tab has none.
export function secretOf(id) {
  const secret = sessionStorage.getItem(SECRET);
  return id && secret?.startsWith(`${id}.`) ? secret : null;
}

// The token that came with a session, the first time that each scope is asked for; null after that.
export function firstAdmission(session, scope) {
  const held = admissions.get(session);
  return held?.scopes.delete(scope) && performance.now() < held.until ? held.token : null;
}
