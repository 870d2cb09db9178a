"""Fig. 1 with the real tensors of one picture: every step of the framework, its shape and what it looks like.

Nothing is computed a second way: images are those that the library's networks make, features what their modules hand
on (:mod:`~mtkd.explore.inside.trace`), losses those of the training method.
"""

from __future__ import annotations

from mtkd.explore.comparison.core import Comparison
from mtkd.explore.inside.framework_run import Picture, Progress, Run, Step, chosen, run
from mtkd.explore.inside.framework_stage1 import aggregation_steps, input_steps, loss_ka
from mtkd.explore.inside.framework_stage2 import distillation_steps
from mtkd.explore.inside.framework_window import Place, busiest_window, window_step

__all__ = ["Picture", "Place", "Run", "Step", "busiest_window", "chosen", "framework", "run", "steps", "window_step"]


def framework(comparison: Comparison, window: Place | None = None, progress: Progress | None = None) -> list[Step]:
    """The steps of Fig. 1 on a comparison's picture; arguments as of :func:`run` and :func:`window_step`.

    Raises:
        UserError: weights that cannot be read, or no such window.
    """
    return steps(run(comparison, progress), window)


def steps(run: Run, window: Place | None = None) -> list[Step]:
    """All boxes in the order of Fig. 1; those that cannot be shown say why (``missing``)."""
    return [*input_steps(run), *aggregation_steps(run, window), loss_ka(run), *distillation_steps(run)]
