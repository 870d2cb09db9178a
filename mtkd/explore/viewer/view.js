// A view: what is looked at, the same in panes of any size. It comes from outside (links, files, Python) and goes there.
//
// zoom: 1 shows the whole image. cx, cy: the centre in 0..1. layer: the picture chosen in every pane. mode: "grid" (all
// panes), "swipe" (two under a divider) or "flicker" (one large pane). focus: the name of the pane that flicker shows,
// else null. pair: the two names of swipe, or null for the usual ones. baseline: the name of the pane that differences
// are to, or null for the usual one. gain: how much differences are magnified. region: the rectangle drawn on the image,
// [top, left, height, width] in its pixels, or null.

import { GAINS } from "./layers.js";

const text = (value) => typeof value === "string";
const MODES = ["grid", "swipe", "flicker"];
const KINDS = {
  zoom: Number.isFinite,
  cx: Number.isFinite,
  cy: Number.isFinite,
  layer: text,
  mode: (value) => MODES.includes(value),
  focus: (value) => value === null || text(value),
  pair: (value) => value === null || (Array.isArray(value) && value.length === 2 && value.every(text)),
  baseline: (value) => value === null || text(value),
  gain: (value) => GAINS.includes(value),
  region: (value) => value === null || (Array.isArray(value) && value.length === 4 && value.every(Number.isInteger)),
};

export const startView = () => ({
  zoom: 1, cx: 0.5, cy: 0.5, layer: "image", mode: "grid", focus: null, pair: null, baseline: null,
  gain: 1, region: null,
});

/** A view with the known fields of another one that came from outside; those of the wrong type are left out.
 *
 * A view of before there were modes has only `focus`. Without names (no panes yet) names are taken as they are. */
export function mergeView(view, given, names) {
  const known = Object.fromEntries(Object.entries(given ?? {}).filter(([key, value]) => KINDS[key]?.(value)));
  const next = { ...view, ...known };
  if ("focus" in known && !("mode" in known)) {
    if (known.focus !== null) next.mode = "flicker";
    else if (view.mode === "flicker") next.mode = "grid";
  }
  if (!names.length) return next;
  const lost = next.focus !== null && !names.includes(next.focus);
  if (lost && next.mode === "flicker") next.mode = "grid";
  if (next.pair && !(new Set(next.pair).size === 2 && next.pair.every((name) => names.includes(name)))) next.pair = null;
  if (next.mode === "swipe" && names.length < 2) next.mode = "grid";
  if (next.mode !== "flicker") next.focus = null;
  return next;
}

export const changedKeys = (a, b) => Object.keys(a).filter((key) => String(a[key]) !== String(b[key]));

/** The two panes that swipe shows when nobody chose: the baseline and the one after it, without a ground truth the first
 * two; results, rather than the ground truth or the LR image. */
export function usualPair(panes, { reference, baseline }) {
  const results = panes.filter(({ data }) => !(data.scale > 1) && data.name !== reference);
  const some = results.length > 1 ? results : panes;
  const first = (reference ? some.find(({ data }) => data.name === baseline) : null) ?? some[0];
  const second = some[(some.indexOf(first) + 1) % some.length];
  return [...new Set([first, second])].filter(Boolean);
}
