/* A picture of the reader's own, and the square of it that the network gets: moved by dragging or arrow keys, zoomed by
   a slider, the wheel, or + and -. */
const { element, range } = window.explorer;
const SHOWN = 320;

export class Crop {
  constructor(changed) {
    this.changed = changed;
    this.canvas = element("canvas", { tabindex: 0, role: "application", "aria-roledescription": "crop",
      "aria-label": "Your picture. Arrow keys move the square that the network gets, plus and minus zoom.",
      onpointerdown: (event) => this.grab(event), onpointermove: (event) => this.drag(event),
      onpointerup: () => { this.held = null; }, onpointercancel: () => { this.held = null; },
      onkeydown: (event) => this.key(event) });
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(this.scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
    }, { passive: false });
    this.slider = range("live-zoom", "zoom", [100, 800], (value) => this.zoom(value / 100));
    this.box = element("div", { class: "own", hidden: true }, this.canvas, this.slider);
  }

  /* Show a picture (a canvas) with its middle square chosen, or none. */
  open(picture) {
    this.picture = picture;
    this.box.hidden = !picture;
    if (!picture) return;
    const { width, height } = picture;
    const scale = Math.min(SHOWN / Math.max(width, height), 8);
    Object.assign(this.canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    this.centre = [width / 2, height / 2];
    this.scale = 1;
    this.settle();
  }

  /* The square in pixels of the picture. */
  get square() {
    const { width, height } = this.picture;
    const side = Math.max(8, Math.min(width, height, Math.round(Math.min(width, height) / this.scale)));
    const start = (at, length) => Math.min(length - side, Math.max(0, Math.floor(at - side / 2)));
    return { x: start(this.centre[0], width), y: start(this.centre[1], height), side };
  }

  zoom(scale) {
    this.scale = Math.min(8, Math.max(1, scale));
    this.settle();
  }

  move(dx, dy) {
    const { side } = this.square;
    const { width, height } = this.picture;
    const inside = (at, length) => Math.min(length - side / 2, Math.max(side / 2, at));
    this.centre = [inside(this.centre[0] + dx, width), inside(this.centre[1] + dy, height)];
    this.settle();
  }

  settle() {
    const { x, y, side } = this.square;
    const context = this.canvas.getContext("2d");
    const scale = this.canvas.width / this.picture.width;
    const { width, height } = this.canvas;
    context.drawImage(this.picture, 0, 0, width, height);
    context.fillStyle = "rgb(0 0 0 / 55%)";
    context.fillRect(0, 0, width, height);
    context.drawImage(this.picture, x, y, side, side, x * scale, y * scale, side * scale, side * scale);
    Object.assign(context, { strokeStyle: "#fff", lineWidth: 2 });
    context.strokeRect(x * scale + 1, y * scale + 1, side * scale - 2, side * scale - 2);
    this.slider.querySelector("input").value = Math.round(100 * this.scale);
    this.slider.querySelector("output").textContent = `${Math.round(100 * this.scale)} %`;
    this.changed(this.picture, this.square);
  }

  grab(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.held = [event.clientX, event.clientY];
  }

  drag(event) {
    if (!this.held) return;
    const scale = this.picture.width / this.canvas.getBoundingClientRect().width;
    this.move((event.clientX - this.held[0]) * scale, (event.clientY - this.held[1]) * scale);
    this.held = [event.clientX, event.clientY];
  }

  key(event) {
    const step = this.square.side / 16;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (moves[event.key]) this.move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(this.scale * 1.1);
    else if (event.key === "-") this.zoom(this.scale / 1.1);
    else return;
    event.preventDefault();
  }
}
