"""What people read in place of a model's name: from its plan, its card, or its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtkd import networks, zoo
from mtkd.experiments import titles
from mtkd.experiments.plan import load_plan
from mtkd.zoo import Catalogue
from mtkd.zoo.catalogue import BUNDLED
from mtkd.zoo.checkpoints import save_weights
from mtkd.zoo.headers import Header
from mtkd.zoo.titles import FILE, distinct


def write(path: Path, name: str, **card: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, networks.build("edsr_tiny", 2), Header(name, "edsr_tiny", 2))
    if card:
        about = path.with_name("card.json") if path.name == "model.safetensors" else path.with_suffix(".json")
        about.write_text(json.dumps(card))


def test_the_bundled_models_are_called_as_their_plan_says() -> None:
    """The file in the zoo is what publishing writes; no two of its models share a title."""
    known, bundled = titles.titles(load_plan("mini")), [model for model in zoo.models() if model.bundled]
    assert {model.name: model.title for model in bundled} == {model.name: known[model.name] for model in bundled}
    here = {name: known[name] for name in {model.name for model in bundled}}
    assert json.loads((BUNDLED / FILE).read_text()) == here and len(set(here.values())) == len(here)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("edsr_mini", "EDSR teacher"),
        ("swinir_tiny-scratch", "SwinIR student, alone"),
        ("rcan_tiny-kd", "RCAN student, with KD"),
        ("rcan_tiny-mtkd", "RCAN student, with MTKD"),
        ("rcan_tiny-v6", "RCAN student, with MTKD (v6: DCT loss)"),
        ("rcan_tiny-kd_mt", "RCAN student, with KD (from MT)"),
        ("rcan_tiny-alpha_0_4_images", "RCAN student, with MTKD (alpha = 0, 4 images)"),
        ("edsr_tiny-scratch_2500_steps", "EDSR student, alone (2,500 steps)"),
        ("aggregator_mini", "Combined teacher (MT)"),
        ("aggregator_mini-v1", "Combined teacher of EDSR and SwinIR (MT-v1)"),
        ("aggregator_mini-v4", "Combined teacher without DCT (MT-v4)"),
    ],
)
def test_titles_of_a_plan(name: str, title: str) -> None:
    assert titles.titles(load_plan("mini"))[name] == title


def test_models_of_others_have_their_own_names(tmp_path: Path) -> None:
    write(tmp_path / "mine_x2.safetensors", "rcan-mtkd", method="mtkd")
    write(tmp_path / "edsr_x2.safetensors", "edsr", public={"sha256": "0"})
    write(tmp_path / "titles_x2.safetensors", "name")
    (tmp_path / FILE).write_text("[")
    found = {model.name: model.title for model in Catalogue([tmp_path]).models()}
    assert found == {"rcan-mtkd": "rcan-mtkd", "edsr": "EDSR (Lim et al., CVPRW 2017)", "name": "name"}


def test_runs_of_a_plan_have_its_titles_and_a_change_is_seen(tmp_path: Path) -> None:
    """Run folders lie in the plan's folder, snapshots one deeper; what differs is where they lie, not what is said."""
    write(tmp_path / "run" / "model.safetensors", "edsr_tiny-k2", iterations=9, method="mtkd")
    write(tmp_path / "run" / "snapshots" / "a.safetensors", "edsr_tiny-k2@5", ends_as="edsr_tiny-k2", iterations=5)
    titles.write(load_plan("mini"), tmp_path)
    (model,) = Catalogue([tmp_path]).models()
    assert model.title == "EDSR student, with MTKD (K = 2)"
    assert model.snapshots()[5].title == "EDSR student, with MTKD (K = 2), after 5 steps"
    (tmp_path / FILE).write_text('{"edsr_tiny-k2": "K of two"}')
    os.utime(tmp_path / FILE, (1, 1))
    assert model.title == "K of two"


def test_equal_titles_are_told_apart() -> None:
    assert distinct({"a": "one", "b": "two", "c": "one"}) == {"a": "one [a]", "b": "two", "c": "one [c]"}


def test_titles_of_the_bundled_models_need_no_torch() -> None:
    code = "import sys; from mtkd import zoo; print(zoo.find('rcan_tiny-v6', 4).title, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[0] == "RCAN student, with MTKD (v6: DCT loss) False"
