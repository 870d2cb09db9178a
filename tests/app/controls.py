"""The controls that a view has, found on the page itself; what is seen of it; how a person uses one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import TimeoutError

from tests.browser import wait_until_answered

SCRIPT = (Path(__file__).parent / "controls.js").read_text(encoding="utf-8")
"""Defines ``mtkdControls`` in the page: ``next``, ``seen``, and what else the functions here call."""


@dataclass
class Happenings:
    """What a page does that no element of it shows: files it saves, windows and dialogs it opens."""

    count: int = 0
    files: dict[str, Path] = field(default_factory=dict)

    def watch(self, page) -> None:
        """``files``: what a person chooses in a file dialog, by the endings that it accepts; "" any other."""

        def happened(*_) -> None:
            self.count += 1

        page.on("download", happened)
        page.on("console", lambda said: page.page_errors.append(said.text) if _complains(said) else None)
        page.on("dialog", lambda dialog: (happened(), dialog.dismiss()))
        page.on("popup", lambda other: (happened(), other.close()))
        page.on("filechooser", lambda chooser: chooser.set_files(str(self._file(chooser.element))))

    def _file(self, element) -> Path:
        accepted = element.get_attribute("accept") or ""
        return next((path for ending, path in self.files.items() if ending and ending in accepted), self.files[""])


def _complains(said) -> bool:
    """A script's error; plotly's warning of a figure that it cannot draw as asked."""
    return "bad format" in said.text or (said.type == "error" and "Failed to load resource" not in said.text)


@dataclass(frozen=True)
class Control:
    """One of them: ``key`` is its mark in the page, ``kind`` how it is used, ``text`` what it is called."""

    key: str
    kind: str
    text: str
    where: str

    def __str__(self) -> str:
        return f"{self.kind} “{self.text}” in {self.where}"


def prepare(page, roots: Sequence[str], excluded: Iterable[str] = (), alike: Sequence[str] = ()) -> None:
    """Have the controls be found that lie within ``roots`` (selectors, or "view": the chosen view).

    Args:
        excluded: selectors of those that are left out, and of what holds them.
        alike: selectors of those of which one stands for all.
    """
    page.evaluate(SCRIPT)
    given = {"roots": list(roots), "excluded": list(excluded), "alike": list(alike)}
    page.evaluate("given => mtkdControls.prepare(given)", given)


def unused(page) -> Control | None:
    """The next control that has not been used: of an open dialog or list first."""
    found = page.evaluate("() => mtkdControls.next()")
    return Control(**found) if found else None


def seen(page) -> str:
    """All that a person sees of the page, as text."""
    return page.evaluate("() => mtkdControls.seen()")


def use(page, control: Control) -> None:
    """What a person with a mouse does with a control of its kind."""
    node = page.locator(f"[data-control='{control.key}']")
    if control.kind == "select":
        node.select_option(page.evaluate("key => mtkdControls.otherOption(key)", control.key))
    elif control.kind == "combobox":
        node.click()
        others = page.locator("[role=option]:not([aria-selected=true]):visible")
        if page.locator("[role=option]:visible").count() > 1:
            others.first.click(timeout=5_000)
        else:
            page.keyboard.press("Escape")
    elif control.kind in ("text", "textarea", "number", "slider"):
        node.click(timeout=5_000)
        press(page, control, node)
    else:
        try:
            node.click(timeout=5_000)
        except TimeoutError:  # under something that Esc closes
            page.keyboard.press("Escape")
            node.click(timeout=5_000)


KEYS = {
    "combobox": ["ArrowDown", "ArrowDown", "Enter"],
    "slider": ["ArrowLeft"],
    "radio": ["Space"],
    "checkbox": ["Space"],
}


def use_by_keyboard(page, control: Control) -> None:
    """What a person without a mouse does with a control of its kind."""
    node = page.locator(f"[data-control='{control.key}']")
    node.focus(timeout=5_000)
    press(page, control, node)


def press(page, control: Control, node) -> None:
    """The keys for a control that has the focus."""
    if control.kind in ("number", "select"):
        value = node.input_value()
        page.keyboard.press("ArrowUp")
        if node.input_value() == value:  # there is no more
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
    elif control.kind in ("text", "textarea"):
        page.keyboard.type("tried")
        page.keyboard.press("Enter")
    else:
        for key in KEYS.get(control.kind, ["Enter"]):
            page.keyboard.press(key)


def unfold(page, control: Control) -> None:
    """Open the part of the page again that the control has closed."""
    folds = page.evaluate("key => mtkdControls.folds(key)", control.key)
    if folds and not page.evaluate("key => mtkdControls.isOpen(key)", control.key):
        page.click(f"[data-control='{control.key}']")


def settle(page) -> None:
    """Return when the explorer has answered; a stream that Gradio leaves open after its last answer counts as ended."""
    try:
        wait_until_answered(page, 10)
    except AssertionError:
        page.pending.clear()


def changes(page, happenings: Happenings, before: str, count: int, milliseconds: int = 4_000) -> bool:
    """Whether something else is seen than ``before``, at once or when the explorer has answered."""
    waited = page.evaluate("before => mtkdControls.changed(before, 150)", before) or happenings.count != count
    settle(page)
    return (
        waited
        or happenings.count != count
        or page.evaluate("([before, ms]) => mtkdControls.changed(before, ms)", [before, milliseconds])
        or happenings.count != count
    )


@dataclass(frozen=True)
class Stop(Control):
    """A control that the keyboard has reached: its accessible name, and whether one sees that it has the focus."""

    name: str
    ring: bool


def every(page) -> list[Control]:
    """All controls that are seen now."""
    return [Control(**one) for one in page.evaluate("() => mtkdControls.all()")]


def walk(page) -> dict[str, Stop]:
    """Go through the page by Tab, and by arrow keys within what is one stop; open what is closed on the way."""
    page.add_style_tag(content="* { transition: none !important; }")
    page.evaluate("() => mtkdControls.remember()")
    page.locator("a.skip").focus()
    stops: dict[str, Stop] = {}
    nowhere = 0  # a list that scrolls is a stop, and goes when it has the focus: Tab goes on from there
    for _ in range(300):
        page.keyboard.press("Tab")
        found = page.evaluate("() => mtkdControls.stop()")
        nowhere = 0 if found else nowhere + 1
        if nowhere == 3:
            break
        if not found or found["key"] in stops or found["kind"] == "listbox":
            continue
        stops[found["key"]] = stop = Stop(**found)
        if page.evaluate("key => mtkdControls.folds(key) && !mtkdControls.isOpen(key)", stop.key):
            page.keyboard.press("Enter")
            settle(page)
            page.evaluate("() => mtkdControls.remember()")
        if stop.kind in ("button", "a", "select"):
            _walk_within(page, stop, stops)
    for found in page.evaluate("keys => mtkdControls.sameGroup(keys)", list(stops)):
        stops.setdefault(found["key"], Stop(**found, name=found["text"], ring=True))
    return stops


def _walk_within(page, first: Stop, stops: dict[str, Stop]) -> None:
    """By the right arrow key from one control to the next of the same stop, back to the first."""
    for _ in range(60):
        page.keyboard.press("ArrowRight")
        found = page.evaluate("() => mtkdControls.stop()")
        if not found or found["key"] == first.key:
            return
        stops.setdefault(found["key"], Stop(**found))
