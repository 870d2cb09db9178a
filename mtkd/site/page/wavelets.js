// The distillation loss of MTKD (Eq. 3) of two images, by subband: one level of the Haar transform of their difference.

export const KINDS = { LL: "blurred", LH: "horizontal edges", HL: "vertical edges", HH: "diagonals" };

/**
 * The bands of `image` minus `target`, ImageData of one size, in units of [0, 1]. An odd side repeats its last pixels.
 * @returns {{width, height, loss, bands: {name: {term, values}}}} `values` are means of the channels (Float32Array, row by
 * row), `term` is what a band adds to `loss`: a quarter of the mean |coefficient| of all channels
 */
export function haar(image, target) {
  const [width, height] = [Math.ceil(image.width / 2), Math.ceil(image.height / 2)];
  const bands = Object.fromEntries(Object.keys(KINDS).map((name) => [name, { term: 0, values: new Float32Array(width * height) }]));
  const parts = Object.values(bands);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [right, below] = [Math.min(2 * x + 1, image.width - 1), Math.min(2 * y + 1, image.height - 1)];
      const corners = [[2 * y, 2 * x], [2 * y, right], [below, 2 * x], [below, right]].map(([row, column]) => 4 * (row * image.width + column));
      for (let c = 0; c < 3; c++) {
        const [p, q, r, s] = corners.map((at) => (image.data[at + c] - target.data[at + c]) / 255);
        [p + q + r + s, p + q - r - s, p - q + r - s, p - q - r + s].forEach((sum, band) => {
          parts[band].term += Math.abs(sum) / 2;
          parts[band].values[y * width + x] += sum / 6;
        });
      }
    }
  }
  for (const part of parts) part.term /= 4 * 3 * width * height;
  return { width, height, bands, loss: parts.reduce((sum, part) => sum + part.term, 0) };
}

/** Values as a picture: blue at -full, white at 0, red at full. */
export function coloured(values, width, height, full) {
  const picture = new ImageData(width, height);
  values.forEach((value, i) => {
    const far = Math.min(1, Math.abs(value) / full);
    const end = value < 0 ? [33, 102, 172] : [178, 24, 43];
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = 255 + far * (end[c] - 255);
    picture.data[4 * i + 3] = 255;
  });
  return picture;
}

/** Fill the panel: `images` are ImageData by name, `titles` what they are called. */
export function show(root, images, titles) {
  const names = [...images.keys()];
  root.hidden = names.length < 2;
  if (root.hidden || !root.open) return;
  const [of, to] = root.querySelectorAll("select");
  for (const [select, usual] of [[of, names.at(-1)], [to, names[0]]]) {
    const chosen = names.includes(select.value) ? select.value : usual;
    select.replaceChildren(...names.map((name) => new Option(titles(name), name, false, name === chosen)));
    select.onchange = () => show(root, images, titles);
  }
  const { width, height, bands, loss } = haar(images.get(of.value), images.get(to.value));
  const sorted = Object.values(bands).map(({ values }) => values.map(Math.abs).sort()[Math.floor(0.99 * values.length)]);
  const full = Math.max(...sorted, 1 / 255);
  const figures = Object.entries(bands).map(([name, { term, values }]) => {
    const figure = document.createElement("figure");
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").putImageData(coloured(values, width, height, full), 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Difference in ${name}, ${KINDS[name]}`);
    const caption = document.createElement("figcaption");
    const share = loss ? ` · ${Math.round(100 * term / loss)} %` : "";
    caption.textContent = `${name}, ${KINDS[name]}: ${term.toFixed(5)}${share}`;
    figure.dataset.term = term;
    figure.append(canvas, caption);
    return figure;
  });
  root.querySelector(".bands").replaceChildren(...figures);
  root.querySelector("output").textContent =
    `Sum, L_dis: ${loss.toFixed(5)}. Red: the image has more than the target; blue: less. Full colour at ${(255 * full).toFixed(0)} of 255 levels.`;
}
