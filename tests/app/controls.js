(() => {
  const CONTROLS = "button, a[href], input:not([type=hidden]):not([type=file]), select, textarea, summary, [role=tab], [role=option], "
    + "[role=slider], [role=button], [role=checkbox], [role=radio]";
  let roots = [];
  let excluded = [];
  let alike = [];
  let count = 0;
  const used = new Set(); // by what they are called: scripts draw some anew

  const visible = (node) => node.checkVisibility({ opacityProperty: false, visibilityProperty: true })
    && node.getClientRects().length > 0 && !node.closest("[aria-hidden=true], [inert]");
  const disabled = (node) => node.disabled || node.getAttribute("aria-disabled") === "true" || node.readOnly;
  const chosen = (node) => (node.type === "radio" && node.checked) || node.getAttribute("aria-selected") === "true"
    || (node.getAttribute("aria-pressed") === "true" && node.closest("[role=group]"));
  const text = (node) => (node.getAttribute("aria-label") || node.labels?.[0]?.innerText || node.innerText || node.title
    || node.name || node.value || "").trim().replace(/\s+/g, " ").slice(0, 60);

  function kind(node) {
    const role = node.getAttribute("role");
    if (node.tagName === "SELECT") return "select";
    if (role === "combobox" || node.getAttribute("aria-haspopup") === "listbox") return "combobox";
    if (role === "slider" || node.type === "range") return "slider";
    if (node.type === "number") return "number";
    if (node.tagName === "TEXTAREA" || (node.tagName === "INPUT" && ["text", "search", ""].includes(node.type))) return "text";
    return role && !["button", "group"].includes(role) ? role : node.type === "radio" || node.type === "checkbox" ? node.type : node.tagName.toLowerCase();
  }

  /** What lies over the page: only it is used while it is open. */
  const layer = () => [...document.querySelectorAll("dialog[open], [popover]:popover-open")].filter(visible).at(-1);

  /** What the chosen tab or view holds. */
  const view = () => [...document.querySelectorAll(".tabitem")].filter(visible).at(-1);

  function all() {
    const others = roots.flatMap((root) => (root === "view" ? [view()] : [...document.querySelectorAll(root)])).filter(visible);
    const within = layer() ? [layer()] : others;
    return within.flatMap((one) => [...one.querySelectorAll(CONTROLS)])
      .filter((node) => visible(node) && !disabled(node) && !excluded.some((one) => node.closest(one)))
      .filter((node) => !node.parentElement.closest("button, a[href], select, [role=option]"));
  }

  function describe(node) {
    node.dataset.control ||= String(++count);
    const where = node.closest("[id]:not([id^=html-]):not([id^=component-])")?.id ?? "";
    return { key: node.dataset.control, kind: kind(node), text: text(node), where };
  }

  /** The picture of a canvas, small. */
  function pixels(canvas) {
    if (!canvas.width || !visible(canvas)) return "";
    const small = new OffscreenCanvas(24, 24);
    const context = small.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0, 24, 24);
    return context.getImageData(0, 0, 24, 24).data.join();
  }

  function states(node) {
    const names = ["aria-pressed", "aria-selected", "aria-expanded", "aria-checked", "aria-sort", "aria-valuenow"];
    const given = names.map((name) => node.getAttribute(name));
    const icon = node.tagName === "BUTTON" && node.querySelector("svg")?.innerHTML;
    return [...given, node.open, node.checked, node.value, node.disabled, icon, node.role === "grid" && node.clientWidth].join();
  }

  function seen() {
    const main = document.querySelector(".gradio-container") ?? document.body;
    const nodes = [...main.querySelectorAll("input, select, textarea, button, summary, details, [role], [aria-sort]")].filter(visible);
    return JSON.stringify([
      main.innerText,
      nodes.map(states),
      [...main.querySelectorAll("img, video")].filter(visible).map((one) => [one.currentSrc, one.clientWidth]),
      [...main.querySelectorAll("canvas")].map(pixels),
      [...main.querySelectorAll("svg.main-svg")].filter(visible).map((plot) => plot.innerHTML.replace(/id="[^"]*"|clip[\w-]*|legend[0-9a-f]{6}/g, "")),
      [...main.querySelectorAll(".mv-grid")].map((grid) => [grid.style.cssText, grid.childElementCount]),
      [...main.querySelectorAll("[class*=copied], .fw-lit, .mv-draws, .thumbnail-item.selected")].length,
      Boolean(document.fullscreenElement),
    ]);
  }

  /** The first that was not used yet; what is chosen already waits until another of its group is. */
  function fresh() {
    const times = {};
    for (const node of all()) {
      const found = describe(node);
      const kin = alike.find((one) => node.matches(one));
      const name = [found.kind, kin ?? found.text, found.where].join(" | ");
      if (kin && times[name]) continue;
      times[name] = (times[name] ?? 0) + 1;
      const signature = `${name} | ${times[name]}`;
      if (!used.has(signature) && !chosen(node)) return { found, signature };
    }
    return null;
  }

  const plain = new WeakMap();

  /** How a control and what it stands in are drawn: where one sees that it has the focus. */
  function look(node) {
    const chain = [node];
    while (chain.length < 8 && !chain.at(-1).matches(".block, .mv, body")) chain.push(chain.at(-1).parentElement);
    return chain.map((one) => {
      const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor, backgroundColor, opacity } = getComputedStyle(one);
      return [outlineStyle === "none" ? "" : outlineWidth + outlineColor, boxShadow, borderColor, backgroundColor, opacity].join();
    }).join();
  }

  const frame = () => new Promise(requestAnimationFrame);

  window.mtkdControls = {
    seen,
    all: () => all().map(describe),
    prepare(given) {
      ({ roots, excluded, alike } = given);
    },
    /** The next control, which counts as used from now on. */
    next() {
      const one = fresh();
      if (one) used.add(one.signature);
      return one?.found ?? null;
    },
    more: () => Boolean(fresh()),
    /** Whether it opens and closes a part of the page. */
    folds: (key) => document.querySelector(`[data-control="${key}"]`)?.matches(".label-wrap, summary") ?? false,
    isOpen(key) {
      const node = document.querySelector(`[data-control="${key}"]`);
      return node.classList.contains("open") || Boolean(node.parentElement.open);
    },
    otherOption(key) {
      const node = document.querySelector(`[data-control="${key}"]`);
      return [...node.options].find((option) => !option.selected && !option.disabled).value;
    },
    /** How all that can have the focus looks without it. */
    remember() {
      for (const node of document.querySelectorAll(`${CONTROLS}, [tabindex]`)) {
        if (node !== document.activeElement && visible(node)) plain.set(node, look(node));
      }
    },
    /** What has the focus. */
    stop() {
      const node = document.activeElement;
      if (!node || node === document.body) return null;
      return { ...describe(node), name: node.computedName, ring: look(node) !== plain.get(node) };
    },
    /** The radios to which arrow keys lead from one of those. */
    sameGroup(keys) {
      const names = keys.map((key) => document.querySelector(`[data-control="${key}"]`)).filter((node) => node?.type === "radio")
        .map((node) => node.name);
      return [...document.querySelectorAll("input[type=radio]")].filter((node) => names.includes(node.name)).map(describe);
    },
    tab: () => [...document.querySelectorAll("[role=tab][aria-selected=true]")].filter(visible).at(-1).dataset.tabId,
    layered: () => Boolean(layer()),
    async changed(before, milliseconds) {
      const end = performance.now() + milliseconds;
      do {
        if (seen() !== before) return true;
        await frame();
      } while (performance.now() < end);
      return false;
    },
  };
})()
