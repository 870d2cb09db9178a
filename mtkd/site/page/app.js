// The page: a picture, models, and what they make of it, side by side.

import { backend, site, threads, upscale } from "./engine.js";
import { show as showFramework } from "./framework.js";
import { lumaOf, psnr, ssim } from "./metrics.js";
import { cropToMultiple, resize } from "./resize.js";
import { mount } from "./viewer.js";
import { show as showBands } from "./wavelets.js";

const TRUTH = "ground truth";
const byId = (id) => document.getElementById(id);
const about = await site;
const { scale } = about;
const models = new Map(about.models.map((model) => [model.name, model]));
const state = { picture: null, title: "", chosen: [...about.usual], mode: "test", run: null, shown: null, region: null };
const viewer = mount(byId("viewer"), { panes: [], empty: "Loading the first comparison…", onView: look });

if ("serviceWorker" in navigator && !window.crossOriginIsolated) {
  navigator.serviceWorker.register("isolate.js").catch(() => {}); // the next visit has more threads
}
async function showBackend() {
  const count = await threads;
  byId("threads").dataset.backend = backend ?? "";
  if (backend === "webgpu") byId("threads").textContent = "The networks run on the graphics processor (WebGPU).";
  else byId("threads").textContent = count > 1 ? `The networks run on ${count} threads.` :
    "The networks run on one thread. Reload the page for more, where this browser allows it.";
}

// --- pictures -----------------------------------------------------------------------------------------------------------
/** The pixels of a file or an address, without conversion of colours. */
async function pixelsOf(source) {
  const blob = source instanceof Blob ? source : await (await fetch(source)).blob();
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(`${source.name ?? "The picture"} cannot be read: open a PNG, JPEG, WebP or GIF file.`);
  }
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#ffffff"; // a transparent picture lies on white
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

async function addressOf(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/png" }));
}

async function open(source, title, view = {}) {
  try {
    state.picture = await pixelsOf(source);
  } catch (error) {
    return tell(error.message, true);
  }
  state.title = title;
  await compare({ zoom: 1, cx: 0.5, cy: 0.5, region: null, ...view });
}

// --- a comparison -------------------------------------------------------------------------------------------------------
function tell(text, wrong = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("error", wrong);
}

/** Run all chosen models, the smallest first; an older comparison ends. */
async function compare(view = null) {
  state.run?.abort();
  const run = (state.run = new AbortController());
  if (view) state.region = view.region ?? null;
  const panes = new Map();
  byId("cancel").hidden = false;
  try {
    const truth = state.mode === "test" ? cropToMultiple(state.picture, scale) : null;
    const lr = truth ? resize(truth, 1 / scale, true) : state.picture;
    const shown = (state.shown = { lr, truth, results: new Map(), panes });
    if (truth) panes.set(TRUTH, { name: TRUTH, title: "Ground truth", layers: { image: await addressOf(truth) } });
    for (const name of state.chosen) panes.set(name, { name, title: models.get(name).title, layers: {}, pending: "waiting" });
    panes.set("LR", { name: "LR", title: truth ? "LR input" : "Your photo", scale, caption: `${lr.width} × ${lr.height}`, layers: { image: await addressOf(lr) } });
    show(view);
    const order = [...state.chosen].sort((a, b) => (models.get(a).bytes ?? 0) - (models.get(b).bytes ?? 0));
    for (const [number, name] of order.entries()) {
      const { title } = models.get(name);
      const progress = (done, of) => tell(`${title}, ${number + 1} of ${order.length}` + (of > 1 ? `, tile ${done} of ${of}` : ""));
      progress(0, 1);
      Object.assign(panes.get(name), { pending: "running" });
      show();
      const began = performance.now();
      const image = await upscale(name, scale, lr, { signal: run.signal, progress });
      if (models.get(name).file) showBackend();
      if (run.signal.aborted) return;
      const result = { image, seconds: (performance.now() - began) / 1000, ...measure(image, truth) };
      shown.results.set(name, result);
      const href = await addressOf(image);
      const download = { href, filename: `${name}_x${scale}.png` };
      panes.set(name, { name, title, layers: { image: href }, caption: captionIn(result), download });
      show();
    }
    tell("");
  } catch (error) {
    if (error.name !== "AbortError") tell(error.message, true);
    else if (run === state.run) tell("Cancelled. The results so far are shown.");
    for (const pane of panes.values()) if (pane.pending) panes.delete(pane.name);
    if (run === state.run) show();
  } finally {
    if (run === state.run) {
      byId("cancel").hidden = true;
      showSteps();
      document.body.dataset.ended = String(Number(document.body.dataset.ended ?? 0) + 1);
    }
  }
}

