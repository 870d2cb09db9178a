"""Measurements read while they are written: what is new, what is broken, what is too much for a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtkd.training.measured import Measured, terms


def write(folder: Path, *rows: object, end: str = "\n") -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("".join(f"{json.dumps(row)}\n" for row in rows).removesuffix("\n") + end)


def test_only_complete_measurements_are_read_and_each_once(tmp_path: Path) -> None:
    measured = Measured(tmp_path)
    assert list(measured.read()) == [] and measured.iteration == 0 and measured.speed is None
    write(tmp_path, {"iteration": 1, "L1": 0.5}, {"iteration": 2, "L1": 0.25}, end="")  # the second is being written
    assert [row["iteration"] for row in measured.read()] == [1]
    write(tmp_path, end="\n")
    write(tmp_path, "garbage", {"L1": 3}, {"iteration": "x"}, {"iteration": 3, "validation PSNR-Y": 30.5})
    (tmp_path / "metrics.jsonl").open("ab").write(b"\xff\xfe{\n")
    assert [row["iteration"] for row in measured.read()] == [1, 2, 3]
    assert measured.iteration == 3 and measured.last("validation PSNR-Y") == 30.5 and measured.last("L1") == 0.25
    assert len(measured.read()) == 3


def test_a_resumed_run_forgets_what_it_will_measure_again(tmp_path: Path) -> None:
    measured = Measured(tmp_path)
    write(tmp_path, *({"iteration": i, "L1": 1.0} for i in range(1, 10)))
    assert len(measured.read()) == 9
    (tmp_path / "cut").write_text('{"iteration": 1, "L1": 1.0}\n')
    (tmp_path / "cut").replace(tmp_path / "metrics.jsonl")
    write(tmp_path, *({"iteration": i, "L1": 2.0} for i in range(2, 12)))  # longer than before
    assert [row["L1"] for row in measured.read()] == [1.0] + [2.0] * 10


def test_long_curves_are_means_of_neighbours(tmp_path: Path) -> None:
    write(tmp_path, *({"iteration": i, "L1": float(i)} for i in range(1, 11)))
    write(tmp_path, {"iteration": 10, "validation PSNR-Y": 30})
    measured = Measured(tmp_path)
    measured.read()
    curves = measured.curves(at_most=4)
    assert curves == {"L1": ([3, 6, 9, 10], [2.0, 5.0, 8.0, 10.0]), "validation PSNR-Y": ([10], [30])}
    assert measured.curves()["L1"] == (list(range(1, 11)), [float(i) for i in range(1, 11)])


def test_parts_of_terms_are_known_without_their_names(tmp_path: Path) -> None:
    """Rows of today, and of runs that wrote the subbands of L_dis as "band LL1"."""
    write(tmp_path, {"iteration": 1, "mine": 0.5, "other": 0.2, "loss": 0.7, "parts": {"mine": {"a": 0.1, "b": 0.4}}})
    write(tmp_path, {"iteration": 2, "L_dis": 0.5, "band LL1": 0.3, "band HH1": 0.2, "loss": 0.5, "lr": 1e-3})
    write(tmp_path, {"iteration": 3, "mine": 0.5, "parts": {"mine": 0.5}})  # none of ours
    measured = Measured(tmp_path)
    first, second = measured.read()
    assert terms(first) == {"mine": 0.5, "other": 0.2} and terms(second) == {"L_dis": 0.5}
    assert measured.parts() == {"a": "mine", "b": "mine", "LL1": "L_dis", "HH1": "L_dis"}
    assert measured.curves()["b"] == ([1], [0.4]) and measured.curves()["HH1"] == ([2], [0.2])


def test_speed_is_steps_over_time(tmp_path: Path) -> None:
    write(tmp_path, {"iteration": 10, "it/s": 1.0}, {"iteration": 20, "it/s": 4.0}, {"iteration": 20, "L1": 0.5})
    measured = Measured(tmp_path)
    measured.read()
    assert measured.speed == pytest.approx(20 / (10 / 1 + 10 / 4))
