// The region by numbers: a small form that opens at the button for drawing one.

import { button, element } from "./elements.js";
import { GAP, clamp } from "./geometry.js";
import { worstPlace } from "./worst.js";

const WIDTH = 300; // CSS pixels; viewer.css has the same
const FIELDS = ["Top", "Left", "Height", "Width"];

/** A popover; its `show` keeps the numbers those of the view. */
export function regionForm(viewer) {
  const inputs = FIELDS.map((name) => element("input", "mv-number", {
    type: "number", step: 1, required: true, name, onfocus: (event) => event.target.select(),
  }));
  inputs[0].autofocus = matchMedia("(pointer: fine)").matches; // a phone would open its keyboard over the images
  const fields = inputs.map((input) => element("label", "mv-field", {}, [input.name, input]));
  const set = element("button", "mv-button mv-set", { type: "submit", textContent: "Set region" });
  const remove = button("Remove", "Remove the region", () => close({ region: null }));
  const worst = worstPlace(viewer, (view, text) => {
    close(view);
    viewer.say(text);
  });
  const form = element("form", "mv-region-form", { onsubmit: submit }, [
    element("p", "mv-say", { textContent: "Drag on an image, or enter the place in its pixels." }),
    ...fields, element("div", "mv-actions", {}, [remove, set]),
  ]);
  const node = element("div", "mv-popover", { popover: "auto" }, [form, worst.node]);
  node.setAttribute("role", "dialog");
  node.setAttribute("aria-label", "Region");

  function close(given) {
    viewer.change(given);
    node.hidePopover();
  }

  function submit(event) {
    event.preventDefault();
    const [top, left, height, width] = inputs.map((input) => Math.round(Number(input.value)));
    const { size } = viewer;
    const [y, x] = [clamp(top, 0, size.height - 1), clamp(left, 0, size.width - 1)];
    close({ region: [y, x, clamp(height, 1, size.height - y), clamp(width, 1, size.width - x)] });
  }

  function show() {
    const { size } = viewer;
    if (!size || !node.matches(":popover-open") || inputs.includes(document.activeElement)) return;
    fill();
  }

  function fill() {
    const { size, view } = viewer;
    const region = view.region ?? [0, 0, size.height, size.width];
    const most = [size.height - 1, size.width - 1, size.height, size.width];
    inputs.forEach((input, i) => Object.assign(input, { value: region[i], max: most[i], min: i < 2 ? 0 : 1 }));
    remove.hidden = !view.region;
    worst.fill();
  }

  /** Open and close at a button. */
  function attach(anchor) {
    anchor.popoverTargetElement = node;
    node.addEventListener("beforetoggle", (event) => {
      const opens = event.newState === "open" && Boolean(viewer.size);
      if (!opens) return viewer.setDrawing(false);
      const box = anchor.getBoundingClientRect();
      const left = clamp(box.right - WIDTH, GAP, document.documentElement.clientWidth - WIDTH - GAP);
      Object.assign(node.style, { left: `${left + scrollX}px`, top: `${box.bottom + 6 + scrollY}px` });
      fill();
      viewer.setDrawing(true);
    });
  }

  return { node, show, attach };
}
