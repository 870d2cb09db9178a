// Where one image does best and worst: squares of the picture in which its squared errors and another's differ most.

const CELL = 32; // pixels a side of the cells whose errors are summed; a square is two cells a side

/** PSNR in dB of a mean squared error in levels. */
export const decibels = (mse) => (mse === 0 ? Infinity : 10 * Math.log10(255 ** 2 / mse));

/** Squared errors of a plane of luma, in steps of 1 / `steps`, summed by cell: {side, columns, errors}. What is left at
 * the right and at the bottom belongs to no cell. mtkd/explore/report/entries.py does the same for reports. */
export function cellsOf(image, truth, width, height, steps) {
  const side = Math.max(1, Math.min(CELL, Math.floor(height / 2), Math.floor(width / 2)));
  const [rows, columns] = [Math.floor(height / side), Math.floor(width / side)];
  const errors = new Float64Array(rows * columns);
  for (let y = 0; y < rows * side; y++) {
    const first = Math.floor(y / side) * columns;
    for (let x = 0, p = y * width; x < columns * side; x++, p++) {
      errors[first + Math.floor(x / side)] += ((image[p] - truth[p]) / steps) ** 2;
    }
  }
  return { side, columns, errors };
}

/** All squares of two cells a side, of the errors `a` of one image and `b` of another: {region, less, mse}, `less` by how
 * much the mean squared error of the first is smaller, `mse` that of both. */
export function squares(side, columns, a, b) {
  const found = [];
  for (let y = 0; y + 1 < a.length / columns; y++) {
    for (let x = 0; x + 1 < columns; x++) {
      const cells = [0, 1, columns, columns + 1].map((step) => y * columns + x + step);
      const mse = [a, b].map((errors) => cells.reduce((sum, cell) => sum + errors[cell], 0) / (2 * side) ** 2);
      found.push({ region: [y * side, x * side, 2 * side, 2 * side], less: mse[1] - mse[0], mse });
    }
  }
  return found;
}

/** The squares in which the first image is closer to the ground truth (`sign` 1), or farther (-1); those of the largest
 * difference first, none over another of the same picture (`index`). */
export function furthest(found, sign, most) {
  const picked = [];
  const order = found.filter(({ less }) => sign * less > 0).sort((p, q) => sign * (q.less - p.less));
  for (const one of order) {
    if (picked.length === most) break;
    const apart = (other) => other.index !== one.index ||
      [0, 1].some((axis) => Math.abs(other.region[axis] - one.region[axis]) >= one.region[2]);
    if (picked.every(apart)) picked.push(one);
  }
  return picked;
}

/** The view of a region with some of what is around it, in a picture of `size`. */
export function viewOf([top, left, rows, columns], { width, height }) {
  const zoom = Math.max(1, Math.min(height / rows, width / columns) / 2);
  return { zoom, cx: (left + columns / 2) / width, cy: (top + rows / 2) / height, region: [top, left, rows, columns] };
}
