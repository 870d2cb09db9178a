// Bicubic resampling as MATLAB's imresize does it: the port of mtkd/resize.py. Planes are Float64Array, row by row.

function cubic(x) {
  x = Math.abs(x);
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  return x <= 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

export const outputSize = (size, ratio) => Math.max(1, Math.ceil(ratio * size - 1e-9));

/** For every output sample the indices and the weights of the input samples. */
function taps(size, ratio) {
  const shrink = Math.min(ratio, 1);
  const width = 4 / shrink;
  return Array.from({ length: outputSize(size, ratio) }, (_, i) => {
    const centre = (i + 1) / ratio + 0.5 * (1 - 1 / ratio); // MATLAB counts from 1
    const first = Math.floor(centre - width / 2);
    const places = Array.from({ length: Math.ceil(width) + 2 }, (__, tap) => first + tap);
    const weights = places.map((place) => cubic(shrink * (centre - place)));
    const total = weights.reduce((a, b) => a + b, 0);
    return places
      .map((place, tap) => [Math.min(Math.max(place - 1, 0), size - 1), weights[tap] / total])
      .filter(([, weight]) => weight !== 0);
  });
}

/** One channel of w x h along both dimensions, rows of the image first. `round` is applied after each. */
function resizePlane(plane, w, h, ratio, round) {
  const [down, across] = [taps(h, ratio), taps(w, ratio)];
  const tall = new Float64Array(w * down.length);
  down.forEach((samples, y) => {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (const [from, weight] of samples) sum += weight * plane[from * w + x];
      tall[y * w + x] = round(sum);
    }
  });
  const out = new Float64Array(across.length * down.length);
  for (let y = 0; y < down.length; y++) {
    across.forEach((samples, x) => {
      let sum = 0;
      for (const [from, weight] of samples) sum += weight * tall[y * w + from];
      out[y * across.length + x] = round(sum);
    });
  }
  return out;
}

const toLevel = (value) => Math.min(255, Math.max(0, Math.floor(value + 0.5))); // MATLAB rounds halves up
const asIs = (value) => value;

/** Resize an ImageData. `matlab` rounds after each dimension, as for uint8 images; else once, at the end. */
export function resize(image, ratio, matlab) {
  const { data, width, height } = image;
  const [w, h] = [outputSize(width, ratio), outputSize(height, ratio)];
  const out = new ImageData(w, h);
  out.data.fill(255);
  const plane = new Float64Array(width * height);
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < plane.length; p++) plane[p] = data[4 * p + c];
    const made = resizePlane(plane, width, height, ratio, matlab ? toLevel : asIs);
    for (let p = 0; p < made.length; p++) out.data[4 * p + c] = made[p]; // clamped, and rounded to the nearest
  }
  return out;
}

/** The image without what is left over at the right and at the bottom of whole multiples. */
export function cropToMultiple(image, scale) {
  const [w, h] = [image.width - (image.width % scale), image.height - (image.height % scale)];
  if (!w || !h) throw new Error(`The picture is ${image.width} × ${image.height}: a side needs at least ${scale} pixels.`);
  const out = new ImageData(w, h);
  for (let y = 0; y < h; y++) out.data.set(image.data.subarray(4 * y * image.width, 4 * (y * image.width + w)), 4 * y * w);
  return out;
}
