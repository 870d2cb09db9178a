"""The error that users see."""

from __future__ import annotations

import doctest

from mtkd import errors


def test_the_examples_in_the_docstrings_hold() -> None:
    outcome = doctest.testmod(errors)
    assert outcome.attempted == 1 and outcome.failed == 0


def test_nothing_near_suggests_nothing() -> None:
    message = str(errors.unknown_name("network", "zzzz", ["rcan", "edsr"]))
    assert message == "unknown network 'zzzz'. Known: edsr, rcan"


def test_nothing_known() -> None:
    assert str(errors.unknown_name("model", 4, [])) == "unknown model '4'. Known: none"


def test_a_word_without_end_is_cut_in_the_middle() -> None:
    path = "a/" * 150 + "b.png"
    assert str(errors.UserError(f"{path}: no such file")) == f"{path}: no such file"
    message = str(errors.UserError(f"unknown teacher {'x' * 100_000}y; choose another"))
    assert len(message) < 400 and message.startswith("unknown teacher xxx") and message.endswith("xy; choose another")
