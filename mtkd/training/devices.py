"""The devices for training, and the environment that selects one."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from mtkd.errors import UserError, unknown_name

if TYPE_CHECKING:
    from accelerate import Accelerator

PATIENCE = timedelta(hours=6)
"""Maximum time that processes wait for each other, since one of them may cache or validate."""


def devices() -> list[str]:
    """The devices of this computer, best first: "cuda" (with several, "cuda:0", "cuda:1", ...), "mps", "cpu"."""
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
    """The environment variables of a process that trains on a device."""
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
    """The accelerator of this process.

    Raises:
        UserError: the device does not support the precision, or the batch cannot be divided among the processes.
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
        raise UserError("precision fp16 needs a GPU; use bf16 or fp32")
    if batch % accelerator.num_processes:
        raise UserError(
            f"batch {batch} cannot be divided among {accelerator.num_processes} processes; use a multiple of it"
        )
    return accelerator
