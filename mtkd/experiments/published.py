"""The numbers and the claims of the paper, read from ``paper.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import model_validator

from mtkd.config import Strict, read_yaml


class Claim(Strict):
    """One sentence of the paper as something that can be checked on a table of numbers.

    Either every row of ``better`` is to be better than every one of ``than`` (or ``pairs`` names the pairs), or the
    difference ``gain`` is to grow with the difference ``gap`` over tables, scales and sets.
    """

    id: str
    text: str
    where: str
    tables: tuple[str, ...]
    better: tuple[str, ...] = ()
    than: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    grows: dict[str, tuple[str, str]] | None = None
    aggregators: bool = False
    """It compares aggregators through their students. Seeds are the students': of an aggregator there is one."""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        made = self.pairs or tuple((b, t) for b in self.better for t in self.than)
        object.__setattr__(self, "pairs", made)
        return self


class Correction(Strict):
    """A misprint: what is printed, and how it is read."""

    table: str
    scale: int
    row: str
    set: str
    metric: str
    printed: float
    read: float
    why: str


class Footnote(Strict):
    """A remark on a table."""

    table: str
    text: str


class Network(Strict):
    """One line of Table 1; parameters in millions."""

    network: str
    role: str
    channels: int
    blocks: int
    groups: int | None
    parameters: float


class Published(Strict):
    """Tables 1 to 5: ``tables[name][scale][row][set]`` is (PSNR in dB, SSIM)."""

    table1: tuple[Network, ...]
    tables: dict[str, dict[int, dict[str, dict[str, tuple[float, float]]]]]
    corrections: tuple[Correction, ...]
    footnotes: tuple[Footnote, ...]
    later: dict[str, dict[str, float]]
    claims: tuple[Claim, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """The benchmark sets of Sec. 4.3, in the order of the tables' columns."""
        cells = (cell for scales in self.tables.values() for rows in scales.values() for cell in rows.values())
        return tuple(dict.fromkeys(name for cell in cells for name in cell))

    def cell(self, table: str, scale: int, row: str, set_name: str) -> tuple[float, float] | None:
        """(PSNR, SSIM) as printed and corrected; None where the paper has no such cell."""
        return self.tables.get(table, {}).get(scale, {}).get(row, {}).get(set_name)


@cache
def published() -> Published:
    """The paper's numbers."""
    return Published.model_validate(read_yaml(Path(__file__).parent / "paper.yaml"))
