"""What a comparison opens with."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd import zoo
from mtkd.explore import default_models
from mtkd.zoo.catalogue import BUNDLED
from tests.training.conftest import write_model

TEACHERS = ["edsr_mini", "rcan_mini", "swinir_mini"]


def test_default_models_of_the_bundled_zoo() -> None:
    chosen = default_models(4)
    assert chosen[:5] == ["bicubic", *TEACHERS, "aggregator_mini"]
    assert {name.rpartition("-")[2] for name in chosen[5:]} <= {"scratch", "kd", "mtkd"} and len(chosen) >= 7
    assert len({zoo.find(name, 4).header.network for name in chosen[5:]}) == 1  # of one student
    assert set(chosen) - {"bicubic"} <= {model.name for model in zoo.models(4)}


def test_default_models_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The student of the ablations before others, the aggregator of most teachers, no variants; the user's own last."""
    bundled, own = tmp_path / "bundled", tmp_path / "own"
    for name in TEACHERS:
        write_model(bundled, name, name, 1, scale=4)
    write_model(bundled, "aggregator_mini-v1", "aggregator_mini", 1, 4, ("edsr_mini", "rcan_mini"))
    write_model(bundled, "aggregator_mini-v3", "aggregator_mini_v3", 1, 4, tuple(TEACHERS))
    write_model(bundled, "aggregator_mini", "aggregator_mini", 1, 4, tuple(TEACHERS))
    for network in ("edsr_tiny", "rcan_tiny", "swinir_tiny"):
        for method in ("kd", "mtkd", "scratch", "v5", "fakd"):
            write_model(bundled, f"{network}-{method}", network, 1, scale=4)
    for number in range(8):
        write_model(own, f"mine{number}", "edsr_tiny", number, scale=4)
    monkeypatch.setattr(zoo.catalogue, "BUNDLED", bundled)
    students = ["rcan_tiny-scratch", "rcan_tiny-kd", "rcan_tiny-mtkd"]
    assert default_models(4) == ["bicubic", *TEACHERS, "aggregator_mini", *students]
    monkeypatch.setenv("MTKD_ZOO", str(own))
    assert default_models(4)[-6:] == [f"mine{number}" for number in range(6)]
    (bundled / "rcan_tiny-kd_x4.safetensors").unlink()
    assert default_models(4)[5:8] == ["edsr_tiny-scratch", "edsr_tiny-kd", "edsr_tiny-mtkd"]


def test_default_models_where_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo.catalogue, "BUNDLED", tmp_path)
    assert default_models(4) == ["bicubic"] and tmp_path != BUNDLED
