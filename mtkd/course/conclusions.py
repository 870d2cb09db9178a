"""The box at the end of a lesson: what the paper says, what the records say here, and why, as we read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mtkd import zoo
from mtkd.experiments.maintain.evidence import measured_agreements, measured_report
from mtkd.experiments.tables import sentence
from mtkd.numbers import signed


@dataclass(frozen=True)
class Conclusion:
    """One box; ``here`` reads the report."""

    paper: str
    here: Callable[[Mapping[str, Any]], str]
    why: str


def conclusion(lesson: str, report: Mapping[str, Any] | None = None) -> str:
    """The box of a lesson, "03" to "09", as markdown.

    Args:
        report: of :func:`mtkd.experiments.maintain.evidence.measured_report`; by default that of the bundled records.
    """
    box = CONCLUSIONS[lesson]
    here = box.here(report or _report())
    rows = {"The paper says": box.paper, "Here": here, "Why, as we read it": box.why}
    return "\n".join(["| | |", "|---|---|", *(f"| **{name}** | {text} |" for name, text in rows.items())])


@cache
def _report() -> dict[str, Any]:
    return measured_report("mini")


def _verdict(report: Mapping[str, Any], name: str) -> str:
    return next(f"*{claim['verdict']}*" for claim in report["claims"] if claim["id"] == name)


def _rows(report: Mapping[str, Any], *comparisons: tuple[str, str, str, str]) -> str:
    """Sentences of comparisons: (words, table, first, second)."""
    return "; ".join(f"{words}: {sentence(report, table, a, b)}" for words, table, a, b in comparisons)


def _aggregation(report: Mapping[str, Any]) -> str:
    row = next(row for row in measured_agreements("mini") if (row["set"], row["scale"]) == ("Set14", 4))
    gains = {name: f"{signed(row['gains'][name], '+.3f')} dB" for name in ("aggregator_mini", "mean")}
    return (
        f"On Set14 at x4 MT is {gains['aggregator_mini']} over the best teacher, the plain mean {gains['mean']}. "
        f'Verdicts: "better than every teacher on every set and scale" {_verdict(report, "mt-over-teachers")}, '
        f'"DCTSwin is better" {_verdict(report, "dctswin")}. '
        + _rows(report, ("MTKD over v3", "table5", "mtkd", "v3"), ("over v4", "table5", "mtkd", "v4"))
    )


def _wavelets(report: Mapping[str, Any]) -> str:
    return f"Verdict on the claim: {_verdict(report, 'wavelet-loss')}. " + _rows(
        report,
        ("Wavelet loss over L1 (v5)", "table5", "mtkd", "v5"),
        ("over DCT (v6)", "table5", "mtkd", "v6"),
        ("over detail bands alone (v7)", "table5", "mtkd", "v7"),
    )


def _distillation(report: Mapping[str, Any]) -> str:
    return (
        f'Verdicts: "distillation helps" {_verdict(report, "distillation-helps")}, "better than KD" '
        f"{_verdict(report, 'mtkd-over-kd')}. "
    ) + _rows(
        report,
        ("RCAN student, MTKD over scratch", "table2", "mtkd", "scratch"),
        ("over KD", "table2", "mtkd", "kd"),
        ("EDSR student, over KD", "table3", "mtkd", "kd"),
        ("SwinIR student, over KD", "table4", "mtkd", "kd"),
    )


def _baselines(report: Mapping[str, Any]) -> str:
    return f"Verdict on the claim: {_verdict(report, 'mtkd-over-others')}. RCAN student: " + _rows(
        report,
        *((f"MTKD over {title}", "table2", "mtkd", name) for title, name in _OTHERS.items()),
    )


_OTHERS = {"AT": "at", "FAKD": "fakd", "DUKD": "dukd", "CrossKD": "crosskd"}


def _ablations(report: Mapping[str, Any]) -> str:
    verdicts = {"more teachers": "more-teachers", "DCTSwin": "dctswin", "wavelet loss": "wavelet-loss"}
    words = ", ".join(f"{title} {_verdict(report, name)}" for title, name in verdicts.items())
    return f"Verdicts: {words}. " + _rows(
        report,
        ("MTKD over two teachers (v1)", "table5", "mtkd", "v1"),
        ("over one (v2)", "table5", "mtkd", "v2"),
        ("over DCT loss (v6)", "table5", "mtkd", "v6"),
    )


def _attribution(report: Mapping[str, Any]) -> str:
    aggregator: Any = zoo.load("aggregator_mini", 4).aggregator
    weights = aggregator.teacher_weights.detach().flatten().tolist()
    words = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(aggregator.teachers, weights, strict=True))
    return (
        f"All three teachers take part: the learned weights of their images are {words}, and shares, signed "
        f"shares and "
        "Shapley values agree with them. DI says how widely a map is spread: it is the same for a weight of "
        "0.9 and of 0.1."
    )


def _findings(report: Mapping[str, Any]) -> str:
    by_verdict: dict[str, list[str]] = {}
    for claim in report["claims"]:
        by_verdict.setdefault(claim["verdict"], []).append(claim["text"].rstrip("."))
    return "<br>".join(f"*{verdict}* ({len(texts)}): {'; '.join(texts)}." for verdict, texts in by_verdict.items())


CONCLUSIONS = {
    "03": Conclusion(
        "The aggregated image is better than the image of every teacher, and DCTSwin blocks make it better "
        "than Mixer layers "
        "or attention without DCT do (Sec. 5.1, 5.3.2).",
        _aggregation,
        "The teachers miss the same detail, so an average gains little, and the branch adds next to nothing "
        "to the weighted "
        "sum: its inside cannot show what it is worth.",
    ),
    "04": Conclusion(
        "The wavelet loss is better than L1 on pixels, than L1 on DCT coefficients, and than the detail bands alone "
        "(Sec. 5.3.3).",
        _wavelets,
        "LL carries the largest share of the loss, and there it is nearly L1 on a smaller picture. Without LL, coarser "
        "scales are seen by the weak term of the ground truth alone. Where the DCT is ahead, it is on a few "
        "pictures with "
        "large sharp edges (lesson 9).",
    ),
    "05": Conclusion(
        "MTKD is better than the student without a teacher, and than KD from one teacher, for every student "
        "(Sec. 5.1).",
        _distillation,
        "A teacher's image seems to help as a target, but MT is nearly the image of one good teacher. The gain is "
        "limited by what the student can still learn from LR, not by the target.",
    ),
    "06": Conclusion(
        "MTKD is better than AT, FAKD, DUKD and CrossKD (Sec. 5.1, Tables 2 to 4).",
        _baselines,
        "Each method passes on some of what a teacher knows from LR; none can pass on detail that LR does "
        "not hold. The "
        "paper takes the numbers of DUKD and CrossKD from their publications, trained elsewhere; here one "
        "loop trains all.",
    ),
    "07": Conclusion(
        "Each part is of use: three teachers, DCTSwin, the wavelet loss (Table 5; one number for each, no seeds).",
        _ablations,
        "Most differences are smaller than what another seed changes. v2 keeps SwinIR, the paper's best "
        "teacher, which is "
        "the weakest of ours at x4. Whether a part is of no use or the students are too small to show it, "
        "these runs do not say.",
    ),
    "08": Conclusion(
        "All teachers contribute to MT, by their diffusion index in Fig. 4 (one image, one window).",
        _attribution,
        "The mini aggregator is nearly a weighted mean, so all ways of dividing up its detail give the weights.",
    ),
    "09": Conclusion(
        "The claims of Sec. 5.1 to 5.3, each from one training of each network.",
        _findings,
        "Students of this size, trained for a twenty-fifth of the paper's steps, gain hundredths of a dB, as "
        "much as seeds "
        "change. *Undecided* is no refutation; it is what a few seeds can say.",
    ),
}
"""The boxes by lesson."""
