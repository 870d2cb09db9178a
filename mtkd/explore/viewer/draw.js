// Drawing: sizes of the panes, their pictures, the region and the place under the mouse.

import { GAP, HEADER, MIN_HEIGHT, chooseGrid, clamp, paint } from "./geometry.js";

const COARSE = window.matchMedia("(pointer: coarse)");
const PENDING = { waiting: "Waiting", running: "Running…" };

/** `frame` holds the elements around the panes: bar, chooser, grid, foot, status. */
export function painter(viewer, frame) {
  let waiting = 0;
  let cursorWaiting = 0;
  const ratio = () => window.devicePixelRatio || 1;

  /** Sizes of the panes, then a drawing before the browser paints: no blank frame when flicking between panes. */
  function layout() {
    const { root, panes, size, options } = viewer;
    viewer.narrow = root.clientWidth > 0 && root.clientWidth < 560;
    root.classList.toggle("mv-narrow", viewer.narrow);
    root.classList.toggle("mv-is-empty", !panes.length);
    viewer.showControls();
    const shown = viewer.visible();
    const swipes = shown.includes(viewer.swipe);
    for (const pane of panes) pane.cell.hidden = !shown.includes(pane);
    if (swipes) frame.grid.append(viewer.swipe.cell);
    else viewer.swipe.cell.remove();
    if (!frame.grid.clientWidth || !panes.length) return void viewer.publish();
    const full = document.fullscreenElement === root;
    const around = [frame.bar, frame.chooser, frame.foot].reduce((sum, node) => sum + node.offsetHeight, 0);
    const most = Math.max(options.height ?? Infinity, window.innerHeight - (options.beside ?? Infinity));
    const height = Math.min(window.innerHeight, full ? Infinity : most) - around - 4 * GAP;
    const aspect = size ? clamp(size.width / size.height, 0.4, 4) : 1;
    const alone = viewer.mode() !== "grid";
    const best = chooseGrid(shown.length, frame.grid.clientWidth, height, aspect, alone ? 1 : options.columns);
    const tall = alone && !viewer.narrow ? Math.max(MIN_HEIGHT, height - HEADER) : best.paneHeight;
    frame.grid.style.gridTemplateColumns = `repeat(${best.columns}, ${best.paneWidth}px)`;
    frame.grid.style.setProperty("--mv-height", `${tall}px`);
    viewer.settleStops();
    draw();
  }

  function requestDraw() {
    waiting ||= requestAnimationFrame(draw);
  }

  function draw() {
    cancelAnimationFrame(waiting);
    waiting = 0;
    viewer.differences.begin();
    for (const pane of viewer.visible()) drawPane(pane);
    if (viewer.size) viewer.visible().forEach(drawRegion);
    viewer.showCaptions();
    drawCursor();
    viewer.publish();
  }

  /** What a pane has to show in `shown`, and what there is to say about it. */
  function pictureOf(pane, dark, patient) {
    const entry = viewer.entryOf(pane);
    if (!entry || entry.bitmap || entry.broken) pane.shown = entry?.bitmap ?? null; // while loading: what was there
    if (pane.shown?.width === 0) pane.shown = null; // it was closed while the pane was hidden
    if (!entry) return { loading: pane.data.pending === "running", note: PENDING[pane.data.pending] ?? "No image" };
    if (entry.broken) return { note: "This image could not be loaded" };
    if (!entry.bitmap) return { loading: true };
    if (viewer.differences.makes(pane)) {
      const { picture, note, waits } = viewer.differences.picture(pane, dark, patient);
      if (picture) pane.shown = picture;
      return { note, loading: waits, dimmed: !picture };
    }
    return viewer.addressIn(pane, viewer.view.layer) ? {} : { dimmed: true, note: viewer.differences.missing(pane) };
  }

  function drawPane(pane) {
    const parts = pane.parts ?? [pane];
    const states = parts.map((part) => pictureOf(part, viewer.dark()));
    pane.stage.classList.toggle("mv-loading", states.some((state) => state.loading));
    pane.stage.classList.toggle("mv-dimmed", states.every((state) => state.dimmed));
    pane.note.textContent = notesOf(states) || howToFlicker();
    pane.note.hidden = !pane.note.textContent;
    const w = Math.max(1, Math.round(pane.stage.clientWidth * ratio()));
    const h = Math.max(1, Math.round(pane.stage.clientHeight * ratio()));
    if (pane.canvas.width !== w || pane.canvas.height !== h) Object.assign(pane.canvas, { width: w, height: h });
    const context = pane.canvas.getContext("2d");
    context.clearRect(0, 0, w, h);
    paintParts(context, parts, w, h);
    if (pane.parts) showDivider(pane);
  }

  /** Until the person has done it once. */
  function howToFlicker() {
    if (viewer.mode() !== "flicker" || viewer.flickered || viewer.panes.length < 2) return "";
    if (COARSE.matches) return viewer.options.pick ? "" : "Tap to switch";
    return "Space to switch";
  }

  const notesOf = (states) => [...new Set(states.map((state) => state.note).filter(Boolean))].join(" · ");

  /** Paint a pane as it is seen on another canvas, in the colours of a theme; returns what there is to say about it. */
  function paintOn(context, pane, w, h, dark) {
    const parts = pane.parts ?? [pane];
    const states = parts.map((part) => pictureOf(part, dark, true));
    context.globalAlpha = states.every((state) => state.dimmed) ? 0.3 : 1;
    paintParts(context, parts, w, h);
    context.globalAlpha = 1;
    return notesOf(states);
  }

  /** One picture, or two: the first left of the divider, the second right of it. */
  function paintParts(context, parts, w, h) {
    if (!viewer.size) return;
    const at = viewer.placeOn(w, h);
    const edges = parts.length > 1 ? [0, Math.round(viewer.divider * w), w] : [0, w];
    parts.forEach((part, i) => {
      if (!part.shown) return;
      context.save();
      context.beginPath();
      context.rect(edges[i], 0, edges[i + 1] - edges[i], h);
      context.clip();
      paint(context, part.shown, at, viewer.size, w, h, part.data?.transparent);
      context.restore();
    });
  }

  function showDivider({ handle }) {
    const percent = Math.round(100 * viewer.divider);
    handle.style.left = `${100 * viewer.divider}%`;
    handle.setAttribute("aria-valuenow", percent);
    handle.setAttribute("aria-valuetext", `${percent} %`);
  }

  function drawRegion(pane) {
    const { region } = viewer.view;
    pane.region.hidden = !region;
    if (!region) return;
    const [top, left, height, width] = region;
    const at = viewer.placeIn(pane);
    Object.assign(pane.region.style, {
      left: `${(at.left + left * at.scale) / ratio()}px`, top: `${(at.top + top * at.scale) / ratio()}px`,
      width: `${(width * at.scale) / ratio()}px`, height: `${(height * at.scale) / ratio()}px`,
    });
  }

  /** The crosses are elements above the canvases: moving the mouse redraws no image. */
  function drawCursor() {
    const { cursor, size } = viewer;
    const x = cursor && Math.floor(cursor.u * size.width);
    const y = cursor && Math.floor(cursor.v * size.height);
    for (const pane of viewer.visible()) {
      pane.cross.hidden = !cursor || pane === cursor.pane;
      for (const [part, where] of pane.parts ? pane.parts.map((one, i) => [one, pane.sides[i]]) : [[pane, pane]]) {
        where.value.textContent = cursor ? viewer.valueAt(part, cursor.u, cursor.v) : "";
      }
      if (!cursor) continue;
      const at = viewer.placeIn(pane);
      // In the middle of the image pixel, so that all crosses name the same one.
      const left = (at.left + (x + 0.5) * at.scale) / ratio();
      const top = (at.top + (y + 0.5) * at.scale) / ratio();
      pane.cross.style.transform = `translate(${left}px, ${top}px)`;
    }
    frame.status.textContent = status(x, y);
  }

  /** Where the mouse is, or the region; and the magnification. */
  function status(x, y) {
    const { cursor, size, view, panes } = viewer;
    const [pane] = viewer.visible();
    const lr = panes.find((one) => one.data.scale > 1)?.data.scale;
    return [
      ...(cursor ? [`x ${x}  y ${y}`] : []),
      ...(cursor && lr ? [`LR ${Math.floor(x / lr)}, ${Math.floor(y / lr)}`] : []),
      ...(view.region && !cursor ? [`region ${view.region[3]} × ${view.region[2]}`] : []),
      ...(size && pane ? [`${Number(viewer.placeIn(pane).scale.toPrecision(3))}×`] : []),
    ].join("  ·  ");
  }

  return {
    layout, draw, requestDraw, paintOn,
    pointAt: (cursor) => {
      viewer.cursor = cursor;
      cursorWaiting ||= requestAnimationFrame(() => { cursorWaiting = 0; if (viewer.size) drawCursor(); });
    },
    stopDrawing: () => { cancelAnimationFrame(waiting); cancelAnimationFrame(cursorWaiting); },
  };
}
