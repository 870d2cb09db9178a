// PSNR and SSIM on luma, as mtkd.metrics computes them: BT.601, not rounded; an 11 x 11 Gaussian of sigma 1.5, valid part.

const RADIUS = 5;
const TAPS = (() => {
  const half = Array.from({ length: RADIUS + 1 }, (_, distance) => Math.exp(-(distance ** 2) / (2 * 1.5 ** 2)));
  const total = 2 * half.reduce((a, b) => a + b, 0) - half[0];
  return Array.from({ length: 2 * RADIUS + 1 }, (_, i) => half[Math.abs(i - RADIUS)] / total);
})();

/** RGBA bytes -> luma in 16..235, Float64Array. */
export function lumaOf(bytes) {
  const luma = new Float64Array(bytes.length / 4);
  for (let p = 0, i = 0; p < luma.length; p++, i += 4) {
    luma[p] = 16 + (65.481 * bytes[i] + 128.553 * bytes[i + 1] + 24.966 * bytes[i + 2]) / 255;
  }
  return luma;
}

/** PSNR in dB of two planes; Infinity where they are equal. */
export function psnr(a, b) {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += (a[p] - b[p]) ** 2;
  return decibels(sum / a.length);
}

/** The Gaussian on the valid part of a plane of w x h: rows, then columns. */
function blur(plane, w, h) {
  const inner = w - 2 * RADIUS;
  const rows = new Float64Array(inner * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < inner; x++) {
      let sum = 0;
      for (let k = 0; k < TAPS.length; k++) sum += TAPS[k] * plane[y * w + x + k];
      rows[y * inner + x] = sum;
    }
  }
  const out = new Float64Array(inner * (h - 2 * RADIUS));
  for (let y = 0; y < h - 2 * RADIUS; y++) {
    for (let x = 0; x < inner; x++) {
      let sum = 0;
      for (let k = 0; k < TAPS.length; k++) sum += TAPS[k] * rows[(y + k) * inner + x];
      out[y * inner + x] = sum;
    }
  }
  return out;
}

/** Mean SSIM of two planes of w x h in 0..255; null where a side has fewer than 11 pixels. */
export function ssim(a, b, w, h) {
  if (Math.min(w, h) <= 2 * RADIUS) return null;
  const product = (p, q) => p.map((value, i) => value * q[i]);
  const [ma, mb, aa, bb, ab] = [a, b, product(a, a), product(b, b), product(a, b)].map((plane) => blur(plane, w, h));
  const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
  let sum = 0;
  for (let p = 0; p < ma.length; p++) {
    const [va, vb, cov] = [aa[p] - ma[p] ** 2, bb[p] - mb[p] ** 2, ab[p] - ma[p] * mb[p]];
    sum += ((2 * ma[p] * mb[p] + c1) * (2 * cov + c2)) / ((ma[p] ** 2 + mb[p] ** 2 + c1) * (va + vb + c2));
  }
  return sum / ma.length;
}
