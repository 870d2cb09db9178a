// Fig. 1 with the visitor's picture: what the teachers give, what the combined teacher makes of it, and the losses that a
// student learns from (Eqs. 2 to 4).

import { inside, site, upscale } from "./engine.js";
import { coloured, haar } from "./wavelets.js";

const SIDE = 96; // LR pixels at most: features of more would be too small to see, and slow
const COLUMNS = 6;
const FULL = 0.995; // quantile of a map's absolute values at full colour

/** The part of the LR image that is shown: all of it, or SIDE pixels around the region (HR pixels), or in the middle. */
export function partOf({ width, height }, region, scale) {
  const along = (length, first, size) => {
    const side = Math.min(SIDE, length);
    const middle = region ? (first + size / 2) / scale : length / 2;
    return [Math.round(Math.min(Math.max(0, middle - side / 2), length - side)), side];
  };
  const [top, h] = along(height, region?.[0], region?.[2]);
  const [left, w] = along(width, region?.[1], region?.[3]);
  return { top, left, width: w, height: h };
}

function cut(image, { top, left, width, height }) {
  const out = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    const from = 4 * ((y + top) * image.width + left);
    out.data.set(image.data.subarray(from, from + 4 * width), 4 * width * y);
  }
  return out;
}

/** A tensor (1, 3, h, w) in [0, 1] as an image. */
function imageOf({ dims, data }) {
  const [, , height, width] = dims;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * data[c * width * height + i];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Feature maps (1, C, h, w) on one sheet, each with a scale of its own. */
function sheetOf({ dims, data }) {
  const [, count, height, width] = dims;
  const canvas = document.createElement("canvas");
  canvas.width = COLUMNS * (width + 2) - 2;
  canvas.height = Math.ceil(count / COLUMNS) * (height + 2) - 2;
  for (let map = 0; map < count; map++) {
    const values = data.slice(map * width * height, (map + 1) * width * height);
    const full = values.map(Math.abs).sort()[Math.floor(FULL * (values.length - 1))] || 1;
    const [x, y] = [(map % COLUMNS) * (width + 2), Math.floor(map / COLUMNS) * (height + 2)];
    canvas.getContext("2d").putImageData(coloured(values, width, height, full), x, y);
  }
  return canvas;
}

/** The mean absolute difference of two images, values in [0, 1]. */
export function l1(a, b) {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) if (i % 4 !== 3) sum += Math.abs(a.data[i] - b.data[i]);
  return sum / 255 / (0.75 * a.data.length);
}

function figure(title, text, ...shown) {
  const made = document.createElement("figure");
  const pictures = Object.assign(document.createElement("div"), { className: "pictures" });
  if (shown.length > 1) {
    made.className = "several";
    pictures.style.gridTemplateColumns = `repeat(${shown.length % 3 ? 2 : 3}, 1fr)`;
  }
  for (const one of shown) {
    let canvas = one;
    if (one instanceof ImageData) {
      canvas = Object.assign(document.createElement("canvas"), { width: one.width, height: one.height });
      canvas.getContext("2d").putImageData(one, 0, 0);
    }
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", title);
    pictures.append(canvas);
  }
  const caption = document.createElement("figcaption");
  caption.append(Object.assign(document.createElement("b"), { textContent: title }), text);
  made.append(pictures, caption);
  return made;
}

const shape = ({ dims }) => `${dims[1]} maps of ${dims[3]} × ${dims[2]}`;

/** Stage 1: from the teachers' images to MT. */
function aggregation(lr, model, tensors, truth) {
  const { sr, shallow, merged } = tensors;
  const of = (kind) => model.inside.filter((name) => name.startsWith(kind)).map((name) => tensors[name]);
  const [teachers, blocks] = [of("teacher_"), of("block_")];
  const mt = imageOf(sr);
  const loss = truth ? ` Stage 1 trains this module against the ground truth: L_KA = ${l1(mt, truth).toFixed(5)} (Eq. 1).` : "";
  return { mt, figures: [
    figure("LR image", `${lr.width} × ${lr.height}. It goes to every teacher.`, lr),
    figure(`${teachers.length} teachers`, `${model.teachers.join(", ")}: trained in advance, frozen.`, ...teachers.map(imageOf)),
    figure("Shallow features F_s", `The teachers' images, folded to LR size: ${shape(shallow)}.`, sheetOf(shallow)),
    figure(`${blocks.length} blocks`, "Each refines the features of the one before, in windows of 8 × 8.", ...blocks.map(sheetOf)),
    figure("F_s + F_d", "The input of the upsampler.", sheetOf(merged)),
    figure(model.title, `One better image, MT.${loss}`, mt),
  ] };
}

/** Stage 2: the student, and what it is compared with. */
function distillation(title, student, mt, truth, alpha) {
  const { loss } = haar(student, mt);
  const numbers = { L_dis: loss, ...(truth ? { L_stu: l1(student, truth) } : {}) };
  numbers.L_total = loss + (truth ? alpha * numbers.L_stu : 0);
  const said = (name) => `${name} = ${numbers[name].toFixed(5)}`;
  const figures = [
    figure(title, "The student upscales the same LR image.", student),
    figure("Target: MT", `Compared subband by subband: ${said("L_dis")} (Eq. 3).`, mt),
    ...(truth ? [figure("Ground truth", `Compared pixel by pixel: ${said("L_stu")} (Eq. 2).`, truth)] : []),
  ];
  const sum = truth ? `α L_stu + L_dis, α = ${alpha}` : "L_dis alone, without a ground truth";
  return { numbers, figures, text: `${said("L_total")} (Eq. 4: ${sum}). Its gradient trains the student alone.` };
}

let turn = 0;

/**
 * Fill the panel.
 * @param {{lr: ImageData, truth: ?ImageData, region: ?number[], students: string[]}} given the comparison
 */
export async function show(root, given) {
  const { models, scale, alpha } = await site;
  const known = new Map(models.map((model) => [model.name, model]));
  const merged = models.filter((model) => model.inside?.length).map((model) => model.name);
  const students = given.students.filter((name) => known.get(name).role === "student");
  root.hidden = !merged.length || !students.length;
  if (root.hidden || !root.open) return;
  const own = ++turn;
  const said = root.querySelector("output");
  const [of, to] = root.querySelectorAll("select");
  for (const [select, names] of [[to, merged], [of, students]]) {
    const chosen = names.includes(select.value) ? select.value : names.at(-1);
    select.replaceChildren(...names.map((name) => new Option(known.get(name).title, name, false, name === chosen)));
    select.onchange = () => show(root, given);
    select.parentElement.hidden = names.length < 2;
  }
  const part = partOf(given.lr, given.region, scale);
  const lr = cut(given.lr, part);
  const inHr = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, scale * value]));
  const truth = given.truth && cut(given.truth, inHr);
  said.textContent = "Computing…";
  root.setAttribute("aria-busy", "true");
  try {
    const tensors = await inside(to.value, lr);
    const student = await upscale(of.value, scale, lr);
    if (own !== turn) return;
    const first = aggregation(lr, known.get(to.value), tensors, truth);
    const second = distillation(known.get(of.value).title, student, first.mt, truth, alpha);
    const [stage1, stage2] = root.querySelectorAll(".flow");
    stage1.replaceChildren(...first.figures);
    stage2.replaceChildren(...second.figures);
    root.dataset.numbers = JSON.stringify(second.numbers);
    said.textContent = second.text;
  } catch (error) {
    if (own === turn) said.textContent = error.message;
  } finally {
    if (own === turn) root.removeAttribute("aria-busy");
  }
}
