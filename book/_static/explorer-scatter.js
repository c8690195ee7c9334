/* The error explorer's scatter: each error by the network's confidence and by the people who chose the label.

   It takes the place of the figure with the same points. What a drag surrounds is what the filters show; the sliders
   below do the same by keys. A click opens the nearest error. */
(() => {
  "use strict";

  const MARKS = ["M-4-4H4V4H-4Z", "M0-5.5 5.5 0 0 5.5-5.5 0Z", "M0-5 5 4H-5Z"]; // one for each kind of error
  const [LEFT, RIGHT, TOP, BOTTOM] = [48, 12, 10, 44];
  const REACH = 14; // pixels from a point within which a click means it

  function made(parent, tag, attributes, text) {
    const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    if (text !== undefined) one.textContent = text;
    parent.append(one);
    return one;
  }

  class Scatter {
    /* A scatter in the figure, if there is one and people were asked. */
    static on(page, figure) {
      return figure && window.explorer.hasVotes(page.data) ? new Scatter(page, figure) : null;
    }

    constructor(page, figure) {
      this.page = page;
      const { agreement, confidence, element } = window.explorer;
      const errors = page.data.cases.map((row, at) => [row, at]).filter(([row]) => row.predicted !== row.true);
      this.points = errors.map(([row, at]) => ({ at, x: confidence(row), y: agreement(row), kind: row.kind }));
      this.box = element("div", { class: "scatter" });
      const count = (kind) => errors.filter(([row]) => row.kind === kind).length;
      const key = page.data.kinds.map((name, kind) => {
        const item = element("span", { class: `kind-${kind}` });
        made(made(item, "svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }), "path", { d: MARKS[kind] });
        item.append(`${name}: ${count(kind)}`);
        return item;
      });
      this.plot = element("div");
      this.box.append(this.plot, element("p", { class: "key" }, ...key),
        element("p", { class: "hint" }, "Drag over the points to filter by them, or move the sliders below. Click a point to open its image."));
      this.label = figure.querySelector("img")?.alt ?? "";
      figure.classList.add("drawn");
      figure.prepend(this.box);
      this.draw(); // now, so that nothing below moves once the page has opened at a case
      new ResizeObserver(() => this.draw()).observe(this.plot);
    }

    across(percent) { return LEFT + (percent / 100) * (this.width - LEFT - RIGHT); }
    up(percent) { return this.height - BOTTOM - (percent / 100) * (this.height - TOP - BOTTOM); }

    draw() {
      if (this.plot.clientWidth === this.width) return;
      this.width = this.plot.clientWidth;
      this.height = Math.min(380, 120 + 0.45 * this.width);
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      for (const [name, value] of Object.entries({ width: this.width, height: this.height, role: "img", "aria-label": this.label })) {
        svg.setAttribute(name, value);
      }
      for (const tick of [0, 25, 50, 75, 100]) {
        made(svg, "path", { class: "grid", d: `M${this.across(tick)} ${this.up(0)}V${this.up(100)}M${this.across(0)} ${this.up(tick)}H${this.across(100)}` });
        made(svg, "text", { x: this.across(tick), y: this.up(0) + 16, "text-anchor": "middle" }, tick);
        made(svg, "text", { x: LEFT - 8, y: this.up(tick) + 4, "text-anchor": "end" }, tick);
      }
      made(svg, "text", { x: this.across(50), y: this.height - 6, "text-anchor": "middle" }, "the network's confidence (%)");
      const middle = this.up(50);
      made(svg, "text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, "people who chose the label (%)");
      this.marks = this.points.map(({ x, y, kind }) => made(svg, "path",
        { d: MARKS[kind], transform: `translate(${this.across(x)} ${this.up(y)})`, class: `kind-${kind}` }));
      this.brush = made(svg, "rect", { class: "brush" });
      this.listen(svg);
      this.plot.replaceChildren(svg);
      this.show();
    }

    /* Mark the points that are shown, and the part of the plane that the sliders leave. */
    show() {
      if (!this.marks) return;
      const shown = new Set(this.page.shown);
      this.points.forEach(({ at }, place) => this.marks[place].classList.toggle("out", !shown.has(at)));
      const { from, to, least, people } = this.page.state;
      this.frame([this.across(from), this.up(people)], [this.across(to), this.up(least)]);
      this.brush.classList.toggle("all", from === 0 && to === 100 && least === 0 && people === 100);
    }

    frame([left, top], [right, bottom]) {
      const sides = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
      for (const [name, value] of Object.entries(sides)) this.brush.setAttribute(name, value);
    }

    listen(svg) {
      let start = null;
      const at = (event) => {
        const box = svg.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      const corners = ([a, b], [c, d]) => [[Math.min(a, c), Math.min(b, d)], [Math.max(a, c), Math.max(b, d)]];
      const far = ([a, b], [c, d]) => Math.hypot(a - c, b - d) > 5;
      svg.addEventListener("pointerdown", (event) => {
        if (event.pointerType === "touch" || event.button) return; // a finger scrolls the page, and taps
        start = at(event);
        svg.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      svg.addEventListener("pointermove", (event) => {
        if (!start || !far(start, at(event))) return;
        this.brush.classList.remove("all");
        this.frame(...corners(start, at(event)));
      });
      svg.addEventListener("pointerup", (event) => {
        if (start && far(start, at(event))) this.choose(corners(start, at(event)));
        start = null;
      });
      svg.addEventListener("pointercancel", () => { start = null; this.show(); });
      svg.addEventListener("click", (event) => this.open(at(event)));
    }

    /* Filter by the rectangle between two corners, in pixels; whole percents that surround it. */
    choose([[left, top], [right, bottom]]) {
      this.chosen = true; // the click that ends a drag opens nothing
      const x = (pixel) => (100 * (pixel - LEFT)) / (this.width - LEFT - RIGHT);
      const y = (pixel) => (100 * (this.height - BOTTOM - pixel)) / (this.height - TOP - BOTTOM);
      const within = (value) => Math.min(100, Math.max(0, value));
      this.page.put({ from: within(Math.floor(x(left))), to: within(Math.ceil(x(right))),
        least: within(Math.floor(y(bottom))), people: within(Math.ceil(y(top))) });
    }

    open([x, y]) {
      if (this.chosen) { this.chosen = false; return; }
      let best = [REACH, -1];
      for (const point of this.points) {
        const distance = Math.hypot(this.across(point.x) - x, this.up(point.y) - y);
        if (distance < best[0]) best = [distance, point.at];
      }
      if (best[1] >= 0) this.page.box.open(best[1]);
    }
  }

  Object.assign((window.explorer ??= {}), { Scatter });
})();
