"""Compare measured numbers with expected ones: those of a model's card, or published ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.benchmarks import benchmark, present
from mtkd.data.sources import set_names
from mtkd.errors import UserError
from mtkd.evaluate import evaluate
from mtkd.numbers import signed
from mtkd.zoo import published

PUBLISHED = 0.02
"""Allowed difference in dB from a published number, which has two decimals."""
OWN = 0.001
"""Allowed difference in dB from the model's card."""


@dataclass(frozen=True)
class Expected:
    """PSNR in dB by set, how much a measured one may differ, where it comes from, and what may make it differ."""

    psnr: dict[str, float]
    allowed: float
    source: str
    known: str = ""
    padded: bool = False
    """Measured by its authors with SwinIR's own padding."""


@dataclass(frozen=True)
class Verdict:
    """One model on one set: ``measured`` as the numbers to compare with were, ``here`` as everything here is."""

    model: str
    scale: int
    set_name: str
    measured: float
    here: float
    expected: float
    allowed: float
    protocol: str

    @property
    def difference(self) -> float:
        return self.measured - self.expected

    @property
    def holds(self) -> bool:
        return abs(self.difference) <= self.allowed + 1e-9

    def row(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "model": self.model,
            "scale": self.scale,
            "set": self.set_name,
            "measured": round(self.measured, 4),
            "here": round(self.here, 4),
            "expected": self.expected,
            "difference": round(self.difference, 4),
            "allowed": self.allowed,
            "holds": self.holds,
            "protocol": self.protocol,
        }


class PublishedPadding(nn.Module):
    """SwinIR as its authors test it: padded right and bottom by 1 to 8 pixels, the border repeated in the mirror.

    (They pad even where whole windows fit; here it is 0 to 7 pixels, and the border is not repeated.)
    """

    def __init__(self, network: nn.Module, window: int = 8) -> None:
        super().__init__()
        self.network, self.window = network, window

    def forward(self, lr_image: Tensor) -> Tensor:
        height, width = lr_image.shape[-2:]
        x = lr_image
        for dim, size in ((-2, height), (-1, width)):
            added = self.window - size % self.window
            if added <= size:  # smaller ones they cannot test
                x = torch.cat([x, x.flip(dim).narrow(dim, 0, added)], dim)
        image: Tensor = self.network(x)
        scale = image.shape[-1] // x.shape[-1]
        return image[..., : scale * height, : scale * width]


def expected(name: str, scale: int) -> Expected | None:
    """The expected numbers of a model; None if there are none.

    Raises:
        UserError: no such model.
    """
    if name in networks.baselines() and name in published.known():
        entry = published.known()[name]
        return Expected({s: pair[0] for s, pair in entry.published[scale].items()}, PUBLISHED, entry.numbers_from)
    model = zoo.find(name, scale)
    card = model.card
    if rows := card.get("benchmarks"):
        return Expected({row["set"]: row["psnr"] for row in rows}, OWN, "the model's card")
    if record := card.get("public"):
        spec = networks.specs().get(model.header.network)
        padded = spec is not None and spec.padding > 1
        psnr = {set_name: pair[0] for set_name, pair in record["published"].items()}
        return Expected(psnr, PUBLISHED, record["numbers_from"], record["known"], padded)
    return None


def check(
    names: Sequence[str],
    scale: int,
    data: Path,
    sets: Sequence[str] = (),
    device: torch.device | str = "cpu",
    progress: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> list[Verdict]:
    """Measure models on the sets with expected numbers (of ``sets``, or of all sets present).

    Raises:
        UserError: a model has no expected numbers, or none of the sets is present.
    """
    known = {name: expected(name, scale) for name in names}
    if unknown := [name for name, numbers in known.items() if numbers is None]:
        raise UserError(f"{unknown[0]} x{scale}: no numbers to compare with, neither in its card nor in public.yaml")
    chosen = list(sets) or present(data, scale)
    tasks = [(n, s, numbers) for n, numbers in known.items() if numbers for s in chosen if s in numbers.psnr]
    if not tasks:
        raise UserError(f"{data}: no set with published numbers ({', '.join(set_names())}) at scale {scale}")
    networks = {name: zoo.load(name, scale, device) for name in dict.fromkeys(name for name, _, _ in tasks)}
    verdicts = []
    for done, (name, set_name, numbers) in enumerate(tasks):
        progress(f"{name} on {set_name}", done, len(tasks))
        network, images = networks[name], benchmark(data, set_name, scale)
        here = evaluate(network, images, scale, device)
        theirs = evaluate(PublishedPadding(network), images, scale, device) if numbers.padded else here
        verdicts.append(
            Verdict(
                name,
                scale,
                set_name,
                theirs.metrics["psnr"],
                here.metrics["psnr"],
                numbers.psnr[set_name],
                numbers.allowed,
                here.protocol,
            )
        )
    return verdicts


def explanations(verdicts: Sequence[Verdict]) -> list[str]:
    """Known reasons for differences, in sentences."""
    notes = []
    for name, scale in dict.fromkeys((v.model, v.scale) for v in verdicts):
        numbers, of_model = expected(name, scale), [v for v in verdicts if v.model == name]
        assert numbers is not None
        notes.append(f"{name}: {numbers.source}; {numbers.allowed:g} dB allowed.")
        if numbers.padded:
            moved = ", ".join(f"{v.set_name} {signed(v.here - v.measured, '+.3f')}" for v in of_model)
            notes.append(
                f"{name}: measured as its authors do, padded by 1 to 8 mirrored pixels; with the padding used here the "
                f"numbers differ by (dB): {moved}."
            )
        if numbers.known and not all(v.holds for v in of_model):
            notes.append(f"{name}: {numbers.known}.")
        if any("derived" in v.protocol for v in of_model):
            notes.append(f"{name}: some LR images were made here from HR images (LR derived), not its authors' files.")
    return notes
