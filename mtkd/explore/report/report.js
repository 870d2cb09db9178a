// A report's page: the pictures of one comparison in the viewer, its numbers, and where one model does best and worst.

const CROPS = 10; // of either kind
const SHOWN = 3; // screen pixels per pixel of a crop

const report = JSON.parse(document.getElementById("data").textContent);
const models = new Map(report.models.map((model) => [model.name, model]));
const titleOfModel = (name) => models.get(name)?.title || name;

// --- numbers as text ----------------------------------------------------------------------------------------------------
const number = (value) => (value === "inf" ? Infinity : value);

function text(value, digits, sign = false) {
  value = number(value);
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const shown = Number.isFinite(value) ? Math.abs(value).toFixed(digits) : "∞";
  const mark = value < 0 ? "−" : sign ? "+" : "";
  return mark + shown;
}

const digitsOf = (metric) => (metric.unit === "dB" ? 2 : metric.digits);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// --- elements -----------------------------------------------------------------------------------------------------------
function make(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") node.textContent = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function table(caption, heads, rows) {
  const cells = (row) => row.map((cell, i) => (i ? make("td", { text: cell }) : make("th", { scope: "row", text: cell })));
  return make("div", { class: "wide", tabindex: 0, role: "group", "aria-label": caption }, [
    make("table", {}, [
      make("caption", { text: caption }),
      make("thead", {}, [make("tr", {}, heads.map((head) => make("th", { scope: "col", text: head })))]),
      make("tbody", {}, rows.map((row) => make("tr", { class: row.strong ? "strong" : null }, cells(row.cells ?? row)))),
    ]),
  ]);
}

function choice(label, names, chosen, onchange) {
  const options = names.map((name) => make("option", { value: name, selected: name === chosen, text: titleOfModel(name) }));
  return make("label", {}, [`${label} `, make("select", { onchange: (event) => onchange(event.target.value) }, options)]);
}

// --- pictures -----------------------------------------------------------------------------------------------------------
/** The pictures of an image, data URIs by name. */
function picturesOf(index) {
  if (mtkdStore.known[index]) return Promise.resolve(mtkdStore.known[index]);
  return new Promise((done, failed) => {
    const first = !mtkdStore.waiting[index];
    (mtkdStore.waiting[index] ||= []).push(done);
    if (!first) return;
    const source = make("script", { src: `pictures/${index}.js` });
    source.onerror = () => failed(new Error(`pictures/${index}.js is missing: keep the whole folder together`));
    document.head.append(source);
  });
}

const decoded = new Map();
/** A picture decoded, with the numbers of its file. The last few are kept. */
async function bitmapOf(index, name) {
  const key = `${index} ${name}`;
  if (!decoded.has(key)) {
    const image = new Image();
    image.src = (await picturesOf(index))[name];
    await image.decode();
    decoded.set(key, await createImageBitmap(image, { colorSpaceConversion: "none" }));
    for (const old of [...decoded.keys()].slice(0, Math.max(0, decoded.size - 24))) decoded.delete(old);
  }
  return decoded.get(key);
}

/** Luma of a region [top, left, height, width] of a picture. */
async function lumaIn(index, name, [top, left, height, width]) {
  const bitmap = await bitmapOf(index, name);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, -left, -top);
  return lumaOf(context.getImageData(0, 0, width, height).data);
}

