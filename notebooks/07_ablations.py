# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. Ablations
#
# **Goal.** Read Table 5, the paper's beside ours, down to the single image. Know what a difference of a few hundredths
# of a dB is worth. Train one more variant yourself.
#
# **Time.** About 35 minutes to read, 90 seconds to run.
#
# *In the paper:* Sec. 5.3, Table 5.
#
# *In the code:* [mtkd/experiments/plans/matrix.yaml](../mtkd/experiments/plans/matrix.yaml),
# [mtkd/experiments/tables.py](../mtkd/experiments/tables.py),
# [mtkd/experiments/statistics.py](../mtkd/experiments/statistics.py),
# [mtkd/experiments/records.py](../mtkd/experiments/records.py),
# [mtkd/explore/evidence/ablations.py](../mtkd/explore/evidence/ablations.py)
#
# An *ablation* takes one part away from a method and trains again. If the result gets worse, the part was useful. If it
# does not, either the part is useless or the experiment is too small to show its use. This lesson is about telling
# these two apart.

# %%
import math
from statistics import fmean, stdev

import numpy as np
import torch
from IPython.display import Markdown, display
from scipy import stats

from mtkd import networks
from mtkd.course import check, progress
from mtkd.course.lessons import Controls, lesson, study
from mtkd.data.examples import EXAMPLES, example
from mtkd.experiments.claims import evidence, printed_evidence
from mtkd.experiments.maintain.evidence import measured_report
from mtkd.experiments.plan import load_plan, load_recipe
from mtkd.experiments.published import published
from mtkd.experiments.records import MEASURED, read
from mtkd.experiments.statistics import pair, rank_correlation
from mtkd.experiments.tables import find, sentence
from mtkd.explore import compare
from mtkd.explore.comparison.core import data_uri
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw import colours
from mtkd.explore.evidence import ablations, charts
from mtkd.explore.evidence.results import Results
from mtkd.explore.viewer.widget import Viewer
from mtkd.images import to_tensor
from mtkd.methods.mtkd import MTKD

FAST = False  # True: short trainings, to see that everything runs
steps = 30 if FAST else 300

plan, records, report = load_plan("mini"), read(MEASURED / "mini.sqlite"), measured_report("mini")
table = find(report, "table5", 4)
rows = {row["label"]: row for row in table["rows"]}
variants = ("v1", "v2", "v3", "v4", "v5", "v6", "v7")

# %% [markdown]
# ## What each variant takes away
#
# The full method has three teachers, an aggregator of DCTSwin blocks, and the wavelet loss of Eq. 3. The variants come
# in three studies:
#
# - **teachers** (Sec. 5.3.1): v1 merges two, SwinIR and EDSR; v2 has SwinIR alone, because it is the paper's best
#   teacher. Among our mini teachers at x4 it is the weakest, so part of what v2 loses is due to its teacher;
# - **aggregator** (Sec. 5.3.2): v3 replaces DCT, attention and IDCT by Mixer layers (the paper replaces whole blocks);
#   v4 keeps the attention and leaves DCT and IDCT out;
# - **loss** (Sec. 5.3.3): v5 compares the images with L1, v6 compares their DCTs, v7 compares the detail bands LH, HL,
#   HH and leaves LL out.
#
# v1 to v4 change Stage 1: another aggregator is trained, and all that the student sees of it is another target image.
# v5 to v7 change Stage 2. In the code a variant is a recipe, and it differs from the full method only in what is
# printed here:

# %%
full = plan.recipe("rcan_tiny-mtkd", 4)
for variant in variants:
    changed = {key: value for key, value in plan.recipe(f"rcan_tiny-{variant}", 4) if value != getattr(full, key)}
    del changed["name"]
    print(variant, changed)
print("full", full.teachers, full.method.options)

# %%
# Exercise 07.1: the aggregator of v1 sees two teachers' images, RGB each, pixel-unshuffled by 4. How many channels
# enter its first convolution?
answer_1 = ...  # replace the dots

