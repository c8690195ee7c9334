/* The error explorer: shows, filters and sorts the cases that its page carries. No dependency, no request.

   Its parts (explorer-*.js) share the object window.explorer. They are plain scripts, not modules, for browsers refuse
   modules on pages that are opened from a folder; all of them are there before the page is brought to life. */
(() => {
  "use strict";

  class Page {
    constructor(section) {
      this.section = section;
      this.data = JSON.parse(section.querySelector("script.data").textContent);
      this.sprite = section.querySelector("img.sprite");
      this.list = section.querySelector("ul.tiles");
      const { readState, tellsState } = window.explorer;
      this.state = readState(tellsState(location.hash) ? location.hash : "", this.data);
      this.errors = this.data.cases.filter((row) => row.predicted !== row.true).length;
      this.tiles = [];
      this.shown = [];
    }

    async start() {
      this.section.dataset.ready = "false";
      this.section.querySelector(".missing").remove();
      this.controls();
      this.box = new window.explorer.Case(this);
      const blob = (address) => {
        const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (c) => c.charCodeAt(0));
        return URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
      };
      this.list.style.setProperty("--sprite", `url("${blob(this.sprite.src)}")`);
      this.list.style.setProperty("--columns", this.data.columns);
      this.list.style.setProperty("--lines", Math.ceil(this.data.cases.length / this.data.columns));
      this.build();
      this.scatter = window.explorer.Scatter.on(this, document.getElementById("fig-agreement"));
      this.render();
      window.addEventListener("hashchange", () => this.changed());
      const maps = this.section.querySelector("img.maps");
      const near = this.section.querySelector("img.near"); // none where the training images are not there
      try {
        await Promise.all([this.sprite, maps, near].map((image) => image?.decode()));
      } catch {
        this.count.textContent = "This browser cannot show the images of this page (WebP).";
        return;
      }
      this.pixels = { image: this.reader(this.sprite), maps: this.reader(maps), near: near && this.reader(near) };
      this.arrive();
      this.box.follow();
      this.section.dataset.ready = "true";
    }

    /* Bring what the address tells into the window: the open case, else the images that its filters show. */
    arrive() {
      if (!location.hash.includes("=")) return;
      const at = this.data.cases.findIndex((row) => String(row.index) === this.state.case);
      const place = this.shown.includes(at) ? this.tiles[at] : this.count;
      // The address names no element of the page, so no browser scrolls there by itself.
      place.scrollIntoView({ block: this.shown.includes(at) ? "center" : "start" });
    }

    /* Take over the state that the address tells now. */
    changed() {
      const { readState, tellsState } = window.explorer;
      if (!tellsState(location.hash)) return;
      this.state = readState(location.hash, this.data);
      this.fill();
      this.render();
      this.arrive();
      this.box.follow();
    }

    /* A function from a rectangle of an image to its RGBA bytes. */
    reader(image) {
      const canvas = window.explorer.element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      return (x, y, width, height) => context.getImageData(x, y, width, height).data;
    }

    controls() {
      const { choice, element, hasVotes, range, sorts } = window.explorer;
      const classes = [["", "any"], ...this.data.classes.map((name) => [name, name])];
      const people = hasVotes(this.data);
      const kinds = [["errors", "errors"], ...(people ? this.data.kinds.map((kind) => [kind, `errors: ${kind}`]) : []),
        ["right", "right answers"], ["all", "all"]];
      const one = (name, words, values) => choice(name, words, values, (value) => this.change(name, value));
      const percent = (name, words) => range(name, words, [0, 100], (value) => this.change(name, value));
      this.form = element("div", { class: "filters", role: "group", "aria-label": "Filters" },
        one("true", "true class", classes), one("predicted", "predicted class", classes),
        one("kind", "show", kinds),
        one("sort", "order", sorts(this.data).map((name) => [name, name])),
        percent("from", "confidence at least"), percent("to", "confidence at most"),
        ...(people ? [percent("least", "people who chose the label, at least"), percent("people", "people who chose the label, at most")] : []),
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
      if (window.explorer.FILTERS.includes(name)) this.render();
    }

    reset() { this.put(window.explorer.DEFAULTS); }

    /* Set several parts of the state at once. */
    put(values) {
      Object.assign(this.state, values);
      this.fill();
      this.remember();
      this.render();
    }

    /* Write the state into the address, soon: browsers limit how often that may be done. */
    remember() {
      const { writeState } = window.explorer;
      this.box.link.href = writeState(this.state) || "#case=";
      clearTimeout(this.writing);
      this.writing = setTimeout(() => {
        history.replaceState(null, "", writeState(this.state) || location.pathname + location.search);
      }, 200);
    }

    build() {
      const { element } = window.explorer;
      this.tiles = this.data.cases.map((row, at) => {
        const side = this.data.columns;
        const button = element("button", { type: "button", "aria-label": row.name, tabindex: -1,
          onclick: () => this.box.open(at), onkeydown: (event) => this.move(event, at) });
        button.style.setProperty("--x", at % side);
        button.style.setProperty("--y", Math.floor(at / side));
        if (row.predicted === row.true) button.classList.add("right");
        return element("li", {}, button);
      });
    }

    render() {
      this.shown = window.explorer.select(this.state, this.data);
      this.list.replaceChildren(...this.shown.map((at) => this.tiles[at]));
      this.shown.forEach((at, place) => { this.tiles[at].firstChild.tabIndex = place ? -1 : 0; });
      const errors = this.shown.filter((at) => this.data.cases[at].predicted !== this.data.cases[at].true).length;
      this.count.textContent = this.shown.length
        ? `${errors} of ${this.errors} errors, ${this.shown.length - errors} of ${this.data.cases.length - this.errors} right answers`
        : "No case fits these filters.";
      this.scatter?.show();
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
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const section of document.querySelectorAll("section.explorer")) new Page(section).start();
  });
})();
