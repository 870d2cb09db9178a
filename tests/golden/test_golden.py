"""Numbers, run identities and answers are those of the golden files; see ``make.py`` for how they are measured."""

from __future__ import annotations

import pytest

from tests.golden import make


def unchanged(part: str) -> None:
    """A part of the golden values, measured again, is what it was."""
    found = make.differences(make.golden(part), make.PARTS[part]())
    assert not found, "\n".join([f"{len(found)} differences:", *found[:20]])


@pytest.mark.parametrize("recipe", make.RECIPES)
def test_every_step_of_every_method_logs_the_same(recipe, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "golden"
    with make.empty_folder():
        expected, actual = make.golden("losses")[recipe], make.training(recipe, cache)
    found = make.differences(expected[:2], actual[:2])
    found += make.differences(expected[2:], actual[2:], relative=make.UNSTABLE.get(recipe, make.RELATIVE))
    assert not found, "\n".join(found[:20])


def test_every_run_is_identified_by_the_same_hash():
    unchanged("identities")


def test_explanations_are_the_same():
    unchanged("explanations")


@pytest.mark.slow
def test_the_benchmark_measures_the_same(data_root):
    unchanged("benchmark")


@pytest.mark.slow
def test_the_page_answers_under_the_same_names():
    lost = set(make.golden("endpoints")) - set(make.endpoints())
    assert not lost


def test_differences_are_found_wherever_they_are():
    """Floats within 1e-5 are the same; additions are no difference; lost, wrong and reordered things are."""
    before = {"a": [1.0, {"b": "hash"}], "zero": 0.0}
    assert not make.differences(before, {"a": [1 + 9e-6, {"b": "hash", "new": 3}], "zero": 1e-8, "more": []})
    assert make.differences(before, {"a": [1 + 2e-5, {"b": "hush"}], "zero": 1e-6}) == [
        "/a/0: 1.00002 instead of 1.0",
        "/a/1/b: 'hush' instead of 'hash'",
        "/zero: 1e-06 instead of 0.0",
    ]
    assert make.differences(before, {"a": [1.0]}) == [": no 'zero'", "/a: [1.0] instead of [1.0, {'b': 'hash'}]"]
