"""The drawing of Fig. 1: where its boxes stand, the arrows between them, and the details of each box."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mtkd.explore.inside.framework import Picture, Step

WIDTH, HEIGHT = 1300, 550
"""Units of the drawing; the page scales them to the width that there is."""


@dataclass(frozen=True)
class Box:
    """A rectangle in units of the drawing; ``thumbs`` is the side of the small pictures in it."""

    x: float
    y: float
    width: float
    height: float
    thumbs: float
    wide: bool = False
    """Text beside the pictures, not under them."""

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


_BOXES = {
    "lr": Box(4, 200, 96, 140, 78),
    "concat": Box(308, 56, 92, 246, 50),
    "unshuffle": Box(418, 96, 88, 150, 76),
    "shallow": Box(524, 96, 88, 150, 76),
    "window": Box(640, 74, 230, 104, 42),
    "deep": Box(640, 186, 230, 98, 50),
    "merged": Box(898, 96, 92, 150, 76),
    "mt": Box(1012, 96, 92, 150, 76),
    "loss-ka": Box(1118, 106, 64, 130, 48),
    "gt": Box(1204, 200, 92, 140, 78),
    "student": Box(134, 392, 270, 92, 76, wide=True),
    "loss-dis": Box(540, 386, 456, 84, 52, wide=True),
    "loss-stu": Box(540, 480, 456, 58, 44, wide=True),
    "loss-total": Box(1040, 392, 140, 84, 0),
}
_TOP, _BOTTOM = 56.0, 302.0
_STATE = {"student": ("●", "trained"), "mt": ("❄", "frozen in Stage 2")}
_FROZEN = ("❄", "frozen")


def drawing(steps: Sequence[Step], addresses: Mapping[str, Sequence[str]]) -> str:
    """The diagram and, below it, the details of every step; ``addresses`` are those of a step's pictures by its id."""
    shown = {step.id: list(zip(step.pictures, addresses[step.id], strict=True)) for step in steps}
    teachers = [name for name in shown if name.startswith("teacher-")]
    concat = replace(_BOXES["concat"], thumbs=min(50, 180 / max(len(teachers), 1)))
    boxes = _BOXES | _teachers(teachers) | {"concat": concat}
    small = {name: pictures[:1] for name, pictures in shown.items()} | {
        "concat": [picture for name in teachers for picture in shown[name]] if shown["concat"] else [],
        "window": shown["window"][1:5],
        "deep": shown["deep"],
        "loss-dis": shown["loss-dis"],
    }
    buttons = "".join(_button(step, boxes[step.id], small[step.id]) for step in steps)
    return (
        f'<div class="fw-map"><div class="fw-canvas">{_arrows(boxes)}{buttons}</div></div>'
        f'<div class="fw-details">{"".join(_details(step, shown[step.id]) for step in steps)}</div>'
    )


def _teachers(ids: Sequence[str]) -> dict[str, Box]:
    """The teachers share the height of Stage 1."""
    gap = 8.0
    height = min((_BOTTOM - _TOP - gap * (len(ids) - 1)) / max(len(ids), 1), 100)
    return {
        name: Box(134, _TOP + number * (height + gap), 156, height, min(height - 12, 60), wide=True)
        for number, name in enumerate(ids)
    }


def _arrows(boxes: Mapping[str, Box]) -> str:
    teachers = [box for name, box in boxes.items() if name.startswith("teacher-")]
    lr, row = boxes["lr"], boxes["unshuffle"].middle
    trunk = "".join(f"M100 {lr.middle} H108 V{box.middle} H130 " for box in (*teachers, boxes["student"]))
    joins = "".join(f"M{t.x + t.width} {t.middle} H304 " for t in teachers)
    chain = "".join(f"M{a} {row} H{b} " for a, b in ((400, 414), (506, 520), (612, 626), (880, 894), (990, 1008)))
    flow = (
        f"{trunk}{joins}{chain}M1104 {row} H1114 M568 246 V294 H944 V250 M755 178 V183"
        f" M1058 246 V337 H775 V382 M1250 200 V{row} H1186 M1250 340 V510 H1000"
        " M404 438 H500 V428 H536 M500 438 V510 H536 M996 428 H1036 M996 494 H1110 V480"
    )
    gradient = "M1150 106 V44 H568 V92 M755 44 V62 M944 44 V92 M1110 392 V374 H269 V388"
    return f"""<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">
<defs>
<marker id="fw-head" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse"
 orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 Z" class="fw-head"/></marker>
<marker id="fw-back" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse"
 orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 Z" class="fw-back"/></marker>
</defs>
<rect x="116" y="4" width="1076" height="326" rx="10" class="fw-stage1"/>
<rect x="116" y="344" width="1076" height="202" rx="10" class="fw-stage2"/>
<rect x="300" y="50" width="700" height="274" rx="8" class="fw-module"/>
<rect x="630" y="66" width="250" height="224" rx="8" class="fw-group"/>
{_paths(flow, "fw-flow", "fw-head")}{_paths(gradient, "fw-gradient", "fw-back")}
<text x="130" y="27" class="fw-title">Stage 1: knowledge aggregation</text>
<text x="130" y="366" class="fw-title">Stage 2: model distillation</text>
<text x="310" y="317">Knowledge aggregation module ● trained in Stage 1, ❄ frozen in Stage 2</text>
<text x="1000" y="38" text-anchor="end" class="fw-note">gradient of Stage 1</text>
<text x="1030" y="366" text-anchor="end" class="fw-note">gradient of Stage 2</text>
<text x="782" y="362">❄ no gradient</text>
<text x="134" y="510">❄ frozen &#160; ● trained</text>
<path d="M134 524 H164" class="fw-gradient"/><text x="172" y="528">gradient</text>
</svg>"""


