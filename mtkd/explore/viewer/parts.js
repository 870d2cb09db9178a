// The parts of the viewer that know nothing of its state: elements, images, and where an image lies on a canvas.

const MAX_SCALE = 64; // screen pixels per image pixel
export const GAP = 8; // CSS pixels between panes; viewer.css has the same
export const HEADER = 50; // CSS pixels above a canvas, for the choice of columns
export const MIN_HEIGHT = 170; // a canvas lower than this is not worth looking at
const MIN_WIDTH = 190; // narrower than this a caption and a pixel value do not fit on one line
const ICONS = {
  download: "M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10",
  region: "M2.5 5V2.5H5M11 2.5h2.5V5M13.5 11v2.5H11M5 13.5H2.5V11M7.5 2.5h1M7.5 13.5h1M2.5 7.5v1M13.5 7.5v1",
  fullscreen: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
};

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const addressOf = (source) => (typeof source === "string" ? source : source?.url); // or Gradio's FileData
// Names of models and files stay as they are.
export const capital = (text) => (/^[a-z ]+$/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);

/** An element. Text only ever enters through textContent: names come from file names and uploads. */
export function element(tag, className, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.className = className;
  node.append(...children);
  return node;
}

/** A button; its title is also what a screen reader says. */
export function button(content, title, onclick) {
  const node = element("button", "mv-button", { type: "button", title, onclick }, [content]);
  node.setAttribute("aria-label", title);
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

/** Decoded images by address; each is fetched and decoded once, however many panes and layers show it. */
export function imageStore() {
  const entries = new Map();
  async function load(entry, address) {
    try {
      const image = new Image();
      image.src = address;
      await image.decode();
      // Without conversion the bitmap holds the numbers of the file, which the pixel readout promises to show.
      entry.bitmap = await createImageBitmap(image, { colorSpaceConversion: "none" });
    } catch {
      entry.broken = true;
    }
  }
  return {
    get(address) {
      if (!entries.has(address)) {
        const entry = { bitmap: null, broken: false };
        entry.done = load(entry, address);
        entries.set(address, entry);
      }
      return entries.get(address);
    },
    peek: (address) => entries.get(address),
    keepOnly(addresses) {
      for (const [address, entry] of entries) {
        if (addresses.has(address)) continue;
        entries.delete(address);
        entry.done.then(() => entry.bitmap?.close());
      }
    },
  };
}

/** Where an image of `size` lies on a canvas of w x h device pixels: the one place that turns a view into pixels. */
export function place(view, w, h, size) {
  const fit = Math.min(w / size.width, h / size.height);
  const zoom = clamp(view.zoom, Math.min(1, 1 / fit), Math.max(1, MAX_SCALE / fit));
  const scale = fit * zoom;
  const centre = (c, visible) => (visible >= 1 ? 0.5 : clamp(c, visible / 2, 1 - visible / 2));
  const cx = centre(view.cx, w / (size.width * scale));
  const cy = centre(view.cy, h / (size.height * scale));
  return { fit, zoom, scale, cx, cy, left: w / 2 - cx * size.width * scale, top: h / 2 - cy * size.height * scale };
}

/** Draw the visible part; every edge on a whole device pixel, so that magnified pixels stay squares of one colour. */
export function paint(canvas, bitmap, at, size) {
  const span = (start, step, count, room) => {
    const first = clamp(Math.floor(-start / step), 0, count - 1);
    const last = clamp(Math.ceil((room - start) / step), first + 1, count);
    const from = Math.round(start + first * step);
    return [first, last - first, from, Math.max(1, Math.round(start + last * step) - from)];
  };
  const stepX = (at.scale * size.width) / bitmap.width; // a bitmap of another size covers the same area
  const stepY = (at.scale * size.height) / bitmap.height;
  const [sx, sw, dx, dw] = span(at.left, stepX, bitmap.width, canvas.width);
  const [sy, sh, dy, dh] = span(at.top, stepY, bitmap.height, canvas.height);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = Math.min(stepX, stepY) < 1;
  context.imageSmoothingQuality = "medium";
  context.drawImage(bitmap, sx, sy, sw, sh, dx, dy, dw, dh);
}

/** The number of columns that shows `count` images largest with all of them on one screen, and a pane's size. */
export function chooseGrid(count, width, height, aspect, columns) {
  const measure = (c, rows) => {
    const paneWidth = Math.floor((width - GAP * (c - 1)) / c);
    const room = (height - GAP * (rows - 1)) / rows - HEADER;
    const paneHeight = Math.round(Math.max(MIN_HEIGHT / 2, Math.min(paneWidth / aspect, Math.max(MIN_HEIGHT, room))));
    const fits = room >= MIN_HEIGHT || room * aspect >= paneWidth;
    return { columns: c, paneWidth, paneHeight, fits, shown: Math.min(paneWidth, paneHeight * aspect) };
  };
  let best = null;
  for (let c = 1; c <= count && !columns; c++) {
    const grid = measure(c, Math.ceil(count / c));
    if (c > 1 && grid.paneWidth < MIN_WIDTH) break;
    // More columns for nearly the same size: fewer rows.
    if (grid.fits && (!best || grid.shown >= 0.95 * best.shown)) best = grid;
  }
  // A small screen, or columns asked for: then each row has the screen to itself and the page scrolls.
  return best ?? measure(columns || clamp(Math.floor(width / (MIN_WIDTH + 20)), 1, count), 1);
}

/** One pane's elements; `render` in mount fills them. */
export function createPane(onSolo) {
  const pane = { data: { name: "", layers: {} }, shown: null };
  pane.key = button("", "", onSolo);
  pane.key.className = "mv-key";
  pane.name = element("span", "mv-name");
  pane.badge = element("span", "mv-badge", { textContent: "reference", hidden: true });
  pane.download = element("a", "mv-download", { hidden: true }, [icon("download")]);
  pane.caption = element("span", "mv-caption");
  pane.value = element("span", "mv-value");
  pane.canvas = element("canvas", "mv-canvas");
  pane.canvas.setAttribute("role", "img");
  pane.cross = element("div", "mv-cross", { hidden: true });
  pane.region = element("div", "mv-region", { hidden: true });
  pane.note = element("div", "mv-note", { hidden: true });
  pane.stage = element("div", "mv-stage", {}, [pane.canvas, pane.region, pane.cross, pane.note, element("div", "mv-spinner")]);
  pane.cell = element("figure", "mv-pane", {}, [
    element("figcaption", "mv-header", {}, [
      element("div", "mv-line", {}, [pane.key, pane.name, pane.badge, pane.download]),
      element("div", "mv-line", {}, [pane.caption, pane.value]),
    ]),
    pane.stage,
  ]);
  return pane;
}

/** Only addresses that a link may safely carry; `javascript:` is not one. */
export function setDownload(link, download, name) {
  const href = addressOf(download?.href);
  const safe = href && /^(https?|data|blob):$/.test(new URL(href, document.baseURI).protocol);
  link.hidden = !safe;
  if (!safe) return link.removeAttribute("href");
  link.href = href;
  link.download = download.filename ?? "";
  link.title = `Download ${download.filename ?? name}`;
  link.setAttribute("aria-label", link.title);
}
