"""Charts of evidence made by hand: what is drawn where, and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from mtkd.experiments.matrix import Matrix
from mtkd.experiments.plan import load_plan
from mtkd.experiments.records import Records
from mtkd.experiments.tables import find, sentence
from mtkd.explore.draw.colours import SERIES, STORY
from mtkd.explore.evidence.charts import differences, merging_gains, paying, training_curves
from mtkd.explore.evidence.summary import Point

BETTER, WORSE, THIRD = (ImageColor.getrgb(colour) for colour in SERIES[:3])


def cell(mean: float, spread: float | None = None, seeds: int = 1, won: int = 4) -> dict[str, Any]:
    return {"mean": mean, "spread": spread, "seeds": seeds, "images": 5, "won": won}


WORSE_TWICE = {"Set5": cell(-0.1, 0.02, 3), "Set14": cell(-0.2, 0.01, 3)}
CONTENT = {
    "tables": [
        {
            "table": "table2",
            "scale": 4,
            "rows": [{"label": label, "title": label.upper()} for label in ("scratch", "kd", "mtkd")],
            "differences": [
                {"first": "mtkd", "second": "scratch", "sets": {"held out": cell(9), "Set5": cell(0.1)}},
                {"first": "kd", "second": "scratch", "sets": WORSE_TWICE},
            ],
        }
    ]
}  # fmt: skip


def places(picture: Image.Image, colour: tuple[int, ...]) -> np.ndarray:
    """(row, column) of the pixels of this very colour."""
    return np.argwhere((np.asarray(picture) == colour).all(-1))


def test_a_difference_in_words() -> None:
    assert sentence(CONTENT, "table2", "mtkd", "scratch") == "+0.100 dB on Set5 (4 of 5 images), one seed"
    assert (
        sentence(CONTENT, "table2", "kd", "scratch")
        == "−0.100 ± 0.020 dB on Set5 (4 of 5 images), −0.200 ± 0.010 dB on Set14 (4 of 5), 3 seeds"
    )
    assert sentence(CONTENT, "table2", "mtkd", "kd") == "not measured"
    with pytest.raises(KeyError, match="table2 x3"):
        find(CONTENT, "table2", 3)


def test_differences_point_to_the_better_side() -> None:
    picture = differences(CONTENT, "table2", [("mtkd", "scratch"), ("kd", "scratch"), ("v1", "scratch")], sets=["Set5"])
    better, worse = places(picture, BETTER), places(picture, WORSE)
    assert better[:, 1].min() > worse[:, 1].max(), "to the right of what is worse"
    assert better[:, 0].max() < worse[:, 0].min(), "in the order of the pairs"
    one = differences(CONTENT, "table2", [("mtkd", "scratch")], sets=["Set5"])
    assert one.height < picture.height and not len(places(one, WORSE)), "what was not measured takes no place"


def test_gains_are_bars_of_their_length() -> None:
    row = {"scale": 4, "set": "Set5", "mean_correlation": 0.9, "gains": {"predicted": 0.3, "mean": 0.2, "MT": -0.1}}
    picture = merging_gains([row, row | {"scale": 2, "gains": {}}], {"mean": "Mean", "MT": "MT"})
    bars = places(picture, BETTER)
    middle = (bars[:, 0].min() + bars[:, 0].max()) / 2
    lengths = [np.ptp(half[:, 1]) for half in (bars[bars[:, 0] < middle], bars[bars[:, 0] > middle])]
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.05)


def test_curves_of_the_runs_that_have_one() -> None:
    plan = load_plan("mini")
    runs: dict[str, Any] = {}
    records = Records(runs, {}, frozenset())
    matrix = Matrix(plan, "absent")
    for name, psnr in (("edsr_tiny-scratch", 20.0), ("edsr_tiny-mtkd", 25.0)):
        runs[matrix.run(name, 4, 1).digest] = {"curve": [[1, psnr], [9, psnr]], "seed": 1, "images": "absent"}
    runs[matrix.run("edsr_tiny-kd", 4, 1).digest] = {"curve": [], "seed": 1, "images": "absent"}
    names = {f"edsr_tiny-{variant}": variant for variant in ("scratch", "kd", "mtkd", "at")}
    picture = training_curves(plan, records, names)
    upper, lower = places(picture, THIRD), places(picture, BETTER)
    assert len(upper) and len(lower) and not len(places(picture, WORSE))
    half = picture.width // 2  # the legend is on the right
    assert upper[upper[:, 1] < half][:, 0].max() < lower[lower[:, 1] < half][:, 0].min()


def test_a_gain_whose_interval_lies_above_0_is_a_filled_dot() -> None:
    def drawn(low: float) -> tuple[int, str]:
        ends = {4: [-0.1, 0.3], 40: [low, 0.2]}
        points = [Point("mtkd", value, {"mean": 0.1, "interval": ends[value]}, ()) for value in ends]
        picture = paying({"images": points})
        return len(places(picture, ImageColor.getrgb(STORY["mtkd"]))), picture.info["alt"]

    (filled, alt), (ring, _) = drawn(0.001), drawn(-0.001)  # lines of the same length
    assert filled > ring + 10
    assert alt == "Gains over the student alone. MTKD, 4 images: +0.100 dB; MTKD, 40 images: +0.100 dB."
