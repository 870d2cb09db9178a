# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12. Read the paper like a reviewer
#
# **Goal.** Take the tables of the paper as data: find what is missing and what looks odd, check each claim on the
# printed numbers, say what would refute it, and plan an experiment that could.
#
# **Time.** About 40 minutes to read, a few seconds to run. *Optional:* not on the core path.
#
# *In the paper:* Tables 2 to 5, Sec. 5.
#
# *In the code:* [mtkd/experiments/paper.yaml](../mtkd/experiments/paper.yaml) (the printed numbers),
# [mtkd/experiments/claims.py](../mtkd/experiments/claims.py),
# [mtkd/experiments/statistics.py](../mtkd/experiments/statistics.py)
#
# A reviewer is not an opponent. The authors report unfavourable cells, mark the best ones, and say which numbers they
# took from other papers. The questions below should be asked of any paper with such tables, and of this course.

# %%
from collections import Counter
from itertools import combinations
from statistics import median

import numpy as np
from IPython.display import Markdown

from mtkd.course import check, progress
from mtkd.experiments.claims import evidence, printed_evidence
from mtkd.experiments.maintain.evidence import measured_report
from mtkd.experiments.published import published
from mtkd.experiments.statistics import ALPHA, quantile, seeds_to_decide
from mtkd.explore.evidence import charts
from mtkd.numbers import signed

paper, report = published(), measured_report("mini")
STUDENTS = {"table2": "RCAN", "table3": "EDSR", "table4": "SwinIR"}
RIVALS = ("kd", "at", "fakd", "dukd", "crosskd")
TITLES = {"kd": "KD", "at": "AT", "fakd": "FAKD", "dukd": "DUKD", "crosskd": "CrossKD", "scratch": "Compact"}
TITLES |= {"mtkd": "MTKD", "full": "Full", "MT": "MT"}

# every printed cell of Tables 2 to 4: (table, scale, row, set, PSNR, SSIM)
cells = [
    (table, scale, row, name, *paper.cell(table, scale, row, name))
    for table in STUDENTS
    for scale, rows in paper.tables[table].items()
    for row, sets in rows.items()
    for name in sets
]
psnr = {cell[:4]: cell[4] for cell in cells}
places = [(table, scale, name) for table in STUDENTS for scale in (2, 3, 4) for name in paper.sets]
print(f"{len(cells)} cells with two numbers each; {len(places)} places (student, scale, set) to compare methods at")

# %% [markdown]
# ## 1. What is not there?
#
# First look for the gaps. A missing row is a rival that cannot win.

# %%
lines = ["| student | " + " | ".join(TITLES[m] for m in RIVALS) + " |", "|---|" + ":-:|" * len(RIVALS)]
for table, student in STUDENTS.items():
    there = ["yes" if ("Set5" in paper.tables[table][4].get(m, {})) else "–" for m in RIVALS]
    lines.append(f"| {student} | {' | '.join(there)} |")
Markdown("\n".join(lines))

# %% [markdown]
# Sec. 5.1 says why: there is no source code, and no number in the original paper. That is honest. But then "better than
# all other methods" is a statement about five rivals for one student, four for another and three for the third.
#
# There are other gaps: no seeds and no spread anywhere; one student, one scale and one set in Table 5; no training
# times; and, outside of v5 in Table 5, nothing that separates the better teacher from the better loss.
#
# ## 2. Which numbers look odd?
#
# On one set PSNR and SSIM rise together: two methods that gain 0.1 dB gain about the same in SSIM. So we fit a line
# through the cells of one set at one scale, and look for cells far from it. A large misprint cannot hide.


# %%
def odd_cells(values, limit=4.0):
    """(distance in robust standard deviations, place) of cells far from the line SSIM(PSNR) of their scale and set."""
    found = []
    for scale, name in {(cell[1], cell[3]) for cell in values}:
        group = [cell for cell in values if (cell[1], cell[3]) == (scale, name)]
        x, y = np.array([cell[4] for cell in group]), np.array([cell[5] for cell in group])
        pairs = [(i, j) for i, j in combinations(range(len(x)), 2) if abs(x[i] - x[j]) > 0.05]
        slope = median((y[i] - y[j]) / (x[i] - x[j]) for i, j in pairs)  # Theil-Sen: the median of all slopes
        left = y - slope * x
        left = (left - np.median(left)) / (1.4826 * np.median(abs(left - np.median(left))))
        found += [(float(z), cell) for z, cell in zip(left, group, strict=True) if abs(z) > limit]
    return sorted(found, key=lambda one: -abs(one[0]))


