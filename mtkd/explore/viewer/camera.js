// Moving the view: places under a pointer, zoom around a point, all limits kept.

import { place } from "./geometry.js";

/** Functions of the viewer that turn a pointer or a wish into a new place. */
export function camera(viewer) {
  const placeIn = (pane, view = viewer.view) => place(view, pane.canvas.width, pane.canvas.height, viewer.size);

  /** The image point (0..1) under a pointer, and the pointer in device pixels from the pane's centre. */
  function locate(pane, event) {
    const box = pane.canvas.getBoundingClientRect();
    const at = placeIn(pane);
    const x = ((event.clientX - box.left) / box.width) * pane.canvas.width;
    const y = ((event.clientY - box.top) / box.height) * pane.canvas.height;
    const { width, height } = viewer.size;
    return {
      dx: x - pane.canvas.width / 2, dy: y - pane.canvas.height / 2,
      u: (x - at.left) / (width * at.scale), v: (y - at.top) / (height * at.scale),
    };
  }

  /** Zoom by a factor with the image point (u, v) kept at (dx, dy) from the centre. */
  function zoomAround(pane, { u, v, dx, dy }, factor) {
    // The wheel stops at the whole image; only the 1:1 button goes below, for images smaller than their pane.
    const zoom = Math.max(viewer.view.zoom * factor, Math.min(1, viewer.view.zoom));
    const { scale } = placeIn(pane, { ...viewer.view, zoom });
    moveTo(pane, zoom, u - dx / (viewer.size.width * scale), v - dy / (viewer.size.height * scale));
  }

  function moveTo(pane, zoom, cx, cy) {
    const at = placeIn(pane, { zoom, cx, cy });
    viewer.change({ zoom: at.zoom, cx: at.cx, cy: at.cy });
  }

  /** Move by a share of what is visible. */
  function step(right, down) {
    const [pane] = viewer.visible();
    const { cx, cy, scale } = placeIn(pane);
    const { width, height } = viewer.size;
    moveTo(pane, viewer.view.zoom, cx + (right * pane.canvas.width) / (scale * width),
      cy + (down * pane.canvas.height) / (scale * height));
  }

  /** Zoom by a factor around the middle. */
  function zoomBy(factor) {
    const [pane] = viewer.visible();
    const { cx, cy } = placeIn(pane);
    zoomAround(pane, { u: cx, v: cy, dx: 0, dy: 0 }, factor);
  }

  /** Where to look closer: where the last close look was, else at the region, also after all was seen. */
  function aim() {
    const { zoom, cx, cy, region } = viewer.view;
    if (zoom > 1) return [cx, cy];
    if (viewer.lastPlace) return viewer.lastPlace;
    if (!region) return [cx, cy];
    const [top, left, height, width] = region;
    return [(left + width / 2) / viewer.size.width, (top + height / 2) / viewer.size.height];
  }

  function setZoom(zoom) {
    const [pane] = viewer.visible();
    if (pane && viewer.size) moveTo(pane, zoom, ...aim());
  }

  /** So many screen pixels per image pixel. */
  function setScale(scale) {
    const [pane] = viewer.visible();
    if (pane && viewer.size) setZoom(scale / placeIn(pane).fit);
  }

  return { placeIn, locate, zoomAround, moveTo, step, zoomBy, setZoom, setScale };
}
