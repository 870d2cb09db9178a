"""Fig. 1 with the tensors of one image: every step of the framework with its shape and pictures.

Images come from the networks themselves, features from their modules (:mod:`~mtkd.explore.inside.trace`), losses from
the training method.
"""

from __future__ import annotations

from mtkd.explore.comparison.core import Comparison
from mtkd.explore.inside.framework_run import Picture, Progress, Run, Step, chosen, run
from mtkd.explore.inside.framework_stage1 import aggregation_steps, input_steps, loss_ka
from mtkd.explore.inside.framework_stage2 import distillation_steps
from mtkd.explore.inside.framework_window import Place, busiest_window, window_step

__all__ = ["Picture", "Place", "Run", "Step", "busiest_window", "chosen", "framework", "run", "steps", "window_step"]


def framework(comparison: Comparison, window: Place | None = None, progress: Progress | None = None) -> list[Step]:
    """The steps of Fig. 1 on the image of a comparison; arguments as in :func:`run` and :func:`window_step`.

    Raises:
        UserError: weights that cannot be read, or no such window.
    """
    return steps(run(comparison, progress), window)


def steps(run: Run, window: Place | None = None) -> list[Step]:
    """All boxes in the order of Fig. 1; ``missing`` says why a box cannot be shown."""
    return [*input_steps(run), *aggregation_steps(run, window), loss_ka(run), *distillation_steps(run)]
