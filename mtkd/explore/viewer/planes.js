// What the layers of differences are made of: numbers of whole images, read once, in slices of a millisecond or so.

export const STEPS = 256; // of a plane of luma, to one level
export const SLICE = 20; // ms of work at a time: between two slices the page answers
const BAND = 1 << 17; // pixels of one slice
const MOST_BYTES = 64e6; // bytes of planes that are kept for the next layer
const [RED, GREEN, BLUE] = [65.481 / 255, 128.553 / 255, 24.966 / 255]; // BT.601 luma, as mtkd.metrics.luma

export const lumaDifference = (a, b, i = 0) =>
  RED * (a[i] - b[i]) + GREEN * (a[i + 1] - b[i + 1]) + BLUE * (a[i + 2] - b[i + 2]);
/** Of one pixel, the sum over the channels. */
export const distance = (a, b, i = 0) =>
  Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]);

/** The [first, last) places of the pixels of each slice, whole rows. */
export function* bands(width, height) {
  const rows = Math.max(1, Math.floor(BAND / width));
  for (let y = 0; y < height; y += rows) yield [y * width, Math.min(y + rows, height) * width];
}

/** Run a generator to its end; returns what it returns. */
export function finish(steps) {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same, but between slices of time the page answers. */
export async function inSlices(steps) {
  for (;;) {
    const end = performance.now() + SLICE;
    do {
      const { done, value } = steps.next();
      if (done) return value;
    } while (performance.now() < end);
    await new Promise((later) => setTimeout(later));
  }
}

/** A function that reads the RGBA bytes of a slice of a bitmap. */
function reader(bitmap) {
  const { width } = bitmap;
  const rows = Math.max(1, Math.floor(BAND / width));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  return ([first, last]) => {
    const [y, height] = [first / width, (last - first) / width];
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, y, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
}

/** Planes of bitmaps, the last ones kept. Each is a generator that rests after every slice and returns the plane. */
export function planes() {
  const kept = new Map(); // from a name to {plane, bitmaps}; the one used last is the last
  const ids = new WeakMap();
  let count = 0;
  const idOf = (bitmap) => {
    if (!bitmap) return 0; // still loading
    if (!ids.has(bitmap)) ids.set(bitmap, ++count);
    return ids.get(bitmap);
  };

  function* plane(kind, bitmaps, fill) {
    const key = [kind, ...bitmaps.map(idOf)].join(" ");
    const found = kept.get(key) ?? { plane: null, bitmaps };
    if (!found.plane) {
      const { width, height } = bitmaps[0];
      const numbers = new Uint16Array(width * height);
      const readers = bitmaps.map(reader);
      for (const band of bands(width, height)) {
        fill(numbers.subarray(...band), ...readers.map((read) => read(band)));
        yield;
      }
      found.plane = numbers;
    }
    kept.delete(key);
    kept.set(key, found);
    let bytes = 0;
    for (const [name, one] of [...kept].reverse()) {
      bytes += one.plane.byteLength;
      if (bytes > MOST_BYTES) kept.delete(name);
    }
    return found.plane;
  }

  return {
    idOf,
    /** Luma, in steps of 1 / STEPS. */
    luma: (bitmap) => plane("luma", [bitmap], (out, a) => {
      for (let p = 0, i = 0; p < out.length; p++, i += 4) {
        out[p] = STEPS * (RED * a[i] + GREEN * a[i + 1] + BLUE * a[i + 2]) + 0.5;
      }
    }),
    /** How far each pixel is from that of another image, the sum over the channels. */
    distance: (bitmap, from) => plane("distance", [bitmap, from], (out, a, b) => {
      for (let p = 0, i = 0; p < out.length; p++, i += 4) out[p] = distance(a, b, i);
    }),
    /** Forget those of other bitmaps. */
    keepOnly(bitmaps) {
      for (const [key, one] of kept) if (!one.bitmaps.every((bitmap) => bitmaps.has(bitmap))) kept.delete(key);
    },
  };
}
