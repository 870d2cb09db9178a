"""The drawing of Fig. 1: where its boxes stand, the arrows between them, and the details of each box."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mtkd.explore.inside.framework import Picture, Step
from mtkd.explore.inside.framework_map import (
    BOXES,
    FRAMES,
    GRADIENT,
    HEIGHT,
    STAGES,
    WIDTH,
    Box,
    flow,
    lines,
    teacher_boxes,
)
from mtkd.numbers import signed

_RADIUS = {"stage1": 10, "stage2": 10, "module": 8, "group": 8}
_WALK = (
    (1, ("lr",), "The LR image goes to every teacher."),
    (1, ("teacher-*",), "Each teacher upscales it. The teachers are frozen."),
    (1, ("concat", "unshuffle", "shallow"), "Their images are stacked, folded to LR size and turned into features."),
    (1, ("window", "deep"), "Attention between the frequencies of each 8 × 8 window refines the features."),
    (1, ("merged", "mt"), "The features are enlarged to one better image: the combined teacher's, MT."),
    (1, ("loss-ka", "gt"), "Stage 1 trains this module alone, against the ground truth."),
    (2, ("lr", "student"), "Now the small student upscales the same LR image."),
    (2, ("student", "mt", "loss-dis"), "Its image is compared with MT, subband by subband. MT is frozen now."),
    (2, ("student", "gt", "loss-stu"), "It is compared with the ground truth as well."),
    (2, ("loss-total", "student"), "Both losses together train the student alone."),
)
"""The course of the data, for the Play button: stage, boxes, and what happens there."""
_SECOND = ("student", "loss-dis", "loss-stu", "loss-total")
_STATE = {"student": ("●", "trained"), "mt": ("❄", "frozen in Stage 2")}
_FROZEN = ("❄", "frozen")


def drawing(steps: Sequence[Step], addresses: Mapping[str, Sequence[str]]) -> str:
    """The diagram and the details of every step; ``addresses`` are those of a step's pictures by its id."""
    shown = {step.id: list(zip(step.pictures, addresses[step.id], strict=True)) for step in steps}
    teachers = [name for name in shown if name.startswith("teacher-")]
    concat = replace(BOXES["concat"], thumbs=min(50, 180 / max(len(teachers), 1)))
    boxes = BOXES | teacher_boxes(teachers) | {"concat": concat}
    small = {name: pictures[:1] for name, pictures in shown.items()} | {
        "concat": [picture for name in teachers for picture in shown[name]] if shown["concat"] else [],
        "window": shown["window"][1:5],
        "deep": shown["deep"],
        "loss-dis": shown["loss-dis"],
    }
    buttons = {step.id: _button(step, boxes[step.id], small[step.id]) for step in steps}
    second = next(name for name in buttons if name in _SECOND)
    buttons[second] = _heading(2) + buttons[second]
    return (
        f"{_controls(teachers)}"
        f'<div class="fw-map" role="group" aria-label="Framework"><div class="fw-canvas">{_arrows(boxes)}{_heading(1)}'
        f"{''.join(buttons.values())}</div>"
        f'<div class="fw-details">{"".join(_details(step, shown[step.id]) for step in steps)}</div></div>'
    )


def _controls(teachers: Sequence[str]) -> str:
    """Play and its steps, and what is drawn."""
    items = []
    for stage, names, text in _WALK:
        ids = [name for one in names for name in (teachers if one == "teacher-*" else [one])]
        items.append(f'<li data-steps="{" ".join(ids)}">{STAGES[stage].partition(":")[0]}. {text}</li>')
    return (
        '<div class="fw-bar"><button type="button" data-play>▶ Play</button>'
        '<button type="button" data-walk="-1" aria-label="Previous step">‹</button>'
        '<button type="button" data-walk="1" aria-label="Next step">›</button>'
        '<p class="fw-told" role="status">Press Play, or select a box to see its data.</p>'
        '<button type="button" data-shapes aria-pressed="false">Show shapes</button></div>'
        f"<ol hidden>{''.join(items)}</ol>"
    )


def _heading(stage: int) -> str:
    """A stage's heading where the boxes stand in a column: on a narrow screen."""
    return f'<p class="fw-stage">{STAGES[stage]}</p>'


