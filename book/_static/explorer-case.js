/* The error explorer's dialog: one case with its maps, its probabilities, and its neighbours in the list. */
(() => {
  "use strict";

  /* Which cell of a map with `side` x `side` cells a pixel of the 32 x 32 lies in. */
  function place(pixel, side) {
    return Math.floor((Math.floor(pixel / 32) * side) / 32) * side + Math.floor(((pixel % 32) * side) / 32);
  }

  class Case {
    constructor(page) {
      this.page = page;
      const { element, range } = window.explorer;
      const views = [["predicted", "predicted class"], ["other", "other class"], ["margin", "margin"]];
      const set = (name) => (value) => { page.change(name, value); this.draw(); };
      this.title = element("h3", { id: "explorer-case", "aria-live": "polite" });
      this.canvas = element("canvas", { width: 32, height: 32, role: "img" });
      this.legend = element("p", { class: "legend" });
      this.words = element("p", { "aria-live": "polite" });
      this.bars = element("dl", { class: "bars" });
      this.link = element("a", {}, "link to this view");
      this.live = element("a", {}, "try it: hide pixels of this image and see");
      this.panel = element("div", { class: "maps" },
        element("fieldset", {}, element("legend", {}, "map"), ...views.map(([value, words]) => element("label", {},
          element("input", { type: "radio", name: "view", value,
            onchange: () => set("view")(value) }), element("span", { "data-view": value }, words)))),
        range("layer", "layer", [1, 4], set("layer")), range("opacity", "opacity of the map", [0, 100], set("opacity")));
      const step = (by) => () => this.step(by);
      this.box = element("dialog", { class: "case", "aria-labelledby": "explorer-case",
        onclose: () => this.closed(), onkeydown: (event) => this.key(event) },
        element("header", {}, this.title,
          element("button", { type: "button", "aria-label": "previous case", onclick: step(-1) }, "←"),
          element("button", { type: "button", "aria-label": "next case", onclick: step(1) }, "→"),
          element("button", { type: "button", "aria-label": "close", class: "close", onclick: () => this.box.close() }, "×")),
        element("div", { class: "parts" }, element("div", { class: "picture" }, this.canvas, this.legend), this.panel,
          this.bars, this.words, element("p", {}, this.link, " · ", this.live)));
      page.section.append(this.box);
    }

    open(at) {
      this.current = at;
      this.page.state.case = String(this.page.data.cases[at].i);
      this.page.remember();
      this.describe();
      this.draw();
      if (!this.box.open) this.box.showModal();
    }

    /* Open or close what the address says. */
    follow() {
      const at = this.page.data.cases.findIndex((row) => String(row.i) === this.page.state.case);
      if (at >= 0) this.open(at);
      else if (this.box.open) this.box.close();
    }

    closed() {
      const at = this.current;
      this.page.state.case = "";
      this.page.remember();
      if (this.page.shown.includes(at)) this.page.focus(at);
    }

    step(by) {
      const place = this.page.shown.indexOf(this.current);
      const count = this.page.shown.length;
      // From a case that the filters do not show, on to the first or the last that they do.
      const next = this.page.shown[place < 0 ? (by > 0 ? 0 : count - 1) : (place + by + count) % count];
      if (next !== undefined) this.open(next);
    }

    key(event) {
      if (event.target.matches("input") || event.altKey || event.ctrlKey || event.metaKey) return; // a slider's, the browser's
      if (event.key === "ArrowRight") this.step(1);
      if (event.key === "ArrowLeft") this.step(-1);
    }

    describe() {
      const { element, percent } = window.explorer;
      const row = this.page.data.cases[this.current];
      const { classes } = this.page.data;
      this.live.href = `try_it.html#case=${row.i}`;
      this.title.textContent = `# ${row.i}: ${classes[row.p]}${row.p === row.t ? ", rightly" : `, labelled ${classes[row.t]}`}`;
      const kind = row.p !== row.t && row.k !== undefined ? ` Kind of error: ${this.page.data.kinds[row.k]}.` : "";
      this.words.textContent = row.s + kind;
      const names = { predicted: classes[row.p], other: classes[row.o], margin: `${classes[row.p]} minus ${classes[row.o]}` };
      for (const span of this.panel.querySelectorAll("[data-view]")) span.textContent = names[span.dataset.view];
      const sorted = row.q.map((share, c) => [share, c]).sort((a, b) => b[0] - a[0]);
      const top = sorted.filter(([, c], place) => place < 3 || c === row.t);
      const asked = row.v ? row.v.reduce((sum, votes) => sum + votes, 0) : 0;
      this.bars.replaceChildren(...top.flatMap(([share, c]) => {
        const bar = (kind, value, words) => {
          const made = element("dd", { class: kind }, words);
          made.style.setProperty("--share", value / 100);
          return made;
        };
        const people = row.v ? [bar("people", (100 * row.v[c]) / asked, `${percent((100 * row.v[c]) / asked)} of people`)] : [];
        return [element("dt", {}, classes[c]), bar("network", share / 10, `network ${percent(share / 10)}`), ...people];
      }));
    }

    draw() {
      const { pixels, state } = this.page;
      if (!pixels || this.current === undefined) return;
      const { columns } = this.page.data;
      const [x, y] = [this.current % columns, Math.floor(this.current / columns)];
      const image = pixels.image(32 * x, 32 * y, 32, 32);
      const [weight, colour] = state.view === "margin" ? this.margin() : this.map(x, y);
      const drawn = window.explorer.overlay(image, weight, colour, state.opacity / 100);
      // Without a map over it the image keeps its colours.
      this.canvas.getContext("2d").putImageData(new ImageData(state.opacity ? drawn : image, 32, 32), 0, 0);
      this.name();
      for (const radio of this.panel.querySelectorAll('input[type="radio"]')) radio.checked = radio.value === state.view;
      for (const name of ["layer", "opacity"]) {
        this.panel.querySelector(`input[name="${name}"]`).value = state[name];
        this.page.tell(name);
      }
      this.panel.querySelector('input[name="layer"]').disabled = state.view === "margin";
    }

    /* The signed map of the current case: functions of a pixel of 32 x 32 to its weight and its colour. */
    margin() {
      const { AGAINST, FOR } = window.explorer;
      const cells = this.page.data.cases[this.current].c;
      const side = Math.round(Math.sqrt(cells.length));
      const reach = Math.max(...cells.map(Math.abs)) || 1;
      const cell = (pixel) => cells[place(pixel, side)];
      return [(pixel) => Math.abs(cell(pixel)) / reach, (pixel) => (cell(pixel) > 0 ? FOR : AGAINST)];
    }

    /* The same of the heat map that is chosen; the case's tile is the one in column x and line y. */
    map(x, y) {
      const { half, places } = this.page.data;
      const [top, left, side] = places[`layer${this.page.state.layer}`];
      const offset = this.page.state.view === "other" ? half : 0;
      const map = this.page.pixels.maps(2 * half * x + offset + left, 32 * y + top, side, side);
      const value = (pixel) => map[4 * place(pixel, side)] / 255;
      return [value, (pixel) => window.explorer.plasma(value(pixel))];
    }

    /* Say what is drawn: below it in words, and to those who cannot see it. */
    name() {
      const { data, state } = this.page;
      const row = data.cases[this.current];
      const [predicted, other] = [data.classes[row.p], data.classes[row.o]];
      const [kind, key] = state.view === "margin"
        ? [`what each cell of layer4 adds to ${predicted} minus ${other}, in all ${row.m.toFixed(2)}`,
          `vermillion: speaks for ${predicted}, blue against it (for ${other})`]
        : [`${data.method} of layer${state.layer} for ${state.view === "other" ? other : predicted}`,
          "from violet to yellow: the evidence, on one scale for both classes"];
      this.canvas.setAttribute("aria-label", state.opacity ? `Image ${row.i}, over it in colours: ${kind}` : `Image ${row.i}`);
      this.legend.textContent = key;
    }
  }

  Object.assign((window.explorer ??= {}), { Case });
})();
