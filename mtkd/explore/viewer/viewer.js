// Many images side by side, always at the same place and the same zoom.
//
// One script for both front ends: Gradio runs it inside gr.HTML's js_on_load, Jupyter loads it through anywidget.
// It needs nothing else and asks the network for nothing but the images it is given.

import { createBar, createChooser, createLegend } from "./bar.js";
import { camera } from "./camera.js";
import { copyImage } from "./copy.js";
import { differences } from "./differences.js";
import { painter } from "./draw.js";
import { createPane, createSwipe, element, fillHeading, fillPane, oneStop, titleOf } from "./elements.js";
import { place } from "./geometry.js";
import { listenToDivider, onKey, stageListener } from "./gestures.js";
import { helpDialog } from "./help.js";
import { addressOf, imageStore } from "./images.js";
import { regionForm } from "./region.js";
import { changedKeys, mergeView, startView, usualPair } from "./view.js";

const REPORT_DELAY = 150; // ms of rest before Python hears of a new view

export function mount(root, { panes: firstPanes = [], onView = () => {}, ...firstOptions } = {}) {
  const store = imageStore();
  const viewer = {
    root, view: startView(), panes: [], options: {}, swipe: createSwipe(),
    size: null, // of the images, in HR pixels
    cursor: null, // {u, v, pane}: the place under the mouse, in 0..1
    drawing: false, // the next drag draws a region
    lastPlace: null, // [cx, cy] of the last close look, since a region was drawn or another picture came
    divider: 0.5, // of swipe
    narrow: false, // a phone: one pane
    flickered: false, // the person knows how
    abort: new AbortController(),
    change, visible, mode, pair, focused, showNext, flicker, setDrawing, toggleFullscreen, showControls,
    showCaptions, captionOf, publish,
    settleStops: () => { bar.settleStop(); settleStop(); },
    copy, legendTexts: () => legend.texts(),
    help: () => dialog.show_(viewer.options.pick),
    bitmapLoaded: async (pane) => {
      const entry = store.get(viewer.addressIn(pane, "image"));
      await entry.done;
      return entry.bitmap;
    },
    say: (text) => { live.textContent = text; },
    addressIn: (pane, layer) => addressOf(pane.data.layers?.[layer]),
    entryOf: (pane) => store.peek(chosenAddress(pane)),
    placeOn: (w, h) => place(viewer.view, w, h, viewer.size),
    valueAt,
    dark: () => getComputedStyle(root).getPropertyValue("--mv-dark").trim() === "1",
  };
  const { signal } = viewer.abort;
  let settledSize = null; // the size of the last panes that were loaded to the end
  let generation = 0; // of update() and layer changes; answers to an older one are dropped
  let reportTimer = 0;
  let laidOutWidth = 0;

  // --- the page ---------------------------------------------------------------------------------------------------
  const dialog = helpDialog();
  const form = regionForm(viewer);
  const grid = element("div", "mv-grid");
  const empty = element("div", "mv-empty");
  const error = element("div", "mv-error", { hidden: true });
  const status = element("span", "mv-status");
  const live = element("div", "mv-live");
  error.setAttribute("role", "alert");
  live.setAttribute("role", "status");
  const bitmapOf = (pane) => store.peek(viewer.addressIn(pane, "image"))?.bitmap ?? null;
  viewer.differences = differences(viewer, store, bitmapOf);
  Object.assign(viewer, camera(viewer));
  const bar = createBar(viewer, form);
  const chooser = createChooser(viewer);
  const legend = createLegend(viewer);
  const foot = element("div", "mv-foot", {}, [legend.node, status]);
  Object.assign(viewer, painter(viewer, { bar: bar.node, chooser: chooser.node, grid, foot, status }));
  const listen = stageListener(viewer);
  listen(viewer.swipe);
  listenToDivider(viewer, viewer.swipe);
  const settleStop = oneStop(grid, signal);
  root.classList.add("mv");
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Image comparison");
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes 1, f and the arrows for itself
  root.replaceChildren(bar.node, chooser.node, error, empty, grid, foot, live, form.node, dialog);

  // --- panes and layers -------------------------------------------------------------------------------------------
  const names = () => viewer.panes.map((pane) => pane.data.name);
  const fallbackAddress = (pane) => viewer.addressIn(pane, "image") ?? addressOf(Object.values(pane.data.layers ?? {})[0]);
  const chosenAddress = (pane) => viewer.addressIn(pane, viewer.view.layer) ?? fallbackAddress(pane);

  /** Show other panes. The place is kept where the images have the size of those before, and so is the layer. */
  function update(nextPanes, nextOptions = {}) {
    const { panes } = viewer;
    viewer.options = nextOptions;
    const data = nextPanes ?? [];
    while (panes.length > data.length) panes.pop().cell.remove();
    while (panes.length < data.length) addPane();
    panes.forEach((pane, i) => fillPane(pane, data[i], i));
    viewer.view = mergeView(viewer.view, nextOptions.view, names());
    if (nextOptions.view) viewer.lastPlace = null;
    const layers = layerNames();
    const complete = panes.length > 0 && !panes.some((pane) => pane.data.pending);
    if (complete && !layers.includes(viewer.view.layer)) viewer.view.layer = layers.includes("image") ? "image" : layers[0];
    root.classList.toggle("mv-picks", Boolean(nextOptions.pick));
    empty.textContent = nextOptions.empty ?? "Nothing to show yet";
    error.textContent = nextOptions.error ?? "";
    error.hidden = !nextOptions.error;
    bar.fill(layers);
    chooser.fill();
    viewer.cursor = null;
    loadLayer();
    viewer.layout();
  }

  /** The layers that any pane has, or can be given: the image first, then what is made of the images. */
  function layerNames() {
    const given = viewer.panes.flatMap((pane) => Object.keys(pane.data.layers ?? {}));
    const made = viewer.differences.names();
    const first = made.length || given.includes("image") ? ["image"] : [];
    return [...new Set([...first, ...made, ...given])];
  }

  function addPane() {
    const pane = createPane(() =>
      change(viewer.view.mode === "flicker" ? { mode: "grid" } : { focus: pane.data.name }));
    listen(pane);
    viewer.panes.push(pane);
    grid.append(pane.cell);
  }

  /** Fetch the chosen layer of every pane; once all are there, forget images nobody refers to any more. */
  function loadLayer() {
    const mine = ++generation;
    const entries = viewer.panes.map(chosenAddress).filter(Boolean).map((address) => store.get(address));
    const onProgress = () => {
      if (mine !== generation) return;
      const found = largest(entries);
      const { size } = viewer;
      // Until all are there the size is a guess, good enough to draw the first ones undistorted.
      if (found && (!size || Math.abs(Math.log((found.width * size.height) / (found.height * size.width))) > 0.02)) {
        viewer.size = { width: found.width, height: found.height };
      }
      viewer.layout();
    };
    for (const entry of entries) if (!entry.bitmap) entry.done.then(onProgress);
    Promise.all(entries.map((entry) => entry.done)).then(() => { if (mine === generation) onLoaded(entries); });
  }

  function onLoaded(entries) {
    const found = largest(entries);
    if (found) {
      const before = settledSize;
      viewer.size = settledSize = { width: found.width, height: found.height };
      // A picture of another size: the old place means nothing there, unless the caller named a place.
      if (before && !viewer.options.view && (before.width !== found.width || before.height !== found.height)) {
        change({ zoom: 1, cx: 0.5, cy: 0.5, region: null });
        viewer.lastPlace = null;
      }
    }
    viewer.differences.keepOnly(new Set(viewer.panes.map(bitmapOf)));
    store.keepOnly(new Set(viewer.panes.flatMap((pane) => Object.values(pane.data.layers ?? {}).map(addressOf))));
    viewer.layout();
  }

  function largest(entries) {
    const bitmaps = entries.map((entry) => entry.bitmap).filter(Boolean);
    return bitmaps.length ? bitmaps.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a)) : null;
  }

  /** "r g b" of the pane's image, or how large the difference is: a colour of a colour map would say nothing. */
  function valueAt(pane, u, v) {
    if (viewer.differences.makes(pane)) return viewer.differences.valueAt(pane, u, v);
    const bitmap = store.peek(fallbackAddress(pane))?.bitmap;
    return bitmap ? store.pixel(bitmap, u, v).join(" ") : "";
  }

  // --- what is shown ----------------------------------------------------------------------------------------------
  function mode() { // a phone has room for one pane
    return viewer.narrow && viewer.view.mode === "grid" ? "flicker" : viewer.view.mode;
  }

  function pair() {
    const chosen = viewer.view.pair?.map((name) => viewer.panes.find((pane) => pane.data.name === name));
    return chosen ?? usualPair(viewer.panes, viewer.options);
  }

  function focused() {
    return viewer.panes.find((pane) => pane.data.name === viewer.view.focus) ?? pair()[0];
  }

  function visible() {
    if (mode() === "grid" || !viewer.panes.length) return viewer.panes;
    return mode() === "swipe" ? [viewer.swipe] : [focused()];
  }

  function showControls() {
    if (mode() === "swipe") {
      const parts = viewer.swipe.parts = pair();
      viewer.swipe.handle.setAttribute("aria-label", `Divider between ${parts.map(titleOf).join(" and ")}`);
    }
    bar.show();
    chooser.show();
    legend.show();
  }

  function captionOf(pane) {
    return viewer.differences.caption(pane) || (pane.data.caption ?? "");
  }

  const described = (pane) => [titleOf(pane), captionOf(pane)].filter(Boolean).join(", ");

  function showCaptions() {
    const { swipe } = viewer;
    for (const pane of viewer.panes) {
      fillHeading(pane, pane, captionOf(pane));
      pane.canvas.setAttribute("aria-label", described(pane));
    }
    if (mode() !== "swipe") return;
    swipe.parts.forEach((pane, i) => fillHeading(swipe.sides[i], pane, captionOf(pane)));
    swipe.canvas.setAttribute("aria-label", swipe.parts.map((pane, i) => `${["Left", "Right"][i]}: ${described(pane)}`).join(". "));
  }

  function publish() {
    root.dataset.view = JSON.stringify(viewer.view);
    root.classList.toggle("mv-zoomed", viewer.view.zoom > 1);
    bar.show();
    form.show();
  }

  // --- the view ---------------------------------------------------------------------------------------------------
  /** Take over a (partial) view and show it; true where anything changed. */
  function setView(given) {
    const next = mergeView(viewer.view, given, names());
    const changed = changedKeys(next, viewer.view);
    viewer.view = next;
    if (next.zoom > 1) viewer.lastPlace = [next.cx, next.cy];
    else if (changed.includes("region")) viewer.lastPlace = null;
    if (changed.includes("layer")) loadLayer();
    if (changed.some((key) => ["mode", "focus", "pair"].includes(key))) viewer.cursor = null;
    if (changed.some((key) => ["mode", "focus", "pair", "layer", "baseline", "gain"].includes(key))) viewer.layout();
    else if (changed.length) viewer.requestDraw();
    root.dataset.view = JSON.stringify(viewer.view);
    return changed.length > 0;
  }

  /** A change made by the person: the same as setView, and Python hears of it once the hand rests. */
  function change(given) {
    if (!setView(given)) return;
    if (given.focus) live.textContent = described(focused());
    // One image takes the screen: have all of it there.
    if (given.focus || given.mode) root.scrollIntoView({ block: "nearest" });
    clearTimeout(reportTimer);
    reportTimer = setTimeout(() => onView({ ...viewer.view }), REPORT_DELAY);
  }

  /** The other one of the two chosen panes, alone. */
  function flicker() {
    const [first, second] = pair();
    const other = mode() === "flicker" && focused() === first ? second : first;
    viewer.flickered = true;
    change({ focus: (other ?? first).data.name });
  }

  function showNext(step) {
    const { panes } = viewer;
    const at = mode() === "flicker" ? panes.indexOf(focused()) + step : step > 0 ? 0 : -1;
    change({ focus: panes[(at + panes.length) % panes.length].data.name });
  }

  function setDrawing(on) {
    viewer.drawing = on && !viewer.options.pick;
    root.classList.toggle("mv-draws", viewer.drawing);
    bar.show();
  }

  async function copy() {
    const loading = viewer.panes.map(chosenAddress).filter(Boolean).map((address) => store.get(address));
    if (loading.some((entry) => !entry.bitmap)) await Promise.all(loading.map((entry) => entry.done));
    if (!viewer.size || !viewer.panes.length) return "";
    const done = await copyImage(viewer);
    live.textContent = done === "Copied" ? "Image copied" : "Image downloaded";
    return done;
  }

  function toggleFullscreen() {
    if (document.fullscreenElement === root) document.exitFullscreen();
    else root.requestFullscreen?.().catch(() => {}); // refused, as in some frames: stay as we are
  }

  // --- life -------------------------------------------------------------------------------------------------------
  function destroy() {
    viewer.abort.abort();
    resizes.disconnect();
    clearTimeout(reportTimer);
    viewer.stopDrawing();
    viewer.differences.stop();
    generation++;
    store.keepOnly(new Set());
    root.replaceChildren();
  }

  // Gradio tells nobody that it drops a component, so a window event finds out.
  const onWindow = () => (root.isConnected ? viewer.layout() : destroy());
  const resizes = new ResizeObserver(() => {
    if (root.clientWidth === laidOutWidth) return;
    laidOutWidth = root.clientWidth;
    viewer.layout();
  });
  resizes.observe(root);
  window.addEventListener("resize", onWindow, { signal });
  root.addEventListener("fullscreenchange", viewer.layout, { signal });
  root.addEventListener("keydown", (event) => onKey(viewer, event), { signal });
  update(firstPanes, firstOptions);
  return { update, setView, destroy };
}
