// Numbers as colours: the maps of mtkd.explore.draw.colours, and for a dark page the same with a dark middle.

const HEAT = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];
const SIGNED = [[33, 102, 172], [103, 169, 207], [209, 229, 240], [247, 247, 247], [253, 219, 199], [239, 138, 98], [178, 24, 43]];
const SIGNED_DARK = [[125, 200, 255], [52, 126, 190], [22, 56, 90], [18, 18, 20], [84, 30, 26], [196, 66, 48], [255, 150, 120]];
// Teal and orange of unequal lightness: colour-blind people and a grey print tell them apart. Between them the
// ground truth is seen, faded: from `faint` levels on, `span` more for white.
const CLOSER = { near: [0, 84, 82], far: [236, 112, 30], faint: 214, span: 38 };
const CLOSER_DARK = { near: [70, 225, 205], far: [204, 62, 20], faint: 12, span: 46 };

export const heat = () => HEAT;
export const signed = (dark) => (dark ? SIGNED_DARK : SIGNED);
export const closer = (dark) => (dark ? CLOSER_DARK : CLOSER);

/** Colours in so many even steps between anchors, as 32-bit pixels. */
export function table(anchors, steps) {
  const pixels = new Uint32Array(steps + 1);
  const bytes = new Uint8ClampedArray(pixels.buffer); // rounds and keeps to 0..255
  for (let i = 0; i <= steps; i++) {
    const at = (i / steps) * (anchors.length - 1);
    const from = Math.min(Math.floor(at), anchors.length - 2);
    for (let c = 0; c < 3; c++) {
      bytes[4 * i + c] = anchors[from][c] + (at - from) * (anchors[from + 1][c] - anchors[from][c]);
    }
    bytes[4 * i + 3] = 255;
  }
  return pixels;
}

/** The colours of a legend, from its lower end to the upper one. */
export function legendColours(map, dark) {
  if (map !== "closer") return map === "heat" ? heat() : signed(dark);
  const { near, far, faint, span } = closer(dark);
  const middle = Array(3).fill(faint + span / 2);
  return [far, middle, near];
}