function show(view = null) {
  const { panes, truth } = state.shown;
  const options = { reference: truth ? TRUTH : null, height: Math.max(380, window.innerHeight - 140), source: `${state.title}, ×${scale}` };
  viewer.update([...panes.values()], { ...options, ...(view ? { view } : {}) });
  showTable();
  showWavelets();
}

function showWavelets() {
  const { results, truth } = state.shown;
  const done = state.chosen.filter((name) => results.has(name)).map((name) => [name, results.get(name).image]);
  const images = new Map([...(truth ? [[TRUTH, truth]] : []), ...done]);
  showBands(byId("wavelets"), images, (name) => (name === TRUTH ? "Ground truth" : models.get(name).title));
}

/** The framework's steps; computed while the panel is open and no comparison runs. */
function showSteps() {
  clearTimeout(state.steps); // a region that is being drawn changes with every move
  state.steps = setTimeout(() => {
    if (!state.shown || !byId("cancel").hidden) return;
    const { lr, truth, results } = state.shown;
    const students = state.chosen.filter((name) => results.has(name));
    showFramework(byId("framework"), { lr, truth, region: state.region, students });
  }, 200);
}
byId("framework").ontoggle = showSteps;
byId("wavelets").ontoggle = () => state.shown && showWavelets();

// --- numbers ------------------------------------------------------------------------------------------------------------
/** PSNR and SSIM on luma, `border` pixels cropped a side. */
function quality(image, truth, [top, left, height, width]) {
  const cut = ({ data, width: stride }) => {
    const bytes = new Uint8ClampedArray(4 * height * width);
    for (let y = 0; y < height; y++) bytes.set(data.subarray(4 * ((y + top) * stride + left), 4 * ((y + top) * stride + left + width)), 4 * y * width);
    return lumaOf(bytes);
  };
  const [a, b] = [cut(image), cut(truth)];
  return { psnr: psnr(a, b), ssim: ssim(a, b, width, height) };
}

function measure(image, truth) {
  if (!truth) return {};
  return quality(image, truth, [scale, scale, image.height - 2 * scale, image.width - 2 * scale]);
}

const text = (value, digits) => (value === null || value === undefined ? "–" : Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "∞");
const captionOf = ({ psnr: db, ssim: similarity, seconds }) =>
  db === undefined ? `${seconds.toFixed(2)} s` : `${text(db, 2)} dB · SSIM ${text(similarity, 4)}`;

/** The numbers of a result in the region that is looked at, where there is one. */
function captionIn(result) {
  const { truth } = state.shown;
  if (!truth || !state.region) return captionOf(result);
  return `region ${captionOf(quality(result.image, truth, state.region))} · whole ${text(result.psnr, 2)}`;
}

/** A region was drawn, or cleared: its numbers stand under the names. */
function look({ region }) {
  if (String(region ?? "") === String(state.region ?? "")) return;
  state.region = region ?? null;
  if (!state.shown?.truth) return;
  for (const [name, result] of state.shown.results) state.shown.panes.get(name).caption = captionIn(result);
  show();
  showSteps();
}

