"""What tabs answer to rare events, asked without a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from mtkd_app.main import build
from mtkd_app.parts import best_teacher
from mtkd_app.parts.training_view import Seen, status
from mtkd_app.server.queue import Turns
from mtkd_app.server.session_files import Pictures
from mtkd_app.tabs import attribution
from PIL import Image

from mtkd import networks
from mtkd.data.examples import example
from mtkd.experiments.plan import available_plans, keep_plan, load_recipe
from mtkd.experiments.records import MEASURED
from mtkd.explore import Comparison, compare
from mtkd.explore.comparison import core
from mtkd.explore.comparison.outputs import Output, Outputs
from mtkd.explore.inside import wavelets
from mtkd.home import runs_folder
from mtkd.training import jobs, run_state
from mtkd.zoo import imports
from mtkd.zoo.checkpoints import save_state
from mtkd.zoo.headers import Header

Handler = Callable[..., Any]


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    with Pictures() as pictures:
        yield pictures


@pytest.fixture(scope="module")
def page(pictures: Pictures) -> gr.Blocks:
    return build(pictures)


@pytest.fixture(scope="module")
def handler(page: gr.Blocks) -> Callable[[str, str], Handler]:
    """A tab's function by the names of both."""
    LocalContext.request.set(SimpleNamespace(session_hash="a"))
    found = {(one.fn.__module__.rpartition(".")[2], one.fn.__name__): one.fn for one in page.fns.values() if one.fn}
    return lambda tab, name: found[tab, name]


def test_an_image_of_a_benchmark_set_is_copied(handler, pictures, tmp_path):
    """Gradio hands out no file of people's folders."""
    folder = tmp_path / "Set5" / "HR"
    folder.mkdir(parents=True)
    Image.fromarray(example("chelsea").read()[:48, :80]).save(folder / "baby.png")
    path, *_ = handler("picture", "choose_benchmark")(str(tmp_path), 4, "Set5/baby").values()
    assert pictures.holds(Path(path)) and Path(path).read_bytes() == (folder / "baby.png").read_bytes()
    with pytest.raises(gr.Error, match="scan it again"):
        handler("picture", "choose_benchmark")(str(tmp_path), 4, "Set5/bird")


def test_a_table_to_download_is_its_sessions(handler, pictures):
    """What is no session's goes after a while, though its page is open."""
    changed = handler("results", "fill")("mini", "table2", 4, "Set5", "psnr", None)
    csv = next(Path(one.value["path"]) for one in changed.values() if isinstance(one, gr.DownloadButton))
    assert csv.name == "table2_x4_Set5_psnr.csv" and csv.is_relative_to(pictures.made)


@pytest.fixture
def run() -> Iterator[str]:
    """A run that a terminal started, with a sample."""
    folder = runs_folder() / "handled_x4"
    (folder / "samples").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(load_recipe("mini/edsr_tiny-scratch", ["name=handled"]).dump())
    Image.fromarray(example("chelsea").read()[:8, :24]).save(folder / "samples" / "10.png")
    yield folder.name
    if folder.exists():
        jobs.delete(folder.name)


def test_a_sample_is_its_sessions(handler, pictures, run):
    changed = handler("train", "view")(run, Seen())
    sample = next(Path(one.value["path"]) for one in changed.values() if isinstance(one, gr.Image))
    assert sample.is_relative_to(pictures.made)


def test_models_that_are_gone_are_not_checked(handler, run):
    """Gradio refuses every event that has a name which is none of the choices."""
    _, models, _ = handler("train", "open_compare")(run, 4, ["bicubic", "gone"]).values()
    assert models.value == ["bicubic"] and "gone" not in {name for name, _ in models.choices}


def test_a_folder_that_was_given_stays_whatever_the_recipe(handler, tmp_path, monkeypatch):
    (tmp_path / "train" / "DIV2K_train_HR").mkdir(parents=True)
    monkeypatch.setenv("MTKD_DATA", str(tmp_path))

    def filled(recipe: str, now: str) -> dict[str, Any]:
        return {field.elem_id: value for field, value in handler("training_form", "fill")(recipe, 3, now).items()}

    mine = filled("small/aggregator_small", "/my/photos")
    assert "train-data" not in mine and "train-name" in mine and None not in mine.values()
    assert filled("small/aggregator_small", "")["train-data"] == "DIV2K_train_HR"
    assert filled("small/aggregator_small", "BSDS400")["train-data"] == "DIV2K_train_HR"  # no person gave it
    assert "train-data" not in filled("mini/edsr_tiny-kd", "DIV2K_train_HR")  # rather than the examples
    assert filled("mini/edsr_tiny-kd", "")["train-data"] == ""


def test_files_that_are_no_models_are_told_of(handler):
    folder = imports.folder()
    folder.mkdir(parents=True)
    try:
        for name in ("<b>_x4", "poem"):
            (folder / f"{name}.safetensors").write_text("not weights")
        lists = handler("own", "lists")(4, [])
    finally:
        shutil.rmtree(folder)
    told = next(value for part, value in lists.items() if part.elem_id == "own-unread")
    assert "&lt;b&gt;_x4.safetensors: not a" in told and "poem.safetensors: not a" in told
    assert "<b>" not in told and str(folder) not in told


def test_progress_is_a_number(run):
    assert re.search(r'aria-valuenow="\d+"', status(run_state.find(run)))


@pytest.mark.parametrize("empty", ["size", "sigma", "steps"])
def test_an_emptied_number_is_told(handler, empty):
    values = {"size": 16, "sigma": 1.2, "steps": 50, empty: None}
    with pytest.raises(gr.Error, match="is empty: give a .*number"):
        next(handler("attribution", "draw_paper")(None, **values))


