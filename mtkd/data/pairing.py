"""Which file of one folder belongs to which of another: by what their names have in common.

Results are named by many programs: ``baby_x4_SwinIR-out.png`` and ``Set5_baby_SR.png`` are both of ``baby_HR.png``. A
file belongs to the one whose name its own contains, the longest if there are several. The strictest rule is taken by
which every file has one partner and no two have the same: equal names, whole words, then parts of words; marks that all
names of a folder share at their beginning or end do not count if they hinder.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mtkd.errors import UserError

Words = tuple[str, ...]
Pair = tuple[Path, Path]
SHOWN = 5

_SCALE = re.compile(r"(?<![a-z])x[1-8](?![0-9a-z])|(?<=[shl]r)x[1-8](?![0-9a-z])|(?<!\d)[1-8]x(?![0-9a-z])|srf[_-]?\d")
"""Marks of a scale: x4, SRx4, 4x, SRF_4."""
_SYMBOL = r"[\u2190-\u2bff\U0001f000-\U0001faff]"
"""Emoji, of which names may consist."""
_KINDS = {
    "hr",
    "lr",
    "sr",
    "gt",
    "hq",
    "lq",
    "ref",
    "reference",
    "target",
    "original",
    "orig",
    "groundtruth",
    "ground",
    "truth",
}
"""What kind of image a file holds; never what it shows."""


def pair(files: Sequence[Path], others: Sequence[Path], what: str = "--pairs FILE.csv or --by-order") -> list[Pair]:
    """Each of ``files`` with its partner among ``others``; others may be left over.

    Args:
        what: what decides where names do not, for the message.

    Raises:
        UserError: no rule gives each file one partner of its own; those that compete are named.
    """
    others = _without_twins(others)
    failures = []
    for rule in _RULES:
        found = rule(files, others)
        if all(len(partners) == 1 for partners in found) and len({p[0] for p in found}) == len(files):
            return [(file, partners[0]) for file, partners in zip(files, found, strict=True)]
        failures.append(found)
    best = max(failures, key=lambda found: (sum(map(bool, found)), sum(len(p) == 1 for p in found)))
    raise UserError(_conflict(files, others, best, what))


def by_order(files: Sequence[Path], others: Sequence[Path]) -> list[Pair]:
    """The first with the first, and so on; numbers in names are counted, not spelled.

    Raises:
        UserError: unequal counts.
    """
    if len(files) != len(others):
        raise UserError(f"--by-order: {len(files)} and {len(others)} images; there must be as many of both")
    return list(zip(sorted(files, key=_counted), sorted(others, key=_counted), strict=True))


def listed(table: Path, folder: Path, others: Path) -> list[Pair]:
    """The pairs of a CSV file: a file of ``folder`` and one of ``others`` in each line, with or without a heading.

    Raises:
        UserError: an unreadable table, a line of other length, or a file that does not exist.
    """
    try:
        lines = csv.reader(table.read_text(encoding="utf-8-sig").splitlines())
        rows = [(lines.line_num, row) for row in lines if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: not a readable CSV file ({error})") from error
    pairs: list[Pair] = []
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if len(cells) != 2:
            raise UserError(f"{table}, line {number}: {len(cells)} columns; write two: SR file, HR file")
        one, other = folder / cells[0], others / cells[1]
        if (number, row) == rows[0] and len(rows) > 1 and not any(Path(cell).suffix for cell in cells):
            continue  # a heading
        for path in (one, other):
            if not path.is_file():
                raise UserError(f"{table}, line {number}: no file {path}")
        pairs.append((one, other))
    if not pairs:
        raise UserError(f"{table}: no pairs; write two columns: SR file, HR file")
    return pairs


def _without_twins(others: Sequence[Path]) -> list[Path]:
    """Without LR images beside their HR images: ``img_1_LR.png`` beside ``img_1_HR.png``."""
    stems = {_plain(path) for path in others}
    return [p for p in others if not (s := _plain(p)).endswith("_lr") or not {s[:-3], f"{s[:-3]}_hr"} & stems]


def _plain(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem).casefold()


def _counted(path: Path) -> list[tuple[int, str]]:
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", _plain(path))]


def _marked(name: str) -> str:
    """A name without marks of a scale; as it is where nothing else is in it."""
    rest = _SCALE.sub(" ", name)
    return rest if re.search(r"\w", rest.replace("_", "")) else name


def _words(path: Path) -> Words:
    """Between separators: ``my-baby_x4`` -> my, baby."""
    return tuple(re.findall(rf"(?:[^\W_]|{_SYMBOL})+", _marked(_plain(path))))


def _parts(path: Path) -> Words:
    """Letters and numbers apart: ``img001sr`` -> img, 001, sr."""
    return tuple(re.findall(rf"\d+|(?:[^\W\d_]|{_SYMBOL})+", _marked(_plain(path))))


def _unglued(path: Path) -> Words:
    """As :func:`_parts`, where a scale may follow a word: ``babyx4`` -> baby."""
    return tuple(re.findall(r"\d+|[^\W\d_]+", re.sub(r"(?<=[^\W_])x[1-8](?![0-9a-z])", " ", _marked(_plain(path)))))


def _numbered(path: Path) -> Words:
    """As :func:`_parts`, numbers without leading zeros: ``img_007`` -> img, 7."""
    return tuple(part.lstrip("0") or "0" if part.isdecimal() else part for part in _parts(path))


def _equal(
    form: Callable[[Path], object], files: Sequence[Path], others: Sequence[Path]
) -> list[list[Path]]:  # fmt: skip
    named: dict[object, list[Path]] = {}
    for other in others:
        named.setdefault(form(other), []).append(other)
    return [named.get(form(file), []) for file in files]


def _contained(
    split: Callable[[Path], Words],
    trim_files: bool,
    trim_others: bool,
    files: Sequence[Path],
    others: Sequence[Path],
) -> list[list[Path]]:
    """For each file those of the others with the longest name that is part of its own."""
    whole = [split(file) for file in files]
    words = _trimmed(whole) if trim_files else whole
    names = [_kindless(name) for name in (_trimmed if trim_others else list)([split(other) for other in others])]
    result = []
    for file in words:
        inside = [(sum(map(len, n)), other) for n, other in zip(names, others, strict=True) if n and _within(n, file)]
        longest = max((length for length, _ in inside), default=0)
        result.append([other for length, other in inside if length == longest])
    return result


def _within(name: Words, file: Words) -> bool:
    """Whether all words of a name are in a file's, in that order."""
    rest = iter(file)
    return all(word in rest for word in name)


