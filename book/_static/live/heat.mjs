/* The map over the picture: for one class, for the other, or for the margin between them; cell by cell to read off. */
import { chosen, drawn, Screen, signed } from "./maps.mjs";
import { SIDE } from "./picture.mjs";
import { VIEWS } from "./state.mjs";

const { element, range } = window.explorer;

export class Heat {
  /* `page` has `state`, `names` of the pair, and change(name, value). */
  constructor(page) {
    this.page = page;
    this.opacity = 0.75;
    this.cell = null;
    const canvas = element("canvas", { tabindex: 0, role: "application", "aria-roledescription": "map",
      onpointermove: (event) => this.point(event), onpointerdown: (event) => this.point(event),
      onpointerleave: () => this.read(null), onblur: () => this.read(null), onkeydown: (event) => this.key(event) });
    this.screen = new Screen(canvas);
    this.caption = element("figcaption");
    this.told = element("p", { class: "read", "aria-live": "polite" });
    this.layer = range("live-layer", "layer", [1, 4], (value) => page.change("layer", value));
    this.strength = range("live-opacity", "opacity of the map", [0, 100], (value) => {
      this.opacity = value / 100;
      this.draw();
    });
    this.radios = VIEWS.map((value) => element("label", {}, element("input", { type: "radio", name: "live-view", value,
      onchange: () => page.change("view", value) }), element("span")));
    this.box = element("figure", { class: "view" }, canvas, this.told, this.caption,
      element("fieldset", { class: "kinds" }, element("legend", {}, "map for"), ...this.radios), this.layer, this.strength);
  }

  /* Show signed maps of the pair over the picture; no maps, or those of an earlier picture, are none. */
  show(image, pair) {
    Object.assign(this, { image, pair });
    this.draw();
  }

  draw() {
    const { state, names } = this.page;
    const words = names ? [names[0], names[1], `${names[0]} − ${names[1]}`] : VIEWS;
    this.radios.forEach((label, at) => {
      label.querySelector("input").checked = VIEWS[at] === state.view;
      label.querySelector("span").textContent = words[at];
    });
    const set = (box, value, shown) => {
      box.querySelector("input").value = value;
      box.querySelector("input").setAttribute("aria-valuetext", shown);
      box.querySelector("output").textContent = shown;
    };
    set(this.layer, state.layer, `layer${state.layer}`);
    set(this.strength, Math.round(100 * this.opacity), `${Math.round(100 * this.opacity)} %`);
    if (!this.image) return;
    const map = this.pair && chosen(this.pair, state.view);
    this.screen.show(map && this.opacity ? drawn(this.image, map, this.opacity) : this.image);
    this.screen.canvas.classList.toggle("waiting", !map);
    this.map = map;
    if (map) this.describe(map, words[VIEWS.indexOf(state.view)]);
    else this.caption.textContent = "The map appears here.";
  }

  describe(map, words) {
    const side = Math.sqrt(map.values.length);
    if (side === 4 && this.opacity) this.screen.numbers(map.values);
    const { state, names } = this.page;
    const empty = !map.signed && !map.values.some((value) => value > 0);
    const scale = map.signed ? `orange speaks for ${names[0]}, blue for ${names[1]}`
      : empty ? "no positive evidence" : "from violet to yellow; one scale for both classes";
    this.caption.textContent = `Grad-CAM of layer${state.layer} for ${words}: ${scale}.${side === 4 ? this.sum(map) : ""}`;
    this.screen.canvas.setAttribute("aria-label", `${this.caption.textContent} Arrow keys read off its ${side} × ${side} cells.`);
    if (this.cell !== null && this.cell < map.values.length) this.tell(map, side);
  }

  /* What the cells of layer4 add up to, and what the biases add to it. */
  sum(map) {
    const { answered: { logits }, pair, state } = this.page;
    const cells = map.values.reduce((all, one) => all + one, 0);
    const total = map.signed ? logits[pair[0]] - logits[pair[1]] : logits[pair[state.view === "for" ? 0 : 1]];
    const [bias, whole] = map.signed ? ["the difference of the biases", "margin"] : ["the bias", "logit"];
    return ` The cells add up to ${signed(cells)}; with ${bias}, ${signed(total - cells, 3)}, they are the ${whole}.`;
  }

  tell(map, side) {
    const [row, column] = [Math.floor(this.cell / side), this.cell % side];
    this.screen.frame((column * SIDE) / side, (row * SIDE) / side, SIDE / side, false);
    const value = map.values[this.cell];
    const part = side === 4 ? signed(value) : `${Math.round((100 * value) / map.reach)} % of the highest in ${map.signed ? "the map" : "both maps"}`;
    this.told.textContent = `row ${row + 1}, column ${column + 1}: ${part}`;
  }

  read(cell) {
    this.cell = cell;
    if (cell === null) this.told.textContent = "";
    this.draw();
  }

  point(event) {
    if (!this.map) return;
    const side = Math.sqrt(this.map.values.length);
    const [x, y] = this.screen.place(event).map((at) => Math.min(side - 1, Math.max(0, Math.floor((at * side) / SIDE))));
    if (y * side + x !== this.cell) this.read(y * side + x);
  }

  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move || !this.map || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const side = Math.sqrt(this.map.values.length);
    if (this.cell === null || this.cell >= side * side) { this.read(0); return; }
    const inside = (value) => Math.min(side - 1, Math.max(0, value));
    this.read(inside(Math.floor(this.cell / side) + move[1]) * side + inside((this.cell % side) + move[0]));
  }
}
