/* The error explorer: shows, filters and sorts the cases that its page carries. No dependency, no request.

   The first part (state, filters, order, colours) touches no page. */
(() => {
  "use strict";

  const SORTS = {
    "surest first": (a, b) => confidence(b) - confidence(a),
    "least sure first": (a, b) => confidence(a) - confidence(b),
    "people disagree most": (a, b) => agreement(a) - agreement(b),
    "largest margin": (a, b) => b.m - a.m,
    "number": (a, b) => a.i - b.i,
  };
  const DEFAULTS = {
    true: "", predicted: "", kind: "errors", from: 0, to: 100, people: 100, sort: "surest first",
    case: "", view: "predicted", layer: 4, opacity: 75,
  };
  const NUMBERS = { from: [0, 100], to: [0, 100], people: [0, 100], layer: [1, 4], opacity: [0, 100] };
  const VIEWS = ["predicted", "other", "margin"];

  /* percent that the network gave its answer */
  function confidence(row) { return row.q[row.p] / 10; }

  /* percent of the people asked who chose the label; 100 where nobody was asked */
  function agreement(row) {
    if (!row.v) return 100;
    return (100 * row.v[row.t]) / row.v.reduce((sum, votes) => sum + votes, 0);
  }

  const FILTERS = ["true", "predicted", "kind", "from", "to", "people", "sort"]; // these change which cases are shown

  /* Whether people were asked about the images. */
  function hasVotes(data) { return data.cases.some((row) => row.v); }

  /* Whether an address tells a state at all; anchors of the page do not. */
  function tellsState(hash) { return hash.length < 2 || hash.includes("="); }

  /* The state that an address tells, defaults where it tells nothing or nonsense. */
  function readState(hash, data) {
    const state = { ...DEFAULTS };
    const votes = hasVotes(data);
    for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (name in NUMBERS) {
        const [low, high] = NUMBERS[name];
        const number = Number(value);
        if (name === "people" && !votes) continue;
        if (value !== "" && Number.isFinite(number)) state[name] = Math.min(high, Math.max(low, Math.round(number)));
      } else if (name === "true" || name === "predicted") {
        if (data.classes.includes(value)) state[name] = value;
      } else if (name === "kind") {
        if (["all", "errors", "right", ...(votes ? data.kinds : [])].includes(value)) state.kind = value;
      } else if (name === "sort") {
        if (sorts(data).includes(value)) state.sort = value;
      } else if (name === "view") {
        if (VIEWS.includes(value)) state.view = value;
      } else if (name === "case") {
        if (data.cases.some((row) => String(row.i) === value)) state.case = value;
      }
    }
    return state;
  }

  /* The address of a state: what is not the default, in a fixed order. */
  function writeState(state) {
    const told = new URLSearchParams();
    for (const [name, value] of Object.entries(DEFAULTS)) {
      if (state[name] !== value) told.set(name, state[name]);
    }
    const words = told.toString();
    return words ? `#${words}` : "";
  }

  /* The orders that the data allow. */
  function sorts(data) { return Object.keys(SORTS).filter((name) => hasVotes(data) || !name.startsWith("people")); }

  function matches(row, state, data) {
    const right = row.p === row.t;
    if (state.kind === "errors" && right) return false;
    if (state.kind === "right" && !right) return false;
    if (data.kinds.includes(state.kind) && (right || data.kinds[row.k] !== state.kind)) return false;
    if (state.true && data.classes[row.t] !== state.true) return false;
    if (state.predicted && data.classes[row.p] !== state.predicted) return false;
    const sure = confidence(row);
    return sure >= state.from && sure <= state.to && agreement(row) <= state.people;
  }

  /* The positions of the cases that a state shows, in its order. */
  function select(state, data) {
    const order = SORTS[state.sort];
    return data.cases
      .map((row, at) => at)
      .filter((at) => matches(data.cases[at], state, data))
      .sort((a, b) => order(data.cases[a], data.cases[b]) || a - b);
  }

  function percent(value) { return `${value.toFixed(value < 10 ? 1 : 0)}\u00a0%`; }

  /* Matplotlib's "plasma" at 9 places, and the ends of the signed scale. */
  const PLASMA = ["0d0887", "4c02a1", "7e03a8", "aa2395", "cc4778", "e66c5c", "f89540", "fdc527", "f0f921"].map(rgb);
  const AGAINST = rgb("0072b2");
  const FOR = rgb("d55e00");

  function rgb(hex) { return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)); }

  /* The colour of a value from 0 to 1. */
  function plasma(value) {
    const place = Math.min(1, Math.max(0, value)) * (PLASMA.length - 1);
    const at = Math.min(PLASMA.length - 2, Math.floor(place));
    return PLASMA[at].map((low, c) => low + (place - at) * (PLASMA[at + 1][c] - low));
  }

  /* Grey image, and on it each pixel's colour as opaque as its weight says. RGBA bytes in and out; 32 x 32. */
  function overlay(image, weight, colour, opacity) {
    const out = new Uint8ClampedArray(image.length);
    for (let at = 0; at < image.length; at += 4) {
      const pixel = at / 4;
      const grey = 0.299 * image[at] + 0.587 * image[at + 1] + 0.114 * image[at + 2];
      const part = opacity * weight(pixel);
      const top = part ? colour(pixel) : [0, 0, 0];
      for (let c = 0; c < 3; c += 1) out[at + c] = (1 - part) * grey + part * top[c];
      out[at + 3] = 255;
    }
    return out;
  }

  /* --- the page --- */

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function options(values, chosen) {
    return values.map(([value, words]) => element("option", { value, selected: value === chosen }, words));
  }

  class Page {
    constructor(section) {
      this.section = section;
      this.data = JSON.parse(section.querySelector("script.data").textContent);
      this.sprite = section.querySelector("img.sprite");
      this.list = section.querySelector("ul.tiles");
      this.state = readState(tellsState(location.hash) ? location.hash : "", this.data);
      this.tiles = [];
      this.shown = [];
    }

    async start() {
      this.section.dataset.ready = "false";
      this.section.querySelector(".missing").remove();
      this.controls();
      this.dialog();
      const blob = (address) => {
        const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (c) => c.charCodeAt(0));
        return URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
      };
      this.list.style.setProperty("--sprite", `url("${blob(this.sprite.src)}")`);
      this.list.style.setProperty("--columns", this.data.columns);
      this.list.style.setProperty("--lines", Math.ceil(this.data.cases.length / this.data.columns));
      this.build();
      this.render();
      window.addEventListener("hashchange", () => {
        if (!tellsState(location.hash)) return;
        this.state = readState(location.hash, this.data);
        this.fill();
        this.render();
        this.follow();
      });
      const maps = this.section.querySelector("img.maps");
      try {
        await Promise.all([this.sprite.decode(), maps.decode()]);
      } catch {
        this.count.textContent = "This browser cannot show the images of this page (WebP).";
        return;
      }
      this.pixels = { image: this.reader(this.sprite), maps: this.reader(maps) };
      this.follow();
      this.section.dataset.ready = "true";
    }

    /* A function from a rectangle of an image to its RGBA bytes. */
    reader(image) {
      const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      return (x, y, width, height) => context.getImageData(x, y, width, height).data;
    }

    controls() {
      const classes = [["", "any"], ...this.data.classes.map((name) => [name, name])];
      const people = hasVotes(this.data);
      const kinds = [["errors", "errors"], ...(people ? this.data.kinds.map((kind) => [kind, `errors: ${kind}`]) : []),
        ["right", "right answers"], ["all", "all"]];
      const choice = (name, words, values) => element("label", {}, words,
        element("select", { name, onchange: (event) => this.change(name, event.target.value) }, ...options(values)));
      const range = (name, words) => element("label", {}, words,
        element("input", { name, type: "range", min: 0, max: 100, step: 1,
          oninput: (event) => this.change(name, Number(event.target.value)) }),
        element("output", { "data-for": name, "aria-live": "off" }));
      this.form = element("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
        choice("true", "true class", classes), choice("predicted", "predicted class", classes),
        choice("kind", "show", kinds),
        choice("sort", "order", sorts(this.data).map((name) => [name, name])),
        range("from", "confidence at least"), range("to", "confidence at most"),
        ...(people ? [range("people", "people who chose the label, at most")] : []),
        element("button", { type: "button", class: "reset", onclick: () => this.reset() }, "show all errors"));
      this.count = element("p", { class: "count", role: "status" });
      this.list.before(this.form, this.count);
      this.fill();
    }

    /* Put the state into the controls. */
    fill() {
      for (const field of this.form.querySelectorAll("select, input")) {
        field.value = this.state[field.name];
        this.tell(field.name);
      }
    }

    tell(name) {
      const words = name === "layer" ? `layer${this.state.layer}` : `${this.state[name]} %`;
      const output = this.section.querySelector(`output[data-for="${name}"]`);
      if (!output) return;
      output.textContent = words;
      this.section.querySelector(`input[name="${name}"]`).setAttribute("aria-valuetext", words);
    }

    change(name, value) {
      this.state[name] = value;
      this.tell(name);
      this.remember();
      if (FILTERS.includes(name)) this.render();
    }

    reset() {
      this.state = { ...DEFAULTS };
      this.fill();
      this.remember();
      this.render();
    }

    /* Write the state into the address, soon: browsers limit how often that may be done. */
    remember() {
      if (this.link) this.link.href = writeState(this.state) || "#case=";
      clearTimeout(this.writing);
      this.writing = setTimeout(() => {
        history.replaceState(null, "", writeState(this.state) || location.pathname + location.search);
      }, 200);
    }

    build() {
      this.tiles = this.data.cases.map((row, at) => {
        const side = this.data.columns;
        const button = element("button", { type: "button", "aria-label": row.n, tabindex: -1,
          onclick: () => this.open(at), onkeydown: (event) => this.move(event, at) });
        button.style.setProperty("--x", at % side);
        button.style.setProperty("--y", Math.floor(at / side));
        if (row.p === row.t) button.classList.add("right");
        return element("li", {}, button);
      });
    }

    render() {
      this.shown = select(this.state, this.data);
      this.list.replaceChildren(...this.shown.map((at) => this.tiles[at]));
      this.shown.forEach((at, place) => { this.tiles[at].firstChild.tabIndex = place ? -1 : 0; });
      const errors = this.shown.filter((at) => this.data.cases[at].p !== this.data.cases[at].t).length;
      this.count.textContent = this.shown.length
        ? `${this.shown.length} of ${this.data.cases.length} cases, ${errors} of them errors`
        : "No case fits these filters.";
    }

    /* Arrow keys walk over the tiles; one of them only is in the order of the tab key. */
    move(event, at) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const across = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
      const place = this.shown.indexOf(at);
      const next = { ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + across, ArrowUp: place - across,
        Home: 0, End: this.shown.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      if (next >= 0 && next < this.shown.length) this.focus(this.shown[next]);
    }

    focus(at) {
      this.shown.forEach((one) => { this.tiles[one].firstChild.tabIndex = one === at ? 0 : -1; });
      this.tiles[at].firstChild.focus();
    }

    dialog() {
      const views = [["predicted", "predicted class"], ["other", "other class"], ["margin", "margin"]];
      const range = (name, words, min, max) => element("label", {}, words,
        element("input", { name, type: "range", min, max, step: 1,
          oninput: (event) => { this.change(name, Number(event.target.value)); this.draw(); } }),
        element("output", { "data-for": name, "aria-live": "off" }));
      this.title = element("h3", { id: "explorer-case", "aria-live": "polite" });
      this.canvas = element("canvas", { width: 32, height: 32, role: "img" });
      this.legend = element("p", { class: "legend" });
      this.words = element("p", { "aria-live": "polite" });
      this.bars = element("dl", { class: "bars" });
      this.link = element("a", {}, "link to this view");
      this.panel = element("div", { class: "maps" },
        element("fieldset", {}, element("legend", {}, "map"), ...views.map(([value, words]) => element("label", {},
          element("input", { type: "radio", name: "view", value,
            onchange: () => { this.change("view", value); this.draw(); } }), element("span", { "data-view": value }, words)))),
        range("layer", "layer", 1, 4), range("opacity", "opacity of the map", 0, 100));
      const step = (by) => () => this.step(by);
      this.box = element("dialog", { class: "case", "aria-labelledby": "explorer-case",
        onclose: () => this.closed(), onkeydown: (event) => this.key(event) },
        element("header", {}, this.title,
          element("button", { type: "button", "aria-label": "previous case", onclick: step(-1) }, "←"),
          element("button", { type: "button", "aria-label": "next case", onclick: step(1) }, "→"),
          element("button", { type: "button", "aria-label": "close", class: "close", onclick: () => this.box.close() }, "×")),
        element("div", { class: "parts" }, element("div", { class: "picture" }, this.canvas, this.legend), this.panel,
          this.bars, this.words, element("p", {}, this.link)));
      this.section.append(this.box);
    }

    open(at) {
      this.current = at;
      this.state.case = String(this.data.cases[at].i);
      this.remember();
      this.describe();
      this.draw();
      if (!this.box.open) this.box.showModal();
    }

    /* Open or close what the address says. */
    follow() {
      const at = this.data.cases.findIndex((row) => String(row.i) === this.state.case);
      if (at >= 0) this.open(at);
      else if (this.box.open) this.box.close();
    }

    closed() {
      const at = this.current;
      this.state.case = "";
      this.remember();
      if (this.shown.includes(at)) this.focus(at);
    }

    step(by) {
      const place = this.shown.indexOf(this.current);
      const count = this.shown.length;
      // From a case that the filters do not show, on to the first or the last that they do.
      const next = this.shown[place < 0 ? (by > 0 ? 0 : count - 1) : (place + by + count) % count];
      if (next !== undefined) this.open(next);
    }

    key(event) {
      if (event.target.matches("input") || event.altKey || event.ctrlKey || event.metaKey) return; // a slider's, the browser's
      if (event.key === "ArrowRight") this.step(1);
      if (event.key === "ArrowLeft") this.step(-1);
    }

    describe() {
      const row = this.data.cases[this.current];
      const { classes } = this.data;
      this.title.textContent = `# ${row.i}: ${classes[row.p]}${row.p === row.t ? ", rightly" : `, labelled ${classes[row.t]}`}`;
      const kind = row.p !== row.t && row.k !== undefined ? ` Kind of error: ${this.data.kinds[row.k]}.` : "";
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
      if (!this.pixels || this.current === undefined) return;
      const row = this.data.cases[this.current];
      const { columns, half, places, classes } = this.data;
      const [x, y] = [this.current % columns, Math.floor(this.current / columns)];
      const image = this.pixels.image(32 * x, 32 * y, 32, 32);
      const layer = `layer${this.state.layer}`;
      let weight;
      let colour;
      if (this.state.view === "margin") {
        const side = Math.round(Math.sqrt(row.c.length));
        const reach = Math.max(...row.c.map(Math.abs)) || 1;
        const cell = (pixel) => row.c[Math.floor(Math.floor(pixel / 32) * side / 32) * side + Math.floor((pixel % 32) * side / 32)];
        weight = (pixel) => Math.abs(cell(pixel)) / reach;
        colour = (pixel) => (cell(pixel) > 0 ? FOR : AGAINST);
      } else {
        const [top, left, side] = places[layer];
        const offset = this.state.view === "other" ? half : 0;
        const map = this.pixels.maps(2 * half * x + offset + left, 32 * y + top, side, side);
        const value = (pixel) =>
          map[4 * (Math.floor((Math.floor(pixel / 32) * side) / 32) * side + Math.floor(((pixel % 32) * side) / 32))] / 255;
        weight = value;
        colour = (pixel) => plasma(value(pixel));
      }
      const drawn = overlay(image, weight, colour, this.state.opacity / 100);
      // Without a map over it the image keeps its colours.
      this.canvas.getContext("2d").putImageData(new ImageData(this.state.opacity ? drawn : image, 32, 32), 0, 0);
      const against = `${classes[row.p]}, blue against it (for ${classes[row.o]})`;
      const [kind, key] = this.state.view === "margin"
        ? [`what each cell of layer4 adds to ${classes[row.p]} minus ${classes[row.o]}, in all ${row.m.toFixed(2)}`,
          `vermillion: speaks for ${against}`]
        : [`${this.data.method} of ${layer} for ${classes[this.state.view === "other" ? row.o : row.p]}`,
          "from violet to yellow: the evidence, on one scale for both classes"];
      this.canvas.setAttribute("aria-label", this.state.opacity ? `Image ${row.i}, over it in colours: ${kind}` : `Image ${row.i}`);
      this.legend.textContent = key;
      for (const radio of this.panel.querySelectorAll('input[type="radio"]')) radio.checked = radio.value === this.state.view;
      for (const name of ["layer", "opacity"]) {
        this.panel.querySelector(`input[name="${name}"]`).value = this.state[name];
        this.tell(name);
      }
      this.panel.querySelector('input[name="layer"]').disabled = this.state.view === "margin";
    }
  }

  const start = () => document.querySelectorAll("section.explorer").forEach((section) => new Page(section).start());
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
