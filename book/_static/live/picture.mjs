/* Pictures: a reader's file made into what the network can see, as the report's own reader (data/picture.py) does it. */
import { measure } from "./formats.mjs";
import { Fault } from "./network.mjs";

export const SIDE = 32;
const MOST_PIXELS = 80e6; // more would take a gigabyte to decode
const KEPT = 1024; // pixels of the longer side: what a crop is taken from

/* A file as a canvas: turned as its camera was, transparent parts on white. */
export async function decode(file) {
  const name = file.name ? `“${file.name}”` : "The picture";
  const size = measure(new Uint8Array(await file.slice(0, 1 << 22).arrayBuffer()));
  if (!size) throw new Fault(`${name} is no PNG, JPEG, WebP, BMP or GIF picture; save it as one of these.`);
  if (size.width * size.height > MOST_PIXELS) {
    throw new Fault(`${name} has ${size.width} × ${size.height} pixels; make it smaller, 32 × 32 are used.`);
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Fault(`${name} cannot be read, perhaps it is not whole; save it as PNG or JPEG.`);
  }
  return onWhite(bitmap, bitmap.width, bitmap.height);
}

/* Anything that can be drawn as a canvas of at most KEPT pixels a side. */
export function onWhite(source, width, height) {
  const scale = Math.min(1, KEPT / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/* A square of a canvas, {x, y, side} in its pixels, as RGBA bytes of 32 x 32. */
export function reduce(canvas, { x, y, side }) {
  const { data } = canvas.getContext("2d").getImageData(x, y, side, side);
  return lanczos(lanczos(data, side, side, SIDE), side, SIDE, SIDE);
}

/* RGBA rows of `width` pixels made `size` wide and turned over the diagonal, so that two calls do both directions.
   Lanczos of 3 lobes, widened by the scale when pictures get smaller, bytes between the passes: as Pillow does it. */
function lanczos(data, width, height, size) {
  const scale = width / size;
  const wide = Math.max(1, scale);
  const out = new Uint8ClampedArray(size * height * 4);
  for (let place = 0; place < size; place += 1) {
    const centre = (place + 0.5) * scale;
    const from = Math.max(0, Math.floor(centre - 3 * wide + 0.5));
    const to = Math.min(width, Math.floor(centre + 3 * wide + 0.5));
    const weights = Array.from({ length: to - from }, (_, at) => lobe((at + from - centre + 0.5) / wide));
    const sum = weights.reduce((all, one) => all + one, 0);
    for (let row = 0; row < height; row += 1) {
      for (let c = 0; c < 4; c += 1) {
        let value = 0;
        for (let at = 0; at < weights.length; at += 1) value += weights[at] * data[4 * (row * width + from + at) + c];
        out[4 * (place * height + row) + c] = value / sum;
      }
    }
  }
  return out;
}

function lobe(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= 3) return 0;
  const turn = Math.PI * x;
  return (3 * Math.sin(turn) * Math.sin(turn / 3)) / (turn * turn);
}

/* What the network takes: RGBA bytes as floats, one colour after the other. */
export function planes(image) {
  const out = new Float32Array(3 * SIDE * SIDE);
  for (let pixel = 0; pixel < SIDE * SIDE; pixel += 1) {
    for (let c = 0; c < 3; c += 1) out[c * SIDE * SIDE + pixel] = image[4 * pixel + c];
  }
  return out;
}

export const PLAIN = { flip: false, dx: 0, dy: 0, brightness: 100, contrast: 100 };

/* The picture a little otherwise: mirrored, shifted by pixels (edges repeat), brighter, with more contrast (percent). */
export function nudged(image, { flip, dx, dy, brightness, contrast }) {
  const out = new Uint8ClampedArray(image.length);
  const inside = (value) => Math.min(SIDE - 1, Math.max(0, value));
  let grey = 0;
  for (let at = 0; at < image.length; at += 4) {
    grey += 0.299 * image[at] + 0.587 * image[at + 1] + 0.114 * image[at + 2];
  }
  grey *= brightness / 100 / (SIDE * SIDE);
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const [fromX, fromY] = [inside(x - dx), inside(y - dy)];
      const from = 4 * (fromY * SIDE + (flip ? SIDE - 1 - fromX : fromX));
      const to = 4 * (y * SIDE + x);
      for (let c = 0; c < 3; c += 1) {
        const value = (image[from + c] * brightness) / 100;
        out[to + c] = (value * contrast) / 100 + grey * (1 - contrast / 100);
      }
      out[to + 3] = 255;
    }
  }
  return out;
}
