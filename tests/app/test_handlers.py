"""What tabs answer to rare events, asked without a browser."""

from __future__ import annotations

import inspect
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext
from mtkd_app.main import build
from mtkd_app.parts import area, best_teacher, plan_choice
from mtkd_app.parts.messages import telling
from mtkd_app.parts.training_recipes import STAGES, recipes
from mtkd_app.parts.training_view import Seen, status
from mtkd_app.server.queue import Turns
from mtkd_app.server.session_files import Pictures
from mtkd_app.state import Mode
from PIL import Image

from mtkd import networks
from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.experiments import records
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
    choose = handler("picture", "choose_benchmark")
    path, *_ = choose(str(tmp_path), 4, "Set5/baby").values()
    assert pictures.holds(Path(path)) and Path(path).read_bytes() == (folder / "baby.png").read_bytes()
    ((note, told),) = choose(str(tmp_path), 4, "Set5/bird").items()
    assert note.elem_id == "benchmark-note" and told.visible and "scan it again" in told.value


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
    _, models, *_ = handler("train", "open_compare")(run, 4, ["bicubic", "gone"]).values()
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


def test_the_head_of_a_run_says_in_words_what_is_trained(run):
    head = status(run_state.find(run))
    assert "<span>EDSR student · Scratch, ground truth only</span>" in head
    recipe = load_recipe("mini/rcan_tiny-mtkd", ["name=handled"])
    head = status(run_state.Run(runs_folder() / run, "running", recipe=recipe, device="cpu"))
    words = "RCAN student · MTKD, wavelet loss against the aggregator (Eq. 4) · learns from Combined teacher (MT)"
    assert f"<span>{words} · on the CPU</span>" in head
    combined = load_recipe("mini/aggregator_mini", ["name=handled"])
    head = status(run_state.Run(runs_folder() / run, "running", recipe=combined))
    assert "Combined teacher · " in head and "learns from EDSR teacher, RCAN teacher, SwinIR teacher<" in head
    gone = recipe.model_copy(update={"teachers": ("gone",)})
    assert "learns from gone" in status(run_state.Run(runs_folder() / run, "running", recipe=gone))


def test_progress_is_a_number(run):
    assert re.search(r'aria-valuenow="\d+"', status(run_state.find(run)))


def _names(code: Any) -> set[str]:
    """All names that a function and those within it use."""
    within = (_names(one) for one in code.co_consts if isinstance(one, type(code)))
    return set(code.co_names).union(*within)


def test_no_message_to_people_pops_up_and_goes(page):
    """What is wrong stands beside the control: no event of a person's raises Gradio's error, nor warns."""
    people = [one.fn for one in page.fns.values() if one.fn and one.api_visibility == "private"]
    assert len(people) > 60
    raising = {"errors_shown", "_errors_shown", "no_comparison", "Error", "Warning", "Info"}
    plain = [inspect.unwrap(fn) for fn in people if not hasattr(fn, "__wrapped__")]
    popping = [fn.__qualname__ for fn in plain if raising & _names(getattr(fn, "__func__", fn).__code__)]
    assert popping == []


@pytest.mark.parametrize("place", ["picture", "training_form"])
def test_lists_that_cannot_be_made_are_told_of_beside_them(handler, monkeypatch, place):
    def damaged(*_: Any) -> None:
        raise UserError("models.json: damaged")

    if place == "picture":
        monkeypatch.setattr("mtkd_app.parts.picture.default_models", damaged)
        ((note, told),) = handler("picture", "at_scale")(3).items()
        assert note.elem_id == "note" and told.visible and "Models.json: damaged" in told.value
    else:
        monkeypatch.setattr("mtkd_app.parts.training_form.recipes", damaged)
        ((note, told),) = handler("training_form", "choose")("mini", "student", None).items()
        assert note.elem_id == "train-problem" and "Models.json: damaged" in told


@pytest.mark.parametrize("empty", ["size", "sigma", "steps"])
def test_an_emptied_number_is_told(handler, empty):
    values = {"size": 16, "sigma": 1.2, "steps": 50, empty: None}
    ((note, told),) = next(handler("attribution_export", "draw_paper")(None, **values)).items()
    assert note.elem_id == "lam-fig4-note" and re.search("is empty: give a .*number", told.value)


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
    show = handler("wavelets", "subbands")
    shown = show(comparison, "edsr_tiny-mtkd", "ground truth", 1, "haar", "wavelet", lambda *a, **k: None)
    energies = next(value for part, value in shown.items() if part.elem_id == "wavelet-energy")
    assert {"edsr_tiny-mtkd", "pass on (1, 1)", "size 5632"} <= set(happened)
    assert not {"bicubic", "edsr_tiny-scratch"} & set(happened)
    assert [bar.name for bar in energies.data] == ["EDSR student, with MTKD"]


