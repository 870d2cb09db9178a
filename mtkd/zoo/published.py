"""The list of published weights, ``public.yaml``: addresses, hashes and published numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mtkd.config import Strict, read_yaml
from mtkd.errors import unknown_name


class WeightsFile(Strict):
    """One published file: its address, or only its name if it must be downloaded by hand."""

    url: str | None = None
    name: str = ""
    sha256: str | None = None
    vouched: Literal["", "name", "others"] = ""

    @property
    def file_name(self) -> str:
        return self.name or urlsplit(self.url or "").path.rpartition("/")[2]

    @property
    def says(self) -> str:
        """Source of the hash, in words."""
        return {"name": "its first digits are part of the file name", "others": "recorded by others"}.get(
            self.vouched, ""
        )


class Published(Strict):
    """A published model: its files by scale, and the published [PSNR in dB, SSIM] by scale and set."""

    network: str
    title: str
    trained_on: str = ""
    page: str = ""
    licence: str = ""
    by_hand: str = ""
    """How to get the files by hand, if programs cannot."""
    files: dict[int, WeightsFile]
    published: dict[int, dict[str, tuple[float, float]]]
    numbers_from: str
    known: str = ""
    """Known reasons why measured numbers differ from the published ones."""


@cache
def known() -> dict[str, Published]:
    """All entries of ``public.yaml``; bicubic has numbers, but no files."""
    content = read_yaml(Path(__file__).with_name("public.yaml"))
    return {name: Published.model_validate(entry) for name, entry in content.items()}


def names() -> list[str]:
    """The names of the published models."""
    return [name for name, entry in known().items() if entry.files]


def entry(name: str) -> Published:
    """One of them.

    Raises:
        UserError: unknown name; the nearest one is suggested.
    """
    if name not in names():
        raise unknown_name("published model", name, names())
    return known()[name]


def by_hand(name: str, scale: int) -> str:
    """Instructions for downloading the file by hand."""
    model = entry(name)
    file = model.files[scale].file_name
    how = model.by_hand or f"get {file} from {model.page}"
    return f"{name}: {how}, then: mtkd models fetch {name} --scale {scale} --file FILE (the archive, or {file} in it)"