def _kindless(name: Words) -> Words:
    return tuple(word for word in name if word not in _KINDS) or name


def _trimmed(names: list[Words]) -> list[Words]:
    """Without the words with which all names begin or end; at least one of each stays."""
    if len(names) < 2:
        return names
    first, last = _common(names), _common([name[::-1] for name in names])
    shortest = min(map(len, names))
    first = min(first, shortest - 1)
    last = min(last, shortest - 1 - first)
    return [name[first : len(name) - last] for name in names]


def _common(names: Iterable[Words]) -> int:
    count = 0
    for column in zip(*names, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count


Rule = Callable[[Sequence[Path], Sequence[Path]], list[list[Path]]]


def _rules() -> Iterator[Rule]:
    yield partial(_equal, _plain)
    for trim_others in (False, True):
        for split in (_words, _parts, _unglued, _numbered):
            for trim_files in (False, True):
                yield partial(_contained, split, trim_files, trim_others)


_RULES = tuple(_rules())
"""From the strictest on."""


def _conflict(files: Sequence[Path], others: Sequence[Path], found: list[list[Path]], what: str) -> str:
    """Which files have no partner, or compete for one."""
    for file, partners in zip(files, found, strict=True):
        if not partners:
            return f"{file}: no image of that name in {others[0].parent}; {what} decides"
        if len(partners) > 1:
            return f"{file}: {_list(partners)} compete for it by their names; {what} decides"
    taken: dict[Path, list[Path]] = {}
    for file, partners in zip(files, found, strict=True):
        taken.setdefault(partners[0], []).append(file)
    other, rivals = next((other, rivals) for other, rivals in taken.items() if len(rivals) > 1)
    return f"{rivals[0].parent}: {_list(rivals)} compete for {other.name} by their names; {what} decides"


def _list(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(path.name for path in paths[:SHOWN]) + more
