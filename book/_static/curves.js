/* Curves to read off: draws the loss and accuracy table of the training chapter where its picture stands.

   The numbers are those of the table below the figure. Over the curves the pointer chooses an epoch, at the slider keys
   and fingers do. On paper and without this script the picture stays. No dependency, no request. */
(() => {
  "use strict";

  const [WIDTH, HEIGHT] = [360, 240]; // of a chart, in its own units
  const EDGE = { left: 44, right: 12, top: 26, bottom: 36 };
  const SVG = "http://www.w3.org/2000/svg";

  function made(parent, tag, attributes = {}, text = "") {
    const inSvg = tag === "svg" || parent?.namespaceURI === SVG;
    const element = inSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(text);
    parent?.append(element);
    return element;
  }

  /* What a table says: [{quantity, unit, series: [{name, values}]}], a value for each epoch. */
  function read(table) {
    const names = [...table.tHead.rows[1].cells].slice(1);
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => Number(cell.textContent)));
    return [...table.tHead.rows[0].cells].slice(1).map((head, group) => {
      const from = group * head.colSpan;
      const series = names.slice(from, from + head.colSpan)
        .map((cell, at) => ({ name: cell.textContent, values: rows.map((row) => row[from + at]) }));
      return { quantity: head.dataset.quantity, unit: head.dataset.unit, series };
    });
  }

  /* Round numbers from low to high, about five. */
  function ticks(low, high) {
    const rough = (high - low || 1) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((width) => width >= rough);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, at) => (first + at) * step);
  }

  function written({ quantity }, value) {
    if (!Number.isFinite(value)) return "–";
    return quantity === "accuracy" ? `${value.toFixed(2)}\u00a0%` : value.toFixed(4);
  }

  /* One quantity's curves. */
  class Chart {
    constructor(parent, group, epochs) {
      const values = group.series.flatMap(({ values: some }) => some).filter(Number.isFinite);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      this.epochs = epochs;
      this.group = group;
      this.x = (epoch) => EDGE.left + (WIDTH - EDGE.left - EDGE.right) * (epochs > 1 ? (epoch - 1) / (epochs - 1) : 0.5);
      this.y = (value) => HEIGHT - EDGE.bottom - (HEIGHT - EDGE.top - EDGE.bottom) * ((value - low) / (high - low || 1));
      this.svg = made(parent, "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
      made(this.svg, "text", { x: 4, y: 14, class: "title" }, `${group.quantity} (${group.unit})`);
      this.axes(low, high);
      this.line = made(this.svg, "line", { y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "chosen" });
      this.dots = group.series.map((series, at) => {
        const points = series.values.map((value, epoch) => [value, this.x(epoch + 1)])
          .map(([value, x], place, all) => Number.isFinite(value)
            && `${place && Number.isFinite(all[place - 1][0]) ? "L" : "M"}${x.toFixed(1)} ${this.y(value).toFixed(1)}`);
        made(this.svg, "path", { d: points.filter(Boolean).join(""), class: `series-${at}` });
        return made(this.svg, "circle", { r: 4, class: `series-${at}` });
      });
    }

    axes(low, high) {
      for (const value of ticks(low, high)) {
        const y = this.y(value);
        made(this.svg, "line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y, y2: y, class: "grid" });
        made(this.svg, "text", { x: EDGE.left - 6, y: y + 4, class: "value" }, String(Number(value.toPrecision(6))));
      }
      for (const epoch of ticks(1, this.epochs).filter(Number.isInteger)) {
        made(this.svg, "text", { x: this.x(epoch), y: HEIGHT - EDGE.bottom + 16, class: "epoch" }, String(epoch));
      }
      made(this.svg, "text", { x: WIDTH - EDGE.right, y: HEIGHT - 4, class: "value" }, "epoch");
    }

    /* The epoch that the pointer is nearest to. */
    under(event) {
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * WIDTH;
      const share = (x - EDGE.left) / (WIDTH - EDGE.left - EDGE.right);
      return Math.min(this.epochs, Math.max(1, Math.round(1 + share * (this.epochs - 1))));
    }

    show(epoch) {
      this.line.setAttribute("x1", this.x(epoch));
      this.line.setAttribute("x2", this.x(epoch));
      this.dots.forEach((dot, at) => {
        const value = this.group.series[at].values[epoch - 1];
        dot.setAttribute("visibility", Number.isFinite(value) ? "visible" : "hidden");
        dot.setAttribute("cx", this.x(epoch));
        dot.setAttribute("cy", Number.isFinite(value) ? this.y(value) : 0);
      });
    }
  }

  /* Both charts, the slider, and what it reads off. */
  class Curves {
    constructor(table, figure) {
      this.groups = read(table);
      this.epochs = table.tBodies[0].rows.length;
      const image = figure.querySelector("img");
      this.box = made(null, "div", { class: "curves", role: "group", "aria-label": image.alt });
      const charts = made(this.box, "div", { class: "charts" });
      this.charts = this.groups.map((group) => new Chart(charts, group, this.epochs));
      this.readout();
      for (const chart of this.charts) {
        for (const kind of ["pointermove", "pointerdown"]) {
          chart.svg.addEventListener(kind, (event) => this.show(chart.under(event)));
        }
      }
      this.show(this.epochs);
      figure.classList.add("drawn");
      figure.prepend(this.box);
    }

    readout() {
      const line = made(this.box, "div", { class: "epochs" });
      this.slider = made(made(line, "label", {}, "epoch "), "input", { type: "range", min: 1, max: this.epochs, step: 1 });
      this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
      this.number = made(line, "output");
      const table = made(this.box, "table");
      const head = made(made(table, "thead"), "tr");
      made(head, "td");
      this.groups.forEach(({ quantity }) => made(head, "th", { scope: "col" }, quantity));
      const body = made(table, "tbody");
      this.cells = this.groups[0].series.map(({ name }, at) => {
        const row = made(body, "tr");
        const key = made(row, "th", { scope: "row" });
        made(made(key, "svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }), "path", { d: "M0 4H24", class: `series-${at}` });
        key.append(name);
        return this.groups.map(() => made(row, "td"));
      });
    }

    show(epoch) {
      this.charts.forEach((chart) => chart.show(epoch));
      this.slider.value = epoch;
      this.number.textContent = `${epoch} of ${this.epochs}`;
      const said = this.groups.flatMap((group, column) => group.series.map(({ name, values }, at) => {
        const words = written(group, values[epoch - 1]);
        this.cells[at][column].textContent = words;
        return `${group.quantity}, ${name}: ${words}`;
      }));
      this.slider.setAttribute("aria-valuetext", `epoch ${epoch}; ${said.join("; ")}`);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const details of document.querySelectorAll("details.history[data-figure]")) {
      const figure = document.getElementById(details.dataset.figure);
      if (figure) new Curves(details.querySelector("table"), figure);
    }
  });
})();
