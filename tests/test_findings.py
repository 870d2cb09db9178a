"""Every number of docs/findings.md, computed again from the scores of single images, by SciPy's Student's t."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from mtkd.experiments.maintain.evidence import measured_report
from mtkd.experiments.records import MEASURED

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
SETS = ("held out", "Set5", "Set14")
TEACHERS = {"edsr_mini", "rcan_mini", "swinir_mini"}
TOGETHER = ("Set14", "held out")
NUMBER = re.compile(r"[−+]?\d+\.\d+")


@pytest.fixture(scope="module")
def page() -> str:
    return re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))


@cache
def scores() -> dict[tuple[str, int], dict[int, dict[tuple[str, str], float]]]:
    """PSNR by set and image, by seed, of each model of a scale."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    query = "select name, scale, seed, set_name, image, metrics from runs join scores using (digest)"
    with closing(sqlite3.connect(MEASURED / "mini.sqlite")) as records:
        for name, scale, seed, set_name, image, metrics in records.execute(query):
            found[name, scale][seed][set_name, image] = json.loads(metrics)["psnr"]
    return found


def gains(first: str, second: str, *sets: str, scale: int = 4, most: int = 99) -> list[float]:
    """Mean differences in dB, one a seed; a teacher is compared with all of the other's."""
    one, other = scores()[first, scale], scores()[second, scale]
    if {first, second} & TEACHERS:
        pairs = [(one[a], other[b]) for a in sorted(one) for b in sorted(other)][:most]
    else:
        pairs = [(one[seed], other[seed]) for seed in sorted(one.keys() & other.keys())[:most]]
    return [float(np.mean([a[image] - b[image] for image in a if image[0] in sets])) for a, b in pairs]


def interval(values: list[float], level: float = 0.95) -> tuple[float, float]:
    return student.interval(level, len(values) - 1, np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values)))


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def cell(first: str, second: str, *sets: str, level: float = 0.95, **options: int) -> str:
    """As in the page's tables: "+0.218 [+0.215, +0.221]"."""
    values = gains(first, second, *sets, **options)
    low, high = interval(values, level)
    return f"{signed(float(np.mean(values)))} [{signed(low)}, {signed(high)}]"


def plain(text: str) -> str:
    """Without plus signs, as in sentences that say which is ahead."""
    return text.replace("+", "")


def size(first: str, second: str, set_name: str, digits: int = 2, **options: int) -> str:
    return f"{abs(np.mean(gains(first, second, set_name, **options))):.{digits}f}"


def both(first: str, second: str, digits: int = 2, **options: int) -> str:
    """On Set5 and Set14: "0.40 and 0.27"."""
    return " and ".join(size(first, second, name, digits, **options) for name in ("Set5", "Set14"))


def largest(*pairs: tuple[str, str], scale: int = 4) -> float:
    """Of the mean differences on Set5 and Set14, the largest without signs."""
    return max(abs(np.mean(gains(*pair, name, scale=scale))) for pair in pairs for name in ("Set5", "Set14"))


def span(first: str, *others: str, sets: tuple[str, ...] = SETS) -> str:
    """From the smallest to the largest mean difference: "0.02 to 0.09"."""
    means = [np.mean(gains(first, other, name)) for other in others for name in sets]
    return f"{min(means):.2f} to {max(means):.2f}"


def in_short() -> Iterator[str]:
    means = [
        np.mean(gains(f"{net}_tiny-mtkd", f"{net}_tiny-scratch", name))
        for net in ("rcan", "compact", "edsr", "swinir") for name in SETS
    ]  # fmt: skip
    yield f"{min(means):.2f} to {max(means):.2f} dB above the same students alone"
    rcan, compact, edsr, swinir = (
        cell(f"{net}_tiny-mtkd", f"{net}_tiny-scratch", *TOGETHER, level=0.975).removeprefix("+")
        for net in ("rcan", "compact", "edsr", "swinir")
    )
    yield f"RCAN gains {rcan}, n = 10: *better*. Compact gains {compact}, n = 3: *better*"
    yield f"EDSR's {edsr} and SwinIR's {swinir} are undecided"
    yield f"MTKD and KD are level, {cell('rcan_tiny-mtkd', 'rcan_tiny-kd', *TOGETHER, level=0.975)}, n = 5"