// --- the page -----------------------------------------------------------------------------------------------------------
function showReport(mount) {
  const names = [...models.keys()];
  const state = { index: 0, baseline: report.baseline, model: likeliest(names), asked: 0 };
  const said = document.getElementById("said");
  const numbers = document.getElementById("numbers");
  const viewer = mount(document.getElementById("viewer"), { panes: [], empty: "Loading the pictures…", onView: look });
  const options = () => ({
    reference: report.truth, baseline: state.baseline, height: Math.max(420, window.innerHeight - 150),
    source: document.title,
  });

  const panesOf = (index, pictures, captions = {}) =>
    report.images[index].panes.map((pane) => ({
      ...pane,
      caption: captions[pane.name] ?? pane.caption,
      layers: Object.fromEntries(Object.entries(pane.layers).map(([layer, name]) => [layer, pictures[name]])),
    }));

  async function open(index, region = null) {
    state.index = index;
    const [height, width] = report.images[index].size;
    const placeOf = (place) => ({ ...viewOf(place, { width, height }), layer: "image" });
    for (const button of gallery.children) button.setAttribute("aria-pressed", button.dataset.index === String(index));
    try {
      const pictures = await picturesOf(index);
      if (state.index !== index) return;
      viewer.update(panesOf(index, pictures), { ...options(), ...(region ? { view: placeOf(region) } : {}) });
      said.textContent = "";
      if (region) look({ region });
    } catch (error) {
      viewer.update([], { error: error.message });
    }
    showNumbers();
  }

  /** A region was drawn or cleared: its numbers stand under the panes' names. */
  async function look({ region }) {
    const [mine, index] = [++state.asked, state.index];
    const key = JSON.stringify([index, region ?? null]);
    if (!report.truth || state.region === key) return;
    state.region = key;
    const captions = {};
    if (region) {
      const { panes, numbers: whole } = report.images[index];
      const truth = await lumaIn(index, report.truth, region);
      for (const { name } of panes) {
        if (!whole[name]) continue;
        const luma = await lumaIn(index, name, region);
        const [db, similarity] = [psnr(luma, truth), ssim(luma, truth, region[3], region[2])];
        captions[name] = `region ${text(db, 2)} dB · SSIM ${text(similarity, 4)} · whole ${text(whole[name].psnr, 2)}`;
      }
    }
    const pictures = await picturesOf(index);
    if (mine === state.asked && index === state.index) viewer.update(panesOf(index, pictures, captions), options());
  }

  // --- tables -----------------------------------------------------------------------------------------------------------
  const valueOf = (image, name, metric) => number(image.numbers[name]?.[metric]);
  const gainOf = (image, name) => valueOf(image, name, "psnr") - valueOf(image, state.baseline, "psnr");
  const gains = (name) => report.images.map((image) => gainOf(image, name)).filter((gain) => !Number.isNaN(gain));

  function modelRows(values, gain) {
    const measured = report.truth ? report.metrics : [];
    const heads = ["Model", "Parameters", "Multiply-adds (G)", ...measured.map((m) => m.title + (m.unit ? ` (${m.unit})` : "")),
      ...(report.truth && report.baseline ? [`Gain over ${titleOfModel(state.baseline)} (dB)`] : [])];
    const rows = names.map((name) => {
      const { parameters, multiply_adds: work } = models.get(name);
      return [titleOfModel(name), parameters?.toLocaleString("en") ?? "–", work ? text(work / 1e9, 2) : "–",
        ...measured.map((metric) => text(values(name, metric.name), digitsOf(metric))),
        ...(report.truth && report.baseline ? [name === state.baseline ? "" : text(gain(name), 2, true)] : [])];
    });
    return [heads, rows];
  }

  function showNumbers() {
    const image = report.images[state.index];
    const parts = [];
    if (report.truth && names.length > 1) {
      parts.push(make("p", { class: "choices" }, [
        choice("Gains are over", names, state.baseline, (name) => { state.baseline = name; open(state.index); }),
      ]));
    }
    const here = modelRows((name, metric) => valueOf(image, name, metric), (name) => gainOf(image, name));
    parts.push(table(image.title, ...here));
    if (report.images.length > 1 && report.truth) {
      const over = (name, metric) => mean(report.images.map((one) => valueOf(one, name, metric)));
      parts.push(table(`Mean of ${report.images.length} pictures`, ...modelRows(over, (name) => mean(gains(name)))));
      if (names.length > 1) parts.push(gainTable());
    }
    if (report.truth && names.length > 1) parts.push(cropsPart());
    numbers.replaceChildren(...parts);
  }

  function gainTable() {
    const others = names.filter((name) => name !== state.baseline);
    const rows = report.images.map((image) => [image.title, ...others.map((name) => text(gainOf(image, name), 2, true))]);
    const won = (name) => gains(name).filter((gain) => gain > 0).length;
    rows.push({ strong: true, cells: ["Mean", ...others.map((name) => text(mean(gains(name)), 2, true))] });
    rows.push({ strong: true, cells: ["Pictures won", ...others.map((name) => `${won(name)} of ${gains(name).length}`)] });
    return table(`Gain over ${titleOfModel(state.baseline)} by picture, PSNR in dB`, ["Picture", ...others.map(titleOfModel)], rows);
  }

  // --- crops ------------------------------------------------------------------------------------------------------------
  function cropsPart() {
    if (state.model === state.baseline) state.model = likeliest(names);
    const others = names.filter((name) => name !== state.baseline);
    const [best, worst] = extremes(state.model, state.baseline);
    const section = make("section", { id: "crops" }, [
      make("h2", { text: `Where ${titleOfModel(state.model)} and ${titleOfModel(state.baseline)} differ most` }),
      make("p", { class: "choices" }, [choice("Model", others, state.model, (name) => { state.model = name; showNumbers(); })]),
      make("p", { text: "The program looked for the crops whose squared errors differ most. Each shows the ground truth, " +
        `${titleOfModel(state.model)} and ${titleOfModel(state.baseline)}. Click a crop to see it above.` }),
    ]);
    for (const [title, crops] of [["Closer to the ground truth", best], ["Farther from it", worst]]) {
      section.append(make("h3", { text: `${title}: ${crops.length}` }));
      section.append(make("div", { class: "crops" }, crops.map(cropButton)));
    }
    return section;
  }

  function cropButton({ index, region, gain }) {
    const shown = [report.truth, state.model, state.baseline];
    const canvases = shown.map((name) =>
      make("canvas", { width: region[3] * SHOWN, height: region[2] * SHOWN, title: name === report.truth ? "Ground truth" : titleOfModel(name) }));
    const where = `${report.images[index].title}, ${region[1]}, ${region[0]}`;
    const label = `${where}: ${text(gain, 2, true)} dB`;
    const button = make("button", { type: "button", class: "crop", onclick: () => { open(index, region); scrollTo({ top: 0 }); } }, [
      make("span", { class: "three" }, canvases), make("span", { class: "label", text: label }),
    ]);
    const watch = new IntersectionObserver(async ([entry]) => {
      if (!entry.isIntersecting) return;
      watch.disconnect();
      for (const [i, name] of shown.entries()) {
        const bitmap = await bitmapOf(index, name);
        const context = canvases[i].getContext("2d");
        context.imageSmoothingEnabled = false;
        const [top, left, height, width] = region;
        context.drawImage(bitmap, left, top, width, height, 0, 0, width * SHOWN, height * SHOWN);
      }
      button.dataset.drawn = "";
    });
    watch.observe(button);
    return button;
  }

  // --- start ------------------------------------------------------------------------------------------------------------
  const gallery = document.getElementById("gallery");
  gallery.hidden = report.images.length < 2;
  gallery.append(...report.images.map((image, index) =>
    make("button", { type: "button", "data-index": index, "aria-pressed": index === 0, onclick: () => open(index) }, [
      make("img", { src: image.thumbnail, alt: "" }), make("span", { text: image.title }),
    ])));
  open(0);
}

/** The model that crops are first shown of: a student trained with MTKD, another distilled one, or what is no baseline. */
function likeliest(names) {
  const others = names.filter((name) => name !== report.baseline);
  const distilled = others.filter((name) => models.get(name).role === "student" && models.get(name).method !== "scratch");
  return distilled.find((name) => models.get(name).method === "mtkd") ?? distilled[0] ?? others.at(-1) ?? names[0];
}

/** Sums of squared errors by cell of one model. */
function errorsOf(cells, name) {
  const bytes = Uint8Array.from(atob(cells.errors[name]), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** The squares of all pictures in which a model is closer to the ground truth than another one, and farther. */
function extremes(model, baseline) {
  const found = report.images.flatMap((image, index) => {
    const { side, columns } = image.cells;
    const [a, b] = [errorsOf(image.cells, model), errorsOf(image.cells, baseline)];
    return squares(side, columns, a, b).map((one) => ({ ...one, index, gain: decibels(one.mse[0]) - decibels(one.mse[1]) }));
  });
  return [furthest(found, 1, CROPS), furthest(found, -1, CROPS)];
}
