"""Which files are upscaled, and what their results are called."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtkd.errors import Unwritable, UserError
from mtkd.images.formats import FORMATS, STILL, SUFFIXES, VIDEOS, Format, of_suffix
from mtkd.images.reading import file_content, image_size
from mtkd.images.reading import frames as read_frames

RESULT = re.compile(r"(.+)_x([234])\.\w+")
LONGEST = 255
"""Bytes of a file's name, where the file system does not say."""


@dataclass(frozen=True)
class Job:
    """A file and the result that it becomes; ``frames``: all of its frames or pages."""

    source: Path
    target: Path
    frames: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be done; what of the given folders is left out, with the reason; which of them cannot be read."""

    jobs: Sequence[Job]
    left_out: Sequence[tuple[Path, str]]
    failed: Sequence[str]


@dataclass(frozen=True)
class _Source:
    path: Path
    folder: Path
    """Of the result, below the output folder."""


@dataclass(frozen=True)
class _Searched:
    sources: list[_Source]
    left_out: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def plan(
    inputs: Sequence[Path], output: Path, scale: int, form: str | None = None, recursive: bool = False,
    frames: bool = False,
) -> Plan:  # fmt: skip
    """The results of files and folders: ``output`` is a file for one image, or a folder.

    Of a folder that takes its own results, those of earlier runs are left out; so is a folder of results within it.

    Args:
        form: name of a format of :data:`mtkd.images.formats.STILL`; by default that of ``output``, or PNG.
        recursive: folders with all that is below them.
        frames: animations and files of several pages become files of the same kind.

    Raises:
        UserError: no images, a format that is not written, or results that would overwrite each other or an input.
    """
    searched = [_sources(path, recursive, output) for path in inputs]
    for one in searched:
        _leave_results_out(one, output)
    sources = _once([source for one in searched for source in one.sources])
    known = (*STILL, "gif") if frames else STILL
    if form is not None and form not in known:
        raise UserError(f"--format {form}: give one of {', '.join(known)}")
    if _is_file(output):
        targets = [_single(output, form, len(sources), frames)]
    else:
        kinds = [_kind(source.path, form, frames) for source in sources]
        targets = _targets(sources, kinds, output, scale)
    _check(sources, targets)
    jobs = [Job(source.path, target, frames) for source, target in zip(sources, targets, strict=True)]
    left_out, failed = ([item for one in searched for item in getattr(one, part)] for part in ("left_out", "failed"))
    return Plan(jobs, left_out, failed)


def _once(sources: Sequence[_Source]) -> list[_Source]:
    """Files that are named twice, or named beside their folder, are taken once."""
    first: dict[Path, _Source] = {}
    for source in sources:
        first.setdefault(source.path.parent.resolve() / source.path.name, source)
    return list(first.values())


def pictures(inputs: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The image files of files and folders; and what of the folders is left out, with the reason.

    Raises:
        UserError: no images.
    """
    searched = [_sources(path, False) for path in inputs]
    return ([source.path for one in searched for source in one.sources],
            [(path, why.partition(";")[0]) for one in searched for path, why in one.left_out])  # fmt: skip


def _sources(path: Path, recursive: bool, output: Path | None = None) -> _Searched:
    """A file, or those of a folder; ``output``: a folder of results, which is left out where it lies within."""
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: no such file")
        return _Searched([_Source(path, Path())])
    found = _Searched([])
    _search(path, Path(), recursive, output.resolve() if recursive and output else None, found)
    if not found.sources:
        if found.failed:
            raise UserError(found.failed[0])
        more = "" if recursive else "; --recursive looks into its folders too"
        raise UserError(f"{path}: no images ({', '.join(SUFFIXES)}){more}")
    return found


def _search(top: Path, below: Path, recursive: bool, output: Path | None, found: _Searched) -> None:
    """Visible files, sorted; those of sub-folders after those of the folder itself."""
    try:
        entries = sorted(entry for entry in (top / below).iterdir() if not entry.name.startswith("."))
        told = [(entry, _left_out(entry, recursive)) for entry in entries]
    except OSError as error:
        found.failed.append(f"{top / below}: cannot be read ({error.strerror})")
        return
    found.left_out.extend((entry, reason) for entry, reason in told if reason)
    taken = [entry for entry, reason in told if not reason]
    found.sources.extend(_Source(entry, below) for entry in taken if not entry.is_dir())
    for folder in (entry for entry in taken if entry.is_dir()):
        if output is not None and folder.resolve() == output:
            found.left_out.append((folder, "the folder of the results"))
        else:
            _search(top, below / folder.name, recursive, output, found)


