/* Where a picture comes from: the report's errors and right answers, a file, drop, paste, or the camera. */
import { Fault } from "./network.mjs";
import { decode, onWhite } from "./picture.mjs";

const { choice, element } = window.explorer;

export class Choose {
  /* `page` gets openCase(row), openOwn(canvas) and say(words). */
  constructor(page) {
    this.page = page;
    const { data } = page;
    const kinds = [["errors", "errors"], ["right", "right answers"], ["all", "all"]];
    const classes = [["", "any"], ...data.classes.map((name) => [name, name])];
    this.kind = choice("live-kind", "show", kinds, () => this.fill());
    this.true = choice("live-true", "true class", classes, () => this.fill());
    this.strip = element("ul", { class: "strip", "aria-label": "Test images" });
    this.file = element("input", { type: "file", accept: "image/*", "aria-label": "a picture file",
      onchange: () => this.read(this.file.files[0]) });
    this.camera = element("button", { type: "button", onclick: () => this.film() }, "camera");
    this.camera.hidden = !navigator.mediaDevices?.getUserMedia;
    this.video = element("div", { class: "camera", hidden: true });
    const own = element("div", { class: "sources" },
      element("label", { class: "file" }, "your own picture ", this.file), this.camera,
      element("span", { class: "hint" }, "or drop or paste one anywhere on this page"));
    this.box = element("div", { class: "choose" },
      element("div", { class: "filters" }, this.kind, this.true), this.strip, own, this.video);
    document.addEventListener("paste", (event) => this.take(event.clipboardData, event));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      if (this.take(event.dataTransfer, event)) return;
      event.preventDefault(); // or the browser would leave for the link that was dropped
      this.page.say("That was no file; save the picture, then drop the file here.", true);
    });
    this.tiles = data.cases.map((row, at) => this.tile(row, at));
    this.fill();
  }

  tile(row, at) {
    const { classes, columns } = this.page.data;
    const words = row.p === row.t ? `${classes[row.p]}, rightly` : `${classes[row.p]}, labelled ${classes[row.t]}`;
    const button = element("button", { type: "button", "aria-label": `number ${row.i}: ${words}`, title: `# ${row.i}: ${words}`,
      onclick: () => this.page.openCase(row), onkeydown: (event) => this.walk(event, at) });
    button.style.setProperty("--x", at % columns);
    button.style.setProperty("--y", Math.floor(at / columns));
    button.classList.toggle("right", row.p === row.t);
    return element("li", {}, button);
  }

  fill() {
    const [kind, name] = [this.kind, this.true].map((label) => label.querySelector("select").value);
    const { cases, classes } = this.page.data;
    this.shown = cases.map((_, at) => at).filter((at) => {
      const [row, right] = [cases[at], cases[at].p === cases[at].t];
      return (kind === "all" || right === (kind === "right")) && (!name || classes[row.t] === name);
    });
    if (!this.shown.length) this.strip.replaceChildren(element("li", { class: "none" }, "There is none."));
    else this.strip.replaceChildren(...this.shown.map((at) => this.tiles[at]));
    this.mark();
  }

  /* Mark the picture that is open; it, or else the first, is the one in the order of the tab key. */
  mark() {
    const current = this.shown.find((at) => this.page.picture?.row === this.page.data.cases[at]);
    for (const at of this.shown) {
      const button = this.tiles[at].firstChild;
      button.tabIndex = at === (current ?? this.shown[0]) ? 0 : -1;
      if (at === current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    if (current === undefined) return;
    const tile = this.tiles[current];
    this.strip.scrollLeft = tile.offsetLeft - this.strip.offsetLeft - (this.strip.clientWidth - tile.clientWidth) / 2;
  }

  walk(event, at) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const place = this.shown.indexOf(at);
    const lines = 2; // the strip runs downwards first
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, ArrowRight: place + lines, ArrowLeft: place - lines,
      Home: 0, End: this.shown.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    if (next < 0 || next >= this.shown.length) return;
    for (const one of this.shown) this.tiles[one].firstChild.tabIndex = -1;
    const button = this.tiles[this.shown[next]].firstChild;
    button.tabIndex = 0;
    button.focus();
  }

  /* A file that was dropped or pasted; false where there is none. */
  take(items, event) {
    const file = [...(items?.files ?? [])][0];
    if (!file) return false;
    event.preventDefault();
    this.read(file);
    return true;
  }

  async read(file) {
    if (!file) return;
    try {
      this.page.openOwn(await decode(file));
    } catch (error) {
      this.page.say(error instanceof Fault ? error.message : `The picture cannot be shown (${error.message}).`, true);
    }
  }

  async film() {
    let stream;
    this.camera.disabled = true; // one at a time
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      this.camera.disabled = false;
      this.page.say("The camera was not allowed, or there is none; choose a file instead.", true);
      return;
    }
    const video = element("video", { autoplay: true, playsinline: true, muted: true, "aria-label": "the camera" });
    const stop = () => {
      stream.getTracks().forEach((track) => track.stop());
      this.video.hidden = true;
      this.camera.disabled = false;
      this.camera.focus();
    };
    const button = (words, act) => element("button", { type: "button", onclick: act }, words);
    const shoot = button("take the picture", () => {
      this.page.openOwn(onWhite(video, video.videoWidth, video.videoHeight));
      stop();
    });
    shoot.disabled = true; // until there is something to take
    video.addEventListener("loadeddata", () => {
      shoot.disabled = false;
      shoot.focus();
    });
    video.srcObject = stream;
    this.video.replaceChildren(video, shoot, button("cancel", stop));
    this.video.hidden = false;
  }
}