function showTable() {
  const { results, truth } = state.shown;
  const bicubic = results.get("bicubic")?.psnr;
  const over = bicubic === undefined ? [] : ["Gain over bicubic (dB)"];
  const heads = ["Model", "Parameters", ...(truth ? ["PSNR (dB)", "SSIM", ...over] : []), "Seconds"];
  const row = (cells, tag) => {
    const line = document.createElement("tr");
    cells.forEach((cell, i) => {
      const node = document.createElement(i && tag === "td" ? "td" : "th");
      node.textContent = cell;
      line.append(node);
    });
    return line;
  };
  const done = state.chosen.filter((name) => results.has(name)).map((name) => [name, results.get(name)]);
  const rows = done.map(([name, result]) => {
    const gain = name === "bicubic" ? "" : (result.psnr > bicubic ? "+" : "") + text(result.psnr - bicubic, 2);
    const measured = truth ? [text(result.psnr, 2), text(result.ssim, 4), ...over.map(() => gain)] : [];
    return row([models.get(name).title, models.get(name).parameters?.toLocaleString("en") ?? "–", ...measured, text(result.seconds, 2)], "td");
  });
  byId("table").hidden = !rows.length;
  byId("table").tHead.replaceChildren(row(heads, "th"));
  byId("table").tBodies[0].replaceChildren(...rows);
}

// --- findings -----------------------------------------------------------------------------------------------------------
function addFindings({ source, answers, figures }) {
  const root = byId("findings");
  const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  root.hidden = false;
  root.querySelector("dl").append(...answers.flatMap(({ question, text: said }) => [element("dt", question), element("dd", said)]));
  root.querySelector(".figures").append(...figures.map(({ title, file }) => {
    const figure = document.createElement("figure");
    figure.append(element("figcaption", title), Object.assign(new Image(), { src: file, alt: title, loading: "lazy" }));
    return figure;
  }));
  root.querySelector(".hint").textContent = `From ${source}.`;
}
if (about.findings) addFindings(about.findings);

// --- controls -----------------------------------------------------------------------------------------------------------
for (const [number, picture] of about.pictures.entries()) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = picture.title;
  button.setAttribute("aria-pressed", number === 0);
  button.innerHTML = `<img alt="" loading="${number ? "lazy" : "eager"}">`;
  button.firstChild.src = picture.file;
  button.setAttribute("aria-label", picture.title);
  button.onclick = () => {
    press(button);
    open(picture.file, picture.title, picture.view);
  };
  byId("pictures").append(button);
}

function press(button) {
  for (const one of byId("pictures").children) one.setAttribute("aria-pressed", one === button);
}

for (const model of about.models) {
  const label = document.createElement("label");
  label.innerHTML = '<input type="checkbox"> <span></span>';
  label.firstChild.checked = state.chosen.includes(model.name);
  label.firstChild.value = model.name;
  label.lastChild.textContent = model.title;
  label.title = model.name;
  label.firstChild.onchange = () => {
    state.chosen = [...byId("models").querySelectorAll("input:checked")].map((box) => box.value);
    compare();
  };
  byId("models").append(label);
}

for (const radio of document.querySelectorAll("[name=mode]")) {
  radio.onchange = () => { state.mode = radio.value; compare({ zoom: 1, cx: 0.5, cy: 0.5, region: null }); };
}
const own = (file) => { if (file) { press(null); open(file, file.name); } };
for (const [button, input] of [["open", "file"], ["camera", "photo"]]) {
  byId(button).onclick = () => byId(input).click();
  byId(input).onchange = ({ target }) => { own(target.files[0]); target.value = ""; };
}
byId("cancel").onclick = () => state.run?.abort();
document.addEventListener("paste", (event) => own([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))));
document.addEventListener("dragover", (event) => { event.preventDefault(); document.querySelector("main").classList.add("dropping"); });
document.addEventListener("dragleave", () => document.querySelector("main").classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.querySelector("main").classList.remove("dropping");
  own(event.dataTransfer.files[0]);
});

open(about.pictures[0].file, about.pictures[0].title, about.pictures[0].view);
