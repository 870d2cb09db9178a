"""Checks during training: non-finite numbers stop it, a drop in quality is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.files import write_bytes
from mtkd.methods import Method, Terms
from mtkd.plugins import METHODS
from mtkd.training.measured import HELD_OUT_PSNR, LOOP_NUMBERS

if TYPE_CHECKING:
    from accelerate import Accelerator


class Diverged(UserError):  # noqa: N818
    """The loss or a weight is no longer finite."""


NOTABLE_FALL = 1.0
"""Drop in dB below the best validation that is reported."""


def loss_terms(name: str, method: Method, network: nn.Module, batch: Batch) -> Terms:
    """The terms of the method ``name`` on a batch: scalar tensors whose sum has a gradient.

    Raises:
        UserError: no such terms, or names that the log uses for other numbers. Errors in a plugin are reported with its
            file and line.
    """
    with METHODS.blaming(name):
        returned = method.loss(network, batch)
    if not isinstance(returned, Mapping) or not returned:
        raise UserError(
            f"{METHODS.label(name)}: loss returns {type(returned).__name__}; return a mapping {{name: scalar}}"
        )
    terms = returned if isinstance(returned, Terms) else Terms(returned)
    for term, value in terms.items():
        if not isinstance(value, Tensor) or value.dim():
            kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{METHODS.label(name)}: term '{term}' is {kind}; return a scalar tensor, e.g. its mean")
        if term in LOOP_NUMBERS:
            raise UserError(
                f"{METHODS.label(name)}: term '{term}' has the name of another number of the log; rename it"
            )
    parts = [part for made_of in terms.parts.values() for part in made_of]
    if twice := [part for part in parts if part in terms or part in LOOP_NUMBERS or parts.count(part) > 1]:
        raise UserError(f"{METHODS.label(name)}: part '{twice[0]}' has the name of another number; rename it")
    if not any(value.requires_grad for value in terms.values()):
        raise UserError(
            f"{METHODS.label(name)}: its terms have no gradient, so that nothing is learned; "
            "compute them from the network's output, without detach, item or numpy"
        )
    return terms


class Finite:
    """Tracks the first iteration with a non-finite loss, without waiting for a GPU until :meth:`fault` is called."""

    def __init__(self, network: nn.Module, accelerator: Accelerator) -> None:
        self.network, self.accelerator = network, accelerator
        self._first = torch.zeros((), dtype=torch.long, device=accelerator.device)

    def see(self, loss: Tensor, iteration: int) -> None:
        """Record the loss of one iteration."""
        new = (self._first == 0) & ~loss.detach().isfinite()
        self._first = torch.where(new, iteration, self._first)

    def fault(self, iteration: int) -> tuple[int, str, int] | None:
        """The first iteration with non-finite numbers, what they are, and the process; None if all are finite.

        Several processes must call it at the same ``iteration``; all receive the same result.
        """
        weights = bool(torch.stack([p.detach().isfinite().all() for p in self.network.parameters()]).all())
        loss = int(self._first)
        local = [loss or (0 if weights else iteration), int(loss == 0)]
        everywhere = self.accelerator.gather(torch.tensor([local], device=self.accelerator.device)).tolist()
        # a loss before a weight: at the same iteration it was another process's loss that broke it
        first = min(((*row, rank) for rank, row in enumerate(everywhere) if row[0]), default=None)
        return None if first is None else (first[0], "a weight" if first[1] else "the loss", first[2])


def keep_batch(path: Path, batch: Batch, iteration: int) -> None:
    """Write the batch of an iteration as safetensors: ``lr_image``, ``hr_image``, ``output NAME``."""
    tensors = {"lr_image": batch.lr_image, "hr_image": batch.hr_image}
    tensors |= {f"output {name}": value for name, value in batch.outputs.items()}
    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, {"iteration": str(iteration)})
    write_bytes(path, content)


def falls(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Validations more than :data:`NOTABLE_FALL` dB below the best one before: iteration, psnr, best."""
    notable, best = [], float("-inf")
    for row in rows:
        if (psnr := row.get(HELD_OUT_PSNR)) is None:
            continue
        if best - psnr > NOTABLE_FALL:
            notable.append({"iteration": row["iteration"], "psnr": round(psnr, 4), "best": round(best, 4)})
        best = max(best, psnr)
    return notable
