// The dialog behind "?": keys and gestures.

import { button, element } from "./elements.js";

const TOUCH = [
  ["Pinch", "Zoom"],
  ["Drag", "Move, once zoomed in"],
  ["Double tap", "Show the whole image"],
];
const TOUCH_REGION = [
  ["Tap, in Flicker", "Change between the two chosen images"],
  ["Region, then drag", "Draw a region"],
];
const TOUCH_PICK = [["Tap", "Place the window"]];
const LOOK_KEYS = [
  ["Scroll, + and −", "Zoom"],
  ["Drag, arrow keys", "Move"],
  ["Double-click", "Show the whole image"],
  ["f", "Fullscreen"],
];
const MODE_KEYS = [
  ["1 to 9", "Show one image alone"],
  ["[ and ]", "Previous and next image"],
  ["Space", "Flicker: change between the two chosen images"],
  ["s", "Swipe: two images under a divider"],
  ["0", "Show all images"],
];
const REGION_KEYS = [
  ["Shift + drag, or r and drag", "Draw a region"],
  ["Enter", "Make what is seen the region"],
  ["Esc", "Show all images; where all are shown, remove the region"],
];
const PICK_KEYS = [
  ["Click", "Place the window"],
  ["Enter", "Place the window in the middle"],
  ["Esc", "Show all images"],
];

const section = (title, rows) => [
  element("h3", "mv-keys-title", { textContent: title }),
  element("dl", "mv-keys", {}, rows.flatMap(([keys, what]) => [
    element("dt", "", { textContent: keys }), element("dd", "", { textContent: what }),
  ])),
];

/** A dialog; `show_(picks)` shows it, for a viewer that draws regions or places a window; what the hand uses first. */
export function helpDialog() {
  const title = element("h2", "mv-dialog-title", { textContent: "Keys and gestures" });
  const lists = element("div", "");
  const dialog = element("dialog", "mv-dialog");
  dialog.append(element("div", "mv-dialog-head", {}, [title, button("×", "Close", () => dialog.close())]), lists);
  dialog.setAttribute("aria-label", title.textContent);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.show_ = (picks) => {
    const touch = section("Touch", [...TOUCH, ...(picks ? TOUCH_PICK : TOUCH_REGION)]);
    const keys = section("Mouse and keyboard", [...LOOK_KEYS, ...MODE_KEYS, ...(picks ? PICK_KEYS : REGION_KEYS)]);
    const coarse = window.matchMedia("(pointer: coarse)").matches;
    lists.replaceChildren(...(coarse ? [...touch, ...keys] : [...keys, ...touch]));
    dialog.showModal();
  };
  return dialog;
}
