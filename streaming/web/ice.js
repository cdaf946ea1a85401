// The ICE side of a connection as WHIP and WHEP exchange it after the answer (RFC 8840; RFC 9725, section 4.3).

// A description's own ICE side with these candidates ("candidate:..."), as a fragment.
export function fragment(sdp, candidates) {
  const first = (name) => sdp.match(new RegExp(`^${name}.*$`, "m"))[0];
  const side = ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].map(first);
  return [...side, ...candidates.map((line) => `a=${line}`), ""].join("\r\n");
}

// The candidates that a description names.
export function candidates(sdp) {
  return Array.from(new Set(Array.from(sdp.matchAll(/^a=(candidate:.*)$/gm), ([, candidate]) => candidate)));
}

// An answer with another ICE side: that of a fragment which tells of a restart.
export function restarted(answer, side) {
  const [ufrag, pwd] = ["ufrag", "pwd"].map((name) => side.match(new RegExp(`^a=ice-${name}:.*$`, "m"))[0]);
  const lines = answer.split("\r\n").filter((line) => !/^a=(candidate:|end-of-candidates)/.test(line));
  const renewed = lines.map((line) => (line.startsWith("a=ice-ufrag:") ? ufrag : line.startsWith("a=ice-pwd:") ? pwd : line));
  renewed.splice(renewed.indexOf(pwd) + 1, 0, ...candidates(side).map((line) => `a=${line}`));
  return renewed.join("\r\n");
}

// The servers that Link headers name (RFC 9725, section 4.6), for an RTCPeerConnection.
export function linkedServers(header) {
  const links = (header ?? "").matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+="[^"]*")*)/g);
  return Array.from(links, ([, urls, rest]) => {
    const { rel, username, credential } = Object.fromEntries(Array.from(rest.matchAll(/([\w-]+)="([^"]*)"/g), ([, name, value]) => [name, value]));
    return rel === "ice-server" && (username === undefined ? { urls } : { urls, username, credential });
  }).filter(Boolean);
}