misprints = {(fix.table, fix.scale, fix.row, fix.set): fix.printed for fix in paper.corrections}
as_printed = [(*cell[:5], misprints.get(cell[:4], cell[5])) for cell in cells]
worst = odd_cells(as_printed)
lines = ["| table | scale | row | set | PSNR | SSIM | distance |", "|---|--:|---|---|--:|--:|--:|"]
for z, (table, scale, row, name, db, ssim) in worst[:6]:
    lines.append(f"| {table[-1]} | x{scale} | {TITLES[row]} | {name} | {db:.2f} | {ssim:.4f} | {signed(z, '+.0f')} |")
Markdown("\n".join(lines))

# %%
(fix,) = paper.corrections
assert worst[0][1][:4] == (fix.table, fix.scale, fix.row, fix.set)  # the check finds it first
print(f"{fix.table}, x{fix.scale}, {fix.set}: printed {fix.printed}, read as {fix.read}: {fix.why}")

# %% [markdown]
# The first is surely a misprint: two digits changed places. The others need not be errors; they are questions. A row
# whose SSIM does not fit its PSNR may come from another measurement. The rows *Full* and *Compact* do come from other
# papers, and SSIM from another program can differ in the third digit. **A row that was measured elsewhere is not a
# control.**
#
# The package has these notes about single cells:

# %%
Markdown("\n".join(f"- Table {note.table[-1]}: {note.text}" for note in paper.footnotes))

# %% [markdown]
# ## 3. Check every sentence on the printed numbers
#
# "Consistently the best", "better than its teacher", "the gain grows with the gap": each is a statement about cells, so
# we can count. The last column has the verdict of our own small runs, with seeds.

# %%
lines = ["| claim | in the paper's cells | here, at size mini |", "|---|--:|---|"]
for claim in report["claims"]:
    lines.append(f"| {claim['text']} ({claim['where']}) | {printed_evidence(claim)} | {claim['verdict']} |")
Markdown("\n".join(lines))

# %% [markdown]
# The numbers support most of the sentences in every cell, but not two of them. The RCAN student is better than
# its teacher in fewer than half of the cells; the paper's "e.g." names the best of them. And whether the gain
# grows with the gap depends on what is counted: over the nine students, each averaged over the four sets, the rank
# correlation is near zero; over the 36 single cells it is about 0.7, because Urban100 has the largest gaps and the
# largest gains. (The paper speaks of the gain over other methods; with that gain it is the same.) It takes five minutes
# to check such a sentence, and a second look to read it fairly.
#
# ### Who is second?
#
# Sec. 5.1: "The second best performer is DUKD for RCAN and FAKD for SwinIR and EDSR, typically with lower PSNR results
# (up to 0.46 dB)". This, too, can be counted:

# %%
second, margins = {}, {}
for table, scale, name in places:
    rivals = {row: psnr[table, scale, row, name] for row in RIVALS if (table, scale, row, name) in psnr}
    best = max(rivals, key=rivals.get)
    second.setdefault(STUDENTS[table], Counter())[TITLES[best]] += 1
    margins.setdefault(STUDENTS[table], []).append(psnr[table, scale, "mtkd", name] - rivals[best])
largest = max(max(values) for values in margins.values())
assert round(largest, 2) == 0.46  # as the paper says
for student, counts in second.items():
    print(f"{student}: second is {', '.join(f'{m} in {n} of 12' for m, n in counts.most_common())}")
print(f"margins of MTKD over the second: {min(map(min, margins.values())):.2f} to {largest:.2f} dB")

# %%
# Exercise 12.1: in how many of the 36 places is an MTKD student better than its full teacher in SSIM?
answer_1 = ...  # replace the dots

