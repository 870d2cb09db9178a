"""What a training is stopped for, numbers that are not finite, and what is told of it, a fall in quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import save
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError
from mtkd.files import write_bytes
from mtkd.methods import Method, Terms
from mtkd.plugins import METHODS
from mtkd.training.measured import HELD_OUT_PSNR, LOOP_NUMBERS


class Diverged(UserError):  # noqa: N818
    """The loss or a weight is not finite any more."""


NOTABLE_FALL = 1.0
"""dB below the best validation so far that are worth a word."""


def loss_terms(name: str, method: Method, network: nn.Module, batch: Batch) -> Terms:
    """The terms of the method ``name`` on a batch: scalar tensors whose sum has a gradient.

    Raises:
        UserError: they are none, or have names that the log uses for other numbers; of a plugin also whatever goes
            wrong in it. File and line of the plugin are named.
    """
    with METHODS.blaming(name):
        given = method.loss(network, batch)
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"{METHODS.label(name)}: loss gives {type(given).__name__}; return a mapping {{name: scalar}}")
    terms = given if isinstance(given, Terms) else Terms(given)
    for term, value in terms.items():
        if not isinstance(value, Tensor) or value.dim():
            kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{METHODS.label(name)}: term '{term}' is {kind}; return a scalar tensor, e.g. its mean")
        if term in LOOP_NUMBERS:
            raise UserError(
                f"{METHODS.label(name)}: a term is called '{term}', as another number of the log; rename it"
            )
    parts = [part for made_of in terms.parts.values() for part in made_of]
    if twice := [part for part in parts if part in terms or part in LOOP_NUMBERS or parts.count(part) > 1]:
        raise UserError(f"{METHODS.label(name)}: a part is called '{twice[0]}', as another number; rename it")
    if not any(value.requires_grad for value in terms.values()):
        raise UserError(
            f"{METHODS.label(name)}: its terms have no gradient, so that nothing is learned; "
            "compute them of the network's output, without detach, item or numpy"
        )
    return terms


class Finite:
    """Knows the first iteration whose loss was not finite; a GPU is not waited for until somebody asks."""

    def __init__(self, network: nn.Module, accelerator: Accelerator) -> None:
        self.network, self.accelerator = network, accelerator
        self._first = torch.zeros((), dtype=torch.long, device=accelerator.device)

    def see(self, loss: Tensor, iteration: int) -> None:
        """Take note of one iteration's loss."""
        new = (self._first == 0) & ~loss.detach().isfinite()
        self._first = torch.where(new, iteration, self._first)

    def fault(self, iteration: int) -> tuple[int, str, int] | None:
        """Where numbers ceased to be finite, what of, and in which process; None if they are.

        Of several processes all must ask at the same ``iteration``, the one just done, and all get one answer.
        """
        weights = bool(torch.stack([p.detach().isfinite().all() for p in self.network.parameters()]).all())
        loss = int(self._first)
        own = [loss or (0 if weights else iteration), int(loss == 0)]
        everywhere = self.accelerator.gather(torch.tensor([own], device=self.accelerator.device)).tolist()
        # a loss before a weight: at the same iteration it was another process's loss that broke it
        found = min(((*row, rank) for rank, row in enumerate(everywhere) if row[0]), default=None)
        return None if found is None else (found[0], "a weight" if found[1] else "the loss", found[2])


def keep_batch(path: Path, batch: Batch, iteration: int) -> None:
    """Write what the iteration was trained on as safetensors: ``lr_image``, ``hr_image``, ``output NAME``."""
    tensors = {"lr_image": batch.lr_image, "hr_image": batch.hr_image}
    tensors |= {f"output {name}": value for name, value in batch.outputs.items()}
    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, {"iteration": str(iteration)})
    write_bytes(path, content)


def falls(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The validations that lie more than :data:`NOTABLE_FALL` dB below the best before: iteration, psnr, best."""
    found, best = [], float("-inf")
    for row in rows:
        if (psnr := row.get(HELD_OUT_PSNR)) is None:
            continue
        if best - psnr > NOTABLE_FALL:
            found.append({"iteration": row["iteration"], "psnr": round(psnr, 4), "best": round(best, 4)})
        best = max(best, psnr)
    return found
