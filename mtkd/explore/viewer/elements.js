// The elements that the viewer is made of; they know nothing of its state.

import { addressOf } from "./images.js";

const ICONS = {
  download: "M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10",
  fullscreen: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  exchange: "M5 3 2.5 5.5 5 8M2.5 5.5h11M11 8l2.5 2.5L11 13M13.5 10.5h-11",
};

/** What people read of a pane; its name is for programs. */
export const titleOf = (pane) => pane.data.title || pane.data.name;

/** An element. Text only ever enters through textContent: names come from file names and uploads. */
export function element(tag, className, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.className = className;
  node.append(...children);
  return node;
}

/** A button; its title is also what a screen reader says. */
export function button(content, title, onclick) {
  return entitle(element("button", "mv-button", { type: "button", onclick }, [content]), title);
}

/** Say what a button does. */
export function entitle(node, title) {
  node.title = title;
  node.setAttribute("aria-label", title);
  return node;
}

/** Buttons that belong together. */
export function group(label, buttons = [], className = "mv-group") {
  const node = element("div", className, {}, buttons);
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", label);
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A choice of one; `fill` sets [value, text] pairs and the chosen value. */
export function choice(label, onchange) {
  const node = element("select", "mv-select", { title: label, onchange: () => onchange(node.value) });
  node.setAttribute("aria-label", label);
  node.fill = (pairs, value) => {
    const same = pairs.length === node.length && pairs.every(([key, text], i) => node[i].value === key && node[i].text === text);
    if (!same) { // else a list that is open stays as it is
      node.replaceChildren(...pairs.map(([key, text]) => element("option", "", { value: key, textContent: text })));
    }
    node.value = value;
  };
  return node;
}

/** Have one button for each of `keys`, in their order; the `kind` of key (layer, pane) is its data attribute. A button
 * that is there already stays, and with it the focus; where the one with the focus goes, the pictures get it. */
export function fillGroup(container, kind, keys, make) {
  const focused = container.contains(document.activeElement);
  const had = new Map([...container.children].map((node) => [node.dataset[kind], node]));
  for (const [key, node] of had) if (!keys.includes(key)) node.remove();
  keys.forEach((key, i) => {
    const node = had.get(key) ?? make(key);
    node.dataset[kind] = key;
    if (container.children[i] !== node) container.insertBefore(node, container.children[i] ?? null);
  });
  if (focused && !container.contains(document.activeElement)) container.closest(".mv").focus({ preventScroll: true });
}

/** One stop of the Tab key for all buttons in a container; the arrow keys move inside. Returns a function that sees to
 * it that there is such a stop, for when buttons came or went. */
export function oneStop(container, signal) {
  const shown = () => [...container.querySelectorAll("button, select, a[href]")].filter((n) => n.getClientRects().length);
  const stopAt = (node) => { for (const one of shown()) one.tabIndex = one === node ? 0 : -1; };
  container.addEventListener("focusin", (event) => { if (shown().includes(event.target)) stopAt(event.target); }, { signal });
  container.addEventListener("keydown", (event) => {
    const all = shown();
    const at = all.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all[(to + all.length) % all.length].focus();
  }, { signal });
  return () => stopAt(shown().find((node) => node.tabIndex === 0) ?? shown()[0]);
}

/** What every picture has: a canvas, and above it the region, the place under the mouse and a note. */
function createStage() {
  const canvas = element("canvas", "mv-canvas");
  canvas.setAttribute("role", "img");
  const cross = element("div", "mv-cross", { hidden: true });
  const region = element("div", "mv-region", { hidden: true });
  const note = element("div", "mv-note", { hidden: true });
  const stage = element("div", "mv-stage", {}, [canvas, region, cross, note, element("div", "mv-spinner")]);
  return { canvas, cross, region, note, stage };
}

/** What stands above a picture: name, caption and the pixel under the mouse. */
function createHeading(...before) {
  const name = element("span", "mv-name");
  const caption = element("span", "mv-caption");
  const value = element("span", "mv-value");
  const lines = element("div", "mv-heading", {}, [
    element("div", "mv-line", {}, [...before, name]),
    element("div", "mv-line", {}, [caption, value]),
  ]);
  return { name, caption, value, lines };
}

/** One pane's elements; `fillPane` fills them. */
export function createPane(onKey) {
  const key = button("", "", onKey);
  key.className = "mv-key";
  const download = element("a", "mv-download", { hidden: true }, [icon("download")]);
  const heading = createHeading(key);
  heading.lines.firstChild.append(download);
  const pane = { data: { name: "", layers: {} }, shown: null, key, download, ...heading, ...createStage() };
  pane.cell = element("figure", "mv-pane", {}, [element("figcaption", "mv-header", {}, [pane.lines]), pane.stage]);
  return pane;
}

export function fillPane(pane, data, index) {
  if (pane.data.name !== data.name) pane.shown = null; // never one model's pixels under another's name
  pane.data = data;
  pane.key.textContent = index + 1;
  entitle(pane.key, `Show ${titleOf(pane)} alone, or all${index < 9 ? ` (${index + 1} / 0)` : ""}`);
  pane.canvas.dataset.name = data.name;
  setDownload(pane.download, data.download, titleOf(pane));
}

/** Name and caption above a picture. */
export function fillHeading(heading, pane, caption = pane.data.caption ?? "") {
  const texts = [[heading.name, titleOf(pane), pane.data.name], [heading.caption, caption, caption]];
  for (const [node, text, title] of texts) {
    if (node.textContent !== text || node.title !== title) Object.assign(node, { textContent: text, title });
  }
}

/** Two panes in one picture: with the divider's handle. */
export function createSwipe() {
  const sides = [createHeading(), createHeading()];
  const handle = element("div", "mv-divider", { tabIndex: 0 }, [element("div", "mv-grip", {}, [icon("exchange")])]);
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-valuemin", 0);
  handle.setAttribute("aria-valuemax", 100);
  const swipe = { sides, parts: [], handle, ...createStage() };
  swipe.stage.append(handle);
  swipe.cell = element("figure", "mv-pane mv-swipe", {}, [
    element("figcaption", "mv-header", {}, sides.map((side) => side.lines)), swipe.stage,
  ]);
  return swipe;
}

/** Only addresses that a link may safely carry; `javascript:` is not one. */
function setDownload(link, download, title) {
  const href = addressOf(download?.href);
  const safe = href && /^(https?|data|blob):$/.test(new URL(href, document.baseURI).protocol);
  link.hidden = !safe;
  if (!safe) return link.removeAttribute("href");
  link.href = href;
  link.download = download.filename ?? "";
  entitle(link, `Download ${download.filename ?? title}`);
}
