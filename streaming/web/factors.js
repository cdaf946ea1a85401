// What moves what: for lips, expression, eyes and head a choice between the voice, the camera and nothing.

const $ = (id) => document.getElementById(id);

const FACTORS = [["lips", "Lips"], ["expression", "Expression"], ["gaze", "Eyes"], ["pose", "Head"]];
const CHOICES = [
  ["voice", "Voice", "Moves with the voice, and by itself"],
  ["camera", "Camera", "Moves as you do before the camera"],
  ["still", "Still", "Moves only by the sliders"],
];

export class Factors {
  #defaults = {};
  #chosen = {};
  #camera = false;
  #onChange;

  // `onChange` takes all of them, as the server's control "factors".
  constructor(onChange) {
    this.#onChange = onChange;
    $("factors-list").replaceChildren(...FACTORS.map(([id, name]) => this.#row(id, name)));
  }

  get chosen() { return { ...this.#chosen }; }

  offer(defaults, kept) {
    const known = ([id, choice]) => id in defaults && CHOICES.some(([value]) => value === choice);
    this.#defaults = defaults;
    this.#chosen = { ...defaults, ...Object.fromEntries(Object.entries(kept ?? {}).filter(known)) };
    this.show(this.#camera);
  }

  // Without a camera what it would move is the voice's.
  show(camera) {
    this.#camera = camera;
    for (const radio of $("factors-list").querySelectorAll("input")) {
      radio.checked = this.#shown(radio.name.slice("factor-".length)) === radio.value;
      radio.disabled = radio.value === "camera" && !camera;
      radio.parentElement.title = radio.disabled ? "Switch the camera on to choose it" : CHOICES.find(([value]) => value === radio.value)[2];
    }
    $("factors-hint").textContent = camera ? "" : "Switch the camera on to choose it.";
    $("factors-sum").textContent = this.words;
  }

  // "Voice: lips · Camera: expression, eyes, head"
  get words() {
    const moved = (choice) => FACTORS.filter(([id]) => this.#shown(id) === choice).map(([, name]) => name.toLowerCase());
    const said = CHOICES.map(([choice, name]) => [name, moved(choice)]).filter(([, names]) => names.length);
    return said.map(([name, names]) => `${name}: ${names.length === FACTORS.length ? "everything" : names.join(", ")}`).join(" · ");
  }

  uses(choice, ...ids) {
    return ids.some((id) => this.#chosen[id] === choice);
  }

  #shown(id) {
    return this.#chosen[id] === "camera" && !this.#camera ? "voice" : this.#chosen[id];
  }

  // While there is no camera, "Voice" leaves it open whether one may take over.
  #choose(id, choice) {
    const open = !this.#camera && choice === "voice" && this.#defaults[id] === "camera";
    this.#chosen[id] = open ? "camera" : choice;
    this.show(this.#camera);
    this.#onChange(this.chosen);
  }

  #row(id, name) {
    const row = document.createElement("fieldset");
    row.className = "factor";
    row.setAttribute("aria-describedby", "factors-hint");
    const legend = Object.assign(document.createElement("legend"), { textContent: name });
    const segments = document.createElement("div");
    segments.className = "segments";
    segments.append(...CHOICES.map(([value, text]) => this.#segment(id, value, text)));
    row.append(legend, segments);
    return row;
  }

  #segment(id, value, text) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: `factor-${id}`, value, className: "sr" });
    radio.addEventListener("change", () => this.#choose(id, value));
    label.append(radio, Object.assign(document.createElement("span"), { textContent: text }));
    return label;
  }
}