def test_ablations_ask_for_their_size_and_pass_the_turn_on(handler, comparison, happened):
    handler("ablations", "show")(comparison, "table5", "MTKD", ["scratch"], "mini", lambda *a, **k: None)
    assert "size 5632" in happened
    happened.clear()
    handler("training_steps", "walk")(comparison, ["rcan_tiny-mtkd"], 150, "mini")
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
    assert [name for _, name in plan_choice.layout("plan").choices] == ["mini", own_plan]  # those with records
    tables = next(iter(handler("results", "change_plan")(own_plan, 4, "psnr").values())).choices
    assert ("Mine alone", "mine") in tables
    changed = handler("results", "fill")(own_plan, "mine", 4, "Set5", "psnr", None)
    assert "KD" in next(value for part, value in changed.items() if part.elem_id == "results-table")
    said = next(iter(handler("results", "fill")("nobody", "mine", 4, "Set5", "psnr", None).values()))
    assert "Unknown plan 'nobody'" in said and "alert" in said


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
    assert recipe.value == "mine/edsr_tiny-mtkd" and ("RCAN student, with KD", "mine/rcan_tiny-kd") in recipe.choices
    filled = handler("training_form", "fill")("mine/rcan_tiny-kd", 4, "")
    assert {field.elem_id: value for field, value in filled.items()}["train-name"] == "rcan_tiny-kd-mine"
    assert load_recipe("mine/rcan_tiny-kd_x3").scale == 3


@pytest.mark.parametrize("plan", ["mini", "small", "paper"])
def test_recipes_are_listed_by_what_they_train_in_words(plan):
    """In a larger plan the students are networks that are teachers in a smaller one."""
    teachers, combined, students = ([one.label for one in recipes(plan, stage)] for _, stage in STAGES)
    assert not teachers or teachers == ["EDSR teacher", "RCAN teacher", "SwinIR teacher"]
    assert combined[0] == "Combined teacher (MT)" and all(one.startswith("Combined teacher") for one in combined)
    assert all(" student, " in one for one in students) and "RCAN student, with MTKD" in students
    assert len({*teachers, *combined, *students}) == len(teachers) + len(combined) + len(students)


def test_models_that_run_are_told_by_their_titles():
    said = []
    tell = telling(lambda done, desc: said.append((done, desc)), 4, before="Set5: ")
    for name, done in (("rcan_tiny-scratch", 0), ("bicubic", 1), ("bicubic, tile 3 of 8", 1), ("", 2)):
        tell(name, done, 2)
    assert said == [(None, f"Set5: {text}") for text in (
        "Running RCAN student, alone, 1 of 2", "Running Bicubic, 2 of 2", "Running bicubic, tile 3 of 8, 2 of 2",
        "Drawing")]  # fmt: skip


def test_only_a_page_that_is_open_limits_pictures(tmp_path):
    """Of one's own page the memory is the limit."""
    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / "photo.png")
    path = str(tmp_path / "photo.png")
    with pytest.raises(UserError, match="10 pixels; the limit is"):
        area.opened(path, Mode.UPSCALE, "", 100)
    image, alpha = area.opened(path, Mode.UPSCALE, "", None)
    assert image.shape == (10, 12, 3) and alpha is None


@pytest.mark.parametrize(
    ("view", "event", "inputs"),
    [("summary", "tell", ("mini", 4, None)), ("results", "open", ("mini", "table2", 4, None, "psnr", None)),
     ("results", "fill", ("mini", "table2", 4, None, "psnr", None))],
)  # fmt: skip
def test_damaged_records_are_told_of_where_the_result_would_stand(handler, monkeypatch, view, event, inputs):
    def damaged(_: str) -> None:
        raise gr.Error("records.sqlite: damaged", print_exception=False)

    monkeypatch.setattr(plan_choice, "results", damaged)
    place, said = next(iter(handler(view, event)(*inputs).items()))
    assert place.elem_id == {"summary": "summary-answers", "results": "results-table"}[view]
    assert said == '<p class="alert" role="alert">Records.sqlite: damaged</p>'


@pytest.mark.parametrize("damage", ["no table", "half a line"])
@pytest.mark.parametrize("whose", ["bundled", "own"])
def test_the_page_starts_with_damaged_records_and_evidence_says_so(monkeypatch, tmp_path, pictures, damage, whose):
    if whose == "bundled":
        monkeypatch.setattr(records, "MEASURED", tmp_path)
        monkeypatch.setattr(plan_choice, "MEASURED", tmp_path)
        path = tmp_path / "mini.sqlite"
    else:
        monkeypatch.setenv("MTKD_HOME", str(tmp_path))
        path = runs_folder("mini") / "records.sqlite"
        path.parent.mkdir(parents=True)
    if damage == "no table":
        path.write_bytes(b"this is no table of runs")
    else:
        shutil.copy(MEASURED / "mini.sqlite", path)
        with closing(sqlite3.connect(path)) as table, table:
            table.execute("UPDATE runs SET recipe = substr(recipe, 1, 40)")
    found = {(one.fn.__module__, one.fn.__name__): one.fn for one in build(pictures).fns.values() if one.fn}
    for view, event, inputs in (("summary", "tell", ("mini", 4, None)),
                                ("results", "open", ("mini", None, 4, None, "psnr", None))):  # fmt: skip
        said = next(iter(found[f"mtkd_app.tabs.{view}", event](*inputs).values()))
        way_out = "install mtkd again" if whose == "bundled" else "move it away"
        assert 'role="alert"' in said and "not a table of runs, or damaged" in said and way_out in said
        assert str(tmp_path) not in said
