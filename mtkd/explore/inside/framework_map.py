"""Fig. 1 as a drawing: where its boxes stand and the arrows between them. The page and the lessons draw the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


BOXES = {
    "lr": Box(4, 190, 96, 160, 72),
    "concat": Box(304, 56, 98, 246, 50),
    "unshuffle": Box(416, 96, 92, 150, 64),
    "shallow": Box(518, 96, 100, 150, 64),
    "window": Box(640, 74, 230, 104, 36),
    "deep": Box(640, 186, 230, 98, 44),
    "merged": Box(898, 96, 92, 150, 64),
    "mt": Box(1012, 96, 92, 150, 64),
    "loss-ka": Box(1116, 96, 68, 150, 44),
    "gt": Box(1200, 190, 98, 160, 72),
    "student": Box(134, 392, 270, 92, 76, wide=True),
    "loss-dis": Box(540, 386, 456, 84, 52, wide=True),
    "loss-stu": Box(540, 480, 456, 58, 44, wide=True),
    "loss-total": Box(1040, 392, 140, 84, 0),
}
_TOP, _BOTTOM = 56.0, 302.0
"""All boxes but the teachers' (:func:`teacher_boxes`), by the id of their step."""
STAGES = {1: "Stage 1: knowledge aggregation", 2: "Stage 2: model distillation"}
FRAMES = {
    "stage1": (116, 4, 1076, 326),
    "stage2": (116, 344, 1076, 202),
    "module": (300, 50, 700, 274),
    "group": (630, 66, 250, 224),
}
"""The rectangles behind the boxes: left, top, width, height."""
GRADIENT = "M1150 96 V44 H568 V92 M755 44 V62 M944 44 V92 M1110 392 V374 H269 V388"
"""Where gradients flow, as the path of an SVG."""


def teacher_boxes(ids: Sequence[str]) -> dict[str, Box]:
    """The teachers share the height of Stage 1."""
    gap = 8.0
    height = min((_BOTTOM - _TOP - gap * (len(ids) - 1)) / max(len(ids), 1), 100)
    return {
        name: Box(134, _TOP + number * (height + gap), 156, height, min(height - 12, 44), wide=True)
        for number, name in enumerate(ids)
    }


def flow(boxes: Mapping[str, Box]) -> str:
    """Where data flow, as the path of an SVG of lines (M, H, V) that each end in an arrow."""
    teachers = [box for name, box in boxes.items() if name.startswith("teacher-")]
    lr, row = boxes["lr"], boxes["unshuffle"].middle
    trunk = "".join(f"M100 {lr.middle} H108 V{box.middle} H130 " for box in (*teachers, boxes["student"]))
    joins = "".join(f"M{t.x + t.width} {t.middle} H300 " for t in teachers)
    chain = "".join(f"M{a} {row} H{b} " for a, b in ((402, 412), (508, 514), (618, 626), (880, 894), (990, 1008)))
    return (
        f"{trunk}{joins}{chain}M1104 {row} H1112 M568 246 V294 H944 V250 M755 178 V183"
        f" M1058 246 V337 H775 V382 M1250 190 V{row} H1188 M1250 350 V510 H1000"
        " M404 438 H500 V428 H536 M500 438 V510 H536 M996 428 H1036 M996 494 H1110 V480"
    )


def lines(path: str) -> list[str]:
    """The lines of a path, each beginning with M."""
    return [f"M{part.strip()}" for part in path.split("M") if part.strip()]
