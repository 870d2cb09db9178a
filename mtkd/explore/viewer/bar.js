// The buttons around the pictures. Each part has a `show` that makes it say what the viewer's state is.

import { legendColours } from "./colours.js";
import { button, choice, element, entitle, fillGroup, group, icon, oneStop, titleOf } from "./elements.js";
import { GAINS, LAYERS, LEGENDS, nameOf } from "./layers.js";

const press = (node, on) => node.setAttribute("aria-pressed", Boolean(on));
const MODE_BUTTONS = {
  grid: ["Grid", "Show all images (0)"],
  swipe: ["Swipe", "Two images under a divider (s)"],
  flicker: ["Flicker", "One large image; the space bar or a tap changes between two"],
};

/** The bar above the pictures: one stop of the Tab key. */
export function createBar(viewer, form) {
  const modes = group("Mode", Object.entries(MODE_BUTTONS).map(([mode, [text, title]]) => {
    const node = button(text, title, () => (mode === "flicker" ? viewer.flicker() : viewer.change({ mode })));
    node.dataset.mode = mode;
    return node;
  }));
  const layers = group("What every pane shows", [], "mv-group mv-layers");
  const zoom = group("Zoom", [
    button("Fit", "Show the whole image", () => viewer.setZoom(1)),
    ...[1, 2, 4, 8].map((k) => {
      const title = k === 1 ? "One screen pixel per image pixel" : `${k} screen pixels per image pixel`;
      const node = button(k === 1 ? "1:1" : `${k}×`, title, () => viewer.setScale(k));
      node.dataset.scale = k;
      return node;
    }),
  ]);
  const region = button("Region", "Draw a region (r), or enter its place");
  form.attach(region);
  const copy = button("Copy image", "Copy what is seen as one image, with names and numbers", async () => {
    copy.textContent = (await viewer.copy()) || "Copy image";
    setTimeout(() => { copy.textContent = "Copy image"; }, 1500);
  });
  const fullscreen = button(icon("fullscreen"), "Fullscreen (f)", viewer.toggleFullscreen);
  fullscreen.hidden = !document.fullscreenEnabled;
  const help = button("?", "Keys and gestures (?)", viewer.help);
  const node = element("div", "mv-bar", {}, [modes, layers, zoom, group("Tools", [region, copy, fullscreen, help])]);
  node.setAttribute("role", "toolbar");
  node.setAttribute("aria-label", "Viewer");
  const settleStop = oneStop(node, viewer.abort.signal);
  // After a click (not a key) the keys are those of the pictures.
  node.addEventListener("click", (event) => {
    if (event.detail && ![help, region].includes(event.target.closest("button"))) viewer.root.focus({ preventScroll: true });
  }, { signal: viewer.abort.signal });

  /** The layers that there are now. */
  function fill(names) {
    modes.hidden = viewer.panes.length < 2;
    layers.hidden = names.length < 2;
    region.hidden = Boolean(viewer.options.pick);
    fillGroup(layers, "layer", names, (layer) => button(nameOf(layer), "", () => viewer.change({ layer })));
    for (const one of layers.children) {
      const { layer } = one.dataset;
      const ours = viewer.differences.names().includes(layer) || ["image", "wavelet error", "flip"].includes(layer);
      entitle(one, ours ? LAYERS[layer][1] : `Show in every pane: ${layer}`); // others give the same name to other pictures
    }
  }

  function show() {
    const { view, size } = viewer;
    const [pane] = viewer.visible();
    const scale = pane && size ? viewer.placeIn(pane).scale : 0;
    for (const one of modes.children) press(one, one.dataset.mode === viewer.mode());
    for (const one of layers.children) press(one, one.dataset.layer === view.layer);
    for (const one of zoom.children) {
      press(one, one.dataset.scale ? Math.abs(scale - one.dataset.scale) < 1e-6 : view.zoom === 1);
    }
    press(region, viewer.drawing);
  }

  return { node, fill, show, settleStop };
}