def combined_teacher() -> Iterator[str]:
    for title, other in (
        ("MT against EDSR", "edsr_mini"),
        ("MT against RCAN, the best teacher", "rcan_mini"),
        ("MT against SwinIR", "swinir_mini"),
        ("MT of three against MT of SwinIR alone (v2)", "aggregator_mini-v2"),
    ):
        yield f"| {title} | {cell('aggregator_mini', other, 'Set5')} | {cell('aggregator_mini', other, 'Set14')} |"
    yield f"(v1: {both('aggregator_mini', 'aggregator_mini-v1', 3)} behind, n = 1)"
    rows = json.loads((MEASURED / "mini-agreement.json").read_text())
    means = {row["set"]: row["gains"] for row in rows if row["scale"] == 4}
    yield f"gains {means['Set5']['mean']:.2f} dB on Set5 and {means['Set14']['mean']:.2f} on Set14"
    yield f"predicts this on Set14 ({means['Set14']['predicted']:.2f})"
    yield f"predicts too much on Set5 ({means['Set5']['predicted']:.2f})"
    within = largest(*(("aggregator_mini", f"aggregator_mini-{v}") for v in ("v3", "v4")))
    yield f"(within {within:.3f}, n = 1)"
    within = largest(*(("rcan_tiny-mtkd", f"rcan_tiny-{v}") for v in ("v3", "v4")))
    yield f"(within {within:.3f}, n = 3; v4 with Swin's mask too, n = 1)"
    assert largest_of_seed_1(("rcan_tiny-mtkd", "rcan_tiny-v4_masked")) <= within
    leads = [np.mean(gains("edsr_mini", f"{t}_mini", s, scale=x)) for t in ("rcan", "swinir") for s in ("Set5", "Set14")
             for x in (2, 3)]  # fmt: skip
    yield f"EDSR leads the other teachers by {min(leads):.1f} to {max(leads):.1f} dB"
    within = max(largest(("aggregator_mini", "edsr_mini"), scale=scale) for scale in (2, 3))
    yield f"(within {within:.2f} on Set5 and Set14; n = 1 at x2, 3 at x3)"
    yield f"it is *worse*: {cell('aggregator_mini', 'edsr_mini', *TOGETHER, level=0.975, scale=3)}"


def distillation() -> Iterator[str]:
    for title, net in (("RCAN", "rcan"), ("EDSR", "edsr"), ("SwinIR", "swinir")):
        for against, other in (("alone", "scratch"), ("KD", "kd")):
            cells = (cell(f"{net}_tiny-mtkd", f"{net}_tiny-{other}", name) for name in SETS)
            yield f"| {title} | {against} | {' | '.join(cells)} |"
    x2, x3 = (both("edsr_tiny-mtkd", "edsr_tiny-scratch", scale=scale) for scale in (2, 3))
    yield f"At x2 and x3 the EDSR student gains {x2} dB, and {x3} dB (Set5, Set14, n = 1)"
    below = [plain(cell("rcan_mini", "rcan_tiny-mtkd", name)) for name in ("Set5", "Set14")]
    yield f"RCAN by {below[0]} dB on Set5 and {below[1]} on Set14"
    ahead = [plain(cell("rcan_tiny-mtkd", "rcan_tiny-v2", name)) for name in ("Set5", "Set14")]
    yield f"(v2) by {ahead[0]} on Set5 and {ahead[1]} on Set14"
    seed_1 = largest_of_seed_1(("rcan_tiny-best", "rcan_tiny-mtkd"), ("rcan_tiny-mean", "rcan_tiny-mtkd"))
    yield f"in the place of MT it does as well (within {seed_1:.3f}, n = 1)"


def largest_of_seed_1(*pairs: tuple[str, str]) -> float:
    return max(abs(gains(*pair, name, most=1)[0]) for pair in pairs for name in ("Set5", "Set14"))


