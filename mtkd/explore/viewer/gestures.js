// Mouse, touch and keys.

import { clamp, regionBetween, windowAround } from "./geometry.js";

const CLICK = 4; // CSS pixels that a pointer may move in a click

/** Returns a function that makes a pane's stage listen. */
export function stageListener(viewer) {
  const pointers = new Map(); // pointers held down: one drags, two pinch
  let press = null; // {x, y, u, v, draws}: where the pointer went down, until it leaves that place
  let lastWheel = 0;

  function onWheel(pane, event) {
    const before = viewer.view.zoom;
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
    const factor = Math.exp(-clamp(pixels, -400, 400) * (event.ctrlKey ? 0.01 : 0.0015));
    viewer.zoomAround(pane, viewer.locate(pane, event), factor);
    // At the whole image a fresh turn of the wheel scrolls the page: nobody gets stuck above the viewer.
    if (viewer.view.zoom !== before || event.ctrlKey || event.timeStamp - lastWheel < 400) {
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
      const from = viewer.locate(pane, last);
      const to = viewer.locate(pane, event);
      const { zoom, cx, cy } = viewer.view;
      return viewer.moveTo(pane, zoom, cx - (to.u - from.u), cy - (to.v - from.v));
    }
    const middle = (a, b) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
    const distance = (a, b) => Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY));
    const { u, v } = viewer.locate(pane, middle(last, others[0])); // the image point between the fingers stays there
    const { dx, dy } = viewer.locate(pane, middle(event, others[0]));
    viewer.zoomAround(pane, { u, v, dx, dy }, distance(event, others[0]) / distance(last, others[0]));
  }

  function pointAt(pane, event) {
    const { u, v } = viewer.locate(pane, event);
    viewer.pointAt(u >= 0 && u < 1 && v >= 0 && v < 1 ? { u, v, pane } : null);
  }

  function onDown(pane, event) {
    viewer.root.focus({ preventScroll: true });
    if (event.button !== 0) return;
    pane.stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    const { u, v } = viewer.locate(pane, event);
    const draws = !viewer.options.pick && (viewer.drawing || event.shiftKey);
    press = pointers.size === 1 ? { x: event.clientX, y: event.clientY, u, v, draws } : null;
  }

  function onMove(pane, event) {
    if (press?.draws) viewer.change({ region: regionBetween(viewer.size, press, viewer.locate(pane, event)) });
    else if (pointers.has(event.pointerId)) onDrag(pane, event);
    if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > CLICK) press.moved = true;
    if (event.pointerType !== "touch") pointAt(pane, event);
  }

  function onUp(event) {
    const { pick } = viewer.options;
    if (press && !press.moved && pick) {
      viewer.change({ region: windowAround(viewer.size, pick, press) ?? viewer.view.region });
    } else if (press?.draws && !press.moved) viewer.change({ region: null });
    else if (press && !press.moved && event.pointerType === "touch" && viewer.mode() === "flicker") viewer.flicker();
    if (press?.draws) viewer.setDrawing(false);
    pointers.delete(event.pointerId);
    press = null;
  }

  return (pane) => {
    const on = (type, handler, more) => pane.stage.addEventListener(
      type, (event) => viewer.size && handler(event), { signal: viewer.abort.signal, ...more });
    on("wheel", (event) => onWheel(pane, event), { passive: false });
    on("dblclick", () => viewer.setZoom(1));
    on("pointerdown", (event) => onDown(pane, event));
    on("pointermove", (event) => onMove(pane, event));
    on("pointerup", onUp);
    on("pointercancel", (event) => { pointers.delete(event.pointerId); press = null; });
    on("pointerleave", () => viewer.pointAt(null));
  };
}

/** The divider of swipe: dragged, or moved by keys as every slider is. `viewer.divider` is its place, 0..1. */
export function listenToDivider(viewer, swipe) {
  const { handle } = swipe;
  const { signal } = viewer.abort;
  const move = (to) => { viewer.divider = clamp(to, 0, 1); viewer.draw(); };
  handle.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // the picture under it stays where it is
    handle.setPointerCapture(event.pointerId);
  }, { signal });
  handle.addEventListener("pointermove", (event) => {
    event.stopPropagation();
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = swipe.canvas.getBoundingClientRect();
    move((event.clientX - box.left) / box.width);
  }, { signal });
  handle.addEventListener("pointerup", (event) => event.stopPropagation(), { signal });
  handle.addEventListener("dblclick", (event) => { event.stopPropagation(); move(0.5); }, { signal });
  handle.addEventListener("keydown", (event) => {
    const at = viewer.divider;
    const to = {
      ArrowLeft: at - 0.01, ArrowRight: at + 0.01, ArrowDown: at - 0.01, ArrowUp: at + 0.01,
      PageDown: at - 0.1, PageUp: at + 0.1, Home: 0, End: 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    move(to);
  }, { signal });
}

/** What Enter does: the window in the middle of what is seen, or a region of all that is seen. */
function regionOfView(viewer) {
  const { size, options } = viewer;
  const [pane] = viewer.visible();
  const at = viewer.placeIn(pane);
  if (options.pick) return windowAround(size, options.pick, { u: at.cx, v: at.cy });
  const [w, h] = [pane.canvas.width / (2 * at.scale * size.width), pane.canvas.height / (2 * at.scale * size.height)];
  return regionBetween(size, { u: at.cx - w, v: at.cy - h }, { u: at.cx + w, v: at.cy + h });
}

/** Keys that the viewer knows. */
export function onKey(viewer, event) {
  const onControl = event.target !== viewer.root;
  const presses = onControl && (event.key === "Enter" || event.key === " ");
  const types = event.target.matches("input, select, textarea") || event.target.closest("dialog, [popover]");
  if (event.ctrlKey || event.metaKey || event.altKey || presses || types || !handleKey(viewer, event.key)) return;
  event.preventDefault();
  event.stopPropagation();
}

/** True where the key is one of ours. */
function handleKey(viewer, key) {
  const { view, panes, options } = viewer;
  const done = (given) => { viewer.change(given); return true; };
  if (!panes.length) return false;
  if (/^[1-9]$/.test(key)) return panes[key - 1] ? done({ focus: panes[key - 1].data.name }) : false;
  if (key === "]" || key === "[") return viewer.showNext(key === "]" ? 1 : -1), true;
  if (key === " ") return viewer.flicker(), true;
  if (key === "s") return done({ mode: "swipe" });
  if (key === "0") return done({ mode: "grid" });
  if (key === "Escape" && viewer.drawing) return viewer.setDrawing(false), true;
  if (key === "Escape" && view.mode !== "grid") return done({ mode: "grid" });
  if (key === "Escape") return view.region && !options.pick ? done({ region: null }) : false;
  if (key === "?") return viewer.help(), true;
  if (key === "f") return viewer.toggleFullscreen(), true;
  if (key === "r" && !options.pick) return viewer.setDrawing(!viewer.drawing), true;
  if (!viewer.size) return false;
  if (key === "Enter") return done({ region: regionOfView(viewer) ?? view.region });
  const factor = { "+": 1.25, "=": 1.25, "-": 0.8, _: 0.8 }[key];
  const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[key];
  if (factor) viewer.zoomBy(factor);
  if (step) viewer.step(...step);
  return Boolean(factor || step);
}
