"""The work of an attribution, told step by step: for one model, or for several side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mtkd.explain.answer import Explanation, answer
from mtkd.explain.neighbourhood import context_of
from mtkd.explain.options import read_options
from mtkd.explain.question import Question, Window
from mtkd.explore import Comparison
from mtkd.explore.inside.attribution import Shown, preview, question, shown
from mtkd.explore.inside.side_by_side import MOST, SideBySide, comparable

from ..state import Shared


@dataclass(frozen=True)
class Maps:
    """What is shown next: a preview, or the answer that was ``found``."""

    shown: Shown
    found: Explanation | None = None


def explaining(
    shared: Shared, comparison: Comparison, model: str, window: Window, method: str, options: dict[str, Any]
) -> Callable[[Callable[[Maps | tuple[int, int]], None]], None]:
    """Tells the preview, how many steps are done, and the answer."""
    turns = shared.turns

    def work(tell: Callable[[Maps | tuple[int, int]], None]) -> None:
        with turns:
            asked = question(comparison, model, window, turns.pass_on)
            tell(Maps(preview(asked, context_of(read_options(method, options)))))

        def told(news: tuple[int, int] | Explanation) -> None:
            tell(news if isinstance(news, tuple) else Maps(shown(asked, news), news))

        answering(shared, asked, method, options)(told)

    return work


Tell = Callable[[tuple[int, int] | Explanation], None]
"""Told how many steps are done, of how many, then the answer."""


def answering(shared: Shared, asked: Question, method: str, options: dict[str, Any]) -> Callable[[Tell], None]:
    """The work of answering a question, for :func:`~mtkd_app.server.steps.in_steps`; others' turns come between."""

    def work(tell: Tell) -> None:
        def step(done: int, of: int) -> None:
            tell((done, of))
            shared.turns.pass_on()

        with shared.turns:
            found = answer(asked, method, curves=True, progress=step, **options)
        tell(found)

    return work


def several(
    shared: Shared, comparison: Comparison, window: Window, method: str, options: dict[str, Any]
) -> Callable[[Callable[[tuple[int, int] | SideBySide], None]], None]:
    """The work of answering one question about all models that can be set side by side."""

    def work(tell: Callable[[tuple[int, int] | SideBySide], None]) -> None:
        names, answers = comparable(comparison)[:MOST], list[Explanation]()

        def told(news: tuple[int, int] | Explanation) -> None:
            if isinstance(news, Explanation):
                answers.append(news)
            else:
                tell((len(answers) * news[1] + news[0], len(names) * news[1]))

        for name in names:
            with shared.turns:
                asked = question(comparison, name, window, shared.turns.pass_on)
            answering(shared, asked, method, options)(told)
        tell(SideBySide(tuple(answers)))

    return work
