/* The error explorer's colours: a map laid over an image, pixel by pixel. Touches no page. */
(() => {
  "use strict";

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

  Object.assign((window.explorer ??= {}), { AGAINST, FOR, overlay, plasma });
})();
