/* Hidden pixels: which ones, what stands in their place, and the brush that hides them. */
import { SIDE } from "./picture.mjs";

const COUNT = SIDE * SIDE;
const MOST_UNDONE = 100;

/* Which of the 32 x 32 pixels are hidden, with a way back. */
export class Mask {
  constructor() {
    this.bits = new Uint8Array(COUNT);
    this.past = [];
  }

  get count() { return this.bits.reduce((sum, bit) => sum + bit, 0); }

  /* Keep the state that `undo` goes back to; at the start of a stroke. */
  keep() {
    this.past.push(this.bits.slice());
    if (this.past.length > MOST_UNDONE) this.past.shift();
  }

  undo() { this.bits = this.past.pop() ?? this.bits; }

  replace(bits) {
    this.keep();
    this.bits = Uint8Array.from(bits);
  }

  /* Hide (1) or show (0) what a round brush of `size` pixels covers at a place in pixels, fractions allowed. */
  dab(x, y, size, bit) {
    if (size === 1) {
      if (x >= 0 && y >= 0 && x < SIDE && y < SIDE) this.bits[Math.floor(y) * SIDE + Math.floor(x)] = bit;
      return;
    }
    // An even brush sits between pixels, an odd one on a pixel.
    const centre = (value) => (size % 2 ? Math.floor(value) + 0.5 : Math.round(value));
    for (let row = 0; row < SIDE; row += 1) {
      for (let column = 0; column < SIDE; column += 1) {
        const [dx, dy] = [column + 0.5 - centre(x), row + 0.5 - centre(y)];
        if (dx * dx + dy * dy <= (size * size) / 4) this.bits[row * SIDE + column] = bit;
      }
    }
  }

  line([x0, y0], [x1, y1], size, bit) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(x1 - x0, y1 - y0)));
    for (let step = 0; step <= steps; step += 1) {
      this.dab(x0 + ((x1 - x0) * step) / steps, y0 + ((y1 - y0) * step) / steps, size, bit);
    }
  }

  /* 171 letters that an address can hold; empty where nothing is hidden. */
  encode() {
    if (!this.count) return "";
    const bytes = Array.from({ length: COUNT / 8 }, (_, at) => {
      return this.bits.subarray(8 * at, 8 * at + 8).reduce((byte, bit, place) => byte | (bit << place), 0);
    });
    return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }
}

/* The bits that `encode` wrote; null for anything else. */
export function decodeBits(text) {
  let bytes;
  try {
    bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
  if (bytes.length !== COUNT / 8) return null;
  return Uint8Array.from({ length: COUNT }, (_, at) => (bytes.charCodeAt(at >> 3) >> (at & 7)) & 1);
}

/* What a hidden pixel becomes: the mean colour of the training images, the blurred picture, or noise. */
export const FILLS = {
  mean: (image, mean) => paint(image, (pixel, c) => 255 * mean[c]),
  blur: (image) => blurred(image),
  noise: (image) => paint(image, (pixel, c) => noise(4 * pixel + c)),
};

/* The picture with its hidden pixels filled; RGBA bytes in and out. */
export function covered(image, mask, fill, mean) {
  if (!mask.count) return image;
  const other = FILLS[fill](image, mean);
  const out = image.slice();
  mask.bits.forEach((bit, pixel) => { if (bit) out.set(other.subarray(4 * pixel, 4 * pixel + 4), 4 * pixel); });
  return out;
}

function paint(image, value) {
  return image.map((_, at) => (at % 4 === 3 ? 255 : value(at >> 2, at % 4)));
}

/* A number from 0 to 255 for each place, the same one each time (the mixing of MurmurHash3). */
function noise(place) {
  let mixed = Math.imul(place + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 24;
}

/* A Gaussian of 5 pixels with mirrored edges, as in the chapter on faithfulness: colours stay, things go. */
function blurred(image) {
  const [sigma, reach] = [5, 15];
  const weights = Array.from({ length: 2 * reach + 1 }, (_, at) => Math.exp(-((at - reach) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((all, one) => all + one, 0);
  const mirror = (at) => (at < 0 ? -at : at >= SIDE ? 2 * (SIDE - 1) - at : at);
  const along = (values, step, across) => values.map((_, at) => {
    const pixel = at >> 2;
    const place = step === 1 ? pixel % SIDE : Math.floor(pixel / SIDE);
    const start = pixel - place * step;
    return weights.reduce((all, w, shift) => all + w * values[4 * (start + mirror(place + shift - reach) * step) + across(at)], 0) / sum;
  });
  const once = along(Float64Array.from(image), 1, (at) => at % 4);
  return Uint8ClampedArray.from(along(once, SIDE, (at) => at % 4));
}
