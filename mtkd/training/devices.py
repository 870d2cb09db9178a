"""Where a process trains: which devices there are, and how it is told to take one."""

from __future__ import annotations

import os

import torch

from mtkd.errors import unknown_name


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
