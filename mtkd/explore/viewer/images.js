// Images by address: loaded, decoded, and read pixel by pixel.

export const addressOf = (source) => (typeof source === "string" ? source : source?.url); // or Gradio's FileData

/** Decoded images by address; each is fetched and decoded once, however many panes and layers show it. */
export function imageStore() {
  const entries = new Map();
  const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
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
    /** The [r, g, b] of a bitmap at an image point in 0..1. */
    pixel(bitmap, u, v) {
      probe.clearRect(0, 0, 1, 1);
      probe.drawImage(bitmap, Math.floor(u * bitmap.width), Math.floor(v * bitmap.height), 1, 1, 0, 0, 1, 1);
      return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    },
  };
}
