"""What networks cost and give: the front by its definition, costs against known ones, the record against the cards."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.experiments import efficiency
from mtkd.explore.evidence.efficiency import COSTS, QUALITY, figure
from mtkd.networks.edsr import EDSR
from mtkd.zoo.costs import multiply_adds
from tests.conftest import Run

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_DATA", raising=False)
    return tmp_path / "home"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("quality", efficiency.QUALITY)
def test_the_front(seed: int, quality: str) -> None:
    """Nobody is as cheap and better, or cheaper and as good; each of the others is beaten by one of the front."""
    rng = Random(seed)
    rows = [{"model": str(n), "memory": rng.choice((None, 1, 2, 3, 4)), quality: rng.choice((None, 1, 2, 3, 4))}
            for n in range(rng.randint(0, 12))]  # fmt: skip
    sign = -1 if quality == "flip" else 1
    known = {r["model"]: (r["memory"], -sign * r[quality]) for r in rows if None not in (r["memory"], r[quality])}
    front = efficiency.front(rows, "memory", quality)
    places = [known[name] for name in front]
    assert places == sorted(set(places))
    for place in known.values():
        beaten = any(other != place and other[0] <= place[0] and other[1] <= place[1] for other in known.values())
        assert beaten != (place in places)


class Known(nn.Module):
    """One convolution at x2, and memory that is known."""

    def __init__(self, mebibytes: int) -> None:
        super().__init__()
        self.conv, self.mebibytes = nn.Conv2d(3, 12, 3, padding=1), mebibytes

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        room = torch.ones(self.mebibytes << 18)
        return nn.functional.pixel_shuffle(self.conv(image), 2) + 0 * room[0]


def test_costs_of_a_known_network() -> None:
    found = [efficiency.cost_of(Known(size), 2, CPU) for size in (64, 256)]
    for row in found:
        assert row["parameters"] == 27 * 12 + 12 and row["multiply_adds"] == 256 * 256 * 27 * 12
        assert row["milliseconds"] > 0 and 1 <= row["rounds"] <= efficiency.ROUNDS
    if found[0]["memory"] is not None:  # Linux
        assert found[1]["memory"] - found[0]["memory"] == pytest.approx(192, abs=24)


def test_the_record_holds_all_that_is_bundled_at_x4() -> None:
    rows = {row["model"]: row for row in efficiency.table(4)}
    bundled = [model for model in zoo.models(4) if model.bundled]
    assert {model.name for model in bundled} | {"bicubic"} <= rows.keys()
    for model in bundled:
        row = rows[model.name]
        (card,) = [of for of in model.card["benchmarks"] if of["set"] == efficiency.SET]
        assert row["where"] == "shipped" and row["psnr"] == pytest.approx(card["psnr"], abs=2e-3)
        assert row["ssim"] == pytest.approx(card["ssim"], abs=1e-4) and 0 < row["flip"] < 0.2
        assert row["milliseconds"] > 0 and row["memory"] > 0
    assert rows["rcan_tiny-mtkd"]["multiply_adds"] == multiply_adds("rcan_tiny-mtkd", 4, 1024, 1024)
    assert rows["span"]["parameters"] == networks.parameter_count(networks.folded(networks.build("span", 4)))
    (said,) = efficiency.conditions(list(rows.values()))
    assert "time of one thread" in said and "load" in said and "Set5" in said


def test_the_command(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the user is measured once; without images its quality stays unknown."""
    monkeypatch.setattr(efficiency, "SIDE", 16)
    torch.manual_seed(0)
    torch.save(EDSR(2, channels=6, blocks=2).state_dict(), tmp_path / "a.pth")
    assert run("models", "import", tmp_path / "a.pth", "--name", "mine").code == 0
    first = run("matrix", "efficiency", "--scales", "2", "--only", "mine", "--csv")
    assert first.code == 0 and "measuring mine" in first.err and "without Set5" in first.err
    (row,) = csv.DictReader(io.StringIO(first.out))
    assert row["where"] == "here" and int(row["parameters"]) > 0 and row["psnr"] == ""
    again = run("matrix", "efficiency", "--scales", "2", "--only", "min*", "--json")
    found = json.loads(again.out)
    assert not again.err and float(row["milliseconds"]) == found["rows"][0]["milliseconds"]
    assert found["conditions"][0].startswith("Measured here")
    anew = run("matrix", "efficiency", "--scales", "2", "--only", "mine", "--anew")
    assert "measuring mine" in anew.err and "here" in anew.out and "milliseconds and PSNR" in anew.out


def test_as_text_without_measuring(run: Run) -> None:
    done = run("matrix", "efficiency", "--only", "rcan_tiny-mtkd,bicubic,aggregator_mini")
    assert done.code == 0 and not done.err and len(done.out.splitlines()) == 7
    assert "FLIP" in done.out and "Measured by the project" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("efficiency", "table5"), "efficiency is a table of its own"),
        (("table5", "--csv"), "efficiency is a table of its own"),
        (("efficiency", "--only", "nothing"), "--only nothing: no such model at scale 4"),
        (("efficiency", "--scales", "5"), "5"),
    ],
)
def test_mistakes(refused, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("matrix", *arguments)


def test_a_damaged_record_is_one_line(home: Path) -> None:
    home.mkdir()
    (home / "efficiency.json").write_text("{")
    with pytest.raises(UserError, match=r"efficiency\.json: not a readable record"):
        efficiency.table(4)


@pytest.mark.parametrize("quality", QUALITY)
@pytest.mark.parametrize("cost", COSTS)
def test_the_figure(cost: str, quality: str) -> None:
    rows = efficiency.table(4)
    titles = {row["model"]: f"the title, {row['model']}" for row in rows}
    others, best = figure(rows, cost, quality, "Set5 ×4", titles).data
    shown = [row for row in rows if row[cost] and row[quality] is not None]
    front = efficiency.front(shown, cost, quality)
    assert [title for (title,) in best.customdata] == [titles[name] for name in front]
    assert list(best.text) == [f"the title,<br>{name}" for name in front]
    assert len(others.x) + len(best.x) == len(shown) and list(best.x) == sorted(best.x)
    assert figure([], cost, quality, "", {}).layout.annotations[0].text == "Nothing is measured at this scale yet."