def test_the_papers_image_is_not_larger_than_others(handler, monkeypatch):
    monkeypatch.setattr(attribution, "LARGEST", 60)  # brick is 64 x 64
    with pytest.raises(gr.Error, match="at most 60 x 60"):
        next(handler("attribution", "draw_paper")(None, 16))


def test_teachers_without_a_colour_are_told_of():
    assert "Of 3 teachers, the 2 of the highest PSNR" in best_teacher._legend({"a": 0.5, "b": 0.5}, 3)
    assert "teachers" not in best_teacher._legend({"a": 0.5, "b": 0.5}, 2)


@pytest.fixture
def comparison() -> Comparison:
    return compare(example("coffee").read()[40:104, 60:148], ["bicubic", "edsr_tiny-scratch", "edsr_tiny-mtkd"], 4)


@pytest.fixture
def happened(monkeypatch) -> list[str]:
    """The networks that run while nothing is kept, the sizes that turns are asked for, and where they are passed on."""
    found: list[str] = []
    kept = Outputs(limit=0)

    def run(name: str, *arguments: Any) -> Output:
        found.append(name)
        kept._kept.clear()
        return kept(name, *arguments)

    run.limit = 0
    for module in (core, wavelets):
        monkeypatch.setattr(module, "outputs", run)
    monkeypatch.setattr(Turns, "pass_on", lambda self, *told: found.append(f"pass on {told}"))
    monkeypatch.setattr(Turns, "for_size", lambda self, pixels: found.append(f"size {pixels}") or nullcontext())
    return found


def test_wavelets_run_what_they_show_and_pass_the_turn_on(handler, comparison, happened):
    show = handler("wavelets", "show")
    shown = show(comparison, "edsr_tiny-mtkd", "ground truth", 1, "haar", "wavelet", lambda *a, **k: None)
    energies = next(value for part, value in shown.items() if part.elem_id == "wavelet-energy")
    assert {"edsr_tiny-mtkd", "pass on (1, 1)", "size 5632"} <= set(happened)
    assert not {"bicubic", "edsr_tiny-scratch"} & set(happened)
    assert [bar.name for bar in energies.data] == ["edsr_tiny-mtkd"]


def test_ablations_ask_for_their_size_and_pass_the_turn_on(handler, comparison, happened):
    handler("ablations", "show")(comparison, "table5", "MTKD", ["scratch"], "mini", lambda *a, **k: None)
    assert "size 5632" in happened
    happened.clear()
    handler("ablations", "walk")(comparison, ["rcan_tiny-mtkd"], 0, "mini")
    assert {"size 5632", "pass on ('rcan_tiny-mtkd@150', 0, 1)"} <= set(happened)


@pytest.fixture
def own_plan(tmp_path, monkeypatch) -> str:
    """A plan whose runs ``mtkd matrix --size FILE`` left in the runs folder."""
    monkeypatch.setenv("MTKD_HOME", str(tmp_path))
    plan = tmp_path / "mine.yaml"
    plan.write_text(
        "extends: mini\ntables: {mine: {title: Mine alone, student: rcan, variants: [scratch, kd, kd_0]}}\n"
    )
    out = runs_folder("mine")
    keep_plan(str(plan), out)
    shutil.copy(MEASURED / "mini.sqlite", out / "records.sqlite")
    header = Header("rcan_tiny-kd_0", "rcan_tiny", 4, ())
    run = out / "rcan_tiny-kd_0_x4_s1-abcdef01"
    run.mkdir()
    save_state(run / "model.safetensors", networks.build("rcan_tiny", 4).state_dict(), header)
    return "mine"


def test_results_show_the_runs_of_a_plan_of_ones_own(handler, own_plan):
    assert list(available_plans()) == ["mini", "small", "paper", own_plan]
    tables = next(iter(handler("results", "change_plan")(own_plan).values())).choices
    assert ("Mine alone", "mine") in tables
    changed = handler("results", "fill")(own_plan, "mine", 4, "Set5", "psnr", None)
    assert "KD" in next(value for part, value in changed.items() if part.elem_id == "results-table")
    with pytest.raises(gr.Error, match="unknown plan 'nobody'"):
        handler("results", "fill")("nobody", "mine", 4, "Set5", "psnr", None)


def test_ablations_show_the_tables_of_a_plan_of_ones_own(handler, own_plan, comparison):
    table, *_ = handler("ablations", "change_plan")(comparison, own_plan).values()
    assert ("Mine alone", "mine") in table.choices and ("Ablations (Table 5)", "table5") in table.choices
    table, chosen = handler("ablations", "change_table")(comparison, "mine", own_plan), ["scratch", "kd", "kd_0"]
    assert [label for _, label in next(iter(table.values())).choices] == chosen
    shown = handler("ablations", "show")(comparison, "mine", "ground truth", chosen, own_plan, lambda *a, **k: None)
    panes = next(value for part, value in shown.items() if part.elem_id == "ablation-viewer")["panes"]
    assert [pane["name"] for pane in panes] == ["ground truth", "rcan_tiny-scratch", "rcan_tiny-kd", "rcan_tiny-kd_0"]


def test_recipes_of_a_plan_of_ones_own_can_be_trained(handler, own_plan):
    (recipe,) = handler("training_form", "choose")(own_plan, "student", None).values()
    assert recipe.value == "mine/edsr_tiny-mtkd" and ("rcan_tiny-kd · KD", "mine/rcan_tiny-kd") in recipe.choices
    filled = handler("training_form", "fill")("mine/rcan_tiny-kd", 4, "")
    assert {field.elem_id: value for field, value in filled.items()}["train-name"] == "rcan_tiny-kd-mine"
    assert load_recipe("mine/rcan_tiny-kd_x3").scale == 3
