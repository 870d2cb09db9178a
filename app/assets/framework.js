// The framework's drawing: its boxes open their details, Play lights the steps of both stages in turn, a click into the
// window's picture chooses a window.
const root = element.querySelector(".fw");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 760px)");
const STEP = 2200; // ms: time to read a sentence
let open = null;
let shapes = false;
let at = -1; // of the walk; -1 before it
let timer = 0;

const box = (id) => root.querySelector(`[data-step="${id}"]`);
const detail = (id) => root.querySelector(`[data-detail="${id}"]`);

function show(id, focus) {
  open = id;
  for (const one of root.querySelectorAll("[data-step]")) {
    one.setAttribute("aria-expanded", String(one.dataset.step === id));
  }
  for (const one of root.querySelectorAll("[data-detail]")) one.hidden = one.dataset.detail !== id;
  if (!id) return;
  const panel = detail(id);
  const right = parseFloat(getComputedStyle(box(id)).left) < root.querySelector(".fw-canvas").clientWidth / 2;
  panel.classList.toggle("fw-right", right); // on the side where its box is not
  if (narrow.matches) box(id).after(panel);
  else root.querySelector(".fw-details").append(panel);
  if (focus) panel.querySelector("h3").focus({ preventScroll: true });
  panel.scrollIntoView({ behavior: still.matches ? "auto" : "smooth", block: "nearest" });
}

function close() {
  const from = open;
  show(null);
  box(from)?.focus({ preventScroll: true });
}

// --- the walk through both stages

const walk = () => [...root.querySelectorAll("ol li")];

function light(number) {
  at = number;
  const step = walk()[at];
  const lit = step ? step.dataset.steps.split(" ") : [];
  root.classList.toggle("fw-playing", Boolean(step));
  for (const one of root.querySelectorAll("[data-step]")) one.classList.toggle("fw-lit", lit.includes(one.dataset.step));
  root.querySelector(".fw-told").textContent = step ? `${at + 1} of ${walk().length}. ${step.textContent}`
    : "Press Play, or select a box to see its data.";
  if (step && narrow.matches) box(lit[lit.length - 1])?.scrollIntoView({ block: "center" });
}

function pause() {
  clearInterval(timer);
  timer = 0;
  const button = root.querySelector("[data-play]");
  if (button) button.textContent = "▶ Play";
}

function play() {
  if (timer) return void pause();
  if (open) show(null);
  light(at + 1 < walk().length ? at + 1 : 0);
  if (still.matches) return; // each press is one step
  root.querySelector("[data-play]").textContent = "❚❚ Pause";
  timer = setInterval(() => {
    if (!root.isConnected) return void clearInterval(timer);
    if (at + 1 < walk().length) light(at + 1);
    else { pause(); light(-1); }
  }, STEP);
}

function go(by) {
  pause();
  if (open) show(null);
  const count = walk().length;
  light(at < 0 && by < 0 ? count - 1 : (at + by + count) % count);
}

function draw() {
  const picking = document.activeElement?.classList.contains("fw-pick") && root.contains(document.activeElement);
  pause();
  root.innerHTML = props.value?.html ?? "";
  if (!root.querySelector("ol")) return;
  showShapes(shapes);
  light(-1);
  show(detail(open) ? open : null);
  if (picking) root.querySelector(".fw-pick")?.focus({ preventScroll: true });
}

function showShapes(on) {
  shapes = on;
  root.classList.toggle("fw-with-shapes", on);
  root.querySelector("[data-shapes]").setAttribute("aria-pressed", String(on));
}

function choose(row, column) {
  const { across, down } = props.value.windows;
  if (row < 0 || column < 0 || row >= down || column >= across) return;
  trigger("select", { row, column });
}

root.addEventListener("click", (event) => {
  const { target } = event;
  const step = target.closest("[data-step]");
  if (step) {
    pause();
    light(-1);
    if (step.dataset.step === open) show(null);
    else show(step.dataset.step, event.detail === 0); // by a key
  } else if (target.closest(".fw-close")) close();
  else if (target.closest("[data-play]")) play();
  else if (target.closest("[data-walk]")) go(Number(target.closest("[data-walk]").dataset.walk));
  else if (target.closest("[data-shapes]")) showShapes(!shapes);
  if (target.matches(".fw-pick")) {
    const area = target.getBoundingClientRect();
    const { across, down } = props.value.windows;
    choose(
      Math.floor(((event.clientY - area.top) / area.height) * down),
      Math.floor(((event.clientX - area.left) / area.width) * across),
    );
  }
});

root.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && open) return void close();
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step || !event.target.matches(".fw-pick")) return;
  event.preventDefault();
  if (event.repeat) return; // each choice is computed: a key that is held would fill the queue
  const { row, column } = props.value.windows;
  choose(row + step[0], column + step[1]);
});

watch("value", draw);
draw();
