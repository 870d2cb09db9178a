"""Where a process trains: which devices there are, and how it is told to take one."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from mtkd.errors import UserError, unknown_name

if TYPE_CHECKING:
    from accelerate import Accelerator

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other: one of them may compute or validate meanwhile."""


def devices() -> list[str]:
    """What can be trained on here, best first: "cuda" ("cuda:0", "cuda:1" of several), "mps", "cpu"."""
    if not torch.accelerator.is_available():
        return ["cpu"]
    kind = torch.accelerator.current_accelerator().type  # type: ignore[union-attr]
    count = torch.accelerator.device_count() if kind == "cuda" else 1
    return [*([kind] if count == 1 else [f"{kind}:{i}" for i in range(count)]), "cpu"]


def check_device(device: str) -> None:
    """
    Raises:
        UserError: not among :func:`devices`.
    """
    if device not in devices():
        raise unknown_name("device", device, devices())


def environment(device: str) -> dict[str, str]:
    """The environment of a process that is to train on a device."""
    variables = dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
    kind, _, index = device.partition(":")
    if kind == "cpu":
        variables |= {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
        # Threads that wait for a busy core make a step many times slower: one core is left to the rest.
        variables.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) - 1)))
    elif index:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        variables["CUDA_VISIBLE_DEVICES"] = visible[int(index)] if visible != [""] else index
    return variables


def accelerator_for(precision: str, batch: int) -> Accelerator:
    """The device, or this process's of several.

    Raises:
        UserError: it has not the precision, or the batch does not divide among the processes.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs

    AcceleratorState._reset_state()  # else a process could train in one precision only
    # Told so, accelerate also joins several CPU processes (torchrun) instead of running them side by side.
    accelerator = Accelerator(
        mixed_precision={"fp32": "no"}.get(precision, precision),
        cpu=not torch.accelerator.is_available(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    if precision == "fp16" and accelerator.device.type == "cpu":  # accelerate would train in fp32
        raise UserError("precision fp16 needs a GPU; take bf16 or fp32 here")
    if batch % accelerator.num_processes:
        raise UserError(f"batch {batch} does not divide among {accelerator.num_processes} processes")
    return accelerator
