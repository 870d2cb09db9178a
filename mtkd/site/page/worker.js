// Runs the networks, in a thread of its own. Messages: {id, model, scale, image} -> {id, done, of}... {id, image, backend} or
// {id, error}; {id, model, image, inside: true} -> {id, tensors: {name: {dims, data}}}. {webgpu: true} says that the site has the runtime of WebGPU, which is loaded after the first picture.

import { checked, hasAdapter } from "./backends.js";
import * as ort from "./runtime/ort.wasm.min.mjs";

const TILE = 256; // LR pixels a side; smaller pictures run whole, as in `mtkd upscale`
const cancelled = new Set();
const sessions = new Map();

ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

function sessionOf(file) {
  if (!sessions.has(file)) {
    const made = ort.InferenceSession.create(new URL(file, import.meta.url).href, { executionProviders: ["wasm"] });
    made.catch(() => sessions.delete(file)); // asked for again, it is tried again
    sessions.set(file, made);
  }
  return sessions.get(file);
}

/** What runs a model: {values, size} -> values of the SR image. */
async function inWasm(file) {
  const session = await sessionOf(file);
  return async ({ values, size }) => (await session.run({ lr: new ort.Tensor("float32", values, size) }, ["sr"])).sr.data;
}

/** All that a model gives of one image: its SR image, and what is inside it. */
async function lookInside({ id, model, image }) {
  const session = await sessionOf(model.file);
  const { values, size } = tileOf(image, { start: 0, stop: image.height }, { start: 0, stop: image.width });
  const found = Object.entries(await session.run({ lr: new ort.Tensor("float32", values, size) }));
  const tensors = Object.fromEntries(found.map(([name, { dims, data }]) => [name, { dims, data }]));
  self.postMessage({ id, tensors });
}

// --- WebGPU -------------------------------------------------------------------------------------------------------------
let gpu = null; // the runtime of WebGPU, once there is an adapter
const onGpu = new Map(); // by file: what runs it there, or null where its result is not that of WebAssembly

async function loadGpu() {
  if (!(await hasAdapter(navigator.gpu))) return;
  try {
    const loaded = await import("./runtime/ort.webgpu.min.mjs");
    loaded.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
    loaded.env.wasm.numThreads = 1;
    gpu = loaded;
  } catch {
    gpu = null;
  }
}

async function inGpu(file) {
  const session = await gpu.InferenceSession.create(new URL(file, import.meta.url).href, { executionProviders: ["webgpu"] });
  return async ({ values, size }) => (await session.run({ lr: new gpu.Tensor("float32", values, size) }, ["sr"])).sr.data;
}

/** A tile of smooth colours with edges. */
function sample() {
  const side = 24;
  const values = Float32Array.from({ length: 3 * side * side }, (_, i) => 0.5 + 0.4 * Math.sin(i / 7) * Math.cos(i / 61));
  return { values, size: [1, 3, side, side] };
}

async function runnerOf(file) {
  const wasm = await inWasm(file);
  if (gpu && !onGpu.has(file)) onGpu.set(file, await checked(() => inGpu(file), wasm, sample()));
  const fast = gpu && onGpu.get(file);
  if (!fast) return { backend: "wasm", run: wasm };
  return {
    backend: "webgpu",
    run: (tile) => fast(tile).catch(() => { // a device that was lost
      gpu = null;
      return wasm(tile);
    }),
  };
}

/** Parts of one dimension: what a tile sees and what of it is kept, as mtkd/infer.py cuts them. */
function parts(length, step, overlap) {
  const found = [];
  for (let start = 0; start < Math.max(1, length - 2 * overlap); start += step) {
    const stop = Math.min(length, start + step + 2 * overlap);
    found.push({
      start, stop, first: start + (start ? overlap : 0), last: stop - (stop < length ? overlap : 0),
    });
  }
  return found;
}

/** RGBA bytes of a part -> (1, 3, h, w) float32 in [0, 1]. */
function tileOf({ data, width }, rows, columns) {
  const [h, w] = [rows.stop - rows.start, columns.stop - columns.start];
  const values = new Float32Array(3 * h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const from = 4 * ((y + rows.start) * width + x + columns.start);
      for (let c = 0; c < 3; c++) values[(c * h + y) * w + x] = data[from + c] / 255;
    }
  }
  return { values, size: [1, 3, h, w] };
}

/** The kept part of a result into the image; bytes are clamped, halves to even. */
function keep(out, values, rows, columns, scale) {
  const [height, width] = [scale * (rows.stop - rows.start), scale * (columns.stop - columns.start)];
  for (let y = scale * rows.first; y < scale * rows.last; y++) {
    for (let x = scale * columns.first; x < scale * columns.last; x++) {
      const from = (y - scale * rows.start) * width + x - scale * columns.start;
      const to = 4 * (y * out.width + x);
      for (let c = 0; c < 3; c++) out.data[to + c] = 255 * values[c * height * width + from];
      out.data[to + 3] = 255;
    }
  }
}

async function run({ id, model, scale, image }) {
  const { backend, run: upscale } = await runnerOf(model.file);
  const { width, height } = image;
  const whole = width * height <= TILE * TILE;
  const step = whole ? Math.max(width, height) : Math.max(1, Math.floor(TILE / model.window)) * model.window;
  const [down, across] = [parts(height, step, model.overlap), parts(width, step, model.overlap)];
  const out = new ImageData(scale * width, scale * height);
  let done = 0;
  for (const rows of down) {
    for (const columns of across) {
      if (cancelled.delete(id)) throw new DOMException("cancelled", "AbortError");
      keep(out, await upscale(tileOf(image, rows, columns)), rows, columns, scale);
      self.postMessage({ id, done: ++done, of: down.length * across.length });
      await new Promise((next) => setTimeout(next)); // a cancel may have come
    }
  }
  cancelled.delete(id);
  self.postMessage({ id, image: out, backend }, [out.data.buffer]);
}

let wanted = false; // the runtime of WebGPU
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  if (data.cancel) return void cancelled.add(data.cancel);
  if (data.webgpu) return void (wanted = true);
  last = last.then(() => (data.inside ? lookInside : run)(data)).catch((error) => {
    self.postMessage({ id: data.id, error: error.message ?? String(error), name: error.name });
  }).then(() => {
    if (!wanted) return;
    wanted = false;
    loadGpu(); // meanwhile WebAssembly goes on
  });
};
self.postMessage({ threads: ort.env.wasm.numThreads });
