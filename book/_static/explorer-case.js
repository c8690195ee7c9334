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
      const set = (name) => (value) => { page.change(name, value); this.draw(); };
      this.title = element("h3", { id: "explorer-case", "aria-live": "polite" });
      this.canvases = {};
      this.captions = {};
      const pictures = ["image", "predicted", "other", "margin"].map((view) => {
        this.canvases[view] = element("canvas", { width: 32, height: 32, role: "img", "data-view": view });
        this.captions[view] = element("figcaption");
        return element("figure", {}, this.canvases[view], this.captions[view]);
      });
      this.words = element("p", { "aria-live": "polite" });
      this.bars = element("dl", { class: "bars" });
      this.near = element("div", { class: "near" });
      this.card = element("a", {}, "its case card");
      this.live = element("a", {}, "try it: hide pixels and see");
      this.link = element("a", {}, "link to this view");
      this.links = element("p", { class: "links" });
      const step = (by) => () => this.step(by);
      this.box = element("dialog", { class: "case", "aria-labelledby": "explorer-case",
        onclose: () => this.closed(), onkeydown: (event) => this.key(event) },
        element("header", {}, this.title,
          element("button", { type: "button", "aria-label": "previous case", onclick: step(-1) }, "←"),
          element("button", { type: "button", "aria-label": "next case", onclick: step(1) }, "→"),
          element("button", { type: "button", "aria-label": "close", class: "close", onclick: () => this.box.close() }, "×")),
        element("div", { class: "pictures" }, ...pictures),
        element("div", { class: "sliders" }, range("layer", "layer of the maps", [1, 4], set("layer")),
          range("opacity", "opacity of the colours", [0, 100], set("opacity"))),
        element("div", { class: "parts" }, this.bars, element("div", {}, this.words, this.near, this.links)));
      page.section.append(this.box);
    }

    open(at) {
      this.current = at;
      this.page.state.case = String(this.page.data.cases[at].index);
      this.page.remember();
      this.describe();
      this.draw();
      if (!this.box.open) this.box.showModal();
    }

    /* Open or close what the address says. */
    follow() {
      const at = this.page.data.cases.findIndex((row) => String(row.index) === this.page.state.case);
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
      const row = this.page.data.cases[this.current];
      const { classes, kinds } = this.page.data;
      const right = row.predicted === row.true;
      this.title.textContent = `# ${row.index}: ${classes[row.predicted]}${right ? ", rightly" : `, labelled ${classes[row.true]}`}`;
      this.words.textContent = row.sentence + (right || row.kind === undefined ? "" : ` Kind of error: ${kinds[row.kind]}.`);
      this.live.href = `try_it.html#case=${row.index}`;
      this.card.href = `gradcam.html#case-${row.index}`;
      const cards = (this.page.section.dataset.cards ?? "").split(" ");
      const links = [...(cards.includes(String(row.index)) ? [this.card] : []), this.live, this.link];
      this.links.replaceChildren(...links.flatMap((link, place) => (place ? [" · ", link] : [link])));
      this.chances(row);
      this.neighbours(row);
    }

    /* Bars of the network's probabilities and of people's votes. */
    chances(row) {
      const { element, percent } = window.explorer;
      const sorted = row.percent.map((share, c) => [share, c]).sort((a, b) => b[0] - a[0]);
      const top = sorted.filter(([, c], place) => place < 3 || c === row.true);
      const asked = row.votes ? row.votes.reduce((sum, votes) => sum + votes, 0) : 0;
      const bar = (kind, value, words) => {
        const made = element("dd", { class: kind }, words);
        made.style.setProperty("--share", value / 100);
        return made;
      };
      this.bars.replaceChildren(...top.flatMap(([share, c]) => {
        const side = asked && (100 * row.votes[c]) / asked;
        return [element("dt", {}, this.page.data.classes[c]), bar("network", share, `network ${percent(share)}`),
          ...(asked ? [bar("people", side, `${percent(side)} of people`)] : [])];
      }));
    }

    /* The training images that are nearest in the network's features. */
    neighbours(row) {
      const { pixels, data } = this.page;
      this.near.hidden = !row.near || !pixels?.near;
      if (this.near.hidden) return;
      const { element } = window.explorer;
      const [x, y] = [this.current % data.columns, Math.floor(this.current / data.columns)];
      const side = 32 * row.near.length;
      this.near.replaceChildren(element("p", {}, "Nearest training images in the network's features:"),
        ...row.near.map((label, place) => {
          const canvas = element("canvas", { width: 32, height: 32, role: "img", "aria-label": `training image: ${data.classes[label]}` });
          canvas.getContext("2d").putImageData(new ImageData(pixels.near(side * x + 32 * place, 32 * y, 32, 32), 32, 32), 0, 0);
          return element("figure", {}, canvas, element("figcaption", {}, data.classes[label]));
        }));
    }

    draw() {
      const { pixels, state, data } = this.page;
      if (!pixels || this.current === undefined) return;
      const [x, y] = [this.current % data.columns, Math.floor(this.current / data.columns)];
      const image = pixels.image(32 * x, 32 * y, 32, 32);
      const layers = { predicted: this.map(x, y, 0), other: this.map(x, y, data.half), margin: this.margin() };
      for (const [view, canvas] of Object.entries(this.canvases)) {
        // Without colours over it the image keeps its own.
        const drawn = layers[view] && state.opacity ? window.explorer.overlay(image, ...layers[view], state.opacity / 100) : image;
        canvas.getContext("2d").putImageData(new ImageData(drawn, 32, 32), 0, 0);
      }
      this.name();
      for (const name of ["layer", "opacity"]) {
        this.box.querySelector(`input[name="${name}"]`).value = state[name];
        this.page.tell(name);
      }
    }

    /* The signed map of the current case: functions of a pixel of 32 x 32 to its weight and its colour. */
    margin() {
      const { AGAINST, FOR } = window.explorer;
      const { cells } = this.page.data.cases[this.current];
      const side = Math.round(Math.sqrt(cells.length));
      const reach = Math.max(...cells.map(Math.abs)) || 1;
      const cell = (pixel) => cells[place(pixel, side)];
      return [(pixel) => Math.abs(cell(pixel)) / reach, (pixel) => (cell(pixel) > 0 ? FOR : AGAINST)];
    }

    /* The same of a heat map; the case's tile is the one in column x and line y, the map `offset` pixels into it. */
    map(x, y, offset) {
      const { half, places } = this.page.data;
      const [top, left, side] = places[`layer${this.page.state.layer}`];
      const map = this.page.pixels.maps(2 * half * x + offset + left, 32 * y + top, side, side);
      const value = (pixel) => map[4 * place(pixel, side)] / 255;
      return [value, (pixel) => window.explorer.plasma(value(pixel))];
    }

    /* Say what is drawn: below each picture, and to those who cannot see it. */
    name() {
      const { data, state } = this.page;
      const row = data.cases[this.current];
      const [predicted, other] = [data.classes[row.predicted], data.classes[row.other]];
      const captions = {
        image: `image ${row.index}`,
        predicted: `layer${state.layer}: for ${predicted}`,
        other: `layer${state.layer}: for ${other}`,
        margin: `layer4: ${predicted} minus ${other}`,
      };
      const shared = state.layer === 4; // earlier maps have each a scale of their own
      const names = {
        image: `Image ${row.index}`,
        predicted: `${data.method} of layer${state.layer} for ${predicted}, from violet to yellow, ${shared ? "on one scale for both classes" : "on its own scale"}`,
        other: `${data.method} of layer${state.layer} for ${other}, ${shared ? "on the same scale" : "on its own scale"}`,
        margin: `what each cell of layer4 adds to ${predicted} minus ${other}, in all ${row.margin.toFixed(2)}: `
          + `orange speaks for ${predicted}, blue for ${other}`,
      };
      for (const [view, canvas] of Object.entries(this.canvases)) {
        this.captions[view].textContent = captions[view];
        canvas.setAttribute("aria-label", names[view]);
        canvas.title = names[view];
      }
    }
  }

  Object.assign((window.explorer ??= {}), { Case });
})();