def _arrows(boxes: Mapping[str, Box]) -> str:
    frames = "".join(
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{_RADIUS[name]}" class="fw-{name}"/>\n'
        for name, (x, y, width, height) in FRAMES.items()
    )
    return f"""<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">
<defs>
<marker id="fw-head" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse"
 orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 Z" class="fw-head"/></marker>
<marker id="fw-back" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse"
 orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 Z" class="fw-back"/></marker>
</defs>
{frames}{_paths(flow(boxes), "fw-flow", "fw-head")}{_paths(GRADIENT, "fw-gradient", "fw-back")}
<text x="130" y="27" class="fw-title">{STAGES[1]}</text>
<text x="130" y="366" class="fw-title">{STAGES[2]}</text>
<text x="310" y="317">Knowledge aggregation module ● trained in Stage 1, ❄ frozen in Stage 2</text>
<text x="1000" y="38" text-anchor="end" class="fw-note">gradient of Stage 1</text>
<text x="1030" y="366" text-anchor="end" class="fw-note">gradient of Stage 2</text>
<text x="782" y="362">❄ no gradient</text>
<text x="134" y="510">❄ frozen &#160; ● trained</text>
<path d="M134 524 H164" class="fw-gradient"/><text x="172" y="528">gradient</text>
</svg>"""


def _paths(path: str, style: str, marker: str) -> str:
    """Each line of its own, so that each ends in an arrow."""
    return "".join(f'<path d="{one}" class="{style}" marker-end="url(#{marker})"/>' for one in lines(path))


def _button(step: Step, box: Box, pictures: Sequence[tuple[Picture, str]]) -> str:
    place = "".join(
        f"{side}:calc({value:g}*var(--u));"
        for side, value in (("left", box.x), ("top", box.y), ("width", box.width), ("height", box.height))
    )
    mark, meaning = _FROZEN if step.id.startswith("teacher-") else _STATE.get(step.id, ("", ""))
    words = [
        f'<span class="fw-name">{_hyphenated(step.title)}</span>',
        f'<span class="fw-math">{formula(step.symbol)}</span>' if step.symbol else "",
        f'<span class="fw-shape">{html.escape(step.shape)}</span>' if step.shape else "",
        f'<span class="fw-number">{_headline(step)}</span>' if step.numbers and step.id.startswith("loss-") else "",
        '<span class="fw-missing">missing</span>' if step.missing else "",
        f'<span class="fw-state" title="{meaning}">{mark}</span>' if mark else "",
    ]
    kind = ("wide" if box.wide else "tall") + (" fw-none" if step.missing else "")
    return (
        f'<button type="button" class="fw-box fw-{kind}" data-step="{step.id}" style="{place}" aria-expanded="false" '
        f'aria-controls="fw-{step.id}">'
        f'<span class="fw-thumbs">{"".join(_thumb(step, *shown, box.thumbs) for shown in pictures)}</span>'
        f'<span class="fw-words">{"".join(words)}</span></button>'
    )


def _hyphenated(title: str) -> str:
    """A box's title; long words may be broken at a syllable."""
    return html.escape(title).replace("Concat", "Concat&shy;").replace("convo", "convo&shy;")


def _headline(step: Step) -> str:
    """The number that a loss's box shows."""
    return f"{step.total[1] if step.total else next(iter(step.numbers.values())):.4f}"


def _thumb(step: Step, picture: Picture, address: str, side: float) -> str:
    pixels = "fw-pixels" if picture.image.shape[1] <= side else ""
    size = f"{'width' if pixels else 'max-width'}:calc({side:g}*var(--u));max-height:calc({side:g}*var(--u))"
    label = ""
    if step.id in ("window", "loss-dis"):
        name = picture.caption.partition(":")[0]
        value = f" {step.numbers[name]:.4f}" if name in step.numbers else ""
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
        f'<section id="fw-{step.id}" data-detail="{step.id}" aria-label="{html.escape(step.title)}" hidden>'
        '<button type="button" class="fw-close" aria-label="Close">×</button>'
        f'<h3 tabindex="-1">{html.escape(step.title)}</h3><p class="fw-facts">{"".join(facts)}</p>'
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
    label = "Choose a window: click or tap, or move it with the arrow keys" if pick else caption
    if pick:
        caption += ". Click, tap or use the arrow keys to choose another"
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
        f"<tr{style}><th>{key}</th><td>{signed(value, '.6f')}</td>"
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