def _leave_results_out(found: _Searched, output: Path) -> None:
    """Move what an earlier run wrote beside its inputs: named like a result of one of them, and as much larger."""
    inputs: dict[tuple[Path, str], list[Path]] = {}
    results: list[tuple[_Source, str, int]] = []
    for source in found.sources:
        path, folder = source.path, source.path.parent
        if folder.resolve() != (output / source.folder).resolve():
            continue
        for stem in (path.stem, f"{path.stem}_{path.suffix[1:]}"):
            inputs.setdefault((folder, stem), []).append(path)
            if len(os.fsencode(stem)) > LONGEST - 16:  # its results have a shortened name
                for form in FORMATS.values():
                    short = fitting(stem, f"_x4{form.suffixes[0]}", folder)
                    inputs.setdefault((folder, short), []).append(path)
        if named := RESULT.fullmatch(path.name):
            results.append((source, named[1], int(named[2])))
    for source, stem, scale in results:
        paths = inputs.get((source.path.parent, stem), [])
        whose = next((path for path in paths if _times_larger(source.path, path, scale)), None)
        if whose is not None:
            found.left_out.append((source.path, f"a result of {whose.name}"))
    left = {path for path, _ in found.left_out}
    found.sources[:] = [source for source in found.sources if source.path not in left]


def _times_larger(result: Path, path: Path, scale: int) -> bool:
    try:
        return image_size(result) == tuple(scale * side for side in image_size(path))
    except UserError:  # told when it is read
        return False


def _left_out(path: Path, recursive: bool) -> str:
    """Why something in a folder is left out; empty for what is taken."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return "a link to a folder" if path.is_symlink() else "" if recursive else "a folder; --recursive takes it"
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else "not a file"
    if suffix in SUFFIXES:
        return ""
    return "a video" if suffix in VIDEOS else "not an image by its name"


def _is_file(output: Path) -> bool:
    if output.is_dir():
        return False
    suffix = output.suffix.lower()
    return of_suffix(output) is not None or suffix in (*SUFFIXES, *VIDEOS)


def _single(output: Path, form: str | None, count: int, frames: bool) -> Path:
    if count > 1:
        raise UserError(f"{output}: a single file for {count} images; give a folder")
    kind = of_suffix(output)
    if kind is None or not (kind.name in STILL or frames):
        raise UserError(
            f"{output}: results are PNG, JPEG, WebP, AVIF or TIFF files (GIF with --frames all); give a name that ends "
            f"in {', '.join(FORMATS[name].suffixes[0] for name in STILL)}, or a folder"
        )
    if form is not None and kind.name != form:
        raise UserError(f"{output}: its name asks for {kind.title}, --format for {FORMATS[form].title}; leave one out")
    return output


def _kind(source: Path, form: str | None, frames: bool) -> Format:
    own = of_suffix(source)
    if frames and form is None and own is not None and own.frames:
        try:
            with read_frames(file_content(source), str(source)) as found:
                if found.count > 1:
                    return own
        except UserError:  # told when it is read
            pass
    return FORMATS[form or "png"]


def _targets(sources: Sequence[_Source], kinds: Sequence[Format], output: Path, scale: int) -> list[Path]:
    def target(source: _Source, kind: Format, stem: str) -> Path:
        folder = output / source.folder
        suffix = source.path.suffix.lower() if source.path.suffix.lower() in kind.suffixes[1:] and kind.frames else ""
        end = f"_x{scale}{kind.suffixes[0] if kind.name != 'png' or not suffix else suffix}"
        return folder / (fitting(stem, end, folder) + end)

    targets = [target(s, kind, s.path.stem) for s, kind in zip(sources, kinds, strict=True)]
    told: set[int] = set()
    # photo.jpg beside photo.heic: the suffix tells them apart; photo_jpg.png beside them then needs its own
    while several := {path for path, count in Counter(targets).items() if count > 1}:
        more = {number for number, path in enumerate(targets) if path in several} - told
        if not more:
            break
        told |= more
        for number in more:
            path = sources[number].path
            targets[number] = target(sources[number], kinds[number], f"{path.stem}_{path.suffix[1:]}")
    return targets


def fitting(stem: str, end: str, folder: Path) -> str:
    """A stem that leaves room for the end of a name: shortened where the file system allows no longer one."""
    try:
        longest = os.pathconf(_existing(folder), "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # Windows
        longest = LONGEST
    room = longest - len(os.fsencode(end))
    if len(os.fsencode(stem)) <= room:
        return stem
    mark = "~" + hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]
    while len(os.fsencode(stem)) > room - len(mark):
        stem = stem[:-1]
    return stem + mark


def _check(sources: Sequence[_Source], targets: Sequence[Path]) -> None:
    if len(set(targets)) < len(targets):
        twice = next(path for path, count in Counter(targets).items() if count > 1)
        raise UserError(
            f"{twice}: two images have the same name and would overwrite each other; rename one, or give the folder "
            "that holds both with --recursive"
        )
    inputs = {source.path.resolve() for source in sources}
    for target in targets:
        if target.resolve() in inputs:
            raise UserError(f"{target}: an input, which would be overwritten; choose another output")
    for folder, target in {target.parent: target for target in targets}.items():
        there = _existing(folder)
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise Unwritable(f"{target}: cannot be written (no folder to write to: {there})")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest of those above it that there is."""
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