/** What swipe and flicker show: two selects for the pair, and in flicker a button for each pane. */
export function createChooser(viewer) {
  const choose = (at) => (name) => {
    const names = viewer.pair().map((pane) => pane.data.name);
    if (names[1 - at] === name) names.reverse(); // the other one of the two: they change places
    else names[at] = name;
    viewer.change({ pair: names });
  };
  const selects = [choice("Left image", choose(0)), choice("Right image", choose(1))];
  const swap = button(icon("exchange"), "Exchange left and right", () =>
    viewer.change({ pair: viewer.pair().map((pane) => pane.data.name).reverse() }));
  const chips = group("Image shown", [], "mv-group mv-chips");
  const pair = group("The two images", [selects[0], swap, selects[1]], "mv-pair");
  const node = element("div", "mv-chooser", {}, [pair, chips]);
  node.setAttribute("role", "toolbar");
  node.setAttribute("aria-label", "Images");
  const settleStop = oneStop(node, viewer.abort.signal);

  function fill() {
    const titles = new Map(viewer.panes.map((pane) => [pane.data.name, titleOf(pane)]));
    fillGroup(chips, "pane", [...titles.keys()], (name) => button("", "", () => viewer.change({ focus: name })));
    [...chips.children].forEach((one, i) => {
      const title = titles.get(one.dataset.pane);
      one.replaceChildren(...(i < 9 ? [element("kbd", "mv-kbd", { textContent: i + 1 })] : []), title);
      entitle(one, `Show ${title}`);
    });
  }

  function show() {
    const mode = viewer.mode();
    node.hidden = mode === "grid" || viewer.panes.length < 2;
    if (node.hidden) return;
    chips.hidden = mode !== "flicker";
    pair.hidden = viewer.narrow && mode === "flicker";
    const names = viewer.panes.map((pane) => [pane.data.name, titleOf(pane)]);
    viewer.pair().forEach((pane, i) => selects[i].fill(names, pane.data.name));
    for (const one of chips.children) press(one, one.dataset.pane === viewer.focused()?.data.name);
    const chosen = chips.querySelector("[aria-pressed=true]");
    if (chosen) { // in sight, where there are more than there is room for
      const left = chosen.offsetLeft - chips.offsetLeft;
      const top = chosen.offsetTop - chips.offsetTop;
      chips.scrollTop = Math.min(top, Math.max(chips.scrollTop, top + chosen.offsetHeight - chips.clientHeight));
      chips.scrollLeft = Math.min(left, Math.max(chips.scrollLeft, left + chosen.offsetWidth - chips.clientWidth));
    }
    settleStop();
  }

  return { node, fill, show };
}

/** Under the pictures: what the colours of a layer of differences mean, with the choice of baseline and gain. */
export function createLegend(viewer) {
  const baseline = choice("Baseline", (name) => viewer.change({ baseline: name }));
  const against = element("label", "mv-field", {}, ["Baseline", baseline]);
  const gain = group("Gain", GAINS.map((k) => {
    const node = button(`×${k}`, `Differences magnified ${k} times`, () => viewer.change({ gain: k }));
    node.dataset.gain = k;
    return node;
  }));
  const [low, high] = [element("span", ""), element("span", "")];
  const ramp = element("span", "mv-ramp");
  const scale = element("span", "mv-scale", {}, [low, ramp, high]);
  const node = element("div", "mv-legend", {}, [scale, gain, against]);
  node.setAttribute("role", "toolbar");
  node.setAttribute("aria-label", "Differences");
  const settleStop = oneStop(node, viewer.abort.signal);

  /** What the ends of the colours stand for, and the baseline's name; null where the layer shows no numbers. */
  function texts() {
    const { layer, gain: chosen } = viewer.view;
    const made = viewer.differences.names().includes(layer);
    const legend = LEGENDS[layer];
    if (!made && !legend?.fixed) return null;
    const full = legend.full / (made ? chosen : 1);
    const compares = made && ["closer", "difference"].includes(layer);
    return {
      made, map: legend.map,
      low: legend.low ? `${legend.low} ${full}` : "0",
      high: `${legend.high} ${full} ${legend.unit}`.trim(),
      baseline: compares ? titleOf(viewer.differences.baseline()) : "",
    };
  }

  function show() {
    const legend = texts();
    node.hidden = !legend;
    if (!legend) return;
    gain.hidden = !legend.made;
    against.hidden = !legend.baseline;
    [low.textContent, high.textContent] = [legend.low, legend.high];
    ramp.style.background = `linear-gradient(90deg, ${legendColours(legend.map, viewer.dark()).map((c) => `rgb(${c})`)})`;
    for (const one of gain.children) press(one, Number(one.dataset.gain) === viewer.view.gain);
    const all = viewer.differences.baselines().map((pane) => [pane.data.name, titleOf(pane)]);
    baseline.fill(all, viewer.differences.baseline()?.data.name);
    settleStop();
  }

  return { node, show, texts };
}
