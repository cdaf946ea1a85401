// The gallery of portraits: native radio buttons, so arrow keys and screen readers work by themselves.

import { portraits, removePortrait } from "./server.js";

const KEEP = "mien.face";

export class Faces extends EventTarget {
  #box;
  #notes;
  #list = [];
  #chosen = null;

  constructor(box, notes) {
    super();
    this.#box = box;
    this.#notes = notes;
    box.addEventListener("change", ({ target }) => target.name === "face" && this.choose(target.value));
  }

  get chosen() { return this.#list.find((face) => face.id === this.#chosen) ?? null; }
  get empty() { return this.#list.length === 0; }

  async load(preferred) {
    this.#list = await portraits();
    this.#box.replaceChildren(...this.#list.map((face) => this.#card(face)));
    this.#box.setAttribute("aria-busy", "false");
    const wish = [preferred, this.#chosen, localStorage.getItem(KEEP)].find((id) => this.#list.some((face) => face.id === id));
    if (this.#list.length) this.choose(wish ?? this.#list[0].id);
  }

  choose(id) {
    const changed = id !== this.#chosen;
    this.#chosen = id;
    localStorage.setItem(KEEP, id);
    for (const radio of this.#box.querySelectorAll("input")) {
      radio.checked = radio.value === id;
      if (radio.checked) radio.closest(".face").scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.#notes.textContent = this.chosen?.notes.join(" ") ?? "";
    if (changed) this.dispatchEvent(new Event("chosen"));
  }

  #card(face) {
    const card = document.createElement("div");
    card.className = "face";
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "face", value: face.id, className: "sr" });
    const picture = Object.assign(document.createElement("img"), { src: face.thumbnail, alt: "", width: 160, height: 160 });
    picture.decoding = "async";
    const name = Object.assign(document.createElement("span"), { textContent: face.name });
    label.title = face.label || face.name;
    if (face.label) radio.setAttribute("aria-description", face.label);
    label.append(radio, picture, name);
    card.append(label);
    if (!face.builtin) card.append(this.#remover(face));
    return card;
  }

  #remover(face) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "icon remove";
    button.title = `Delete ${face.name}`;
    button.innerHTML = '<svg aria-hidden="true"><use href="#i-trash"/></svg>';
    button.setAttribute("aria-label", `Delete ${face.name}`);
    button.addEventListener("click", async () => {
      if (!confirm(`Delete the face “${face.name}”? Its portrait file is removed from this server.`)) return;
      try {
        await removePortrait(face.id);
        await this.load();
      } catch (error) {
        this.dispatchEvent(new CustomEvent("error", { detail: error.message }));
      }
    });
    return button;
  }
}
