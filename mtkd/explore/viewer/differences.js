// Which layers of differences there are for the panes, and their pictures: made in slices when first drawn, kept for
// the last settings.

import { drawLayer, levelAt, nameOf, shares } from "./layers.js";
import { SLICE, finish, planes } from "./planes.js";

const MOST_KEPT = 128e6; // bytes of the pictures of other settings than the present one

/** `bitmapOf(pane)` is a pane's loaded image, or null. */
export function differences(viewer, store, bitmapOf) {
  const numbers = planes();
  const kept = new Map(); // by setting, from a pane's bitmap to its {canvas, whole, region, shares}; the last is the present
  let setting = "";
  const jobs = new Map(); // from a bitmap to the generator that makes its picture in the present setting
  let deadline = 0;
  let waiting = 0;

  const truth = () => viewer.panes.find((pane) => pane.data.name === viewer.options.reference);
  const comparable = (pane) => !(pane.data.scale > 1) && Boolean(viewer.addressIn(pane, "image") || pane.data.pending);
  const results = () => viewer.panes.filter((pane) => comparable(pane) && pane !== truth());

  /** The layers that can be made of the panes. */
  function names() {
    const { reference, baseline } = viewer.options;
    if (!reference && !baseline) return [];
    const known = truth() && results().length ? ["error", "signed error"] : [];
    const two = results().length > 1;
    return [...(known.length && two ? ["closer"] : []), ...known, ...(two ? ["difference"] : [])];
  }

  /** What a layer may be compared with. */
  const baselines = () => (viewer.view.layer === "difference" && truth() ? [...results(), truth()] : results());

  function baseline() {
    const all = baselines();
    const named = (name) => all.find((pane) => pane.data.name === name);
    return named(viewer.view.baseline) ?? named(viewer.options.baseline) ?? all[0];
  }

  /** Whether the layer looked at is one of those made here, for this pane. */
  const makes = (pane) => names().includes(viewer.view.layer) && !viewer.addressIn(pane, viewer.view.layer);

  /** Why a pane has nothing to show in a layer. */
  function missing(pane) {
    if (pane.data.scale > 1) return "Not available for the LR image";
    return pane === truth() ? "This is the ground truth" : `Not available: ${nameOf(viewer.view.layer)}`;
  }

  /** Bitmaps of the pane and of what it is compared with; or the reason why there are none. */
  function sources(pane) {
    const { layer } = viewer.view;
    const needs = { image: pane };
    if (layer !== "difference") needs.truth = truth();
    if (layer === "closer" || layer === "difference") needs.baseline = baseline();
    if (pane.data.scale > 1 || pane === needs.truth) return { note: missing(pane) };
    if (pane === needs.baseline) return { note: "This is the baseline" };
    const bitmaps = {};
    for (const [role, one] of Object.entries(needs)) {
      bitmaps[role] = bitmapOf(one);
      if (!bitmaps[role]) return { note: "", waits: true };
      const { width, height } = bitmaps[role];
      if (width !== bitmaps.image.width || height !== bitmaps.image.height) return { note: "The sizes differ" };
    }
    return { bitmaps };
  }

  const compares = () => ["closer", "difference"].includes(viewer.view.layer);

  /** The pictures of the present layer, gain, theme, ground truth and baseline. */
  function pictures(dark) {
    const { layer, gain } = viewer.view;
    const against = [truth(), compares() && baseline()].map((pane) => pane && numbers.idOf(bitmapOf(pane)));
    const now = [layer, gain, dark, ...against].join(" ");
    if (now !== setting) jobs.clear();
    const made = kept.get(now) ?? new Map();
    kept.delete(now);
    kept.set(setting = now, made);
    return made;
  }

  /** Forget the settings that were looked at longest ago, where all take too much. */
  function forget() {
    const bytes = (made) => [...made.values()].reduce((sum, { canvas }) => sum + 4 * canvas.width * canvas.height, 0);
    let sum = 0;
    for (const [key, made] of [...kept].reverse()) {
      if (key !== setting && (sum += bytes(made)) > MOST_KEPT) kept.delete(key);
    }
  }

  function* make({ image, truth: right, baseline: other }, made, dark) {
    const { layer, gain } = viewer.view;
    const { width, height } = image;
    const canvas = new OffscreenCanvas(width, height);
    const drawn = { canvas, whole: null };
    const planes = {};
    if (layer === "closer") {
      planes.truth = yield* numbers.luma(right);
      planes.baseline = yield* numbers.distance(other, right);
      planes.image = yield* numbers.distance(image, right);
      drawn.whole = shares(planes, width, height, [0, 0, height, width]);
    } else {
      planes.against = yield* numbers.luma(layer === "difference" ? other : right);
      planes.image = yield* numbers.luma(image);
    }
    const bytes = yield* drawLayer(layer, planes, width, height, gain, dark);
    canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
    made.set(image, drawn);
  }

  /** Work on what is asked for until the slice of time ends; true where a picture is ready. */
  function work() {
    let ready = false;
    for (const [bitmap, job] of jobs) {
      while (!job.next().done) if (performance.now() > deadline) return ready;
      jobs.delete(bitmap);
      ready = true;
      forget();
    }
    return ready;
  }

  /** Go on after whatever the page has to do meanwhile. */
  function workLater() {
    waiting ||= setTimeout(() => {
      waiting = 0;
      deadline = performance.now() + SLICE;
      if (work()) viewer.requestDraw();
      if (jobs.size) workLater();
    });
  }

  /** A pane's picture in the layer looked at: {picture}, {note} where there is none, {waits} where it comes later. */
  function picture(pane, dark, patient = false) {
    const { bitmaps, ...none } = sources(pane);
    if (!bitmaps) return none;
    const made = pictures(dark);
    const { image } = bitmaps;
    if (!made.has(image)) {
      if (!jobs.has(image)) jobs.set(image, make(bitmaps, made, dark));
      if (patient) {
        finish(jobs.get(image));
        jobs.delete(image);
      } else if (performance.now() < deadline) work();
      if (jobs.size) workLater();
    }
    return made.has(image) ? { picture: made.get(image).canvas } : { note: "Computing…", waits: true };
  }

  /** For what share of the pixels, of the region where there is one, a pane is closer than the baseline. */
  function caption(pane) {
    if (viewer.view.layer !== "closer" || !makes(pane) || pane === baseline()) return "";
    const { bitmaps } = sources(pane);
    const drawn = kept.get(setting)?.get(bitmaps?.image);
    if (!drawn?.whole) return ""; // of the layer before, until this one is drawn
    const { region } = viewer.view;
    if (region && String(drawn.region) !== String(region)) {
      const { image, truth: right, baseline: other } = bitmaps;
      const both = { image: finish(numbers.distance(image, right)), baseline: finish(numbers.distance(other, right)) };
      Object.assign(drawn, { region, shares: shares(both, image.width, image.height, region) });
    }
    const [near, far] = (region ? drawn.shares : drawn.whole).map((share) => `${Math.round(100 * share)} %`);
    return `Closer on ${near} of ${region ? "the region" : "pixels"}, farther on ${far}`;
  }

  /** The layer's value at an image point, as text. */
  function valueAt(pane, u, v) {
    const { bitmaps } = sources(pane);
    if (!bitmaps) return "";
    const at = Object.fromEntries(Object.entries(bitmaps).map(([role, one]) => [role, store.pixel(one, u, v)]));
    const level = levelAt(viewer.view.layer, at);
    const sign = viewer.view.layer !== "error" && level > 0 ? "+" : "";
    return `${sign}${level.toFixed(1)}`.replace("-", "−");
  }

  return {
    names, truth, results, baselines, baseline, makes, missing, picture, caption, valueAt,
    luma: numbers.luma,
    begin: () => { deadline = performance.now() + SLICE; },
    /** Forget what was made of images that are no longer there. */
    keepOnly(bitmaps) {
      numbers.keepOnly(bitmaps);
      for (const made of kept.values()) for (const bitmap of made.keys()) if (!bitmaps.has(bitmap)) made.delete(bitmap);
    },
    stop: () => clearTimeout(waiting),
  };
}