def when_it_pays() -> Iterator[str]:
    rows = {
        "on 380 images, 10,000 steps, with 24 channels": "rcan_tiny-{}",
        "on 40 images": "rcan_tiny-{}_40_images",
        "on 4 images": "rcan_tiny-{}_4_images",
        "for 5,000 steps": "rcan_tiny-{}_5000_steps",
        "for 2,500 steps": "rcan_tiny-{}_2500_steps",
        "with 12 channels": "rcan_tiny12-{}",
    }
    for title, name in rows.items():
        cells = []
        for method in ("kd", "mtkd"):
            pair = name.format(method), name.format("scratch")
            most = 10 if method == "mtkd" else 3  # for KD no second look was planned
            bold = "**" if interval(gains(*pair, *TOGETHER, most=most), 0.975)[0] > 0 else ""
            cells.append(f"{bold}{cell(*pair, *TOGETHER, level=0.975, most=most)}{bold}")
        yield f"| {title} | {' | '.join(cells)} |"
    few = [
        np.mean(gains(f"rcan_tiny-{method}_40_images", "rcan_tiny-scratch_40_images", *TOGETHER))
        for method in ("kd", "mtkd")
    ]
    yield f"it gains {few[0]:.3f} by KD and {few[1]:.3f} by MTKD"
    ahead = cell("rcan_tiny-mtkd_40_images", "rcan_tiny-scratch", *TOGETHER, level=0.975)
    yield f"it is {ahead.removeprefix('+')} ahead of itself alone on 380"
    dct = [
        cell(f"rcan_tiny-v6{after}", f"rcan_tiny-scratch{after}", *TOGETHER, level=0.975)
        for after in ("_2500_steps", "")
    ]
    yield f"gains most then: {dct[0]}, *better*; after 10,000 steps {dct[1]}"


def shipped() -> Iterator[str]:
    for family, variants in (("SPAN", ("scratch", "mtkd")), ("Compact", ("scratch", "kd", "mtkd"))):
        for variant in variants:
            images = scores()[f"{family.lower()}_tiny-{variant}", 4][1]  # seed 1, which is bundled
            means = (np.mean([psnr for image, psnr in images.items() if image[0] == name]) for name in SETS)
            title = "alone" if variant == "scratch" else f"with {variant.upper()}"
            yield f"| {family} {title} | {' | '.join(f'{mean:.3f}' for mean in means)} |"
    images = scores()["span_tiny-shipped", 4][1]
    means = (np.mean([psnr for image, psnr in images.items() if image[0] == name]) for name in SETS)
    yield f"| SPAN with the DCT loss, 40,000 steps | {' | '.join(f'{mean:.3f}' for mean in means)} |"
    longer = [size("span_tiny-shipped", "span_tiny-mtkd", name) for name in ("Set5", "Set14")]
    yield f"Length and loss together add {longer[0]} and {longer[1]} dB to SPAN with MTKD"
    ahead = [size("span_tiny-scratch", "rcan_tiny-mtkd", name, most=1) for name in ("Set5", "Set14")]
    yield f"ahead of the RCAN student with MTKD by {ahead[0]} dB on Set5 and {ahead[1]} on Set14"
    yield f"MTKD adds {signed_2('span_tiny-mtkd', 'span_tiny-scratch')} to it"
    kd, mtkd, over_kd = (
        cell(f"compact_tiny-{first}", f"compact_tiny-{second}", *TOGETHER, level=0.975)
        for first, second in (("kd", "scratch"), ("mtkd", "scratch"), ("mtkd", "kd"))
    )
    yield f"KD {kd}, MTKD {mtkd}"
    yield f"MTKD over KD {over_kd}"


def signed_2(first: str, second: str) -> str:
    """On Set5 and Set14, of one seed: "+0.07 and +0.04"."""
    means = (np.mean(gains(first, second, name)) for name in ("Set5", "Set14"))
    return " and ".join(f"{mean:+.2f}".replace("-", "−") for mean in means)


def other_methods() -> Iterator[str]:
    yield f"ahead of MTKD by {size('rcan_tiny-crosskd', 'rcan_tiny-mtkd', 'Set5')} dB on Set5"
    yield f"and {size('rcan_tiny-crosskd', 'rcan_tiny-mtkd', 'Set14')} on Set14; on EDSR's"
    yield f"level (within {largest(('edsr_tiny-crosskd', 'edsr_tiny-mtkd')):.3f})"
    yield f"level with MTKD on the RCAN student (within {largest(('rcan_tiny-dukd', 'rcan_tiny-mtkd')):.3f})"
    mipkd = [gains("rcan_tiny-mipkd", "rcan_tiny-mtkd", name)[0] for name in ("Set5", "Set14")]
    yield f"ahead of MTKD on the RCAN student by {mipkd[0]:.3f} dB on Set5 and behind by {-mipkd[1]:.3f} on Set14"
    yield f"DCKD is level with it (within {largest(('rcan_tiny-dckd', 'rcan_tiny-mtkd')):.3f})"
    gain = [plain(cell("swinir_tiny-kd", "swinir_tiny-scratch", name)) for name in ("Set5", "Set14")]
    yield f"it gains {gain[0]} on Set5 and {gain[1]} on Set14 by KD (n = 3)"
    at, crosskd, fakd, v5, v6 = (
        both(f"swinir_tiny-{method}", "swinir_tiny-scratch") for method in ("at", "crosskd", "fakd", "v5", "v6")
    )
    yield f"AT {at}, CrossKD {crosskd}, FAKD {fakd}"
    yield f"L1 (v5) gives {v5}, the DCT loss (v6) {v6}"


