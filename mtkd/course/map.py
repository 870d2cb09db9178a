"""Fig. 1 as a map at the head of a lesson: the boxes that the lesson is about are lit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from mtkd.explore.draw.alt import described
from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.evidence.charts import as_picture
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

TEACHERS = {"teacher-1": "EDSR", "teacher-2": "RCAN", "teacher-3": "SwinIR"}
TITLES = {
    "lr": "LR\nimage",
    "concat": "concat-\nenate\n3 images",
    "unshuffle": "pixel-\nunshuffle",
    "shallow": "3 × 3\nconvolution\n$F_s$",
    "window": "DCT → attention → IDCT\nin windows of 8 × 8",
    "deep": "DCTSwin blocks\n$F_d$",
    "merged": "upscale\n$F_s + F_d$",
    "mt": "MT\n$I_{HR}^{MT}$",
    "loss-ka": "$L_{KA}$\nEq. 1",
    "gt": "ground\ntruth\n$I_{GT}$",
    "student": "Student: small and fast",
    "loss-dis": "$L_{dis}$: wavelet loss to MT, Eq. 3",
    "loss-stu": "$L_{stu}$: L1 to the ground truth, Eq. 2",
    "loss-total": "$α L_{stu} + L_{dis}$\nEq. 4",
} | {name: f"Teacher: {title}" for name, title in TEACHERS.items()}
_MODULE = ("concat", "unshuffle", "shallow", "window", "deep", "merged", "mt")
LIT: dict[str, tuple[str, ...]] = {
    "00": tuple(TITLES),
    "03": (*_MODULE, "loss-ka"),
    "04": ("loss-dis",),
    "05": ("student", "loss-dis", "loss-stu", "loss-total"),
    "08": (*TEACHERS, "mt", "student"),
}
"""The boxes of each lesson."""
_INK, _GREY, _STAGE1, _STAGE2 = "#1f2430", "#68707f", "#eaf1f8", "#f7f0e6"


def framework_map(lesson: str) -> Image.Image:
    """Fig. 1 with the boxes of a lesson, as in "03", in colour and all others in grey; alt text included."""
    lit = LIT[lesson]
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=80)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.axis("off")
    for name, (x, y, width, height) in FRAMES.items():
        fill = {"stage1": _STAGE1, "stage2": _STAGE2}.get(name, "none")
        style = ":" if fill == "none" else "-"
        axes.add_patch(_rectangle(x, y, width, height, 8, facecolor=fill, edgecolor="#b9c1ce", linestyle=style))
    boxes = BOXES | teacher_boxes(list(TEACHERS))
    _arrows(axes, flow(boxes), "#5b6270", "-")
    _arrows(axes, GRADIENT, PALETTE[6], "--")
    for name, box in boxes.items():
        _box(axes, box, TITLES[name], name in lit)
    for stage, (x, y) in {1: (130, 24), 2: (130, 362)}.items():
        axes.text(x, y, STAGES[stage], fontsize=10.5, color=_INK, weight="bold", va="center")
    axes.text(310, 313, "Knowledge aggregation module", fontsize=8.5, color=_INK, va="center")
    axes.text(134, 517, "solid: data\ndashed: gradient", fontsize=8.5, color=_INK, va="center")
    picture = as_picture(figure, alt_text(lit))
    return described(picture.quantize(48, dither=Image.Dither.NONE), picture.info["alt"])


def alt_text(lit: Sequence[str]) -> str:
    """What the map shows, in words."""
    whole = (
        "Fig. 1 of the paper, redrawn. Stage 1: the LR image goes to three frozen teachers; their images are "
        "concatenated, pixel-unshuffled, turned into features, refined by DCTSwin blocks and enlarged to MT, which is "
        "trained against the ground truth. Stage 2: the student's image is compared with MT by a wavelet loss and with "
        "the ground truth by L1."
    )
    if set(lit) == set(TITLES):
        return whole
    titles = [re.sub(r"[$_{}^]", "", TITLES[name].replace("-\n", "").replace("\n", " ")) for name in lit]
    return f"{whole} Lit here: {'; '.join(titles)}."


def _rectangle(x: float, y: float, width: float, height: float, radius: float, **options: object) -> FancyBboxPatch:
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch((x, y), width, height, boxstyle=style, mutation_aspect=1, **options)  # type: ignore[arg-type]


def _box(axes: Axes, box: Box, title: str, lit: bool) -> None:
    colour, line = ("#fff3c9", PALETTE[6]) if lit else ("#ffffff", "#c3c9d4")
    options = {"facecolor": colour, "edgecolor": line, "linewidth": 1.8 if lit else 1, "zorder": 3}
    axes.add_patch(_rectangle(box.x, box.y, box.width, box.height, 6, **options))
    axes.text(box.x + box.width / 2, box.middle, title, fontsize=9.5, color=_INK if lit else _GREY,
              ha="center", va="center", zorder=4, linespacing=1.3)  # fmt: skip


def _arrows(axes: Axes, path: str, colour: str, style: str) -> None:
    """The lines of an SVG path of M, H and V, each with a head at its end."""
    for line in lines(path):
        points: list[tuple[float, float]] = []
        for kind, numbers in re.findall(r"([MHV])([\d. ]+)", line):
            values = [float(number) for number in numbers.split()]
            x, y = points[-1] if points else (0.0, 0.0)
            points.append({"M": tuple(values), "H": (values[0], y), "V": (x, values[0])}[kind])  # type: ignore[arg-type]
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=1.1, zorder=2)
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", points[-1], points[-2], arrowprops=arrow, zorder=2)
