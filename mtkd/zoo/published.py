"""What is known of the published weights: ``public.yaml``, with addresses, hashes and their authors' numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mtkd.config import Strict, read_yaml
from mtkd.errors import unknown_name


class WeightsFile(Strict):
    """One published file: its address, or only its name where no program can fetch it."""

    url: str | None = None
    name: str = ""
    sha256: str | None = None
    vouched: Literal["", "name", "others"] = ""

    @property
    def file_name(self) -> str:
        return self.name or urlsplit(self.url or "").path.rpartition("/")[2]

    @property
    def says(self) -> str:
        """Who says that the hash is right."""
        return {"name": "its first digits are in the file's name", "others": "others recorded it"}.get(self.vouched, "")


class Published(Strict):
    """A published model: its files by scale, and [PSNR in dB, SSIM] as published by scale and set."""

    network: str
    title: str
    trained_on: str = ""
    page: str = ""
    licence: str = ""
    by_hand: str = ""
    """How a person gets the files, where programs cannot."""
    files: dict[int, WeightsFile]
    published: dict[int, dict[str, tuple[float, float]]]
    numbers_from: str
    known: str = ""
    """What is known to make measured numbers differ from the published ones."""


@cache
def known() -> dict[str, Published]:
    """Everything in ``public.yaml``; bicubic has numbers, but no files."""
    content = read_yaml(Path(__file__).with_name("public.yaml"))
    return {name: Published.model_validate(entry) for name, entry in content.items()}


def names() -> list[str]:
    """The models that can be had."""
    return [name for name, entry in known().items() if entry.files]


def entry(name: str) -> Published:
    """One of them.

    Raises:
        UserError: unknown; the nearest is suggested.
    """
    if name not in names():
        raise unknown_name("published model", name, names())
    return known()[name]


def by_hand(name: str, scale: int) -> str:
    """How a person gets the file."""
    one = entry(name)
    file = one.files[scale].file_name
    how = one.by_hand or f"get {file} from {one.page}"
    return f"{name}: {how}, then: mtkd models fetch {name} --scale {scale} --file FILE (the archive, or {file} in it)"