def loss() -> Iterator[str]:
    for title, other in (("v5: L1", "v5"), ("v6: DCT", "v6"), ("v7: detail bands only", "v7")):
        cells = (cell("rcan_tiny-mtkd", f"rcan_tiny-{other}", name) for name in SETS)
        yield f"| {title} | {' | '.join(cells)} |"
    values = gains("rcan_tiny-v6", "rcan_tiny-mtkd", *TOGETHER)
    low, high = interval(values, 0.975)
    yield f"MTKD is behind by {np.mean(values):.3f} (97.5 % interval {low:.3f} to {high:.3f}, n = 3)"
    yield f"{cell('rcan_tiny-v7', 'rcan_tiny-scratch', 'Set5')} on Set5, n = 3"
    set5, set14 = (cell("edsr_tiny-v6", "edsr_tiny-scratch", name).removeprefix("+") for name in ("Set5", "Set14"))
    yield f"the DCT loss gains {set5} on Set5 and {set14} on Set14"
    yield f"two or three levels lose {span('rcan_tiny-mtkd', 'rcan_tiny-k2', 'rcan_tiny-k3')} dB"
    yield f"db2 and sym4 {span('rcan_tiny-mtkd', 'rcan_tiny-db2', 'rcan_tiny-sym4')}"
    yield f"alpha = 1 {span('rcan_tiny-mtkd', 'rcan_tiny-alpha_1')}"
    v8, v9 = (both("rcan_tiny-mtkd", f"rcan_tiny-{name}", 3, most=1) for name in ("v8", "v9"))
    assert gains("rcan_tiny-v8", "rcan_tiny-mtkd", *SETS)[0] < 0 < gains("rcan_tiny-v9", "rcan_tiny-mtkd", *SETS)[0]
    yield f"(v8) is behind MTKD by {v8} dB, the weighted one of two levels (v9) is ahead by {v9}"
    set5, set14 = (cell("rcan_tiny-mtkd", "rcan_tiny-alpha_0", name).removeprefix("+") for name in ("Set5", "Set14"))
    yield f"alpha = 0.1 is ahead by {set5} on Set5 and {set14} on Set14"


PARTS = (in_short, combined_teacher, distillation, when_it_pays, shipped, other_methods, loss)


def places(words: str, page: str) -> list[tuple[int, int]]:
    """Where a sentence stands, its numbers equal up to one in the last digit (those of tables are rounded twice)."""
    pattern = NUMBER.pattern.join(f"(?:{re.escape(part)})" for part in NUMBER.split(words))
    expected = [float(number.replace("−", "-")) for number in NUMBER.findall(words)]
    found = []
    for match in re.finditer(pattern, page):
        texts = NUMBER.findall(match[0])
        digits = [len(text.partition(".")[2]) for text in texts]
        numbers = [float(text.replace("−", "-")) for text in texts]
        if all(abs(a - b) < 1.1 * 10**-d for a, b, d in zip(numbers, expected, digits, strict=True)):
            found.append(match.span())
    return found


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_sentences_say_what_the_records_say(part, page) -> None:
    assert not [words for words in part() if not places(words, page)]


def test_no_other_number_stands_on_the_page(page) -> None:
    rest = re.sub(r"97\.5 %|alpha = 0\.1\b", lambda match: "_" * len(match[0]), page)
    for words in itertools.chain.from_iterable(part() for part in PARTS):
        for start, end in places(words, page):
            rest = f"{rest[:start]}{'_' * (end - start)}{rest[end:]}"
    assert not NUMBER.findall(rest), "say where they come from"


def test_a_number_that_is_off_is_seen(page) -> None:
    words = next(in_short())
    assert places(words, page) and not places(words.replace("0.08", "0.10"), page)


def test_verdicts_of_the_claims_are_counted_as_they_are(page) -> None:
    counts = Counter(claim["verdict"] for claim in measured_report("mini")["claims"])
    words = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    assert f"none is confirmed, {words[counts['does not hold']]} do not hold" in page
    assert f"and {words[counts['undecided']]} are undecided" in page and not counts["holds"]