check("12.1", answer_1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# ssim = {cell[:4]: cell[5] for cell in cells}
# answer_1 = sum(ssim[t, s, "mtkd", n] > ssim[t, s, "full", n] for t, s, n in places)
# ```
#
# In PSNR there are far fewer. The rows *Full* are from other papers: does SSIM show a better student, or another
# program? The tables cannot tell.
# </details>

# %% [markdown]
# ## 4. Is the margin larger than the luck?
#
# The paper does not say how far another seed would move a number. For our students the records do: they show how much
# the difference between two students of the same seed varies over the seeds. The band in the picture is two such
# spreads to each side. Inside it, a single pair of runs says little.

# %%
spreads = [
    value
    for table in report["tables"]
    for found in table.get("differences", [])
    for cell in found["sets"].values()
    if (value := cell["spread"]) is not None
]
typical = median(spreads)  # of a difference between two students of the same seed, so already that of two runs
inside = sum(abs(m) < 2 * typical for values in margins.values() for m in values)
total = sum(map(len, margins.values()))
charts.strip(
    margins,
    "MTKD over the best other method in the paper, dB: a dot is one scale and set",
    (-2 * typical, 2 * typical),
    f"two spreads of a difference at size mini: ±{2 * typical:.2f} dB",
)

# %%
Markdown(
    f"**{inside} of {total}** margins are smaller than two spreads of a difference in our runs "
    f"(±{2 * typical:.3f} dB; median of {len(spreads)} differences). If the paper's students scatter like ours, luck "
    "in the seed does not explain its margins. It may explain the smallest ones."
)

# %% [markdown]
# That is good news for the paper, and a reviewer should say so. What a seed does not explain, something else may: rows
# from other papers, another program, other training times, choices made on the test sets. Those are not luck, and more
# seeds do not remove them.
#
# **Cells are not independent.** 36 cells look like 36 confirmations. But one trained student fills four of them: the
# four sets share its luck. There are nine students per method, and all of them learn from three MTs, one per scale.
#
# ## 5. Take the gain apart
#
# What does the headline number consist of, the gain of the RCAN student on Urban100 at x4? Tables 2 and 5 hold the
# parts:

# %%
table5 = {row: sets["Urban100"][0] for row, sets in paper.tables["table5"][4].items()}
here = {row: psnr["table2", 4, row, "Urban100"] for row in ("scratch", "kd", "dukd", "mtkd", "full", "MT")}
assert here["mtkd"] == table5["mtkd"]  # the two tables agree
parts = {
    "KD from its teacher, over alone": here["kd"] - here["scratch"],
    "MT in place of the teacher, L1 (v5 − KD)": table5["v5"] - here["kd"],
    "wavelet loss in place of L1 (MTKD − v5)": table5["mtkd"] - table5["v5"],
}
assert abs(sum(parts.values()) - (here["mtkd"] - here["scratch"])) < 1e-9
charts.bars({"RCAN student, Urban100, x4, printed numbers": parts}, "dB", "+.2f", columns=1)

# %%
whole, (first, _, last) = sum(parts.values()), parts
of_loss = parts[last]
Markdown(
    f"Of {whole:.2f} dB, {1 - parts[first] / whole:.0%} go beyond plain KD, and {of_loss / whole:.0%} are "
    "the loss alone: much for a loss that differs from L1 by an orthonormal transform. The DCT loss (v6) gets "
    f"{(table5['v6'] - table5['v5']) / of_loss:.0%} of that part, too."
)

# %% [markdown]
# **The missing experiment** is the fourth cell of a 2 × 2 table: *own teacher or MT* times *L1 or wavelet loss*. (Even
# the first column is not clean: KD weights the ground truth by 1, v5 by alpha = 0.1.)

# %%
corner = {("own teacher", "L1"): here["kd"], ("MT", "L1"): table5["v5"], ("MT", "wavelet"): table5["mtkd"]}
lines = ["| | L1 | wavelet |", "|---|--:|--:|"]
for target in ("own teacher", "MT"):
    row = [f"{corner[target, loss]:.2f}" if (target, loss) in corner else "**?**" for loss in ("L1", "wavelet")]
    lines.append(f"| {target} | {' | '.join(row)} |")
lines.append("")
lines.append(
    f"v2, the nearest there is (SwinIR alone, through an aggregator of its own, wavelet): {table5['v2']:.2f} dB."
)
Markdown("\n".join(lines))

# %% [markdown]
# ## 6. What would refute a claim?
#
# A claim that nothing could refute says nothing. Before you run anything, write down what would refute it.
#
# | claim | would be refuted by | what it costs |
# |---|---|---|
# | the aggregator enhances, and does not only merge | a plain mean of the three is as good | no training |
# | teachers of different architectures help | three runs of *one* architecture, merged, gain as much | two teachers |
# | DCTSwin matters | v4 is within 0.02 dB over several aggregators | an aggregator per seed |
# | the wavelet loss matters | v5 or v6 is level with it over seeds | a student per seed |
# | distillation helps | the student alone is as good, trained for as long as student *and* aggregator | a longer run |
#
# The first costs nothing and decides most. Here it came out against the aggregator: the plain mean of the teachers is
# as good ([lesson 9](09_findings.ipynb), [Findings](../docs/findings.md)). We have not tested this at the paper's size.
#
# ## 7. Plan the experiment
#
# How many seeds do you need? The interval of a mean of $n$ differences with spread $\sigma$ reaches
# $t_{n-1} \, \sigma / \sqrt n$ to each side. With three seeds $t$ is above 6 (for 97.5 %); this, and not the root, is
# why three are so few.

# %%
ns = list(range(3, 13))
sigmas = {
    "a steady pair": float(np.quantile(spreads, 0.25)),
    "a typical pair": typical,
    "a pair that scatters": float(np.quantile(spreads, 0.9)),
}
curves = {
    f"{name}: spread {sigma:.3f} dB": (ns, [quantile(n - 1, ALPHA) * sigma / n**0.5 for n in ns])
    for name, sigma in sigmas.items()
}
charts.lines(curves, "seeds", "half width of the 97.5 % interval, dB")

# %%
lines = [
    "| spread of a difference | smallest gain that 3 seeds show | seeds after which any mean is decided |",
    "|--:|--:|--:|",
]
for sigma in sigmas.values():
    needed = seeds_to_decide(sigma)
    needed = "100 or more" if needed == 100 else needed
    lines.append(f"| {sigma:.3f} dB | {quantile(2, ALPHA) * sigma / 3**0.5:.2f} dB | {needed} |")
Markdown("\n".join(lines))

# %%
# Exercise 12.2: a pilot has the spread 0.03 dB. How many seeds make an interval of at most 0.05 dB to
# each side?
answer_2 = ...  # replace the dots

check("12.2", answer_2)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_2 = next(n for n in range(2, 100) if quantile(n - 1, ALPHA) * 0.03 / n**0.5 <= 0.05)
# ```
#
# With 2 instead of t, the rule for large n, two seeds would seem to be enough.
# </details>

# %% [markdown]
# A plan on one page:
#
# 1. **Question**: one sentence with two methods in it.
# 2. **Endpoint**: one number, on images that no choice was made on. All other numbers are for exploration.
# 3. **Controls**: what else could explain a gain? More steps, a better teacher, another loss, another program.
# 4. **Seeds**: their number follows from the spread of a pilot, as above, and is fixed before.
# 5. **Decision**: better, level, worse or undecided, with the smallest difference that you care about.
# 6. **Stop**: when do you look, and how often? Each look costs.
#
# ## 8. Ask the authors
#
# <details><summary>Eight questions that a careful reviewer would send (write yours first)</summary>
#
# 1. How much does PSNR change with another seed, for one student and for one aggregator?
# 2. The rows *Full*, *Compact*, DUKD and CrossKD are from other papers: with which program, and on which LR images,
#    were they measured? Does your own *Compact* run give the same number?
# 3. What PSNR does the plain mean of the three teachers reach, and what do the best fixed weights reach?
# 4. What PSNR does KD from MT reach, with alpha = 1?
# 5. Is the set on which alpha, K and the length of training were chosen disjoint from the four test sets?
# 6. Is 0.4707 in Table 3 a misprint of 0.7407?
# 7. What are the numbers of Table 5 on the other three sets?
# 8. Were the teachers trained on DIV2K alone? Your MT is within about 0.1 dB of SwinIR trained on DF2K.
# </details>
#
# ## 9. And this course?
#
# Now the same questions for us. Our networks are small and trained for a short time, and most controls have one seed
# ([what this cannot say](../docs/findings.md#what-this-cannot-say)). The verdicts of section 3 are about networks of
# this size:

# %%
states = Counter(claim["verdict"] for claim in report["claims"])
lines = [f"- {verdict}: {count} of {len(report['claims'])} claims" for verdict, count in states.items()]
example = next(claim for claim in report["claims"] if claim["id"] == "distillation-helps")
Markdown("\n".join([*lines, "", f"For instance, *{example['text'].rstrip('.')}*: {evidence(example)}."]))

# %% [markdown]
# ## To think about
#
# Would you accept the paper? Which claim would you test first at the paper's size, and how? (For the second, see [open
# question 9](../docs/teaching/open-questions.md), with a rubric.)
#
# <details><summary>Rubric for the first question (10 points)</summary>
#
# | points | for |
# |--:|---|
# | 2 | names the strongest evidence, with a table and a cell |
# | 2 | names one alternative explanation that the tables leave open |
# | 2 | names the cheapest experiment that would decide it, and what each outcome would mean |
# | 2 | separates "not shown" from "wrong" |
# | 2 | gives advice that the authors can follow within a month |
#
# Accept and reject both get full marks.
# </details>

# %%
progress("12")
