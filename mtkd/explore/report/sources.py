"""The pictures of a report, and what other programs made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtkd.data.pairing import pair
from mtkd.errors import UserError
from mtkd.images import UInt8Image, find_images, read_image
from mtkd.photos.jobs import pictures


@dataclass(frozen=True)
class Source:
    """A picture: its file, what it is called, and the files of other programs' results by their names."""

    path: Path
    title: str
    results: dict[str, Path]

    def others(self) -> dict[str, UInt8Image]:
        """The results of other programs.

        Raises:
            UserError: one cannot be read.
        """
        return {program: read_image(path) for program, path in self.results.items()}


class Sources:
    """The pictures of files and folders; :attr:`left_out` says what of the folders is none.

    Args:
        others: a folder for each program, or a folder of one program's results; files belong to the picture whose name
            theirs contain.

    Raises:
        UserError: no pictures, or a picture without the result of a program.
    """

    def __init__(self, inputs: Sequence[Path], others: Path | None = None) -> None:
        paths, self.left_out = pictures(inputs)
        paths = list(dict.fromkeys(paths))
        results: list[dict[str, Path]] = [{} for _ in paths]
        for program, folder in _programs(others):
            for mine, (_, file) in zip(results, pair(paths, find_images(folder), "one result a picture"), strict=True):
                mine[program] = file
        stems = [path.stem for path in paths]
        titles = [path.stem if stems.count(path.stem) == 1 else str(path) for path in paths]
        self._sources = [Source(*one) for one in zip(paths, titles, results, strict=True)]

    def __len__(self) -> int:
        return len(self._sources)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)


def _programs(folder: Path | None) -> list[tuple[str, Path]]:
    """Programs by name, with the folder of their results."""
    if folder is None:
        return []
    if not folder.is_dir():
        raise UserError(f"--others {folder}: no such folder")
    inside = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    return [(one.name, one) for one in inside] or [(folder.resolve().name, folder)]