check("07.1", answer_1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_1 = 3 * 2 * 4**2
# ```
#
# Each of the two images has 3 channels, and pixel-unshuffle turns each channel into s² = 16. With three teachers it is
# 144, so that v1 and v2 also have fewer parameters than the full aggregator.
#
# </details>

# %% [markdown]
# ## Table 5, the paper's numbers beside ours
#
# The paper prints PSNR and SSIM of each variant on Urban100 at x4, with the student `rcan_lightweight`. Our student is
# a far smaller network (`rcan_tiny`), measured on Set5 and Set14. So the values cannot be compared, but the differences
# can: how much worse than the full method is each variant? *Seeds* is the number of trainings that a value is averaged
# over. Differences are taken between runs of the same seed on the same images; "MTKD − it" is positive where the full
# method is better.
#
# **Predict first,** from the list above: which variants are clearly worse than the full method? Is any ahead of it?

# %%
printed = {label: cells["Urban100"][0] for label, cells in published().tables["table5"][4].items()}
over = {(found["first"], found["second"]): found["sets"] for found in table["differences"]}
lines = [
    "| | seeds | Set5 | Set14 | MTKD − it, Set5 | MTKD − it, Set14 | *paper, Urban100* | *paper, MTKD − it* |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
]
for label in ("scratch", *variants, "mtkd"):
    row, less = rows[label], over.get(("mtkd", label))
    cells = [row["title"], str(len(row["seeds"]))]
    cells += [f"{row['measured'][name]['psnr']:.3f}" for name in ("Set5", "Set14")]
    cells += [f"{less[name]['mean']:+.3f}" if less else "" for name in ("Set5", "Set14")]
    cells += [f"*{printed[label]:.2f}*", f"*{printed['mtkd'] - printed[label]:+.2f}*"] if label in printed else ["", ""]
    lines.append(f"| {' | '.join(cells)} |")
Markdown("\n".join(lines))

# %% [markdown]
# Where does one of these numbers come from? For each of the $n$ seeds that both students have, they are compared on the
# same $m$ images. The difference is averaged over the images, then over the seeds:
#
# $$ \bar d = \frac{1}{n} \sum_{j=1}^{n} d_j, \qquad d_j = \frac{1}{m} \sum_{i=1}^{m}
# \left( \mathrm{PSNR}_{j,i}^{\text{MTKD}} - \mathrm{PSNR}_{j,i}^{\text{variant}} \right) $$


# %%
def scores(label, name):
    """{seed: {image: {metric: value}}} of a row of the table, from the records."""
    runs = zip(rows[label]["seeds"], rows[label]["runs"], strict=True)
    return {seed: records.scores[run, name] for seed, run in runs if (run, name) in records.scores}


for name in ("Set5", "Set14"):
    ours = scores("mtkd", name)
    for variant in variants:
        other = scores(variant, name)
        gains = [
            [ours[s][i]["psnr"] - other[s][i]["psnr"] for i in ours[s]] for s in sorted(ours.keys() & other.keys())
        ]
        by_hand = fmean(fmean(row) for row in gains)
        assert abs(by_hand - over["mtkd", variant][name]["mean"]) < 1e-4, (variant, name)  # stored with 4 digits
    mean = fmean(fmean(m["psnr"] for m in images.values()) for images in ours.values())
    assert abs(mean - rows["mtkd"]["measured"][name]["psnr"]) < 1e-4
print("by hand, v7 on Set14:", f"{by_hand:+.4f} dB; in the table:", over["mtkd", "v7"]["Set14"]["mean"])

# %% [markdown]
# The chart shows the same numbers. A point to the right of zero agrees with Table 5: the full method is better. Orange
# points are below zero, the line is the spread over the seeds (± one standard deviation), and a hollow point is the
# difference of a single pair of runs. Beside each point stands the number of images on which the
# full method wins.

# %%
charts.differences(report, "table5", [("mtkd", variant) for variant in (*variants, "scratch")])

# %%
lost = [v for v in variants if min(over["mtkd", v][name]["mean"] for name in ("Set5", "Set14")) > 0.02]
print(f"MTKD is more than 0.02 dB better on both sets than: {', '.join(lost)}; in the paper: than all seven")

# %% [markdown]
# For the other variants, is "these parts do nothing" a finding, or does noise hide an effect? To answer, we must know
# how large the noise is.

# %% [markdown]
# ## How large is the noise?
#
# PSNR differs by many dB between an easy and a hard image, and two trainings that differ only in the seed do not give
# the same student. Both are noise here, and *pairing* removes part of both: we compare on the same image, and with the
# same seed. The table has the spread (standard deviation) of each:

# %%
name = "Set14"
first, second = scores("mtkd", name), scores("scratch", name)
common = sorted(first.keys() & second.keys())
by_image = [a["psnr"] - second[common[0]][image]["psnr"] for image, a in first[common[0]].items()]
means = {
    label: [fmean(m["psnr"] for m in scores(label, name)[s].values()) for s in common] for label in ("mtkd", "scratch")
}
by_seed = [a - b for a, b in zip(means["mtkd"], means["scratch"], strict=True)]
Markdown(f"""
| {name}, x4 | spread, dB |
|---|--:|
| PSNR of one student over the images | {stdev(m["psnr"] for m in first[common[0]].values()):.3f} |
| MTKD − scratch over the images, one seed | {stdev(by_image):.3f} |
| mean PSNR of scratch over {len(common)} seeds | {stdev(means["scratch"]):.3f} |
| mean PSNR of MTKD over {len(common)} seeds | {stdev(means["mtkd"]):.3f} |
| MTKD − scratch over {len(common)} seeds | {stdev(by_seed):.3f} |

MTKD − scratch by seed: {", ".join(f"{gain:+.3f}" for gain in by_seed)} dB; mean {fmean(by_seed):+.3f} dB.
""")

# %% [markdown]
# Pairing the images removes most of the first kind: hard images are hard for both students. Pairing the seeds removes
# what the two trainings share: the initial weights and the order of the patches. The last three rows show how much that
# is: without pairing, the spread of the difference would be the root of the sum of both squares, √(0.030² + 0.022²) =
# 0.037 dB; with it, it is 0.023 dB. This remaining spread is the noise of a difference.
#
# If the differences of $n$ seeds have the standard deviation $\sigma$, the 97.5 % interval of their mean is
#
# $$ \bar d \pm t_{0.9875,\,n-1} \, \sigma / \sqrt{n} $$
#
# with Student's $t$ for $n - 1$ degrees of freedom. From three seeds on it decides: *better* if the interval lies above
# zero, *worse* if below, *level* if within 0.02 dB of zero, the smallest difference of interest; otherwise the
# comparison is *undecided*. The report applies this rule to Set14 and the held-out images together, 34 images. It looks
# twice, at three seeds and at a larger number that was fixed beforehand, and therefore uses 97.5 and not 95 %. If you
# test again after every added seed, you will find something in the end.

# %%
from mtkd.course.schemes import student_t

student_t()

# %%
paired = pair(first, second)
half = stats.t.ppf(0.9875, len(by_seed) - 1) * stdev(by_seed) / math.sqrt(len(by_seed))
assert np.allclose(paired.tested, (fmean(by_seed) - half, fmean(by_seed) + half))
low, high = paired.tested
print(
    f"MTKD over scratch on {name}: {paired.mean:+.3f} dB, 97.5 % interval {low:+.3f} to {high:+.3f}: {paired.verdict}"
)
print("a single seed:", pair({1: first[1]}, {1: second[1]}).tested, pair({1: first[1]}, {1: second[1]}).verdict)

# %% [markdown]
# **What one seed cannot say.** Its interval is infinite: nothing tells us how far another seed would move the number.
# Winning on all 14 images does not help. The images judge *this pair of students*, not the methods that made them: a
# seed with a poor start loses on all images.
#
# There is a second trap. Do not subtract a row over one seed from a row over several: if seed 1 happens to be poor for
# the student without distillation, everything that is compared with it at seed 1 looks good. That is why the table
# above compares runs of the same seed, and why "v1 over scratch" can be larger than "MTKD over scratch" although "MTKD
# − v1" is about 0. How large is this effect here? Compare the two panels:

# %%
only = {label: pair({1: scores(label, name)[1]}, {1: second[1]}) for label in ("mtkd", *variants)}
charts.bars(
    {
        f"over scratch, {name}, seed 1": {label: one.mean for label, one in only.items()},
        f"over scratch, {name}, all (seeds)": {
            f"{label} ({found['seeds']})": found["mean"]
            for label, found in ((label, over[label, "scratch"][name]) for label in only)
        },
    },
    "dB",
    columns=2,
)

# %%
# Exercise 07.2: how many seeds would be needed for an interval of MTKD - scratch of at most 0.005 dB to each side, if
# the spread stays as it is? Take 2 for Student's t. A whole number.
spread = round(paired.spread, 4)
print(f"spread {spread:.4f} dB")
answer_2 = ...  # replace the dots

check("07.2", answer_2)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_2 = math.ceil((2 * spread / 0.005) ** 2)
# ```
#
# Half the width needs four times the seeds. To tell apart variants that differ by a hundredth of a dB, one needs many
# trainings, not a closer look.
#
# </details>

# %% [markdown]
# ## Does our order agree with the paper's? (optional)
#
# Even if no single difference is certain, the *order* of the variants could agree with the paper's. Spearman's rank
# correlation is the ordinary correlation of the ranks $a_i$ (paper) and $b_i$ (ours):
#
# $$ \rho = \frac{\sum_i (a_i - \bar a)(b_i - \bar b)}
# {\sqrt{\sum_i (a_i - \bar a)^2 \sum_i (b_i - \bar b)^2}} $$
#
# Its p-value is the share of all possible orders that agree with the paper's as well or better.

# %%
paper = {v: printed[v] - printed["mtkd"] for v in variants}
ours = {name: {v: -over["mtkd", v][name]["mean"] for v in variants} for name in ("Set5", "Set14", "held out")}


def agreement(name, kept=variants):
    """Rank correlation of the kept variants' order with the paper's, and its p."""
    return rank_correlation([paper[v] for v in kept], [ours[name][v] for v in kept])


for name, values in ours.items():
    a, b = (np.argsort(np.argsort(list(side.values()))) for side in (paper, values))
    rho, p = agreement(name)
    assert abs(rho - np.corrcoef(a, b)[0, 1]) < 1e-9 or len(set(values.values())) < len(values)  # ties share a rank
    print(f"{name}: rank correlation {rho:+.2f} over {len(variants)} variants, p = {p:.3f}")
charts.bars(
    {
        "paper, Urban100": paper,
        "ours, Set14": ours["Set14"],
        "ours, held out": ours["held out"],
    },
    "dB over the full method",
)

# %% [markdown]
# On each set the order agrees to some extent. But a rank correlation hides two things: one or two variants far from the
# others can make most of it, and the sizes of the differences do not count. And these are not three independent tests:
# they judge the same students. Which variants make the correlation here?

# %%
# Exercise 07.3: what is the smallest p-value that any order of seven variants can give? Count the orders.
answer_3 = ...  # replace the dots

check("07.3", answer_3)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_3 = 1 / math.factorial(7)
# ```
#
# One order of 5,040 agrees perfectly, so p cannot fall below 0.0002. With four variants the smallest p would be 1 /
# 24 = 0.04: such a table could hardly show anything. Try `agreement("Set14", kept)` without one variant as well: if a
# single row of the table decides the correlation, it is not much of an agreement.
#
# </details>

# %% [markdown]
# ## v3 has as many parameters (optional)
#
# (Here the aggregator is built with the upsampler of the paper's size, 418,083 parameters; the mini one has 117,459.
# Their blocks are the same.) If v3 were worse because it is smaller, we would learn nothing about Mixer layers. The
# paper keeps the number of parameters "similar"; here the hidden width of the token MLP, 28, is chosen for that.
# Attention over C = 24 channels has $4C^2 + 4C$ weights and biases, and a table of relative positions for 6 heads and
# windows of 8. The token MLP maps 64 → 28 → 64:

# %%
C, heads, window, hidden = 24, 6, 8, 28
attention = 4 * C * C + 4 * C + heads * (2 * window - 1) ** 2
token_mlp = 2 * window**2 * hidden + hidden + window**2
build = {v: networks.specs()[f"aggregator{v}"].build for v in ("", "_v3", "_v4")}
count = {v: networks.parameter_count(make(scale=4, teachers=("edsr", "rcan", "swinir"))) for v, make in build.items()}
assert count[""] - count["_v3"] == 4 * 2 * (attention - token_mlp) and count[""] == count["_v4"] == 418_083
print(f"a layer: attention {attention:,}, token MLP {token_mlp:,}; in 4 blocks of 2 layers: {count}")
print(f"v3 has {1 - count['_v3'] / count['']:.2%} fewer parameters")

# %% [markdown]
# ## Where do the variants differ? (optional)
#
# Numbers over sets say how much, not where. The pictures show crops of the bundled examples, as upscaled by the student
# of every variant (seed 1). Each difference is from the image of the full method, in luma levels: red where the variant
# is brighter, blue where it is darker, full colour at 12 levels; *rms* is its root mean square.

# %%
names = ["rcan_tiny-mtkd", "rcan_tiny-scratch", *(f"rcan_tiny-{variant}" for variant in variants)]
places = {"brick": (80, 80), "coffee": (60, 120), "astronaut": (20, 90), "chelsea": (60, 60)}
cropped = {key: example(key).read()[top : top + 96, left : left + 104] for key, (top, left) in places.items()}
compared = {key: compare(image, names, scale=4) for key, image in cropped.items()}


def difference(result, name, other="rcan_tiny-mtkd"):
    return colours.luma_error(result[name].image, result[other].image)


shown = compared["brick"]
cells = [("ground truth", "", shown.hr_image), ("full method", f"{shown[names[0]].psnr:.2f} dB", shown[names[0]].image)]
for name in names[1:]:
    d = difference(shown, name)
    text = f"{shown[name].psnr:.2f} dB, rms {np.sqrt(np.square(d).mean()):.1f}"
    cells.append((name.removeprefix("rcan_tiny-"), text, colours.diverging(d / ablations.DIFFERENCE_RANGE)))
sheet(cells, zoom=2, columns=4)

# %% [markdown]
# All variants differ from the full method along edges and in texture, v7 the most, and the others by similar amounts,
# even v3 and v4. Does that come from their targets? The aggregators v1 to v4 are bundled too, so we can compare the
# targets.

# %%
targets = compare(cropped["brick"], ["aggregator_mini", *(f"aggregator_mini-v{k}" for k in (1, 2, 3, 4))], scale=4)
lines = ["| | target against MT | student against the full method's |", "|---|--:|--:|"]
for variant in ("v1", "v2", "v3", "v4"):
    apart = [
        np.sqrt(np.square(difference(found, f"{base}-{variant}", full_name)).mean())
        for found, base, full_name in (
            (targets, "aggregator_mini", "aggregator_mini"),
            (shown, "rcan_tiny", "rcan_tiny-mtkd"),
        )
    ]
    lines.append(f"| {variant} | {apart[0]:.2f} | {apart[1]:.2f} |")
Markdown("\n".join([*lines, "", "Root mean square, luma levels, on the piece of brick wall."]))

# %% [markdown]
# The targets of v3 and v4 are almost the same image as MT, but the students that learned from them differ nearly as
# much as those of v1 and v2. So the differences of the students of v3 and v4 do not show the aggregator. They show how
# training amplifies a difference that is too small to matter. A picture of *one* student per variant is an anecdote,
# like a number with one seed.
#
# Choose a variant and an image. You see the full method, the variant, their difference, and which of them is nearer to
# the ground truth (red: the variant; blue: the full method).


# %%
def show(variant, image):
    result, name = compared[image], f"rcan_tiny-{variant}"
    errors = [np.abs(colours.luma_error(result[n].image, result.hr_image)) for n in (names[0], name)]
    full_range = ablations.DIFFERENCE_RANGE
    return sheet(
        [
            ("full method", f"{result[names[0]].psnr:.2f} dB", result[names[0]].image),
            (plan.title(variant), f"{result[name].psnr:.2f} dB", result[name].image),
            ("difference", "red: variant is brighter", colours.diverging(difference(result, name) / full_range)),
            ("who is nearer", "red: the variant", colours.diverging((errors[0] - errors[1]) / full_range)),
        ],
        zoom=2,
    )


show("v7", "coffee")  # an anecdote of its own: on this piece the worst variant may well win

# %%
choices = Controls(show, variant=["v7", *variants[:-1], "scratch"], image=["coffee", "brick", "astronaut", "chelsea"])
display(choices)

# %% [markdown]
# The viewer shows the same; its layer *Difference* is the one above. (It comes alive when the notebook runs.)

# %%
captions = {name: f"{compared['coffee'][name].psnr:.2f} dB" for name in names}
Viewer(
    panes=ablations.panes(compared["coffee"], names, "rcan_tiny-mtkd", captions, data_uri),
    reference="ground truth",
    baseline="rcan_tiny-mtkd",
)

# %% [markdown]
# ## v7 does not see brightness (optional)
#
# v7 leaves LL out. A flat error, where the whole image is too bright by a constant, lies in LL alone: the detail bands
# are differences of neighbours, in which a constant cancels. So the distillation loss of v7 is the same for the
# student's image and for one that is 20 levels brighter:

# %%
truth, image = (to_tensor(picture) for picture in (shown.hr_image, shown["rcan_tiny-mtkd"].image))
brighter = (image + 20 / 255).requires_grad_()
lines = ["| loss | the student's image | 20 levels brighter | gradient for brightness |", "|---|--:|--:|--:|"]
found = {}
for label in ("mtkd", "v5", "v6", "v7"):
    distil = MTKD(("aggregator_mini",), **plan.recipe(f"rcan_tiny-{label}", 4).method.options).distillation
    right, wrong = distil(image, truth), distil(brighter, truth)
    slope = torch.autograd.grad(wrong, brighter)[0].sum()
    found[label] = right.item(), wrong.item(), slope.item()
    lines.append(f"| {plan.title(label)} | {found[label][0]:.4f} | {found[label][1]:.4f} | {found[label][2]:.4f} |")
assert abs(found["v7"][0] - found["v7"][1]) < 1e-6 and abs(found["v7"][2]) < 1e-4
assert all(found[label][1] > 2 * found[label][0] for label in ("mtkd", "v5"))
Markdown("\n".join(lines))

# %%
flat = (brighter.detach()[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
signed = [colours.signed_error_map(picture, shown.hr_image) for picture in (shown[names[0]].image, flat)]
detail = f"v7's loss {found['v7'][0]:.4f}"
sheet(
    [
        ("the student's image", detail, shown[names[0]].image),
        ("20 levels brighter", f"v7's loss {found['v7'][1]:.4f}", flat),
        ("error of the student", "full colour at 32 levels", signed[0]),
        ("error of the brighter one", "red: too bright", signed[1]),
    ],
    zoom=2,
)

# %% [markdown]
# The DCT loss of v6 is nearly as blind: a flat error is one coefficient among thousands, and their mean hardly changes.
# Yet v6 is one of the best variants. So blindness to brightness alone cannot be what is wrong with v7.
#
# In training, only the term $\alpha\,|I_{stu} - I_{GT}|$ with $\alpha = 0.1$ holds the brightness. Does it suffice? We
# measure the squared luma error of the students on the examples. The Haar transform splits it into the error of means
# over blocks of 16 pixels and the error at each finer scale (the orthonormal transform keeps the sum).

# %%
import pywt

parts = {name: np.zeros(6) for name in ("scratch", "mtkd", "v7")}
for entry in EXAMPLES:
    photo = entry.read()
    result = compare(photo, [f"rcan_tiny-{name}" for name in parts], scale=4)
    for name, total in parts.items():
        error = colours.luma_error(result[f"rcan_tiny-{name}"].image, result.hr_image)
        low, *bands = pywt.wavedec2(error, "haar", level=4)
        energies = [np.square(low).sum(), *(sum(np.square(b).sum() for b in level) for level in bands)]
        assert abs(sum(energies) / np.square(error).sum() - 1) < 1e-9
        total += np.array([np.abs(error.mean()), *(e / error.size for e in energies)]) / len(EXAMPLES)
lines = [
    "| | &#124;mean&#124;, levels | blocks of 16 | level 4 | level 3 | level 2 | level 1, finest |",
    "|---|" + "--:|" * 6,
]
lines += [f"| {name} | " + " | ".join(f"{x:.3f}" for x in values) + " |" for name, values in parts.items()]
Markdown("\n".join([*lines, "", f"Squared luma levels but for the first column; mean over {len(EXAMPLES)} images."]))

# %% [markdown]
# It does hold the brightness: the mean error is far below one level, and the blocks of 16 are no worse than those of
# the other two students; nobody would see it. What v7 loses lies mostly at level 2, the finest scale *inside* LL, which
# the distillation no longer sees. (v6 does see it: each scale has its coefficients.) So the error that the loss permits
# is not the error that the student makes; only a measurement tells. (This is one seed and five images. The direction
# agrees with Set5, Set14 and the held-out images; the sizes may not.)

# %% [markdown]
# ## Gain against cost (optional)
#
# Is a gain of hundredths of a dB worth its cost? The chart counts the floating-point operations of the student's
# training. The teachers' images are computed once and stored, so they do not count here, however many teachers there
# are. Training the teachers and the aggregator is an additional cost.

# %%
from plotly.graph_objects import FigureWidget

students = ablations.students(Results(plan, records), "table5", 4, "Set14")
FigureWidget(ablations.gain_against_cost(students, 4, "Set14"))

# %%
unit = ablations.training_cost("rcan_tiny-scratch", 4)
gains = {
    f"{v.title}, {ablations.training_cost(v.name, 4) / unit:.2f} × scratch, seeds: {v.row.over.seeds}": v.row.over.mean
    for v in students
    if v.row.over
}
charts.bars({"gain over scratch on Set14": gains}, "dB", columns=1)

# %% [markdown]
# All cost about the same: the DCT loss (v6) adds a little, the wavelet transform next to nothing. The real cost of the
# method is Stage 1.

# %% [markdown]
# ## One more variant (optional)
#
# Every run has a recipe with a name. Changing one key makes a new variant; a key that the method does not know is
# refused. Here are two wavelet levels instead of one:

# %%
recipe = load_recipe("mini/rcan_tiny-mtkd_x4", ["method.options.levels=2"])
print(recipe.method, recipe.teachers, f"{recipe.iterations:,} steps, seed {recipe.seed}")
print("\n".join(recipe.deviations()))

# %%
# Exercise 07.4: make the recipe of "edsr_tiny-mtkd" for a lesson of 30 steps, with alpha = 1 as the only change.
answer_4 = ...  # replace the dots

check("07.4", answer_4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_4 = lesson("edsr_tiny-mtkd", 30, ["method.options.alpha=1"])
# ```
#
# `lesson` is `load_recipe` with few steps, and with the bundled examples as training images.
#
# </details>

# %% [markdown]
# A short training of the small EDSR student, with one level and with two, from the same seed:

# %%
lessons = study(
    {
        "K = 1 (Eq. 3)": lesson("edsr_tiny-mtkd", steps),
        "K = 2": lesson("edsr_tiny-mtkd", steps, ["method.options.levels=2"]),
    }
)

# %%
charts.lines(lessons.of("validation PSNR-Y"), "step", "PSNR-Y of the held-out example, dB")

# %% [markdown]
# That shows that the variant trains, and no more: one image, one seed, a few hundred steps. The long runs say:

# %%
Markdown(f"K = 1 over K = 2, RCAN student, 10,000 steps: {sentence(report, 'controls', 'mtkd', 'k2')}")

# %% [markdown]
# Long runs are started on the command line. `--dry-run` prints what would be done and how long it would take:
#
# ```
# mtkd matrix table5 --only v6 --seeds 4 --dry-run
# mtkd matrix table5 --only v6 --seeds 4
# mtkd matrix report table5
# ```
#
# A run is identified by its recipe, its images and its teachers. Runs that are in the bundled records or in your folder
# `runs/mini` are not trained again, and a stopped run continues. For a comparison with the full method, MTKD needs the
# same seeds: `--only v6,mtkd,scratch --seeds 4,5,6`. (Training needs the images of BSDS400; the tables need Set5 and
# Set14.)
#
# A variant of your own goes into a small plan file. This one takes the DCT loss of v6 and a single teacher as the
# target, the one that the plan names `best` (EDSR, which is equal to RCAN on the held-out images). It would tell
# whether the gain of v6 needs the aggregator.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

mine = """
extends: mini
variants:
  v6_best: {title: "v6: DCT loss, best teacher", like: v6, teachers: [best]}
tables:
  table5: {variants: [scratch, v6, v6_best, mtkd]}
"""
with TemporaryDirectory() as folder:
    path = Path(folder) / "mine.yaml"
    path.write_text(mine)
    variant = load_plan(str(path)).recipe("rcan_tiny-v6_best", 4)
print(variant.name, variant.teachers, variant.method.options)

# %% [markdown]
# `mtkd matrix table5 --size mine.yaml --only v6_best --seeds 1 --dry-run` then shows its tasks.
#
# ## What Table 5 says here (optional)
#
# The report checks the paper's three claims about this table by the rule above, and names the evidence:

# %%
wanted = ("more-teachers", "dctswin", "wavelet-loss")
lines = ["| claim | verdict | evidence | in the paper's numbers |", "|---|---|---|--:|"]
for claim in report["claims"]:
    if claim["id"] in wanted:
        lines.append(f"| {claim['text']} | {claim['verdict']} | {evidence(claim)} | {printed_evidence(claim)} |")
Markdown("\n".join(lines))

# %% [markdown]
# "Undecided" is neither yes nor no. The paper gives no seeds and no spread, so one can ask the same of its 0.1 dB
# between the full method and v6.

# %% [markdown]
# ## What the paper says, what we found

# %%
from mtkd.course.conclusions import conclusion

Markdown(conclusion("07"))

# %%
progress("07")

# %% [markdown]
# ## To think about
#
# Plan an experiment that separates v6 from MTKD: the question, the endpoint, the number of seeds, the images, and the
# verdict for each outcome. ([Open question 7](../docs/teaching/open-questions.md), with a rubric.)
#
# **Next:** [attribution](08_attribution.ipynb): which pixels, and which teacher, made a detail?
