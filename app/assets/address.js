() => {
  // The address says what is seen. A new picture, set of models or tab is a new entry of the history; a new place,
  // layer or region changes the entry that there is.
  const ENTRY = ["example", "models", "scale", "ground_truth", "tab", "tour"];
  const OWN = [...ENTRY, "zoom", "cx", "cy", "layer", "focus", "mode", "pair", "baseline", "gain", "region"];
  let opened = false; // the first view belongs to the entry that the browser has
  let wanted = null; // the tab that Back or Forward leads to, until it is chosen

  function go(parameters) {
    const text = [...parameters].map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2C/g, ",").replace(/%40/g, "@")}`).join("&");
    const before = new URLSearchParams(location.search);
    const entry = (of) => JSON.stringify(ENTRY.map((key) => of.get(key)));
    if (`?${text}` === location.search || (!text && !location.search)) return;
    const isNew = opened && entry(before) !== entry(parameters);
    history[isNew ? "pushState" : "replaceState"](null, "", text ? `?${text}` : location.pathname);
  }

  function show(query) {
    const next = new URLSearchParams(query);
    const now = new URLSearchParams(location.search);
    for (const [key, value] of now) if (key === "tab" || key === "tour" || !OWN.includes(key)) next.set(key, value);
    go(next);
    opened = true;
  }

  const chosenTab = () => [...document.querySelectorAll("[role=tab][aria-selected=true]")]
    .filter((node) => node.offsetParent).at(-1)?.dataset.tabId;

  function tab() {
    // Gradio marks the chosen tab after it has told so.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const id = chosenTab();
      if (!id) return;
      if (wanted) { // on the way there, tabs between are chosen: they are no entries
        if (id === wanted) wanted = null;
        return;
      }
      const next = new URLSearchParams(location.search);
      if (id === "compare") next.delete("tab"); else next.set("tab", id);
      if (opened) go(next);
    }));
  }

  /** The stop of the tour, 0 for none. */
  function tour(stop) {
    const next = new URLSearchParams(location.search);
    if (stop) next.set("tour", stop); else next.delete("tour");
    if (opened) go(next);
    if (stop) document.querySelector("#tour-next")?.focus();
    else if ([null, document.body].includes(document.activeElement)) document.querySelector("#tour-start")?.focus();
  }

  // Gradio calls the buttons in its components by numbers ("Remove 16"), or by keys of texts that it lacks.
  function nameButtons() {
    const name = (node, text) => {
      if (node.getAttribute("aria-label") !== text) Object.assign(node, { ariaLabel: text, title: text });
    };
    for (const node of document.querySelectorAll("#models .token .token-remove")) {
      name(node, `Remove ${node.closest(".token").textContent.trim()}`);
    }
    for (const node of document.querySelectorAll('[aria-label="common.upload"]')) name(node, "Upload more files");
  }
  for (const event of ["pointerover", "focusin"]) document.addEventListener(event, nameButtons);

  // Another photo: the one that there is stays until it is chosen. (Gradio's icon only takes it away.)
  document.addEventListener("click", (event) => {
    const files = event.target.closest?.("#image [aria-label='Upload file']") && document.querySelector("#image input[type=file]");
    if (!files) return;
    event.stopPropagation();
    files.click();
  }, { capture: true });

  // A link to this computer alone is of no use to anybody else: the session is saved instead.
  const alone = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
  document.documentElement.classList.toggle("this-computer-alone", alone);
  window.mtkdAddress = { show, tab, tour };
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("a.skip")) return;
    event.preventDefault();
    document.querySelector("#tabs [role=tab][aria-selected=true]")?.focus();
  });
  window.addEventListener("keydown", (event) => {
    const close = document.querySelector("#tour-close");
    if (event.key === "Escape" && !event.defaultPrevented && close?.offsetParent) close.click();
  });
  document.addEventListener("pointerdown", () => { wanted = null; }); // a person chooses anew
  window.addEventListener("popstate", () => {
    const asked = new URLSearchParams(location.search).get("tab") ?? "compare";
    wanted = asked === chosenTab() ? null : asked;
    document.querySelector("#open-address")?.click();
  });
}
