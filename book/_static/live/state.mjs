/* What the address tells: the picture, what is asked, and what was done to it. Touches no page. */
import { decodeBits, FILLS } from "./brush.mjs";
import { PLAIN } from "./picture.mjs";

export const DEFAULTS = { case: "", for: "", against: "", view: "for", layer: 4, fill: "mean", hide: "", ...PLAIN };
export const LIMITS = { layer: [1, 4], dx: [-8, 8], dy: [-8, 8], brightness: [50, 150], contrast: [50, 150] };
export const VIEWS = ["for", "against", "margin"];

/* The state of an address, defaults where it tells nothing or nonsense; null for an anchor of the page. */
export function readState(hash, data) {
  const state = { ...DEFAULTS };
  if (hash.length > 1 && !hash.includes("=")) return null;
  for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (name in LIMITS) {
      const number = Number(value);
      const [low, high] = LIMITS[name];
      if (value !== "" && Number.isFinite(number)) state[name] = Math.min(high, Math.max(low, Math.round(number)));
    } else if (name === "for" || name === "against") {
      if (data.classes.includes(value)) state[name] = value;
    } else if (name === "case") {
      if (data.cases.some((row) => String(row.i) === value)) state.case = value;
    } else if (name === "view") {
      if (VIEWS.includes(value)) state.view = value;
    } else if (name === "fill") {
      if (Object.hasOwn(FILLS, value)) state.fill = value;
    } else if (name === "flip") {
      state.flip = value === "true";
    } else if (name === "hide") {
      if (decodeBits(value)) state.hide = value;
    }
  }
  return state;
}

/* The address of a state: what is not the default, in a fixed order. */
export function writeState(state) {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (state[name] !== value) told.set(name, state[name]);
  }
  return `#${told}`;
}
