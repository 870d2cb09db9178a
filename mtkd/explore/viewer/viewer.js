// Many images side by side, always at the same place and the same zoom.
//
// One script for both front ends: Gradio runs it inside gr.HTML's js_on_load, Jupyter loads it through anywidget.
// It needs nothing else and asks the network for nothing but the images it is given.
//
// A view is {zoom, cx, cy, layer, focus, region}: zoom 1 shows the whole image (so that a view means the same place in
// panes of any size), cx and cy are the centre in 0..1, layer is the picture chosen in every pane, focus the name of the
// pane shown alone or null, region the rectangle drawn on the image, [top, left, height, width] in its pixels, or null.

import {
  GAP, HEADER, MIN_HEIGHT, addressOf, button, capital, chooseGrid, clamp, createPane, element, icon, imageStore,
  paint, place, setDownload,
} from "./parts.js";

const CLICK = 4; // CSS pixels that a pointer may move in a click
const REPORT_DELAY = 150; // ms of rest before Python hears of a new view
const HINT = "Wheel: zoom · drag or arrows: move · double-click: whole image · "
  + "1–9: one image alone · 0: all · f: fullscreen";
const HINT_REGION = " · Shift + drag or r: region · Enter: region is what is seen · Esc: none";
const HINT_PICK = " · click, or Enter for the middle: place the window";

