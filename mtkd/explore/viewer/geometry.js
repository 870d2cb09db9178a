// Where an image lies on a canvas, how many columns the panes take, and rectangles on the image. Plain functions.

export const GAP = 8; // CSS pixels between panes; viewer.css has the same
export const HEADER = 50; // CSS pixels above a canvas, for the choice of columns
export const MIN_HEIGHT = 170; // a canvas lower than this is not worth looking at
const MIN_WIDTH = 190; // narrower than this a caption and a pixel value do not fit on one line
export const MAX_SCALE = 64; // screen pixels per image pixel

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Where an image of `size` lies on a canvas of w x h device pixels: the one place that turns a view into pixels. */
export function place(view, w, h, size) {
  const fit = Math.min(w / size.width, h / size.height);
  const zoom = clamp(view.zoom, Math.min(1, 1 / fit), Math.max(1, MAX_SCALE / fit));
  const scale = fit * zoom;
  const centre = (c, visible) => (visible >= 1 ? 0.5 : clamp(c, visible / 2, 1 - visible / 2));
  const cx = centre(view.cx, w / (size.width * scale));
  const cy = centre(view.cy, h / (size.height * scale));
  const left = Math.round(w / 2 - cx * size.width * scale);
  const top = Math.round(h / 2 - cy * size.height * scale);
  return { fit, zoom, scale, cx, cy, left, top };
}

const SQUARE = 8;

/** What lies under a transparent picture. */
function checkerboard(context) {
  const tile = new OffscreenCanvas(2 * SQUARE, 2 * SQUARE);
  const two = tile.getContext("2d");
  two.fillStyle = "#ffffff";
  two.fillRect(0, 0, 2 * SQUARE, 2 * SQUARE);
  two.fillStyle = "#cccccc";
  two.fillRect(0, 0, SQUARE, SQUARE);
  two.fillRect(SQUARE, SQUARE, SQUARE, SQUARE);
  return context.createPattern(tile, "repeat");
}

/** Draw the visible part of a picture on a context of w x h device pixels; every edge on a whole device pixel, so that
 * magnified pixels stay squares of one colour. */
export function paint(context, picture, at, size, w, h, transparent = false) {
  const span = (start, step, count, room) => {
    const first = clamp(Math.floor(-start / step), 0, count - 1);
    const last = clamp(Math.ceil((room - start) / step), first + 1, count);
    const from = Math.round(start + first * step);
    return [first, last - first, from, Math.max(1, Math.round(start + last * step) - from)];
  };
  const stepX = (at.scale * size.width) / picture.width; // a picture of another size covers the same area
  const stepY = (at.scale * size.height) / picture.height;
  const [sx, sw, dx, dw] = span(at.left, stepX, picture.width, w);
  const [sy, sh, dy, dh] = span(at.top, stepY, picture.height, h);
  context.imageSmoothingEnabled = Math.min(stepX, stepY) < 1;
  context.imageSmoothingQuality = "medium";
  if (transparent) {
    context.fillStyle = checkerboard(context);
    context.fillRect(dx, dy, dw, dh);
  }
  context.drawImage(picture, sx, sy, sw, sh, dx, dy, dw, dh);
}

/** The number of columns that shows `count` images largest with all of them on one screen, and a pane's size. */
export function chooseGrid(count, width, height, aspect, columns) {
  const measure = (c, rows) => {
    const paneWidth = Math.floor((width - GAP * (c - 1)) / c);
    const room = (height - GAP * (rows - 1)) / rows - HEADER;
    const paneHeight = Math.round(Math.max(MIN_HEIGHT / 2, Math.min(paneWidth / aspect, Math.max(MIN_HEIGHT, room))));
    const fits = room >= MIN_HEIGHT || room * aspect >= paneWidth;
    return { columns: c, paneWidth, paneHeight, fits, shown: Math.min(paneWidth, paneHeight * aspect) };
  };
  let best = null;
  for (let c = 1; c <= count && !columns; c++) {
    const grid = measure(c, Math.ceil(count / c));
    if (c > 1 && grid.paneWidth < MIN_WIDTH) break;
    // More columns for nearly the same size: fewer rows.
    if (grid.fits && (!best || grid.shown >= 0.95 * best.shown)) best = grid;
  }
  // A small screen, or columns asked for: then each row has the screen to itself and the page scrolls.
  return best ?? measure(columns || clamp(Math.floor(width / (MIN_WIDTH + 20)), 1, count), 1);
}

/** The rectangle between two image points (0..1), [top, left, height, width] in whole pixels, at least one; null where
 * all of it is outside. */
export function regionBetween(size, a, b) {
  const [left, right] = [a.u, b.u].sort((p, q) => p - q).map((u) => clamp(u, 0, 1) * size.width);
  const [top, bottom] = [a.v, b.v].sort((p, q) => p - q).map((v) => clamp(v, 0, 1) * size.height);
  const [x0, y0, x1, y1] = [Math.floor(left), Math.floor(top), Math.ceil(right), Math.ceil(bottom)];
  return x1 > x0 && y1 > y0 ? [y0, x0, y1 - y0, x1 - x0] : null;
}

/** The square of `side` pixels around an image point, moved inside; null where it does not fit. */
export function windowAround(size, side, { u, v }) {
  if (side > size.width || side > size.height) return null;
  const start = (at, length) => clamp(Math.floor(at * length) - Math.floor(side / 2), 0, length - side);
  return [start(v, size.height), start(u, size.width), side, side];
}
