// The browser's camera: which one, and what to do when there is none.

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

export class Camera extends EventTarget {
  stream = null;
  #turn = 0;

  get track() { return this.stream?.getVideoTracks()[0] ?? null; }

  // Opens a camera in place of the one before; null when it was closed meanwhile. Throws an Error with one line and `word`.
  async open(device) {
    const turn = (this.#turn += 1);
    if (!navigator.mediaDevices?.getUserMedia) {
      throw problem("Blocked", "Browsers give the camera only to localhost and to https pages. Open this page there.");
    }
    let stream;
    try {
      stream = await found(device);
    } catch (error) {
      if (turn !== this.#turn) return null;
      throw explained(error);
    }
    if (turn !== this.#turn) {
      stop(stream);
      return null;
    }
    stop(this.stream);
    this.stream = stream;
    this.track.contentHint = "motion";
    this.track.addEventListener("ended", () => this.stream === stream && this.#lose());
    return this.track;
  }

  close() {
    this.#turn += 1;
    stop(this.stream);
    this.stream = null;
  }

  #lose() {
    this.close();
    const lost = problem("Unplugged", "The camera was unplugged or taken away. Plug it in and switch it on again; your voice goes on.");
    this.dispatchEvent(new CustomEvent("lost", { detail: lost }));
  }
}

// The camera asked for; any other where it is not there any more.
async function found(device) {
  const open = (constraints) => navigator.mediaDevices.getUserMedia({ video: { ...WANTED, ...constraints } });
  if (!device) return open({ facingMode: "user" });
  try {
    return await open({ deviceId: { exact: device } });
  } catch (error) {
    if (!["OverconstrainedError", "NotFoundError"].includes(error.name)) throw error;
    return open({ facingMode: "user" });
  }
}

// Their names are known only once one of them has been allowed.
export async function cameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices.filter((device) => device.kind === "videoinput" && device.deviceId && device.label);
}

function stop(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

function problem(word, line) {
  return Object.assign(new Error(line), { word });
}

function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return problem("Blocked", "The camera is blocked. Allow it by the icon in the address bar, then switch it on again; your voice goes on.");
    case "NotFoundError":
    case "OverconstrainedError":
      return problem("Not found", "No camera was found. Plug one in and switch it on again; your voice goes on.");
    case "NotReadableError":
    case "AbortError":
      return problem("In use", "The camera is in use by another program. Close that and switch it on again; your voice goes on.");
    default:
      return problem("Not usable", `The camera cannot be used (${error.name}); your voice goes on.`);
  }
}