export function mount(root, { panes: firstPanes = [], onView = () => {}, ...firstOptions } = {}) {
  const store = imageStore();
  const abort = new AbortController();
  const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const pointers = new Map(); // pointers held down: one drags, two pinch
  let view = { zoom: 1, cx: 0.5, cy: 0.5, layer: "image", focus: null, region: null };
  let panes = [];
  let options = {};
  let size = null; // of the images, in HR pixels
  let settledSize = null; // the same, of the last panes that were loaded to the end
  let cursor = null; // {u, v, pane}: the place under the mouse, in 0..1
  let generation = 0; // of update() and layer changes; answers to an older one are dropped
  let frame = 0;
  let reportTimer = 0;
  let lastWheel = 0;
  let drawing = false; // the next drag draws a region
  let press = null; // {x, y, u, v, draws}: where the pointer went down, until it leaves that place
  let laidOutWidth = 0;

  // --- the page ---------------------------------------------------------------------------------------------------
  const zoomBar = element("div", "mv-group", {}, [
    button("Fit", "Show the whole image", () => setZoom(1)),
    ...[1, 2, 4, 8].map((k) => {
      const title = k === 1 ? "One screen pixel per image pixel" : `${k} screen pixels per image pixel`;
      const node = button(k === 1 ? "1:1" : `${k}×`, title, () => setScale(k));
      node.dataset.scale = k;
      return node;
    }),
  ]);
  const layerBar = element("div", "mv-group");
  const regionButton = button(icon("region"), "Draw a region: Shift + drag (r)", () => setDrawing(!drawing));
  const regionBar = element("div", "mv-group", {}, [regionButton]);
  const soloBar = element("div", "mv-group mv-solo", { hidden: true });
  const status = element("span", "mv-status");
  const fullscreen = button(icon("fullscreen"), "Fullscreen (f)", toggleFullscreen);
  fullscreen.hidden = !document.fullscreenEnabled;
  const bar = element("div", "mv-bar", {}, [zoomBar, layerBar, regionBar, status, fullscreen]);
  const grid = element("div", "mv-grid");
  const empty = element("div", "mv-empty", { textContent: "Choose an image and press Compare" });
  const hint = element("div", "mv-hint");
  zoomBar.setAttribute("aria-label", "Zoom");
  layerBar.setAttribute("aria-label", "What every pane shows");
  soloBar.setAttribute("aria-label", "Image shown alone");
  for (const group of [zoomBar, layerBar, soloBar]) group.setAttribute("role", "group");
  root.classList.add("mv");
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes 1, f and the arrows for itself
  root.replaceChildren(bar, soloBar, empty, grid, hint);

  // --- panes and layers -------------------------------------------------------------------------------------------
  const soloPane = () => panes.find((pane) => pane.data.name === view.focus) ?? null;
  const visiblePanes = () => (soloPane() ? [soloPane()] : panes);
  const addressIn = (pane, layer) => addressOf(pane.data.layers?.[layer]);
  const fallbackAddress = (pane) => addressIn(pane, "image") ?? addressOf(Object.values(pane.data.layers ?? {})[0]);
  const chosenAddress = (pane) => addressIn(pane, view.layer) ?? fallbackAddress(pane);
  const entryOf = (pane) => store.peek(chosenAddress(pane));

  /** Show other panes. The place is kept where the images have the size of those before, and so is the layer. */
  function update(nextPanes, nextOptions = {}) {
    options = nextOptions;
    const data = nextPanes ?? [];
    while (panes.length > data.length) panes.pop().cell.remove();
    while (panes.length < data.length) addPane();
    panes.forEach((pane, i) => fillPane(pane, data[i], i));
    const layers = [...new Set(panes.flatMap((pane) => Object.keys(pane.data.layers ?? {})))];
    Object.assign(view, pickView(options.view));
    if (!layers.includes(view.layer)) view.layer = layers.includes("image") ? "image" : (layers[0] ?? "image");
    if (!soloPane()) view.focus = null;
    layerBar.hidden = layers.length < 2;
    regionBar.hidden = Boolean(options.pick);
    root.classList.toggle("mv-picks", Boolean(options.pick));
    hint.textContent = HINT + (options.pick ? HINT_PICK : HINT_REGION);
    root.setAttribute("aria-label", `Image comparison. ${hint.textContent}`);
    layerBar.replaceChildren(...layers.map((layer) => {
      const node = button(capital(layer), `Show in every pane: ${layer}`, () => change({ layer }));
      node.dataset.layer = layer;
      return node;
    }));
    soloBar.replaceChildren(
      button("All", "Show all images (0)", () => change({ focus: null })),
      ...panes.map((pane, i) => {
        const node = button("", `Show ${pane.data.name} alone`, () => change({ focus: pane.data.name }));
        node.append(...(i < 9 ? [element("kbd", "mv-kbd", { textContent: i + 1 })] : []), pane.data.name);
        node.dataset.pane = pane.data.name;
        return node;
      }),
    );
    cursor = null;
    loadLayer();
    layout();
  }

  function addPane() {
    const pane = createPane(() => change({ focus: soloPane() ? null : pane.data.name }));
    listenToStage(pane);
    panes.push(pane);
    grid.append(pane.cell);
  }

  function fillPane(pane, data, index) {
    if (pane.data.name !== data.name) pane.shown = null; // never one model's pixels under another's name
    pane.data = data;
    pane.key.textContent = index < 9 ? index + 1 : "•";
    pane.key.title = `Show ${data.name} alone, or all${index < 9 ? ` (${index + 1} / 0)` : ""}`;
    pane.key.setAttribute("aria-label", pane.key.title);
    pane.name.textContent = pane.name.title = data.name;
    pane.caption.textContent = pane.caption.title = data.caption ?? "";
    pane.badge.hidden = data.name !== options.reference;
    pane.canvas.dataset.name = data.name;
    pane.canvas.setAttribute("aria-label", data.caption ? `${data.name}, ${data.caption}` : data.name);
    setDownload(pane.download, data.download, data.name);
  }

  /** Fetch the chosen layer of every pane; once all are there, forget images nobody refers to any more. */
  function loadLayer() {
    const mine = ++generation;
    const entries = panes.map(chosenAddress).filter(Boolean).map((address) => store.get(address));
    const onProgress = () => {
      if (mine !== generation) return;
      const found = largest(entries);
      // Until all are there the size is a guess, good enough to draw the first ones undistorted.
      if (found && (!size || Math.abs(Math.log((found.width * size.height) / (found.height * size.width))) > 0.02)) {
        size = { width: found.width, height: found.height };
      }
      layout();
    };
    for (const entry of entries) if (!entry.bitmap) entry.done.then(onProgress);
    Promise.all(entries.map((entry) => entry.done)).then(() => { if (mine === generation) onLoaded(entries); });
  }

  function onLoaded(entries) {
    const found = largest(entries);
    if (found) {
      size = { width: found.width, height: found.height };
      const before = settledSize;
      settledSize = size;
      // A picture of another size: the old place means nothing there, unless the caller named a place.
      if (before && !options.view && (before.width !== size.width || before.height !== size.height)) {
        change({ zoom: 1, cx: 0.5, cy: 0.5, region: null });
      }
    }
    for (const pane of panes) pane.shown = entryOf(pane)?.bitmap ?? null;
    store.keepOnly(new Set(panes.flatMap((pane) => Object.values(pane.data.layers ?? {}).map(addressOf))));
    layout();
  }

  function largest(entries) {
    const bitmaps = entries.map((entry) => entry.bitmap).filter(Boolean);
    return bitmaps.length ? bitmaps.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a)) : null;
  }

  // --- drawing ----------------------------------------------------------------------------------------------------
  /** Sizes of the panes, then a drawing before the browser paints: no blank frame when flicking between panes. */
  function layout() {
    const solo = soloPane();
    laidOutWidth = root.clientWidth;
    root.classList.toggle("mv-is-empty", !panes.length);
    soloBar.hidden = !solo;
    for (const pane of panes) pane.cell.hidden = Boolean(solo) && pane !== solo;
    if (!grid.clientWidth || !panes.length) return void publish();
    const aspect = size ? clamp(size.width / size.height, 0.4, 4) : 1;
    const height = window.innerHeight - bar.offsetHeight - soloBar.offsetHeight - hint.offsetHeight - 3 * GAP;
    const best = chooseGrid(visiblePanes().length, grid.clientWidth, height, aspect, solo ? 1 : options.columns);
    grid.style.gridTemplateColumns = `repeat(${best.columns}, ${best.paneWidth}px)`;
    grid.style.setProperty("--mv-height", `${solo ? Math.max(MIN_HEIGHT, height - HEADER) : best.paneHeight}px`);
    draw();
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    for (const pane of visiblePanes()) drawPane(pane);
    drawRegion();
    drawCursor();
    publish();
  }

  function drawRegion() {
    const ratio = window.devicePixelRatio || 1;
    for (const pane of visiblePanes()) {
      pane.region.hidden = !view.region || !size;
      if (pane.region.hidden) continue;
      const [top, left, height, width] = view.region;
      const at = placeIn(pane);
      Object.assign(pane.region.style, {
        left: `${(at.left + left * at.scale) / ratio}px`, top: `${(at.top + top * at.scale) / ratio}px`,
        width: `${(width * at.scale) / ratio}px`, height: `${(height * at.scale) / ratio}px`,
      });
    }
  }

  const requestDraw = () => { frame ||= requestAnimationFrame(draw); };

  function drawPane(pane) {
    const has = addressIn(pane, view.layer);
    const entry = entryOf(pane);
    if (!entry || entry.bitmap || entry.broken) pane.shown = entry?.bitmap ?? null; // while loading: what was there
    pane.stage.classList.toggle("mv-loading", Boolean(entry && !entry.bitmap && !entry.broken));
    pane.stage.classList.toggle("mv-dimmed", !has && Boolean(pane.shown));
    pane.note.hidden = Boolean(has) && !entry?.broken;
    pane.note.textContent = entry?.broken ? "This image could not be loaded"
      : entry ? `no ${view.layer} view` : "no image";
    const ratio = window.devicePixelRatio || 1;
    const w = Math.max(1, Math.round(pane.stage.clientWidth * ratio));
    const h = Math.max(1, Math.round(pane.stage.clientHeight * ratio));
    if (pane.canvas.width !== w || pane.canvas.height !== h) Object.assign(pane.canvas, { width: w, height: h });
    else pane.canvas.getContext("2d").clearRect(0, 0, w, h);
    if (pane.shown && size) paint(pane.canvas, pane.shown, place(view, w, h, size), size);
  }

  /** The crosses are elements above the canvases: moving the mouse redraws no image. */
  function drawCursor() {
    const ratio = window.devicePixelRatio || 1;
    const x = cursor && Math.floor(cursor.u * size.width);
    const y = cursor && Math.floor(cursor.v * size.height);
    for (const pane of visiblePanes()) {
      pane.cross.hidden = !cursor || pane === cursor.pane;
      pane.value.textContent = cursor ? pixelAt(pane, cursor.u, cursor.v) : "";
      if (!cursor) continue;
      const at = placeIn(pane);
      // In the middle of the image pixel, so that all crosses name the same one.
      const left = (at.left + (x + 0.5) * at.scale) / ratio;
      const top = (at.top + (y + 0.5) * at.scale) / ratio;
      pane.cross.style.transform = `translate(${left}px, ${top}px)`;
    }
    const at = size && visiblePanes()[0] ? placeIn(visiblePanes()[0]) : null;
    const lr = panes.find((pane) => pane.data.scale > 1)?.data.scale;
    status.textContent = [
      ...(cursor ? [`x ${x}  y ${y}`] : []),
      ...(cursor && lr ? [`LR ${Math.floor(x / lr)}, ${Math.floor(y / lr)}`] : []),
      ...(view.region && !cursor ? [`region ${view.region[3]} × ${view.region[2]}`] : []),
      ...(at ? [`${Number(at.scale.toPrecision(3))}×`] : []),
    ].join("  ·  ");
  }

  /** "r g b" of the pane's image. In an error view too: there a colour of the colour map would say nothing. */
  function pixelAt(pane, u, v) {
    const bitmap = store.peek(fallbackAddress(pane))?.bitmap;
    if (!bitmap) return "";
    probe.clearRect(0, 0, 1, 1);
    probe.drawImage(bitmap, Math.floor(u * bitmap.width), Math.floor(v * bitmap.height), 1, 1, 0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data.slice(0, 3).join(" ");
  }

  function publish() {
    const pane = visiblePanes()[0];
    const scale = pane && size ? placeIn(pane).scale : 0;
    root.dataset.view = JSON.stringify(view);
    root.classList.toggle("mv-zoomed", view.zoom > 1);
    for (const node of zoomBar.children) {
      const on = node.dataset.scale ? Math.abs(scale - node.dataset.scale) < 1e-6 : view.zoom === 1;
      node.setAttribute("aria-pressed", on);
    }
    for (const node of layerBar.children) node.setAttribute("aria-pressed", node.dataset.layer === view.layer);
    for (const node of soloBar.children) node.setAttribute("aria-pressed", node.dataset.pane === view.focus);
  }

  // --- the view ---------------------------------------------------------------------------------------------------
  const placeIn = (pane) => place(view, pane.canvas.width, pane.canvas.height, size);

  /** The known fields of a view that came from outside, those of the wrong type left out. */
  function pickView(given) {
    const kinds = { zoom: Number.isFinite, cx: Number.isFinite, cy: Number.isFinite,
      layer: (value) => typeof value === "string", focus: (value) => value === null || typeof value === "string",
      region: (value) => value === null || (Array.isArray(value) && value.length === 4 && value.every(Number.isInteger)) };
    return Object.fromEntries(Object.entries(given ?? {}).filter(([key, value]) => kinds[key]?.(value)));
  }

  /** Take over a (partial) view and show it; true where anything changed. */
  function setView(given) {
    const next = { ...view, ...pickView(given) };
    if (panes.length && !panes.some((pane) => pane.data.name === next.focus)) next.focus = null;
    const changed = Object.keys(next).filter((key) => String(next[key]) !== String(view[key]));
    view = next;
    if (changed.includes("layer")) loadLayer();
    if (changed.includes("focus")) cursor = null;
    if (changed.includes("focus") || changed.includes("layer")) layout();
    else if (changed.length) requestDraw();
    root.dataset.view = JSON.stringify(view);
    return changed.length > 0;
  }

  /** A change made by the person: the same as setView, and Python hears of it once the hand rests. */
  function change(given) {
    if (!setView(given)) return;
    if (given.focus) root.scrollIntoView({ block: "nearest" }); // one image takes the screen: have all of it there
    clearTimeout(reportTimer);
    reportTimer = setTimeout(() => onView({ ...view }), REPORT_DELAY);
  }

  /** The image point (0..1) under a pointer, and the pointer in device pixels from the pane's centre. */
  function locate(pane, event) {
    const box = pane.canvas.getBoundingClientRect();
    const at = placeIn(pane);
    const dx = ((event.clientX - box.left) / box.width - 0.5) * pane.canvas.width;
    const dy = ((event.clientY - box.top) / box.height - 0.5) * pane.canvas.height;
    return { at, dx, dy, u: at.cx + dx / (size.width * at.scale), v: at.cy + dy / (size.height * at.scale) };
  }

  /** Zoom by a factor with the image point (u, v) kept at (dx, dy) from the centre, all limits kept. */
  function zoomAround(pane, { u, v, dx, dy }, factor) {
    // The wheel stops at the whole image; only the 1:1 button goes below, for images smaller than their pane.
    const zoom = Math.max(view.zoom * factor, Math.min(1, view.zoom));
    const { scale } = place({ ...view, zoom }, pane.canvas.width, pane.canvas.height, size);
    moveTo(pane, zoom, u - dx / (size.width * scale), v - dy / (size.height * scale));
  }

  function moveTo(pane, zoom, cx, cy) {
    const at = place({ zoom, cx, cy }, pane.canvas.width, pane.canvas.height, size);
    change({ zoom: at.zoom, cx: at.cx, cy: at.cy });
  }

  function setZoom(zoom) {
    const pane = visiblePanes()[0];
    if (pane && size) moveTo(pane, zoom, view.cx, view.cy);
  }

  function setScale(scale) {
    const pane = visiblePanes()[0];
    if (pane && size) setZoom(scale / placeIn(pane).fit);
  }

  function toggleFullscreen() {
    if (document.fullscreenElement === root) document.exitFullscreen();
    else root.requestFullscreen?.().catch(() => {}); // refused, as in some frames: stay as we are
  }

  // --- the region -------------------------------------------------------------------------------------------------
  function setDrawing(on) {
    drawing = on && !options.pick;
    regionButton.setAttribute("aria-pressed", drawing);
    root.classList.toggle("mv-draws", drawing);
  }

  /** The rectangle between two image points (0..1), whole pixels, at least one; null where all of it is outside. */
  function regionBetween(a, b) {
    const [left, right] = [a.u, b.u].sort((p, q) => p - q).map((u) => clamp(u, 0, 1) * size.width);
    const [top, bottom] = [a.v, b.v].sort((p, q) => p - q).map((v) => clamp(v, 0, 1) * size.height);
    const [x0, y0, x1, y1] = [Math.floor(left), Math.floor(top), Math.ceil(right), Math.ceil(bottom)];
    return x1 > x0 && y1 > y0 ? [y0, x0, y1 - y0, x1 - x0] : null;
  }

  /** The window of `options.pick` pixels a side around an image point, moved inside; null where it does not fit. */
  function windowAround({ u, v }) {
    const side = options.pick;
    if (side > size.width || side > size.height) return null;
    const start = (at, length) => clamp(Math.floor(at * length) - Math.floor(side / 2), 0, length - side);
    return [start(v, size.height), start(u, size.width), side, side];
  }

  /** What Enter does: the window in the middle of what is seen, or a region of all that is seen. */
  function regionOfView() {
    const { canvas } = visiblePanes()[0];
    const at = placeIn(visiblePanes()[0]);
    if (options.pick) return windowAround({ u: at.cx, v: at.cy });
    const [w, h] = [canvas.width / (2 * at.scale * size.width), canvas.height / (2 * at.scale * size.height)];
    return regionBetween({ u: at.cx - w, v: at.cy - h }, { u: at.cx + w, v: at.cy + h });
  }

  // --- mouse, touch, keys -----------------------------------------------------------------------------------------
  function listenToStage(pane) {
    const on = (type, handler, more) =>
      pane.stage.addEventListener(type, (event) => size && handler(event), { signal: abort.signal, ...more });
    on("wheel", (event) => onWheel(pane, event), { passive: false });
    on("dblclick", () => setZoom(1));
    on("pointerdown", (event) => {
      root.focus({ preventScroll: true });
      if (event.button !== 0) return;
      pane.stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      const { u, v } = locate(pane, event);
      const draws = !options.pick && (drawing || event.shiftKey);
      press = pointers.size === 1 ? { x: event.clientX, y: event.clientY, u, v, draws } : null;
    });
    on("pointermove", (event) => {
      if (press?.draws) change({ region: regionBetween(press, locate(pane, event)) });
      else if (pointers.has(event.pointerId)) onDrag(pane, event);
      if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > CLICK) press.moved = true;
      if (event.pointerType !== "touch") pointAt(pane, event);
    });
    on("pointerup", (event) => {
      if (press && !press.moved && options.pick) change({ region: windowAround(press) ?? view.region });
      else if (press?.draws && !press.moved) change({ region: null });
      if (press?.draws) setDrawing(false);
      pointers.delete(event.pointerId);
      press = null;
    });
    on("pointercancel", (event) => { pointers.delete(event.pointerId); press = null; });
    on("pointerleave", () => { cursor = null; requestCursor(); });
  }

  function onWheel(pane, event) {
    const before = view.zoom;
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
    zoomAround(pane, locate(pane, event), Math.exp(-clamp(pixels, -400, 400) * (event.ctrlKey ? 0.01 : 0.0015)));
    // At the whole image a fresh turn of the wheel scrolls the page: nobody gets stuck above the viewer.
    if (view.zoom !== before || event.ctrlKey || event.timeStamp - lastWheel < 400) {
      lastWheel = event.timeStamp;
      event.preventDefault();
    }
    pointAt(pane, event);
  }

  function onDrag(pane, event) {
    const last = pointers.get(event.pointerId);
    pointers.set(event.pointerId, event);
    const others = [...pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
    if (!others.length) {
      const from = locate(pane, last);
      const to = locate(pane, event);
      return moveTo(pane, view.zoom, view.cx - (to.u - from.u), view.cy - (to.v - from.v));
    }
    const middle = (a, b) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
    const distance = (a, b) => Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY));
    const { u, v } = locate(pane, middle(last, others[0])); // the image point between the fingers stays there
    const { dx, dy } = locate(pane, middle(event, others[0]));
    zoomAround(pane, { u, v, dx, dy }, distance(event, others[0]) / distance(last, others[0]));
  }

  function pointAt(pane, event) {
    const { u, v } = locate(pane, event);
    cursor = u >= 0 && u < 1 && v >= 0 && v < 1 ? { u, v, pane } : null;
    requestCursor();
  }

  let cursorFrame = 0;
  function requestCursor() {
    cursorFrame ||= requestAnimationFrame(() => { cursorFrame = 0; if (size) drawCursor(); });
  }

  function onKey(event) {
    const pressesButton = event.key === "Enter" && event.target !== root;
    if (event.ctrlKey || event.metaKey || event.altKey || pressesButton || !handleKey(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** True where the key is one of ours. */
  function handleKey(key) {
    const pane = visiblePanes()[0];
    if (!pane) return false;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (/^[1-9]$/.test(key)) return panes[key - 1] ? (change({ focus: panes[key - 1].data.name }), true) : false;
    if (key === "Escape" && view.focus === null) return view.region && !options.pick ? (change({ region: null }), true) : false;
    if (key === "0" || key === "Escape") return view.focus === null ? key === "0" : (change({ focus: null }), true);
    if (key === "f") return toggleFullscreen(), true;
    if (key === "r" && !options.pick) return setDrawing(!drawing), true;
    if (!size) return false;
    if (key === "Enter") return change({ region: regionOfView() ?? view.region }), true;
    const factor = { "+": 1.25, "=": 1.25, "-": 0.8, _: 0.8 }[key];
    const { cx, cy, scale } = placeIn(pane);
    if (factor) return zoomAround(pane, { u: cx, v: cy, dx: 0, dy: 0 }, factor), true;
    if (!step) return false;
    const reach = 0.1 / scale; // a tenth of what is visible
    moveTo(pane, view.zoom, cx + (step[0] * reach * pane.canvas.width) / size.width,
      cy + (step[1] * reach * pane.canvas.height) / size.height);
    return true;
  }

  // --- life -------------------------------------------------------------------------------------------------------
  function destroy() {
    abort.abort();
    resizes.disconnect();
    clearTimeout(reportTimer);
    cancelAnimationFrame(frame);
    cancelAnimationFrame(cursorFrame);
    generation++;
    store.keepOnly(new Set());
    root.replaceChildren();
  }

  // Gradio tells nobody that it drops a component, so a window event finds out.
  const onWindow = () => (root.isConnected ? layout() : destroy());
  const resizes = new ResizeObserver(() => { if (root.clientWidth !== laidOutWidth) layout(); });
  resizes.observe(root);
  window.addEventListener("resize", onWindow, { signal: abort.signal });
  root.addEventListener("fullscreenchange", layout, { signal: abort.signal });
  root.addEventListener("keydown", onKey, { signal: abort.signal });
  update(firstPanes, firstOptions);
  return { update, setView, destroy };
}
