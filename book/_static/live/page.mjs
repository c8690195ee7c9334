/* "Try it": the page, which holds the parts together: the picture that is open, the state, and the network once loaded. */
import { Answers, Steps } from "./answers.mjs";
import { Asking } from "./asking.mjs";
import { decodeBits, Mask } from "./brush.mjs";
import { Choose } from "./choose.mjs";
import { Crop } from "./crop.mjs";
import { Heat } from "./heat.mjs";
import { SIDES } from "./maps.mjs";
import { load, Prepared } from "./network.mjs";
import { Paint } from "./paint.mjs";
import { reduce, SIDE } from "./picture.mjs";
import { DEFAULTS, readState } from "./state.mjs";

const { element } = window.explorer;

export class Page extends Asking {
  constructor(section, base) {
    super();
    Object.assign(this, { section, base, mask: new Mask(), loaded: false });
    this.data = JSON.parse(section.querySelector("script.data").textContent);
    this.source = new Prepared(this.data.example);
  }

  async start() {
    await this.sprite();
    this.status = element("p", { class: "status", role: "status" });
    this.button = element("button", { type: "button", class: "load", onclick: () => this.load() },
      `Load the network (${this.data.size})`);
    this.progress = element("progress", { hidden: true, "aria-label": "loading" });
    this.answers = new Answers(this.data.classes, (kind, name) => this.change(kind, name));
    this.steps = new Steps(() => this.note("added by hand"));
    this.paint = new Paint(this);
    this.heat = new Heat(this);
    this.crop = new Crop((picture, square) => this.cropped(picture, square));
    this.choose = new Choose(this);
    this.title = element("h3", { class: "title" });
    this.links = element("p", { class: "links" });
    this.promise = element("span", {}, "Shown is a stored answer. Load the network to change the picture or to choose another.");
    const start = element("p", { class: "start" }, this.button, this.progress, this.promise);
    this.section.querySelector(".prepared").hidden = true;
    this.section.append(start, this.status, this.choose.box, this.crop.box, this.title,
      element("div", { class: "views" }, this.paint.box, this.heat.box, this.answers.box), this.paint.tools, this.steps.box, this.links);
    window.addEventListener("hashchange", () => this.follow(readState(location.hash, this.data)));
    this.follow(readState(location.hash, this.data) ?? { ...DEFAULTS });
  }

  /* The pictures of the test set: one image that holds all of them, lossless. */
  async sprite() {
    const image = this.section.querySelector("img.sprite");
    await image.decode();
    const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    this.pixels = (at) => context.getImageData(SIDE * (at % this.data.columns), SIDE * Math.floor(at / this.data.columns), SIDE, SIDE).data;
    // Hundreds of tiles share it: a short address, for an image that is written out in the page too.
    const whole = await new Promise((resolve) => canvas.toBlob(resolve));
    this.section.style.setProperty("--sprite", `url("${URL.createObjectURL(whole)}")`);
    this.section.style.setProperty("--columns", this.data.columns);
    this.section.style.setProperty("--lines", Math.ceil(this.data.cases.length / this.data.columns));
  }

  async load() {
    this.failed = false;
    this.button.disabled = true;
    this.progress.hidden = false;
    const begun = performance.now();
    const millions = (bytes) => (bytes / 1e6).toFixed(1);
    try {
      this.source = await load(this.base, { mean: this.data.mean, std: this.data.std }, (done, total) => {
        if (total) Object.assign(this.progress, { max: total, value: done });
        this.button.textContent = `${millions(done)}${total ? ` of ${millions(total)}` : ""} MB`;
      });
    } catch (error) {
      this.button.disabled = false;
      this.button.textContent = "Load the network again";
      this.failed = true;
      this.say(error.message, true);
      return;
    } finally {
      this.progress.hidden = true;
    }
    this.loaded = true;
    this.button.hidden = true;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    this.promise.textContent = `The network runs on your machine. It was loaded in ${seconds} s.`;
    this.section.dataset.network = "loaded";
    this.say("The network is here: change the picture and see.");
    this.refresh();
  }

  /* Whether the picture can be changed: the prepared answer holds for one picture as it is. */
  get ready() {
    if (!this.loaded) this.say("Load the network first: without it only the prepared picture has an answer.", false, true);
    return this.loaded;
  }

  get side() { return SIDES[this.state.layer]; }

  /* The names of the two classes that are compared. */
  get names() { return this.pair?.map((at) => this.data.classes[at]); }

  get pair() {
    const at = (name, automatic) => (name ? this.data.classes.indexOf(name) : automatic);
    return this.picture?.pair && [at(this.state.for, this.picture.pair[0]), at(this.state.against, this.picture.pair[1])];
  }

  /* Tell the reader something; a fault, or what is to be `kept`, stays until the next change. */
  say(words, fault = false, kept = fault) {
    this.status.textContent = words;
    this.status.classList.toggle("fault", fault);
    this.keptTurn = kept ? this.turn : null;
  }

  /* Take over what an address tells. */
  follow(state) {
    if (!state) return;
    const row = this.data.cases.find((one) => String(one.i) === state.case) ?? this.data.cases[this.data.example.at];
    this.open({ row, base: this.pixels(this.data.cases.indexOf(row)) }, state);
  }

  openCase(row) { this.follow({ ...DEFAULTS, case: String(row.i), view: this.state.view, layer: this.state.layer }); }

  openOwn(canvas) { this.crop.open(canvas); }

  cropped(canvas, square) {
    const picture = { own: canvas, base: reduce(canvas, square) };
    if (this.picture?.own === canvas) {
      Object.assign(picture, { pair: undefined });
      this.picture = picture;
      this.refresh();
    } else this.open(picture, { ...DEFAULTS, view: this.state.view, layer: this.state.layer });
  }

  open(picture, state) {
    this.picture = picture;
    this.state = state;
    this.mask = new Mask();
    const bits = decodeBits(state.hide);
    if (bits) this.mask.bits = bits;
    if (!picture.own) this.crop.open(null);
    this.steps.clear();
    this.failed = false;
    this.say("");
    const { classes } = this.data;
    const { row } = picture;
    this.title.textContent = !row ? "Your picture"
      : `# ${row.i}: ${row.p === row.t ? `${classes[row.t]}, answered rightly` : `labelled ${classes[row.t]}, taken for ${classes[row.p]}`}`;
    this.choose.mark();
    this.heat.show(this.image(), null);
    this.refresh();
  }

  change(name, value) {
    const seen = !["view", "layer", "for", "against"].includes(name);
    if (seen && !this.ready) { this.paint.show(); return; }
    Object.assign(this.state, name === "nudge" ? value : { [name]: value });
    this.refresh(seen);
  }
}
