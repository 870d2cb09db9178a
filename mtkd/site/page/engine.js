// The networks as functions: `await upscale("rcan_tiny-mtkd", 4, imageData)` gives an ImageData four times as large.
// For other pages, too: all that is needed lies beside this file.

import { resize } from "./resize.js";

const MOST = 64_000_000; // pixels of a result: more does not fit into a tab's memory
const SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);

/** What the site holds: {scale, models, pictures, usual, alpha, webgpu}. */
export const site = fetch(new URL("./mtkd-site.json", import.meta.url)).then((answer) => answer.json());

/** What ran the last network: "wasm", "webgpu", or null before the first. */
export let backend = null;
let worker = null;
let numbers = 0;
const waiting = new Map();
/** How many threads the networks run on; known once the worker has started. */
export let threads = new Promise((known) => { waiting.set("threads", known); });

function start(webgpu) {
  if (!WebAssembly.validate(SIMD)) {
    throw new Error("This browser has no WebAssembly SIMD, which the networks need. Use a browser of 2021 or later.");
  }
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.threads) return waiting.get("threads")?.(data.threads);
    const asked = waiting.get(data.id);
    if (!asked) return;
    if (data.image) {
      backend = data.backend;
      asked.resolve(data.image);
    }
    else if (data.tensors) asked.resolve(data.tensors);
    else if (data.error) asked.reject(Object.assign(new Error(data.error), { name: data.name }));
    else return asked.progress?.(data.done, data.of);
    waiting.delete(data.id);
  };
  worker.onerror = (event) => {
    const error = new Error(event.message || "The networks' thread ended: reload the page.");
    for (const [id, asked] of waiting) if (asked.reject) { waiting.delete(id); asked.reject(error); }
    worker = null;
  };
  if (webgpu) worker.postMessage({ webgpu });
}

/**
 * Upscale an ImageData.
 * @param {string} name of a model of the site
 * @param {number} scale the site's
 * @param {ImageData} image LR, RGBA bytes; opacity is ignored
 * @param {{signal?: AbortSignal, progress?: (done: number, of: number) => void}} options progress counts tiles
 * @returns {Promise<ImageData>} rejects with an AbortError where it was cancelled
 */
export async function upscale(name, scale, image, { signal, progress } = {}) {
  const { models, scale: known } = await site;
  const model = models.find((one) => one.name === name);
  if (!model) throw new Error(`No model ${name} on this site: ${models.map((one) => one.name).join(", ")}.`);
  if (scale !== known) throw new Error(`The models of this site upscale ×${known}, not ×${scale}.`);
  if (image.width * image.height * scale ** 2 > MOST) {
    throw new Error(`The result would have ${image.width * scale} × ${image.height * scale} pixels; a tab takes ${MOST / 1e6} million.`);
  }
  signal?.throwIfAborted();
  if (!model.file) return resize(image, scale, false);
  return ask({ model, scale, image }, { signal, progress });
}

/** What an aggregator computes on its way to the SR image: {name: {dims, data}}, `sr` among them. */
export async function inside(name, image) {
  const { models } = await site;
  return ask({ model: models.find((one) => one.name === name), image, inside: true });
}

async function ask(message, { signal, progress } = {}) {
  const { webgpu } = await site;
  if (!worker) start(webgpu);
  const id = `run ${++numbers}`;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, progress });
    signal?.addEventListener("abort", () => worker?.postMessage({ cancel: id }));
    worker.postMessage({ id, ...message });
  });
}
