// The framework's drawing: its boxes open their details, a click into the window's picture chooses a window.
const root = element.querySelector(".fw");
let open = null;

function show(id, scroll) {
  open = id;
  for (const box of root.querySelectorAll("[data-step]")) {
    box.setAttribute("aria-expanded", String(box.dataset.step === id));
  }
  for (const detail of root.querySelectorAll("[data-detail]")) {
    detail.hidden = detail.dataset.detail !== id;
    if (scroll && !detail.hidden) detail.scrollIntoView({ behavior: "smooth", block: "nearest" });
  }
}

function draw() {
  const picking = document.activeElement?.classList.contains("fw-pick") && root.contains(document.activeElement);
  root.innerHTML = props.value?.html ?? "";
  const known = root.querySelector(`[data-detail="${open}"]`);
  show(known ? open : "mt", false);
  if (picking) root.querySelector(".fw-pick")?.focus({ preventScroll: true });
}

function choose(row, column) {
  const { across, down } = props.value.windows;
  if (row < 0 || column < 0 || row >= down || column >= across) return;
  trigger("select", { row, column });
}

root.addEventListener("click", (event) => {
  const box = event.target.closest("[data-step]");
  if (box) show(box.dataset.step, true);
  if (event.target.matches(".fw-pick")) {
    const area = event.target.getBoundingClientRect();
    const { across, down } = props.value.windows;
    choose(
      Math.floor(((event.clientY - area.top) / area.height) * down),
      Math.floor(((event.clientX - area.left) / area.width) * across),
    );
  }
});

root.addEventListener("keydown", (event) => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step || !event.target.matches(".fw-pick")) return;
  event.preventDefault();
  if (event.repeat) return; // each choice is computed: a key that is held would fill the queue
  const { row, column } = props.value.windows;
  choose(row + step[0], column + step[1]);
});

watch("value", draw);
draw();
