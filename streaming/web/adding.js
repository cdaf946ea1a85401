// The dialog that makes a face of a photo: choose or take it, agree, wait.

import { enrol, prepareEnrolment } from "./server.js";
import { prepared, snapped } from "./photo.js";

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Adding extends EventTarget {
  #dialog = $("add");
  #photo = null;
  #camera = null;
  #busy = false;

  constructor() {
    super();
    $("add-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#stopCamera());
    this.#dialog.addEventListener("cancel", (event) => this.#busy && event.preventDefault());
    $("file").addEventListener("change", ({ target }) => {
      if (target.files[0]) this.#take(target.files[0]);
      target.value = "";
    });
    $("open-camera").addEventListener("click", () => this.#openCamera());
    $("camera-back").addEventListener("click", () => this.#show("choose"));
    $("shoot").addEventListener("click", () => this.#shoot());
    $("retake").addEventListener("click", () => this.#show("choose"));
    $("enrol").addEventListener("click", () => this.#enrol());
    $("add-form").addEventListener("submit", (event) => event.preventDefault());
    for (const id of ["consent", "signature"]) $(id).addEventListener("input", () => this.#clear(id));
    this.#acceptDrops();
  }

  open() {
    prepareEnrolment();
    this.#show("choose");
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #acceptDrops() {
    const files = (event) => event.dataTransfer?.types.includes("Files");
    let depth = 0;
    const leave = () => {
      depth = 0;
      delete document.body.dataset.drag;
    };
    addEventListener("dragenter", (event) => {
      if (!files(event) || this.#busy) return;
      depth += 1;
      document.body.dataset.drag = "true";
      if (!this.#dialog.open) this.open();
    });
    addEventListener("dragleave", () => --depth <= 0 && leave());
    addEventListener("dragover", (event) => files(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      leave();
      const file = event.dataTransfer.files[0];
      if (file && !this.#busy) this.#take(file);
    });
  }

  #show(step) {
    for (const name of ["choose", "camera", "confirm"]) $(`step-${name}`).hidden = name !== step;
    if (step !== "camera") this.#stopCamera();
    this.#complain("");
  }

  // One line, beside the field it is about.
  #complain(line, id) {
    const error = $("add-error");
    error.textContent = line;
    error.hidden = !line;
    if (id) $(id).closest("label").after(error);
    else $("add-form").append(error);
    if (!id) return;
    $(id).setAttribute("aria-invalid", "true");
    $(id).setAttribute("aria-describedby", "add-error");
    $(id).focus();
  }

  #clear(id) {
    $(id).removeAttribute("aria-invalid");
    $(id).removeAttribute("aria-describedby");
    this.#complain("");
  }

  async #take(file) {
    this.open();
    try {
      this.#confirm(await prepared(file));
    } catch (error) {
      this.#complain(error.message);
    }
  }

  #confirm(photo) {
    this.#photo = photo;
    this.#show("confirm");
    draw($("preview"), photo);
    $("face-name").focus();
  }

  // -- the camera ----------------------------------------------------------------------------------------------------

  async #openCamera() {
    if (!navigator.mediaDevices?.getUserMedia) {
      return this.#complain("Browsers give the camera only to localhost and to https pages. Choose a photo instead.");
    }
    try {
      this.#camera = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, height: { ideal: 1080 }, facingMode: "user" } });
    } catch (error) {
      const line = { NotAllowedError: "The camera is blocked. Allow it by the icon in the address bar, or choose a photo.",
        NotFoundError: "No camera was found. Choose a photo instead.",
        NotReadableError: "The camera is in use by another program. Close that, or choose a photo." }[error.name];
      return this.#complain(line ?? `The camera cannot be used (${error.name}). Choose a photo instead.`);
    }
    this.#show("camera");
    $("camera").srcObject = this.#camera;
    $("shoot").focus();
  }

  async #shoot() {
    $("shoot").disabled = true;
    for (const n of [3, 2, 1]) {
      $("count").textContent = n;
      await sleep(800);
    }
    $("count").textContent = "";
    $("shoot").disabled = false;
    if (this.#camera) this.#confirm(await snapped($("camera")));
  }

  #stopCamera() {
    this.#camera?.getTracks().forEach((track) => track.stop());
    this.#camera = null;
    $("camera").srcObject = null;
  }

  // -- sending -------------------------------------------------------------------------------------------------------

  async #enrol() {
    const signature = $("signature").value.trim();
    if (!$("consent").checked) return this.#complain("Confirm that the person shown agrees; without it the photo is not used.", "consent");
    if (!signature) return this.#complain("Sign with your name.", "signature");
    this.#setBusy("Sending the photo");
    try {
      const face = await enrol({
        photo: this.#photo.blob,
        filename: this.#photo.filename,
        name: $("face-name").value.trim() || "Me",
        consent: `${$("consent-text").textContent} Signed: ${signature}, ${new Date().toISOString().slice(0, 10)}.`,
        onProgress: (line) => this.#busy && this.#setBusy(line),
      });
      $("consent").checked = false;
      this.#setBusy("");
      this.#dialog.close();
      this.dispatchEvent(new CustomEvent("added", { detail: face }));
    } catch (error) {
      this.#setBusy("");
      this.#complain(error.message);
    }
    return undefined;
  }

  #setBusy(line) {
    this.#busy = Boolean(line);
    $("working").hidden = !line;
    $("working-text").textContent = line;
    for (const id of ["enrol", "retake", "add-close", "face-name", "consent", "signature"]) $(id).disabled = this.#busy;
    if (line) this.#complain("");
  }
}

function draw(canvas, photo) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!photo.canvas) {
    context.fillStyle = "#888";
    context.font = "16px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText("No preview in this browser", canvas.width / 2, canvas.height / 2);
    return;
  }
  const { width, height } = photo.canvas;
  const scale = Math.min(canvas.width / width, canvas.height / height);
  context.drawImage(photo.canvas, (canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2, width * scale, height * scale);
}
