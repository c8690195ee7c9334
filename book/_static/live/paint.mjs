/* What the network sees, large, with a brush on it; and the controls that hide pixels or nudge the picture. */
import { Screen } from "./maps.mjs";
import { PLAIN, SIDE } from "./picture.mjs";
import { LIMITS } from "./state.mjs";

const { choice, element, range } = window.explorer;
const button = (words, act, more = {}) => element("button", { type: "button", onclick: act, ...more }, words);

export class Paint {
  /* `page` has `mask`, `state`, image(), refresh(), change(name, value) and hideCells(which, sixteenths). */
  constructor(page) {
    this.page = page;
    this.size = 6;
    this.bit = 1;
    this.at = null; // where the brush is, in pixels of 32
    const canvas = element("canvas", { class: "paint", tabindex: 0, role: "application", "aria-roledescription": "brush",
      "aria-label": "What the network sees. Arrow keys move the brush, space hides the pixels under it, brackets change its size.",
      onpointerdown: (event) => this.down(event), onpointermove: (event) => this.move(event),
      onpointerup: () => this.up(), onpointercancel: () => this.up(), onpointerleave: () => { if (!this.stroke) this.place(null); },
      onkeydown: (event) => this.key(event), onblur: () => this.place(null) });
    this.screen = new Screen(canvas);
    this.told = element("p", { class: "read", role: "status" });
    this.box = element("figure", { class: "view" }, canvas, this.told,
      element("figcaption", {}, "What the network sees: 32 × 32 pixels. Draw on it to hide some."));
    this.tools = element("div", { class: "tools" }, this.hiding(), this.nudging());
  }

  hiding() {
    const fills = [["mean", "the mean colour"], ["blur", "the blurred picture"], ["noise", "noise"]];
    const brushes = [["1", "hides pixels"], ["0", "shows them again"]];
    this.fill = choice("live-fill", "in their place", fills, (value) => this.page.change("fill", value));
    this.share = range("live-share", "cells to hide", [1, 8], () => this.tellShare());
    this.share.querySelector("input").value = 4;
    this.width = range("live-size", "brush size", [1, 12], (value) => this.resize(value));
    const which = [["hottest", "hide the hottest cells"], ["coldest", "hide the coldest"], ["random", "hide as many at random"]];
    return element("fieldset", {}, element("legend", {}, "Hide pixels"),
      choice("live-brush", "the brush", brushes, (value) => { this.bit = Number(value); }), this.width, this.fill,
      element("div", { class: "buttons" }, button("undo", () => this.undo()), button("show all again", () => this.clear())),
      this.share,
      element("div", { class: "buttons" }, ...which.map(([kind, words]) => button(words, () => this.page.hideCells(kind, this.sixteenths)))));
  }

  nudging() {
    const shift = (words, name, by) => button(words, () => this.page.change(name, this.limited(name, this.page.state[name] + by)),
      { "aria-label": `shift by a pixel: ${words}` });
    this.flip = element("input", { type: "checkbox", name: "live-flip", onchange: () => this.page.change("flip", this.flip.checked) });
    this.sliders = ["brightness", "contrast"].map((name) => range(`live-${name}`, name, LIMITS[name], (value) => this.page.change(name, value)));
    this.shifted = element("output");
    return element("fieldset", {}, element("legend", {}, "Nudge the picture"),
      element("label", { class: "check" }, this.flip, "flip"),
      element("div", { class: "buttons", role: "group", "aria-label": "shift" }, shift("left", "dx", -1), shift("right", "dx", 1),
        shift("up", "dy", -1), shift("down", "dy", 1), this.shifted),
      ...this.sliders,
      element("div", { class: "buttons" }, button("reset", () => this.page.change("nudge", PLAIN))));
  }

  limited(name, value) { return Math.min(LIMITS[name][1], Math.max(LIMITS[name][0], value)); }

  get sixteenths() { return Number(this.share.querySelector("input").value); }

  /* Put the state into the controls. */
  show() {
    const { state } = this.page;
    const set = (box, value, words) => {
      const input = box.querySelector("input");
      input.value = value;
      input.setAttribute("aria-valuetext", words);
      box.querySelector("output").textContent = words;
    };
    this.fill.querySelector("select").value = state.fill;
    this.flip.checked = state.flip;
    for (const slider of this.sliders) {
      const name = slider.querySelector("input").name.slice(5);
      set(slider, state[name], `${state[name]} %`);
    }
    set(this.width, this.size, `${this.size} px`);
    this.tellShare();
    this.shifted.textContent = state.dx || state.dy ? `${state.dx} across, ${state.dy} down` : "";
  }

  tellShare() {
    const side = this.page.side;
    const cells = (this.sixteenths * side * side) / 16;
    this.share.querySelector("output").textContent = `${cells} of ${side * side} cells`;
    this.share.querySelector("input").setAttribute("aria-valuetext", `${cells} of ${side * side} cells`);
  }

  draw(image) {
    this.image = image;
    this.screen.show(image);
    if (this.at) this.screen.frame(...this.at, Math.max(1, this.size), true);
  }

  place(at) {
    this.at = at;
    if (this.image) this.draw(this.image);
  }

  resize(size) {
    this.size = Math.min(12, Math.max(1, size));
    this.show();
    this.place(this.at);
  }

  undo() {
    this.page.mask.undo();
    this.page.refresh();
  }

  clear() {
    if (this.page.mask.count) this.page.mask.replace(new Uint8Array(SIDE * SIDE));
    this.page.refresh();
  }

  down(event) {
    if (event.button !== 0 || !this.page.ready) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    this.page.mask.keep();
    this.stroke = this.screen.place(event);
    this.page.mask.dab(...this.stroke, this.size, this.bit);
    this.place(this.stroke);
    this.page.refresh();
  }

  move(event) {
    const passed = this.stroke ? event.getCoalescedEvents?.() ?? [] : [];
    for (const one of passed.length ? passed : [event]) {
      const next = this.screen.place(one);
      if (this.stroke) {
        this.page.mask.line(this.stroke, next, this.size, this.bit);
        this.stroke = next;
      }
      this.at = next;
    }
    if (this.stroke) this.page.refresh();
    else this.place(this.at);
  }

  up() { this.stroke = null; }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const [x, y] = this.at ?? [SIDE / 2, SIDE / 2];
    const inside = (value) => Math.min(SIDE - 0.5, Math.max(0.5, value));
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (moves[event.key]) {
      const [dx, dy] = moves[event.key];
      this.place([inside(Math.floor(x) + 0.5 + dx), inside(Math.floor(y) + 0.5 + dy)]);
    } else if (event.key === " " && this.page.ready) {
      this.page.mask.keep();
      this.page.mask.dab(x, y, this.size, this.bit);
      this.place([x, y]);
      this.page.refresh();
    } else if (event.key === "[" || event.key === "]") this.resize(this.size + (event.key === "]" ? 1 : -1));
    else return;
    event.preventDefault();
    this.told.textContent = `brush of ${this.size} at row ${Math.floor(this.at?.[1] ?? y) + 1}, column ${Math.floor(this.at?.[0] ?? x) + 1}; ${this.page.mask.count} pixels hidden`;
  }
}
