/* Asks the network about the picture as it is now, the latest state only, and shows the answer; maps of layer1 to layer3,
   which take longer, follow when the hand rests. The page is built on this. */
import { marginOf, percent, softmax } from "./answers.mjs";
import { covered } from "./brush.mjs";
import { anyOf, chosen, pixelsOf, ranked } from "./maps.mjs";
import { nudged, PLAIN, planes } from "./picture.mjs";
import { writeState } from "./state.mjs";

const { element } = window.explorer;
const REST = 150; // milliseconds without a change before maps are asked for and the answer is read out
const WORDS = { hottest: "the hottest hidden", coldest: "the coldest hidden", random: "cells at random hidden" };

export class Asking {
  turn = 0; // counts the changes, so that an answer to an earlier state is known as such
  doing = new Set(); // what is under way: "showing" an answer, "hiding" cells

  /* Begin or end something; the section tells whether anything is under way. */
  mark(what, begins) {
    if (begins) this.doing.add(what);
    else this.doing.delete(what);
    this.section.dataset.busy = String(this.doing.size > 0);
  }

  /* The picture with all that was done to it; without what is hidden if `bare`. */
  image(bare = false) {
    const image = nudged(this.picture.base, this.state);
    return bare ? image : covered(image, this.mask, this.state.fill, this.data.mean);
  }

  get untouched() {
    return !this.mask.count && Object.entries(PLAIN).every(([name, value]) => this.state[name] === value);
  }

  /* Whether there is an answer: without the network only the prepared one, for its picture as it is. */
  get answerable() {
    return this.loaded || (this.untouched && this.picture.row === this.data.cases[this.data.example.at]);
  }

  /* Something changed; `seen` says whether it is something that the network sees. */
  async refresh(seen = true) {
    this.turn += 1;
    clearTimeout(this.resting);
    this.mark("showing", true);
    if (seen) this.maps = null;
    this.paint.show();
    this.paint.draw(this.image());
    this.stale = true;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.stale) {
        this.stale = false;
        await this.answer();
      }
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.asking = false;
    }
    this.resting = setTimeout(() => this.rest(this.turn), REST);
  }

  async answer() {
    const { picture, source } = this;
    const image = this.image();
    if (!this.answerable) {
      this.answered = null;
      this.answers.show(null);
      this.heat.show(image, null);
      return;
    }
    if (!picture.pair) picture.pair = this.compared(await source.answer(planes(picture.base)), picture.row);
    const begun = performance.now();
    const answered = await source.answer(planes(image));
    const took = performance.now() - begun;
    if (picture !== this.picture) return;
    this.answered = answered;
    this.answers.show(answered, this.pair, this.loaded ? `Computed in ${Math.round(took)} ms on your machine.` : "Computed beforehand.");
    this.heat.show(image, this.cells(answered));
  }

  /* The answer, and what it is set against: the label, or where that is the answer the runner-up. */
  compared({ logits }, row) {
    const order = ranked(Array.from(logits));
    return [order[0], row && row.t !== order[0] ? row.t : order[1]];
  }

  /* The pair's signed maps at the chosen layer as far as they are there: those of layer4 come with the answer. */
  cells({ cells }) {
    const { layer } = this.state;
    if (layer === 4) return this.pair.map((at) => Array.from(cells.subarray(16 * at, 16 * at + 16)));
    return this.maps?.pair === `${this.pair}` ? this.maps[`layer${layer}`] : null;
  }

  /* The pair's signed maps of layer1 to layer3, of any image. */
  async evidence(image) {
    const { pair } = this;
    const directions = pair.map((at) => this.data.classes.map((_, one) => Number(one === at)));
    return { ...await this.source.maps(planes(image), directions), pair: `${pair}` };
  }

  /* The hand rests: the maps that take longer, the address, and the answer in words. */
  async rest(turn) {
    const image = this.image();
    try {
      if (this.answered && !this.cells(this.answered)) {
        const maps = await this.evidence(image);
        if (turn !== this.turn) return;
        this.maps = maps;
        this.heat.show(image, this.cells(this.answered));
      }
      if (this.failed || this.keptTurn === turn) { /* the sentence stays to be read until the reader goes on */ }
      else if (this.answered) this.tell(this.answered);
      else this.say("Load the network to see its answer to this.");
    } catch (error) {
      if (turn !== this.turn) return;
      this.say(error.message, true);
    }
    this.remember();
    this.mark("showing", false);
  }

  tell({ logits }) {
    const shares = softmax(logits);
    const [first, second] = ranked(shares);
    const { classes } = this.data;
    const hidden = this.mask.count ? ` with ${this.mask.count} pixels hidden` : "";
    this.say(`The answer${hidden}: ${classes[first]} with ${percent(shares[first])}, then ${classes[second]} with ${percent(shares[second])}.`);
  }

  /* Hide the given sixteenths of the picture: the cells of the shown map that are hottest, coldest, or any. */
  async hideCells(which, sixteenths) {
    if (!this.ready) return;
    this.mark("hiding", true);
    const [bare, { side }] = [this.image(true), this];
    try {
      const before = await this.source.answer(planes(bare));
      if (!this.steps.rows.length) this.note("nothing hidden", before, 0);
      const signed = this.state.layer === 4 ? this.cells(before) : (await this.evidence(bare))[`layer${this.state.layer}`];
      const order = ranked(chosen(signed, this.state.view).values);
      const count = (sixteenths * side * side) / 16;
      const cells = { hottest: order.slice(0, count), coldest: order.slice(-count) }[which] ?? anyOf(order, count);
      this.mask.replace(pixelsOf(cells, side));
      this.refresh();
      const map = { for: this.names[0], against: this.names[1], margin: "the margin" }[this.state.view];
      const words = which === "random" ? WORDS[which] : `${WORDS[which]}, of layer${this.state.layer} for ${map}`;
      this.note(words, await this.source.answer(planes(this.image())));
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.mark("hiding", false);
    }
  }

  /* A line for the table of what was tried. */
  note(what, answered = this.answered, hidden = this.mask.count) {
    if (!answered) return;
    const shares = softmax(answered.logits);
    const first = ranked(shares)[0];
    const margin = marginOf(answered.logits, this.pair);
    this.steps.add(what, hidden, this.data.classes[first], shares[first], this.names.join(" − "), margin);
  }

  /* Keep the state in the address, for pictures that others have too. */
  remember() {
    const { row } = this.picture;
    this.state.hide = this.mask.encode();
    const hash = row ? writeState(this.state) : "#";
    history.replaceState(null, "", hash === "#" ? location.pathname + location.search : hash);
    if (!row) {
      this.links.replaceChildren();
      return;
    }
    const link = (href, words) => element("a", { href }, words);
    const card = (this.section.dataset.cards ?? "").split(" ").includes(`${row.i}`);
    this.links.replaceChildren(link(`${location.pathname}${hash}`, "link to this view"), " · ",
      link(`explorer.html#case=${row.i}`, "this image in the explorer"),
      ...(card ? [" · ", link(`gradcam.html#case-${row.i}`, "its card")] : []));
  }
}
