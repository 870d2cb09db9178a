// "Worst place": the square in which one image loses most against another, or is farthest from the ground truth.

import { choice, element, titleOf } from "./elements.js";
import { cellsOf, decibels, furthest, squares, viewOf } from "./places.js";
import { STEPS, inSlices } from "./planes.js";

const MOST_PLACES = 10; // places, then the first again
const TRUTH = ""; // in place of another image's name

/** The part of the region's form; `go(view)` shows a place. */
export function worstPlace(viewer, go) {
  const model = choice("Image", forget);
  const against = choice("Compared with", forget);
  const show = element("button", "mv-button mv-set", { type: "button", onclick: search });
  const said = element("p", "mv-say", {});
  said.setAttribute("role", "status");
  const node = element("div", "mv-worst", {}, [
    element("h3", "mv-say", { textContent: "Worst place" }),
    element("label", "mv-field", {}, ["of", model]), element("label", "mv-field", {}, ["against", against]),
    said, element("div", "mv-actions", {}, [show]),
  ]);
  let places = [];
  let next = 0;
  let of = ""; // what the places are of

  const paneOf = (name) => viewer.differences.results().find((pane) => pane.data.name === name);

  function forget() {
    [places, next, of, said.textContent, show.textContent] = [[], 0, "", "", "Show worst place"];
  }

  /** The images to choose from. */
  function fill() {
    const results = viewer.differences.results();
    node.hidden = !viewer.differences.truth() || !results.length;
    if (node.hidden) return;
    const names = results.map((pane) => [pane.data.name, titleOf(pane)]);
    const [first, second] = viewer.pair().map((pane) => pane.data.name);
    const now = [model, against].map((select) => select.value);
    const kept = paneOf(now[0]) && (now[1] === TRUTH || paneOf(now[1]));
    model.fill(names, kept ? now[0] : paneOf(second) ? second : names[0][0]);
    against.fill([[TRUTH, "Ground truth"], ...names], kept ? now[1] : paneOf(second) && paneOf(first) ? first : TRUTH);
    if (of !== stateOf()) forget();
  }

  /** Names and images that are compared: others have other places. */
  const stateOf = () => [model.value, against.value, viewer.addressIn(viewer.differences.truth(), "image")].join(" ");

  async function search() {
    if (of !== stateOf()) {
      forget();
      show.disabled = true;
      show.textContent = "Computing…";
      const asked = stateOf();
      const found = await find(paneOf(model.value), paneOf(against.value));
      show.disabled = false;
      if (!viewer.differences.truth() || asked !== stateOf()) return forget(); // other images meanwhile
      [places, of] = [found, asked];
    }
    const other = against.value ? titleOf(paneOf(against.value)) : "";
    show.textContent = "Show worst place";
    if (!places.length) return void (said.textContent = `It is nowhere farther from the ground truth${other && ` than ${other}`}.`);
    const { region, mse } = places[next];
    const [db, than] = mse.map(decibels);
    const text = other ? `${(than - db).toFixed(2)} dB less than ${other}` : `${db.toFixed(2)} dB`;
    said.textContent = `Place ${next + 1} of ${places.length}: ${text}`;
    next = (next + 1) % places.length;
    if (places.length > 1) show.textContent = `Show place ${next + 1} of ${places.length}`;
    go(viewOf(region, viewer.size), said.textContent);
  }

  async function find(pane, other) {
    const bitmaps = await Promise.all([viewer.differences.truth(), pane, other].map((one) => one && viewer.bitmapLoaded(one)));
    const [truth, ...both] = bitmaps;
    if (both.some((bitmap) => bitmap && (bitmap.width !== truth.width || bitmap.height !== truth.height))) return [];
    const planes = [];
    for (const bitmap of bitmaps) planes.push(bitmap && await inSlices(viewer.differences.luma(bitmap)));
    const { width, height } = truth;
    const [a, b] = planes.slice(1).map((plane) => plane && cellsOf(plane, planes[0], width, height, STEPS));
    return furthest(squares(a.side, a.columns, a.errors, b?.errors ?? new Float64Array(a.errors.length)), -1, MOST_PLACES);
  }

  forget();
  return { node, fill };
}
