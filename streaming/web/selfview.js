// What the camera sees, small and mirrored, with the points by which the face is followed.

const $ = (id) => document.getElementById(id);
const DOT = 0.8; // CSS px, radius
const IRIS = 1.4;

export class SelfView {
  #box = $("self");
  #video = $("self-video");
  #points = $("self-points");
  #lengths = [];

  constructor() {
    // The points are drawn into a picture of the video's own shape, so that both are cropped alike.
    this.#video.addEventListener("resize", () => {
      if (!this.#video.videoWidth) return;
      this.#points.width = this.#video.videoWidth;
      this.#points.height = this.#video.videoHeight;
    });
  }

  // How many points each closed curve has; a curve of one point is an iris.
  set curves(lengths) {
    this.#lengths = lengths;
  }

  // A stream of this browser's; null where the pictures are the server's own.
  show(stream) {
    this.#box.hidden = false;
    if (this.#video.srcObject !== stream) {
      this.#video.srcObject = stream;
      this.draw([]);
    }
  }

  hide() {
    this.#box.hidden = true;
    this.#video.srcObject = null;
    this.draw([]);
  }

  say(tone, line) {
    this.#box.dataset.tone = tone;
    $("self-line").textContent = line;
  }

  // Points as [x, y] in 0..1 of the camera's picture.
  draw(points) {
    const { width, height, clientWidth } = this.#points;
    const context = this.#points.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!points.length || !clientWidth) return;
    const px = width / clientWidth;
    const style = getComputedStyle(this.#points);
    context.strokeStyle = context.fillStyle = style.color;
    context.lineWidth = 0.6 * px;
    for (const curve of this.#curves(points)) {
      const places = curve.map(([x, y]) => [x * width, y * height]);
      if (places.length > 1) trace(context, places);
      for (const [x, y] of places) dot(context, x, y, (places.length > 1 ? DOT : IRIS) * px);
    }
  }

  #curves(points) {
    if (this.#lengths.reduce((sum, length) => sum + length, 0) !== points.length) return points.map((point) => [point]);
    let start = 0;
    return this.#lengths.map((length) => points.slice(start, (start += length)));
  }
}

function trace(context, places) {
  context.globalAlpha = 0.45;
  context.beginPath();
  for (const [x, y] of places) context.lineTo(x, y);
  context.closePath();
  context.stroke();
}

function dot(context, x, y, radius) {
  context.globalAlpha = 0.95;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
