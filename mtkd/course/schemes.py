"""Schematic drawings of the course: blocks of the networks, windows and their shift, pixel-unshuffle."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

from mtkd.explore.draw.alt import described
from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.evidence.charts import as_picture

_INK, _LINE = "#1f2430", "#5b6270"
_FILL = {"conv": "#eaf1f8", "attention": "#fff3c9", "other": "#f2f3f6"}
Part = tuple[str, str]
"""The words of a box, and the kind that gives its colour."""

BLOCKS: dict[str, tuple[tuple[Part, ...], ...]] = {
    "EDSR: residual block": ((("conv 3 × 3", "conv"), ("ReLU", "other"), ("conv 3 × 3", "conv"), ("× 0.1", "other")),),
    "RCAN: block with channel attention": (
        (
            ("conv 3 × 3", "conv"),
            ("ReLU", "other"),
            ("conv 3 × 3", "conv"),
            ("× gate\nper channel", "attention"),
        ),
    ),
    "SwinIR: layer": (
        (("LayerNorm", "other"), ("attention in\n8 × 8 windows", "attention")),
        (("LayerNorm", "other"), ("MLP", "conv")),
    ),
}
"""The blocks of the teachers: parts one after another, in groups, each with a skip around it."""


def block_schemes() -> Image.Image:
    """A block of each teacher as boxes with its skips, and RCAN's gate below."""
    figure, axes = _canvas(840, 430)
    for row, (title, groups) in enumerate(BLOCKS.items()):
        y = 60 + 102 * row
        axes.text(14, y - 38, title, fontsize=10, weight="bold", color=_INK)
        x = 60.0
        axes.text(20, y, "x", fontsize=11, color=_INK, va="center")
        _arrow(axes, [(32, y), (x, y)])
        for parts in groups:
            x = _group(axes, parts, x, y)
        axes.text(x + 8, y, "x'" if len(groups) > 1 else "x + f(x)", fontsize=11, color=_INK, va="center")
    y = 60 + 102 * 3 + 24
    axes.text(14, y - 34, "the gate of RCAN's channel attention", fontsize=10, weight="bold", color=_INK)
    x = 20.0
    steps = ("mean of each channel", "1 × 1 conv, C → C/16", "ReLU", "1 × 1 conv, C/16 → C", "sigmoid: (0, 1)")
    for number, words in enumerate(steps):
        if number:
            _arrow(axes, [(x - 24, y), (x, y)])
        width = 28 + 7.2 * len(words)
        _box(axes, x, y, width, words, "attention" if number in (0, 4) else "other")
        x += width + 24
    alt = (
        "Three blocks as boxes. EDSR: x plus 0.1 times conv, ReLU, conv. RCAN: x plus conv, ReLU, conv, each "
        "channel times a gate. SwinIR: x plus window attention of LayerNorm, then plus MLP of LayerNorm. RCAN's "
        "gate: mean of each channel, 1 x 1 convolution to a sixteenth of the channels, ReLU, 1 x 1 convolution "
        "back, sigmoid."
    )
    return _small(as_picture(figure, alt))


def _group(axes: Axes, parts: tuple[Part, ...], x: float, y: float) -> float:
    """Boxes in a row with a skip over them; the place behind the sum."""
    start = x
    for words, kind in parts:
        width = 24 + 7.6 * max(map(len, words.split("\n")))
        _box(axes, x + 14, y, width, words, kind)
        _arrow(axes, [(x, y), (x + 14, y)])
        x += width + 14
    end = x + 26
    _arrow(axes, [(x, y), (end - 8, y)])
    _arrow(axes, [(start - 6, y), (start - 6, y - 32), (end, y - 32), (end, y - 9)], PALETTE[6])
    axes.text(end, y, "+", fontsize=12, ha="center", va="center", color=_INK, zorder=4,
              bbox={"boxstyle": "circle,pad=0.12", "fc": "white", "ec": _LINE})  # fmt: skip
    _arrow(axes, [(end + 9, y), (end + 36, y)])
    return end + 36


METHODS = {
    "KD": ("the images", (("image", "image"),)),
    "AT": ("where features are strong", (("body", "body"),)),
    "FAKD": ("images; which places look alike", (("body", "body"), ("image", "image"))),
    "DUKD": ("images, also of changed tiles", (("image", "image"),)),
    "CrossKD": ("images; S features through T's tail", (("image", "image"),)),
}
"""What each method compares, and between which parts of student and teacher."""


