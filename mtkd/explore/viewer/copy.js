// "Copy image": what is seen as one picture with names, captions and its source, for papers and slides.

import { legendColours } from "./colours.js";
import { titleOf } from "./elements.js";
import { GAP, MAX_SCALE } from "./geometry.js";
import { nameOf } from "./layers.js";

const INK = "#1f2937"; // always the colours of the light theme
const MUTED = "#5b6472";
const GROUND = "#e4e4e7";
const FONT = 'system-ui, -apple-system, "Segoe UI", sans-serif';
const BOLD = `600 14px ${FONT}`;
const PLAIN = `12px ${FONT}`;
const LINE = 18;

const ALONE = ["127.0.0.1", "localhost", "[::1]"]; // nobody else can open a link to these

/** Lines no wider than `width`, broken after spaces and in links; what is too long has a line of its own. */
function wrap(context, text, width) {
  const lines = [];
  for (const part of text.split(/(?<=[ &?])/)) {
    const longer = (lines.at(-1) ?? "") + part;
    if (lines.length && context.measureText(longer.trimEnd()).width <= width) lines[lines.length - 1] = longer;
    else lines.push(part);
  }
  return lines;
}

/** Write lines under each other; returns the height. */
function write(context, text, { x, y, width, font, colour = INK, align = "left" }) {
  Object.assign(context, { font, fillStyle: colour, textAlign: align, textBaseline: "middle" });
  const lines = text ? wrap(context, text, width) : [];
  lines.forEach((line, i) => context.fillText(line, align === "right" ? x + width : x, y + (i + 0.5) * LINE, width));
  return lines.length * LINE;
}

/** Names and captions above one picture: of a pane, or of both sides of swipe. Returns the height. */
function writeHeading(context, viewer, pane, notes, x, y, width) {
  const parts = pane.parts ?? [pane];
  const each = width / parts.length - (parts.length > 1 ? 2 * GAP : 0);
  return Math.max(...parts.map((part, i) => {
    const at = { x: i ? x + width - each : x, width: each, align: i ? "right" : "left" };
    const height = write(context, titleOf(part), { ...at, y, font: BOLD });
    const caption = [viewer.captionOf(part), notes].filter(Boolean).join(" · ");
    return height + write(context, caption, { ...at, y: y + height, font: PLAIN, colour: MUTED });
  }));
}

/** A pane's picture in CSS pixels, without the empty ground around it. */
function picture(viewer, pane, ratio) {
  const [w, h] = [pane.stage.clientWidth, pane.stage.clientHeight].map((side) => Math.round(side * ratio));
  const full = new OffscreenCanvas(w, h);
  const context = full.getContext("2d");
  context.fillStyle = GROUND;
  context.fillRect(0, 0, w, h);
  const notes = viewer.paintOn(context, pane, w, h, false);
  const at = viewer.placeOn(w, h);
  const { width, height } = viewer.size;
  const [left, top] = [Math.max(0, at.left), Math.max(0, at.top)];
  const right = Math.min(w, Math.ceil(at.left + width * at.scale));
  const bottom = Math.min(h, Math.ceil(at.top + height * at.scale));
  if (viewer.view.region) outline(context, viewer.view.region, at, ratio);
  const divider = pane.parts ? Math.round(viewer.divider * w) : -1;
  if (divider > left && divider < right) {
    context.fillStyle = "#fff";
    context.fillRect(divider - ratio, 0, 2 * ratio, h);
  }
  return { full, notes, left, top, width: right - left, height: bottom - top };
}

function outline(context, [top, left, height, width], at, ratio) {
  const box = [at.left + left * at.scale, at.top + top * at.scale, width * at.scale, height * at.scale];
  for (const [colour, line] of [["#000", 3], ["#fff", 1]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: line * ratio });
    context.strokeRect(...box);
  }
}

/** What the colours mean, in one line of text, with the ramp of colours before it. Returns the height. */
function writeLegend(context, viewer, x, y, width) {
  const legend = viewer.legendTexts();
  if (!legend) return 0;
  const ramp = context.createLinearGradient(x, 0, x + 100, 0);
  const colours = legendColours(legend.map, false);
  colours.forEach((colour, i) => ramp.addColorStop(i / (colours.length - 1), `rgb(${colour})`));
  context.fillStyle = ramp;
  context.fillRect(x, y + 3, 100, 12);
  const against = legend.baseline ? ` Baseline: ${legend.baseline}.` : "";
  const text = `${nameOf(viewer.view.layer)}: ${legend.low} to ${legend.high}.${against}`;
  return Math.max(LINE, write(context, text, { x: x + 110, y, width: width - 110, font: PLAIN, colour: MUTED }));
}

/** The picture of what is seen, as a canvas. */
function compose(viewer) {
  const panes = viewer.visible();
  const device = window.devicePixelRatio || 1;
  const ratio = Math.max(1, Math.min(Math.max(2, device), (MAX_SCALE * device) / viewer.placeIn(panes[0]).scale));
  const pictures = panes.map((pane) => picture(viewer, pane, ratio));
  const columns = new Set(panes.map((pane) => pane.cell.offsetLeft)).size;
  const each = Math.max(...pictures.map((one) => one.width)) / ratio;
  const total = columns * each + (columns + 1) * GAP;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  // Once to measure and once, on the canvas of that size, to draw.
  const draw = () => {
    let y = GAP;
    for (let first = 0; first < panes.length; first += columns) {
      const row = panes.slice(first, first + columns).map((pane, i) => [pane, pictures[first + i], GAP + i * (each + GAP)]);
      y += Math.max(...row.map(([pane, { notes }, x]) => writeHeading(context, viewer, pane, notes, x, y, each))) + 4;
      for (const [, one, x] of row) {
        context.drawImage(one.full, one.left, one.top, one.width, one.height, x, y, one.width / ratio, one.height / ratio);
      }
      y += Math.max(...row.map(([, one]) => one.height)) / ratio + GAP;
    }
    y += writeLegend(context, viewer, GAP, y, total - 2 * GAP);
    const link = viewer.options.link && !ALONE.includes(location.hostname) ? location.href : "";
    for (const text of [viewer.options.source ?? "", link]) {
      y += write(context, text, { x: GAP, y, width: total - 2 * GAP, font: PLAIN, colour: MUTED });
    }
    return y + GAP;
  };
  const height = draw();
  Object.assign(canvas, { width: Math.round(total * ratio), height: Math.round(height * ratio) });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(ratio, ratio);
  draw();
  return canvas;
}

/** Copy what is seen, or download it where the clipboard is barred; resolves to what was done. */
export async function copyImage(viewer) {
  const canvas = compose(viewer);
  viewer.draw(); // the layers in the page's colours again
  const made = new Promise((done) => canvas.toBlob(done, "image/png"));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": made })]);
    return "Copied";
  } catch { // plain http, a frame, or not allowed
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await made);
    link.download = "comparison.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    return "Downloaded";
  }
}
