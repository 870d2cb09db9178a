// WebGPU or WebAssembly: WebGPU only where there is an adapter and a small tile comes out as in WebAssembly. Some drivers
// give wrong pictures, and some never answer.

/** Largest difference of a value of the tile, in units of [0, 1]: half a level. */
export const TOLERANCE = 0.5 / 255;
const PATIENCE = 10_000; // ms

function within(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("no answer")), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Whether the browser's `navigator.gpu` has an adapter that answers, and that is more than software. */
export async function hasAdapter(gpu, patience = PATIENCE) {
  try {
    const adapter = gpu && await within(gpu.requestAdapter(), patience);
    return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
  } catch {
    return false;
  }
}

/**
 * The way to run a model on WebGPU, or null where WebAssembly must do.
 * @param {() => Promise<(tile) => Promise<Float32Array>>} make opens the model on WebGPU
 * @param {(tile) => Promise<Float32Array>} reference runs it in WebAssembly
 * @param tile a small LR image, as both take it
 */
export async function checked(make, reference, tile, patience = PATIENCE) {
  try {
    const run = await within(make(), patience);
    const expected = await reference(tile);
    const found = await within(run(tile), patience);
    const same = found.length === expected.length && found.every((value, i) => Math.abs(value - expected[i]) <= TOLERANCE);
    return same ? run : null; // not a number is no difference at most so large
  } catch {
    return null;
  }
}
