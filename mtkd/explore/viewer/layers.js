// Layers that the browser makes of the images that it has: differences between panes, as colours.

import { closer, heat, signed, table } from "./colours.js";
import { STEPS, bands, distance, lumaDifference } from "./planes.js";

export const GAINS = [1, 2, 4, 8, 16];
/** What can be chosen for all panes: its button, and what the button does. Other names are shown as they are. */
export const LAYERS = {
  image: ["Image", "The images"],
  closer: ["Closer to the ground truth", "Where each image is closer to the ground truth than the baseline, and where farther"],
  error: ["Error", "Absolute error of the luma"],
  "signed error": ["Brighter or darker", "Where each image is brighter or darker than the ground truth"],
  difference: ["Difference", "Where each image is brighter or darker than the baseline"],
  "wavelet error": ["Bands", "Error by wavelet band"],
  flip: ["FLIP", "Differences that a person sees who flips between image and ground truth"],
};
/** What people read of a layer: names of models and files stay as they are. */
export const nameOf = (layer) =>
  LAYERS[layer]?.[0] ?? (/^[a-z ]+$/.test(layer) ? layer.charAt(0).toUpperCase() + layer.slice(1) : layer);
/** Of a layer of differences: its colour map, the levels at which that is full at gain 1, and the words of its ends. */
export const LEGENDS = {
  closer: { map: "closer", full: 8, low: "farther by", high: "closer by", unit: "levels" },
  error: { map: "heat", full: 32, high: "", unit: "luma levels" },
  "signed error": { map: "signed", full: 32, low: "darker by", high: "brighter by", unit: "luma levels" },
  difference: { map: "signed", full: 12, low: "darker by", high: "brighter by", unit: "luma levels" },
  "wavelet error": { map: "heat", full: 32, high: "", unit: "luma levels", fixed: true },
  flip: { map: "heat", full: 0.5, high: "FLIP", unit: "", fixed: true },
};

/** The value of a layer at one pixel, in levels. */
export function levelAt(layer, { image, truth, baseline }) {
  if (layer === "closer") return (distance(baseline, truth) - distance(image, truth)) / 3;
  if (layer === "difference") return lumaDifference(image, baseline);
  const error = lumaDifference(image, truth);
  return layer === "error" ? Math.abs(error) : error;
}

/** Make a layer's picture: a generator that rests after every slice and returns its RGBA bytes. `numbers` has planes
 * of `planes.js`: for "closer" the distances of the image and the baseline and the luma of the truth, else the luma of
 * the image and of what it is compared with, `against`. */
export function* drawLayer(layer, numbers, width, height, gain, dark) {
  const out = new Uint8ClampedArray(4 * width * height);
  const target = new Uint32Array(out.buffer);
  const fill = { closer: fillCloser, error: fillError }[layer] ?? fillSigned;
  const full = LEGENDS[layer].full / gain;
  const colours = { closer: closerTable, error: errorTable }[layer]?.(full, dark) ?? signedTable(full, dark);
  for (const [first, last] of bands(width, height)) {
    fill(target, numbers, colours, first, last);
    yield;
  }
  return out;
}

// The colours of a layer by its numbers as they are: whole steps, so that a picture takes one look-up a pixel.
const errorTable = (full) => table(heat(), STEPS * full);
const signedTable = (full, dark) => table(signed(dark), 2 * STEPS * full);

function fillError(target, { image, against }, colours, first, last) {
  const most = colours.length - 1;
  for (let p = first; p < last; p++) target[p] = colours[Math.min(Math.abs(image[p] - against[p]), most)];
}

function fillSigned(target, { image, against }, colours, first, last) {
  const most = colours.length - 1;
  const middle = most / 2;
  for (let p = first; p < last; p++) {
    target[p] = colours[Math.max(0, Math.min(image[p] - against[p] + middle, most))];
  }
}

const GREYS = 220; // levels of luma

/** The ground truth, faded; towards one colour where the image is closer to it than the baseline, else to the other. */
function closerTable(full, dark) {
  const { near, far, faint, span } = closer(dark);
  const most = Math.ceil(3 * full);
  const colours = new Uint32Array((2 * most + 1) * GREYS);
  const bytes = new Uint8ClampedArray(colours.buffer);
  for (let by = -most, i = 0; by <= most; by++) {
    const [colour, strength] = [by > 0 ? near : far, Math.min(1, Math.abs(by) / (3 * full))];
    for (let luma = 0; luma < GREYS; luma++, i += 4) {
      const grey = faint + (span / (GREYS - 1)) * luma;
      for (let c = 0; c < 3; c++) bytes[i + c] = grey + strength * (colour[c] - grey);
      bytes[i + 3] = 255;
    }
  }
  return colours;
}

function fillCloser(target, { image, baseline, truth }, colours, first, last) {
  const most = (colours.length / GREYS - 1) / 2;
  for (let p = first; p < last; p++) {
    const by = Math.max(-most, Math.min(baseline[p] - image[p], most));
    target[p] = colours[(by + most) * GREYS + ((truth[p] + STEPS / 2) / STEPS | 0)];
  }
}

/** For what shares of the pixels the image is closer to the ground truth than the baseline, and farther; of planes of
 * distances. */
export function shares({ image, baseline }, width, height, [top, left, rows, columns]) {
  let [near, far, count] = [0, 0, 0];
  for (let y = top; y < Math.min(top + rows, height); y++) {
    const end = y * width + Math.min(left + columns, width);
    for (let p = y * width + left; p < end; p++) {
      count++;
      if (image[p] < baseline[p]) near++;
      else if (image[p] > baseline[p]) far++;
    }
  }
  return [near / (count || 1), far / (count || 1)];
}