def method_schemes() -> Image.Image:
    """What each compared method takes from its teacher: what is compared is joined in orange."""
    figure, axes = _canvas(1150, 230)
    for number, (name, (words, joined)) in enumerate(METHODS.items()):
        x0 = 12 + 228 * number
        axes.text(x0, 18, name, fontsize=11, weight="bold", color=_INK)
        axes.text(x0, 218, words, fontsize=8.5, color=_INK)
        rows = {"S": 62, "T": 168}
        places = {"body": x0 + 40, "tail": x0 + 102, "image": x0 + 158}
        for who, y in rows.items():
            axes.text(
                x0 + 2, y, {"DUKD": "F(g)" if who == "S" else "g"}.get(name, "LR"), fontsize=9, color=_INK, va="center"
            )
            for part, x in places.items():
                _box(axes, x, y, 48, f"{who}\n{part}", {"S": "conv", "T": "other"}[who])
            for a, b in ((26, 40), (88, 102), (150, 158)):
                _arrow(axes, [(x0 + a, y), (x0 + b, y)])
        if name == "CrossKD":
            _box(axes, places["tail"], 115, 48, "T\ntail", "other")
            _box(axes, places["image"], 115, 48, "cross\nimage", "attention")
            _arrow(axes, [(places["body"] + 24, 81), (places["body"] + 24, 115), (places["tail"], 115)])
            _arrow(axes, [(places["tail"] + 48, 115), (places["image"], 115)])
        for first, second in joined:
            top = 134 if name == "CrossKD" else 81
            x = places[first] + 24
            arrow = {"arrowstyle": "<|-|>", "color": PALETTE[6], "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (places[second] + 24, 149), (x, top), arrowprops=arrow, zorder=5)
    compared = "; ".join(f"{name}: {words}" for name, (words, _) in METHODS.items())
    alt = f"Student above, teacher below, as body, tail and image; what is compared is joined. {compared}."
    return _small(as_picture(figure, alt))


def window_schemes() -> Image.Image:
    """Windows of 8 x 8, the same shifted by 4 with the wrap-around, and queries, keys and values of one window."""
    figure, axes = _canvas(1060, 290)
    side, left = 22, 30
    tints = ("#dbe7f3", "#fbe3cc", "#d8efe3", "#f3dcea")
    for panel, shift in enumerate((0, 1)):
        x0 = left + 290 * panel
        axes.text(x0, 22, ("windows", "shifted by half a window")[panel], fontsize=10, weight="bold", color=_INK)
        for row in range(8):
            for column in range(8):
                r, c = ((row - shift * 2) % 8) // 4, ((column - shift * 2) % 8) // 4
                axes.add_patch(Rectangle((x0 + column * side, 40 + row * side), side, side,
                                         facecolor=tints[2 * r + c], edgecolor="white", linewidth=0.8))  # fmt: skip
        for cut in (0, 4, 8) if not shift else (2, 6):
            for a, b in (((cut, 0), (cut, 8)), ((0, cut), (8, cut))):
                axes.plot(
                    [x0 + a[0] * side, x0 + b[0] * side], [40 + a[1] * side, 40 + b[1] * side], color=_INK, lw=1.6
                )
    told = (
        "each colour is one window: its tokens\nsee one another and no others",
        "the shift is cyclic: opposite edges share\na window, the four corners too",
    )
    for panel, words in enumerate(told):
        axes.text(left + 290 * panel, 236, words, fontsize=9, color=_INK, va="top")
    x = 612
    axes.text(x, 22, "attention in one window: t, q, k, v are 64 × C", fontsize=10, weight="bold", color=_INK)
    _matrix(axes, x, 60, 34, 150, "t", "#f2f3f6")
    for number, (name, colour) in enumerate({"q": tints[0], "k": tints[1], "v": tints[2]}.items()):
        y = 46 + 62 * number
        _arrow(axes, [(x + 36, 135), (x + 52, 135), (x + 52, y + 25), (x + 70, y + 25)])
        _matrix(axes, x + 72, y, 34, 50, name, colour)
    _matrix(axes, x + 178, 60, 96, 96, "softmax(\nq kᵀ / √d + B)\n64 × 64", "#fff3c9")
    _arrow(axes, [(x + 108, 71), (x + 140, 71), (x + 140, 92), (x + 176, 92)])
    _arrow(axes, [(x + 108, 133), (x + 140, 133), (x + 140, 124), (x + 176, 124)])
    _matrix(axes, x + 340, 60, 34, 150, "out", "#f2f3f6")
    _arrow(axes, [(x + 276, 108), (x + 338, 108)])
    _arrow(axes, [(x + 108, 195), (x + 306, 195), (x + 306, 112)])
    told_of = (
        "rows are queries, columns are keys; each row of weights\nadds up to 1 and mixes the values v of all 64 tokens"
    )
    axes.text(x, 236, told_of, fontsize=9, color=_INK, va="top")
    alt = (
        "Left: a map cut into four windows. Middle: the windows shifted by half a window; the cyclic shift puts "
        "opposite edges into one window. Right: the 64 tokens of a window become queries, keys and values; "
        "softmax of q times k gives a 64 x 64 table of weights, which mixes the values."
    )
    return _small(as_picture(figure, alt))


def unshuffle_scheme() -> Image.Image:
    """Pixel-unshuffle by 4 of an 8 x 8 piece: 16 colours, one for each place in a block, go to 16 maps of 2 x 2."""
    figure, axes = _canvas(900, 250)
    hues = [(0.35 + 0.6 * i / 3, 0.45 + 0.45 * j / 3, 0.95 - 0.22 * (i + j) / 3) for i in range(4) for j in range(4)]
    for row in range(8):
        for column in range(8):
            place = row % 4 * 4 + column % 4
            axes.add_patch(
                Rectangle((30 + 24 * column, 34 + 24 * row), 24, 24, facecolor=hues[place], edgecolor="white")
            )
            axes.text(42 + 24 * column, 46 + 24 * row, str(place), fontsize=7, ha="center", va="center", color=_INK)
    axes.plot([126, 126], [34, 226], color=_INK, lw=1.6)
    axes.plot([30, 222], [130, 130], color=_INK, lw=1.6)
    axes.text(30, 24, "8 × 8 pixels, blocks of 4 × 4", fontsize=10, weight="bold", color=_INK)
    _arrow(axes, [(236, 130), (286, 130)])
    axes.text(300, 24, "16 maps of 2 × 2: one for each place in a block", fontsize=10, weight="bold", color=_INK)
    for place in range(16):
        x, y = 300 + 70 * (place % 8), 46 + 94 * (place // 8)
        for row in range(2):
            for column in range(2):
                axes.add_patch(
                    Rectangle((x + 24 * column, y + 24 * row), 24, 24, facecolor=hues[place], edgecolor="white")
                )
        axes.text(x + 24, y + 62, f"map {place}", fontsize=8, ha="center", color=_INK)
    alt = "Pixel-unshuffle by 4: pixel i of every 4 x 4 block goes to map i; 8 x 8 pixels become 16 maps of 2 x 2."
    return _small(as_picture(figure, alt))


def student_t() -> Image.Image:
    """Student's t of three values beside the normal distribution, with their 97.5 % limits."""
    from scipy import stats

    figure = Figure(figsize=(9, 2.9), layout="constrained", dpi=110)
    axes = figure.subplots()
    x = np.linspace(-8, 8, 400)
    for label, law, colour in (
        ("normal: the spread is known", stats.norm, PALETTE[5]),
        ("t with 2 degrees of freedom: three seeds", stats.t(2), PALETTE[6]),
    ):
        limit = float(law.ppf(0.9875))
        axes.plot(x, law.pdf(x), color=colour, label=f"{label}; 97.5 % within ±{limit:.2f}")
        axes.vlines([-limit, limit], 0, 0.42, color=colour, linestyle=":", linewidth=1.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_yticks([])
    axes.set_ylim(0, 0.6)
    axes.set_xlabel("mean of the differences, in standard errors", fontsize=9, color=_INK)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    alt = (
        f"Two bell curves. The normal one has 97.5 % within ±{stats.norm.ppf(0.9875):.2f} standard errors; Student's t "
        f"of three values has thicker tails: 97.5 % lie within ±{stats.t(2).ppf(0.9875):.2f}."
    )
    return _small(as_picture(figure, alt))


def _canvas(width: int, height: int) -> tuple[Figure, Axes]:
    """Axes in pixels, y downwards."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=90)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def _box(axes: Axes, x: float, middle: float, width: float, words: str, kind: str) -> None:
    axes.add_patch(FancyBboxPatch((x, middle - 19), width, 38, boxstyle="round,pad=0,rounding_size=5",
                                  facecolor=_FILL[kind], edgecolor="#b9c1ce", zorder=3))  # fmt: skip
    axes.text(x + width / 2, middle, words, fontsize=9, color=_INK, ha="center", va="center", zorder=4)


def _matrix(axes: Axes, x: float, y: float, width: float, height: float, words: str, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor=_LINE, zorder=3))
    axes.text(x + width / 2, y + height / 2, words, fontsize=8, color=_INK, ha="center", va="center", zorder=4)


def _arrow(axes: Axes, points: list[tuple[float, float]], colour: str = _LINE) -> None:
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, zorder=2)
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", points[-1], points[-2], arrowprops=arrow, zorder=2)


def _small(picture: Image.Image) -> Image.Image:
    """With few colours, so that a stored lesson stays small."""
    return described(picture.quantize(48, dither=Image.Dither.NONE), picture.info["alt"])
