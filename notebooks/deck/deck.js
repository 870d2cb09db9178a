"use strict";
// One slide is shown; the address names it. A speaker window (P) shows the notes and follows, and its keys turn pages too.
const all = [...document.querySelectorAll("section")];
const place = document.body.appendChild(Object.assign(document.createElement("div"), { id: "place" }));
const speaker = location.search === "?speaker";
let now = 0;
let other = speaker ? window.opener : null;
if (speaker) document.body.classList.add("speaker");

function go(to, told = false) {
  now = Math.min(Math.max(to, 0), all.length - 1);
  all.forEach((one, number) => one.classList.toggle("now", number === now));
  place.textContent = `${now + 1} / ${all.length}`;
  history.replaceState(null, "", `#${now + 1}`);
  fit(all[now]);
  if (!told && other && !other.closed) other.postMessage({ slide: now }, "*");
}

/** What is too long for the window is written smaller, down to half. */
function fit(slide) {
  const shown = slide.querySelector(".shown");
  for (let size = 100; size >= 50; size -= 5) {
    shown.style.fontSize = `${size}%`;
    if (slide.scrollHeight <= slide.clientHeight && shown.scrollHeight <= shown.clientHeight) return;
  }
}

function turn(key) {
  const body = document.body.classList;
  const moves = {
    ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, Enter: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Backspace: -1,
    Home: -all.length, End: all.length,
  };
  if (key in moves) go(now + moves[key]);
  else if (key === "n" || key === "N") body.toggle("with-notes");
  else if (key === "o" || key === "O" || key === "Escape") body.toggle("overview", key !== "Escape" && !body.contains("overview"));
  else if ((key === "p" || key === "P") && !speaker) {
    other = window.open(`${location.pathname}?speaker#${now + 1}`, "speaker", "width=900,height=700");
  } else return false;
  return true;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (turn(event.key)) event.preventDefault();
});
addEventListener("message", (event) => {
  if (event.source === other && Number.isInteger(event.data?.slide)) go(event.data.slide, true);
});
addEventListener("resize", () => fit(all[now]));
addEventListener("hashchange", () => go(Number(location.hash.slice(1) || 1) - 1));
let from = null;
addEventListener("touchstart", (event) => (from = event.touches[0].clientX));
addEventListener("touchend", (event) => {
  const moved = event.changedTouches[0].clientX - from;
  if (Math.abs(moved) > 60) go(now + (moved < 0 ? 1 : -1));
});
all.forEach((one, number) => one.addEventListener("click", () => {
  if (!document.body.classList.contains("overview")) return;
  document.body.classList.remove("overview");
  go(number);
}));
go(Number(location.hash.slice(1) || 1) - 1);