def _paths(lines: str, style: str, marker: str) -> str:
    """Each line of its own, so that each ends in an arrow."""
    parts = [part.strip() for part in lines.split("M") if part.strip()]
    return "".join(f'<path d="M{part}" class="{style}" marker-end="url(#{marker})"/>' for part in parts)


def _button(step: Step, box: Box, pictures: Sequence[tuple[Picture, str]]) -> str:
    place = "".join(
        f"{side}:calc({value:g}*var(--u));"
        for side, value in (("left", box.x), ("top", box.y), ("width", box.width), ("height", box.height))
    )
    mark, meaning = _FROZEN if step.id.startswith("teacher-") else _STATE.get(step.id, ("", ""))
    words = [
        f'<span class="fw-name">{html.escape(step.title)}</span>',
        f'<span class="fw-math">{formula(step.symbol)}</span>' if step.symbol else "",
        f'<span class="fw-shape">{html.escape(step.shape)}</span>' if step.shape else "",
        f'<span class="fw-number">{_headline(step)}</span>' if step.numbers and step.id.startswith("loss-") else "",
        '<span class="fw-shape">missing</span>' if step.missing else "",
        f'<span class="fw-state" title="{meaning}">{mark}</span>' if mark else "",
    ]
    kind = ("wide" if box.wide else "tall") + (" fw-none" if step.missing else "")
    return (
        f'<button type="button" class="fw-box fw-{kind}" data-step="{step.id}" style="{place}" aria-expanded="false">'
        f'<span class="fw-thumbs">{"".join(_thumb(step, *shown, box.thumbs) for shown in pictures)}</span>'
        f'<span class="fw-words">{"".join(words)}</span></button>'
    )


def _headline(step: Step) -> str:
    """The number that a loss's box shows."""
    return f"{step.total[1] if step.total else next(iter(step.numbers.values())):.5f}"


def _thumb(step: Step, picture: Picture, address: str, side: float) -> str:
    pixels = "fw-pixels" if picture.image.shape[1] <= side else ""
    size = f"{'width' if pixels else 'max-width'}:calc({side:g}*var(--u));max-height:calc({side:g}*var(--u))"
    label = ""
    if step.id in ("window", "loss-dis"):
        name = picture.caption.partition(":")[0]
        value = f" {step.numbers[name]:.5f}" if name in step.numbers else ""
        label = f"<small>{html.escape(name)}{value}</small>"
    image = f'<img class="{pixels}" src="{html.escape(address)}" alt="" style="{size}">'
    return f'<span class="fw-thumb">{image}{label}</span>'


def _details(step: Step, pictures: Sequence[tuple[Picture, str]]) -> str:
    facts = [
        f'<span class="fw-chip">{html.escape(step.where)}</span>',
        f'<span class="fw-chip">{html.escape(step.shape)}</span>' if step.shape else "",
        f'<span class="fw-math">{formula(step.equation or step.symbol)}</span>',
    ]
    figures = "".join(_figure(step, number, *shown) for number, shown in enumerate(pictures))
    return (
        f'<section data-detail="{step.id}" aria-label="{html.escape(step.title)}" hidden>'
        f'<h3>{html.escape(step.title)}</h3><p class="fw-facts">{"".join(facts)}</p>'
        f"<p>{formula(step.text or step.missing)}</p>"
        f'<div class="fw-figures">{figures}{_numbers(step)}</div></section>'
    )


def _figure(step: Step, number: int, picture: Picture, address: str) -> str:
    """A picture at a whole zoom; the first of the window's step chooses the window."""
    height, width = picture.image.shape[:2]
    wide = 512 if len(step.pictures) == 1 else 192 if width < 16 else 256
    zoom = max(1, round(wide / width))
    caption = picture.caption + (f", at 1/{picture.reduced} of its size" if picture.reduced > 1 else "")
    pick = ' class="fw-pick" tabindex="0" role="application"' if (step.id, number) == ("window", 0) else ""
    label = "Choose a window: click, or move it with the arrow keys" if pick else caption
    if pick:
        caption += ". Click, or use the arrow keys, to choose another"
    return (
        f'<figure><img{pick} src="{html.escape(address)}" alt="{html.escape(label)}" width="{zoom * width}" '
        f'height="{zoom * height}"><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def _numbers(step: Step) -> str:
    """The numbers as a table with bars; a total as its last row."""
    if not step.numbers:
        return ""
    name = formula if step.id.startswith("loss-") else html.escape
    largest = max([abs(value) for value in step.numbers.values()] + [abs(step.total[1]) if step.total else 0]) or 1
    rows = [(name(key), value, "") for key, value in step.numbers.items()]
    if step.total:
        rows.append((f"= {formula(step.total[0])}", step.total[1], ' class="fw-total"'))
    cells = "".join(
        f"<tr{style}><th>{key}</th><td>{value:.6f}</td>"
        f'<td><i style="width:{100 * abs(value) / largest:.1f}%"></i></td></tr>'
        for key, value, style in rows
    )
    title = "" if step.id.startswith("loss-") else "<caption>Learned weights of the teachers' images</caption>"
    return f'<table class="fw-numbers">{title}{cells}</table>'


_SCRIPTS = re.compile(r"([_^])([\w,×−+]+)")


def formula(text: str) -> str:
    """Escaped text in which what follows ``_`` and ``^`` stands lower and higher."""
    return _SCRIPTS.sub(
        lambda found: f"<{_TAG[found[1]]}>{found[2]}</{_TAG[found[1]]}>", html.escape(text, quote=False)
    )


_TAG = {"_": "sub", "^": "sup"}
