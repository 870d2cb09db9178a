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
