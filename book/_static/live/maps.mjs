/* Heat maps: scaled, laid over the picture, read off cell by cell, and ranked. */
import { SIDE } from "./picture.mjs";

const { AGAINST, FOR, overlay, plasma } = window.explorer;

/* Cells per side of a layer's map. */
export const SIDES = { 1: 32, 2: 16, 3: 8, 4: 4 };

/* Which cell of a map with `side` x `side` cells a pixel of 32 x 32 lies in. */
export function cellOf(pixel, side) {
  return Math.floor((Math.floor(pixel / SIDE) * side) / SIDE) * side + Math.floor(((pixel % SIDE) * side) / SIDE);
}

/* What is shown for a pair of signed maps: `values` per cell with the number 1 on the scale, `reach`.
   view "for" or "against": the positive evidence for one class, on one scale for both; "margin": their difference. */
export function chosen(pair, view) {
  const [one, other] = pair;
  if (view === "margin") {
    const values = one.map((value, cell) => value - other[cell]);
    return { values, reach: Math.max(...values.map(Math.abs)) || 1, signed: true };
  }
  return { values: view === "for" ? one : other, reach: Math.max(0, ...one, ...other) || 1, signed: false };
}

/* The picture with the map over it, RGBA bytes. */
export function drawn(image, { values, reach, signed }, opacity) {
  const side = Math.sqrt(values.length);
  const value = (pixel) => values[cellOf(pixel, side)] / reach;
  if (signed) return overlay(image, (pixel) => Math.abs(value(pixel)), (pixel) => (value(pixel) > 0 ? FOR : AGAINST), opacity);
  return overlay(image, (pixel) => Math.max(0, value(pixel)), (pixel) => plasma(value(pixel)), opacity);
}

/* The cells in order, the hottest first. */
export function ranked(values) {
  return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
}

/* The pixels of some cells, as bits of 32 x 32. */
export function pixelsOf(cells, side) {
  const wanted = new Set(cells);
  return Uint8Array.from({ length: SIDE * SIDE }, (_, pixel) => (wanted.has(cellOf(pixel, side)) ? 1 : 0));
}

/* `count` of the cells at random. */
export function anyOf(cells, count) {
  const left = [...cells];
  return Array.from({ length: count }, () => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
}

export function signed(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) ? `−${text}` : `+${text}`;
}

/* A canvas on which 32 x 32 pixels are shown large, with lines or numbers over them. */
export class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.scale = 12;
    canvas.width = canvas.height = SIDE * this.scale;
    this.context = canvas.getContext("2d");
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = SIDE;
  }

  show(image) {
    this.small.getContext("2d").putImageData(new ImageData(image, SIDE, SIDE), 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(this.small, 0, 0, this.canvas.width, this.canvas.height);
  }

  /* Numbers in the cells of a small map. */
  numbers(values) {
    const side = Math.sqrt(values.length);
    const step = this.canvas.width / side;
    Object.assign(this.context, { font: "600 22px system-ui, sans-serif", textAlign: "center", textBaseline: "middle",
      lineWidth: 5, strokeStyle: "#000", fillStyle: "#fff", lineJoin: "round" });
    values.forEach((value, cell) => {
      const place = [((cell % side) + 0.5) * step, (Math.floor(cell / side) + 0.5) * step];
      this.context.strokeText(signed(value), ...place);
      this.context.fillText(signed(value), ...place);
    });
  }

  /* A frame around a square or a circle, in pixels of 32. */
  frame(x, y, size, round) {
    const at = (value) => value * this.scale;
    for (const [width, colour] of [[4, "#000"], [2, "#fff"]]) {
      Object.assign(this.context, { lineWidth: width, strokeStyle: colour });
      this.context.beginPath();
      if (round) this.context.arc(at(x), at(y), at(size / 2), 0, 2 * Math.PI);
      else this.context.rect(at(x) + 2, at(y) + 2, at(size) - 4, at(size) - 4);
      this.context.stroke();
    }
  }

  /* Where on it a pointer is, in pixels of 32. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }
}
