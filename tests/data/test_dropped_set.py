"""A manifest alone makes a benchmark set, in every place where sets are listed, measured or shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtkd.data import sources
from mtkd.data.benchmarks import benchmark, present
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.experiments.plan import load_plan
from mtkd.experiments.published import published
from mtkd.experiments.records import Records
from mtkd.experiments.tables import Tables, markdown, report
from mtkd.explore.evidence.results import Results, set_choices
from mtkd.images import write_image
from tests.conftest import Run


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of manifests, with one more: a set between Set5 and Set14."""
    folder = tmp_path / "manifests"
    shutil.copytree(sources.MANIFESTS, folder)
    (folder / "kodak.json").write_text(json.dumps({"title": "Kodak", "order": 15, "aliases": ["Kodak24"]}))
    monkeypatch.setattr(sources, "MANIFESTS", folder)
    sources.sources.cache_clear()
    yield folder
    sources.sources.cache_clear()


@pytest.fixture
def data(manifests: Path, tmp_path: Path) -> Path:
    """A data folder with two images of that set, under its other name."""
    for number in range(2):
        write_image(tmp_path / "data" / "benchmarks" / "Kodak24" / f"{number}.png", EXAMPLES[number].read()[:48, :60])
    return tmp_path / "data"


def test_it_is_measured(data: Path, run: Run) -> None:
    assert present(data, 4) == ["Kodak"] and len(benchmark(data, "Kodak", 4)) == 2
    (row,) = json.loads(run("benchmark", "bicubic", "--sets", "Kodak", "--data", data, "--json").out)
    assert (row["set"], row["images"]) == ("Kodak", 2)


def test_it_is_listed_and_told_to_be_brought(data: Path, run: Run, refused) -> None:  # type: ignore[no-untyped-def]
    rows = json.loads(run("data", "--data", data, "--json").out)["sets"]
    names = [row["name"] for row in rows]
    assert names.index("set5") < names.index("kodak") < names.index("set14") < names.index("bsds400")
    row = rows[names.index("kodak")]
    assert row["derived"] == [2, 3, 4] and row["folder"].endswith("Kodak24") and not row["complete"]
    (line,) = [line for line in run("data", "--data", data).out.splitlines() if line.startswith("kodak")]
    assert "cannot be fetched" in line
    said = refused("data", "fetch", "kodak", "--data", data)
    assert (
        said
        == f"kodak: cannot be fetched, its manifest lists no files; put its images into {data / 'benchmarks' / 'Kodak'}"
    )


def test_tables_and_results_show_it_in_its_place(manifests: Path) -> None:
    plan = load_plan("mini")
    run = Tables(plan, Records({}, {}, frozenset())).matrix.run("rcan_tiny-kd", 4, 1)
    recorded = {
        "digest": run.digest, "name": run.name, "scale": 4, "seed": 1, "images": None, "parameters": 1000,
        "iterations": 10, "teacher_passes": 0, "seconds": 5,
    }  # fmt: skip
    sets = ("Set14", "Kodak", "Set5")
    scores = {(run.digest, name): {"a": {"psnr": 30.0, "ssim": 0.9}} for name in sets}
    records = Records({run.digest: recorded}, scores, frozenset({"Y"}))
    content = report(plan, records, ["table2"], [4])
    (table,) = content["tables"]
    assert table["measured_sets"] == ["Set5", "Kodak", "Set14"]
    assert table["printed_sets"] == list(published().sets)  # the paper does not print it
    assert "| Set5 | Kodak | Set14 |" in markdown(content, "mini")
    choices = set_choices()
    assert choices.index("Set5") < choices.index("Kodak") < choices.index("Set14")
    rows = Results(plan, records).view("table2", 4, "Kodak").rows
    assert [row.measured for row in rows if row.label == "kd"] == [30.0]


def test_it_can_be_chosen_in_the_page(manifests: Path) -> None:
    from mtkd_app.main import build
    from mtkd_app.server.session_files import Pictures

    with Pictures() as pictures:
        (radio,) = [block for block in build(pictures).blocks.values() if block.elem_id == "results-set"]
    assert ("Kodak", "Kodak") in radio.choices


def test_a_wrong_manifest_is_named(manifests: Path) -> None:
    (manifests / "kodak.json").write_text('{"title": "Kodak", "ordr": 15}')
    with pytest.raises(UserError, match=r"kodak\.json: (unknown key 'ordr'; did you mean 'order'|key 'order' is miss)"):
        sources.set_names()
    (manifests / "kodak.json").write_text("{")
    with pytest.raises(UserError, match=r"kodak\.json: not a JSON file"):
        sources.set_names()
