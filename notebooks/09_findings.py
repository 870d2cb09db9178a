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
# # 9. What we found
#
# Which claims of the paper hold with networks of 58,000 to 380,000 parameters, trained for minutes to three hours on
# one CPU core (a few on a GPU)? Which do not, and why? The numbers below are read from the records of our own runs,
# which come with the package, or computed here. (One folded paragraph, on the SwinIR student, quotes runs that were not
# recorded; it says which.) `mtkd matrix report` prints all records beside the paper's numbers. Set5 and Set14 were
# used for no choice; the *held out* images were.
#
# Each sentence stands beside the measurement that supports it. *One seed* means that we do not know how far another
# seed would move the number: it proves little. The whole lesson is on the core path; in a hurry, read the box at its
# end.
#
# **Time.** About 40 minutes to read, 30 seconds to run. Nothing is trained.

# %%
from statistics import mean

import torch
from IPython.display import Markdown

import mtkd
from mtkd.course.conclusions import conclusion
from mtkd.data.examples import EXAMPLES
from mtkd.experiments.maintain.evidence import measured_agreements, measured_report
from mtkd.experiments.plan import load_plan
from mtkd.experiments.records import MEASURED, read
from mtkd.experiments.tables import sentence
from mtkd.explore.evidence.charts import differences, merging_gains, paying, training_curves
from mtkd.explore.evidence.results import load
from mtkd.explore.evidence.summary import pays
from mtkd.images import to_tensor
from mtkd.metrics import psnr
from mtkd.networks.common import SuperResolutionNetwork
from mtkd.networks.windows import WindowAttention
from mtkd.resize import imresize

report, agreements = measured_report("mini"), measured_agreements("mini")


def say(*rows: tuple) -> Markdown:
    """What was compared, and how it came out: (words, table, first row, second row, scale where it is not 4)."""
    return Markdown("\n".join(f"- {words}: {sentence(report, *names)}" for words, *names in rows))


# %% [markdown]
# ## At x4 the merged image is better than the best teacher
#
# We had set ourselves a bar: MT has to gain 0.05 dB over the best teacher, on images that no choice was made on. At x4
# it does, by far more than the seeds of the aggregator vary. At x2 and x3, with shorter trainings, it does not (last
# lines).

# %%
say(
    ("MT over EDSR", "aggregators", "MT", "edsr"),
    ("MT over RCAN, level with EDSR on the held-out images", "aggregators", "MT", "rcan"),
    ("MT over SwinIR", "aggregators", "MT", "swinir"),
    ("MT over the same aggregator on SwinIR alone, trained as long (v2)", "aggregators", "MT", "MT-v2"),
    ("MT over two teachers (v1)", "aggregators", "MT", "MT-v1"),
    ("x2: MT over EDSR, the best teacher there", "aggregators", "MT", "edsr", 2),
    ("x3: MT over EDSR, the best teacher there", "aggregators", "MT", "edsr", 3),
)

# %% [markdown]
# **Why: it averages.** The errors of the teachers are similar; the correlation r of their residuals is printed above
# each panel. For n equally good images the mean gains 10 log10(n / (1 + (n - 1) r)) dB. The chart compares this
# prediction with the plain mean of the three images, the best fixed weights, and the trained aggregator. (The best
# weights have the least squared error over this very set; in mean PSNR, which is shown, they need not be the best.)

# %%
merging_gains(
    agreements,
    {
        "predicted": "predicted from r",
        "mean": "plain mean of the teachers",
        "best weights": "best fixed weights",
        "aggregator_mini": "MT, three teachers",
        "aggregator_mini-v1": "MT of two (v1)",
        "aggregator_mini-v2": "MT of SwinIR alone (v2)",
        "aggregator_mini-v3": "MT, Mixer layers (v3)",
        "aggregator_mini-v4": "MT, no DCT (v4)",
    },
)

# %% [markdown]
# The aggregator is no better than the plain mean, and with one teacher (v2) it returns that teacher's image: its
# learned branch adds nothing that can be measured. We think that enhancing takes longer to learn than averaging, since
# a branch that improves a frozen teacher must first learn what the teacher knows; no run of ours tests this. The paper
# trains the aggregator for 250,000 steps of 16 patches; here it had 6,000 steps of 8. Where the teachers are unequal,
# as on Set5 (RCAN leads), the prediction for equals is too high.
#
# **DCT, attention, Mixer.** As long as the branch adds nothing, its design cannot matter, and it does not:

# %%
say(
    ("MT over Mixer layers (v3)", "aggregators", "MT", "MT-v3"),
    ("MT over attention without DCT (v4)", "aggregators", "MT", "MT-v4"),
    ("MT over v4 whose shifted windows are masked as Swin's", "aggregators", "MT", "MT-v4_masked"),
    ("RCAN student of MT over that of v3", "table5", "mtkd", "v3"),
    ("RCAN student of MT over that of v4", "table5", "mtkd", "v4"),
    ("RCAN student of MT over that of v4, masked", "controls", "mtkd", "v4_masked"),
)

# %% [markdown]
# ## Is a distilled student better than the same student alone?
#
# On average, yes, by about the 0.05 dB that we had set as the bar for every architecture. For the RCAN student ten
# seeds prove it: *better*. For the other two, three seeds do not, so the claim, which needs all of them, is
# *undecided*.

# %%
say(
    ("RCAN student, MTKD over scratch", "table2", "mtkd", "scratch"),
    ("EDSR student, MTKD over scratch", "table3", "mtkd", "scratch"),
    ("SwinIR student, MTKD over scratch", "table4", "mtkd", "scratch"),
)

# %% [markdown]
# Would another target help, or another loss? The next list changes one thing at a time, with the EDSR student. No other
# target is clearly better, and of the other losses only the DCT loss (v6) is above the bar on both sets.
# *Self-ensembled* is the mean over eight rotated and flipped inputs.

# %%
say(
    ("MTKD as printed", "edsr_controls", "mtkd", "scratch"),
    ("MT as target, L1 loss of KD", "edsr_controls", "kd_mt", "scratch"),
    ("its own teacher as target, the same loss (KD)", "edsr_controls", "kd", "scratch"),
    ("a better target: MT self-ensembled", "edsr_controls", "self_ensemble", "scratch"),
    ("bands summed, so that the ground truth counts less", "edsr_controls", "summed", "scratch"),
    ("L1 loss (v5)", "edsr_controls", "v5", "scratch"),
    ("DCT loss (v6)", "edsr_controls", "v6", "scratch"),
)

# %% [markdown]
# With the SwinIR student the loss matters: with L1 and DCT losses the same target gains two to four times as much (one
# seed). The methods that use the teacher's features, AT, FAKD and CrossKD, gain even more.

# %%
say(
    ("MTKD as printed", "swinir_controls", "mtkd", "scratch"),
    ("MT as target, L1 loss of KD", "swinir_controls", "kd_mt", "scratch"),
    ("its own teacher as target, the same loss (KD)", "swinir_controls", "kd", "scratch"),
    ("L1 loss (v5)", "swinir_controls", "v5", "scratch"),
    ("DCT loss (v6)", "swinir_controls", "v6", "scratch"),
    ("the attention maps of its teacher (AT)", "table4", "at", "scratch"),
    ("how alike its teacher's features are (FAKD)", "table4", "fakd", "scratch"),
    ("its features through the teacher's tail (CrossKD)", "table4", "crosskd", "scratch"),
)

# %% [markdown]
# The reason lies in the student. It has two Swin blocks. How much does the attention of each contribute? The table sets
# what it adds to zero, in one block at a time (mean PSNR of the five bundled images, x4, dB).


# %%
def without_attention(network: SuperResolutionNetwork, block: int) -> float:
    """What taking the attention of one Swin block out changes, dB."""
    attentions = [module for module in network.layers[block].modules() if isinstance(module, WindowAttention)]
    hooks = [module.register_forward_hook(lambda module, given, out: torch.zeros_like(out)) for module in attentions]
    changed = quality(network)
    for hook in hooks:
        hook.remove()
    return changed - quality(network)


@torch.no_grad()
def quality(network: SuperResolutionNetwork) -> float:
    """Mean PSNR of the five bundled pictures, by the paper's protocol."""
    photos = [to_tensor(example.read()[:256, :256]) for example in EXAMPLES]
    return mean(psnr(network(imresize(photo, 1 / 4)), photo, 4) for photo in photos)


lines = ["| SwinIR student | PSNR | without attention in block 1 | in block 2 |", "|---|--:|--:|--:|"]
for method in ("scratch", "kd", "mtkd", "at", "fakd", "crosskd"):
    student = mtkd.load(f"swinir_tiny-{method}", scale=4)
    changes = [f"{without_attention(student, block):+.2f}" for block in (0, 1)]
    lines.append(f"| {method} | {quality(student):.2f} | {' | '.join(changes)} |")
Markdown("\n".join(lines))

# %% [markdown]
# After 10,000 steps the attention of the second block is of no use to the students of scratch, KD and MTKD, while the
# three methods that use the teacher's features have put it to work. So we think that this student gains little from
# MTKD because its training ended too early, and the image of MT alone does not tell its second block where to look.
#
# <details><summary>More on the SwinIR student: other seeds, and why it is not the arithmetic</summary>
#
# The table has the students of the first seed. Of the two other seeds of each, which are not bundled, only one has
# begun to use the second block: KD's second seed loses 0.2 dB without it, and is 0.1 dB better than the other two.
# FAKD's mean suffers from one of the five images, the brick wall, where it loses 1.3 dB; on three of the others it is
# the best.
#
# The arithmetic does not seem to be the cause. AT, CrossKD and the first half of FAKD ran on a GPU, but so did the
# first third of DUKD, which gains little. Two short trainings that are in no record agree: scratch in float32 (`mtkd
# train mini/swinir_tiny-scratch --set precision=fp32`) behaved the same for 3,000 steps, and AT on a CPU departed from
# scratch after the same 2,000 steps as on the GPU.
#
# </details>

# %% [markdown]
# The chart shows the variants of Table 5 with the RCAN student.

# %%
differences(report, "table5", [(v, "scratch") for v in ("mtkd", "v1", "v2", "v3", "v4", "v5", "v6", "v7")])

# %% [markdown]
# ## When does it pay?
#
# All of the above is one setting: 10,000 steps, 380 images, one size of each student. The figure varies one of these at
# a time (RCAN student, x4, gain on Set14 and the held-out images together; the 97.5 % interval of a filled dot lies
# above 0).
#
# **Predict first:** when does a student gain more from its teachers, when it sees fewer images or more? After a short
# training or a long one?

# %%
paying(pays(load()))

# %% [markdown]
# Distillation pays where the student has little to learn from. On 40 images both methods are *better* than the student
# alone. The teachers have seen all 380, and what they learned there reaches the student: taught by MTKD on 40 images it
# is ahead of itself alone on 380. On 4 images the gain is largest, but the seeds differ even more. In a short training
# KD helps at once and MTKD does not yet. With a third of the parameters the gain is about as large. Longer
# trainings and larger students were not measured.

# %% [markdown]
# ## MTKD against plain distillation
#
# **The comparison to look at first:** MTKD from EDSR alone is as good as MTKD from MT (one seed, below). If more seeds
# confirm it, then at this size it is not the merging that helps the student. (A weaker target does harm it: v2, last
# line.)
#
# KD takes its target from one teacher of the student's own architecture, with an L1 loss. For the RCAN and EDSR
# students the difference from MTKD is small; for the SwinIR student KD is ahead, partly because of its loss (above).
# From KD to MTKD two things change at once, the target and the loss, and the paper's tables do not separate them. These
# runs do:

# %%
say(
    ("RCAN student, MTKD over KD", "table2", "mtkd", "kd"),
    ("EDSR student, MTKD over KD", "table3", "mtkd", "kd"),
    ("SwinIR student, MTKD over KD", "table4", "mtkd", "kd"),
    ("The target alone: KD from MT over KD", "controls", "kd_mt", "kd"),
    ("The aggregator alone: MTKD from MT over MTKD from EDSR alone", "controls", "mtkd", "best"),
    ("The aggregator alone: MTKD from MT over MTKD from the mean of the teachers", "controls", "mtkd", "mean"),
    ("MT of three over MT of one teacher (v2), same loss", "table5", "mtkd", "v2"),
)

# %% [markdown]
# ## The wavelet loss
#
# With the same target and the RCAN student, the L1 (v5), DCT (v6) and wavelet losses are within a few hundredths of a
# dB. Over three seeds the order is not the paper's: the DCT loss is ahead of the wavelet loss, and against L1
# nothing is decided. So the claim that the wavelet loss is the best *does not hold* here.
#
# Detail bands alone, without LL (v7), are worse than no distillation at all, as in the paper. That loss is blind to the
# mean of the error, but brightness is not what its student loses: lesson 7 measures where its error lies. Three choices
# of the loss (K = 1 and alpha = 0.1 from the paper, and Haar, since the paper names no wavelet) are no worse than their
# neighbours (one seed each, three for alpha = 0).

# %%
say(
    ("Wavelet over L1 (v5)", "table5", "mtkd", "v5"),
    ("Wavelet over DCT (v6)", "table5", "mtkd", "v6"),
    ("Wavelet over detail bands alone (v7)", "table5", "mtkd", "v7"),
    ("As printed (bands averaged) over bands summed", "controls", "mtkd", "summed"),
    ("K = 1 over K = 2", "controls", "mtkd", "k2"),
    ("K = 1 over K = 3", "controls", "mtkd", "k3"),
    ("Haar over db2", "controls", "mtkd", "db2"),
    ("Haar over sym4", "controls", "mtkd", "sym4"),
    ("alpha = 0.1 over 0, no ground truth", "controls", "mtkd", "alpha_0"),
    ("alpha = 0.1 over 1", "controls", "mtkd", "alpha_1"),
    ("Detail bands as published before (K = 4, weight 0.4) over v7's", "controls", "v7_zhang", "v7"),
)

# %% [markdown]
# On which images is the DCT loss ahead? The list names each image where it leads by more than 0.1 dB (mean over the
# seeds).

# %%
records = read(MEASURED / "mini.sqlite")


def by_seed(name: str, set_name: str) -> dict[int, dict[str, dict[str, float]]]:
    """The metrics of each image, by the seed of the x4 model."""
    runs = [run for run in records.runs.values() if (run["name"], run["scale"]) == (name, 4)]
    return {run["seed"]: records.scores[run["digest"], set_name] for run in runs}


lines = []
for student in ("rcan", "edsr"):
    for set_name in ("Set5", "Set14"):
        v6, mtkd_ = (by_seed(f"{student}_tiny-{method}", set_name) for method in ("v6", "mtkd"))
        gains = {i: mean(v6[s][i]["psnr"] - mtkd_[s][i]["psnr"] for s in v6.keys() & mtkd_.keys()) for i in v6[1]}
        most = {image: gain for image, gain in gains.items() if gain > 0.1}
        others = [gain for image, gain in gains.items() if image not in most]
        told = ", ".join(f"{image} {gain:+.3f}" for image, gain in most.items()) or "no image above 0.1"
        told += f"; the other {len(others)}: {mean(others):+.3f} dB"
        lines.append(f"- {student.upper()} student, {set_name}: {told}")
Markdown("\n".join(lines))

# %% [markdown]
# The lead comes from a few images with large sharp edges: two butterflies (Set5 img_003, Set14 img_011), a printed page
# (Set14 img_013) and a knitted cap (Set5 img_005). On the others the two losses are level, or the wavelet loss is
# ahead.

# %% [markdown]
# ## During the training
#
# All three EDSR students follow nearly the same curve; in the second half the distilled ones lie above the other.
# (The first points are too low, all for the same reason: the measured weights are a moving average that still holds
# some of the random start.)

# %%
training_curves(
    load_plan("mini"),
    records,
    {"edsr_tiny-scratch": "EDSR, scratch", "edsr_tiny-kd": "EDSR, KD", "edsr_tiny-mtkd": "EDSR, MTKD"},
)

# %% [markdown]
# ## What this cannot say
#
# - The seeds vary only the students; all of them learn from the same teachers and from the same aggregator of each
#   kind.
# - Set5 has only five images, so its differences jump. The 19 images of both sets together are better evidence.
# - The teachers differ in architecture and seed, but share their 380 training images.
# - Ten controls of the RCAN student (alpha, K, `mean`, `summed`, KD from MT, self-ensembles, v7's K = 4) were trained
#   on the CPU of another computer, with another version of PyTorch, than the runs that they are compared with.
# - Some printed cells of the paper look odd. The SSIM of MTKD in Table 3 (x4, BSD100) is 0.4707, where the other
#   methods have 0.7365 to 0.7382; we read it as 0.7407. Our tables mark every such cell.
# - Nothing here refutes the paper's tables: its teachers are forty to a hundred times larger than ours, and its
#   students are trained for 25 times as many steps, each on eight times as many pixels.

# %% [markdown]
# ## What the paper says, what we found

# %%
Markdown(conclusion("09"))

# %% [markdown]
# ## To think about
#
# Write the discussion section of this lesson in half a page: what holds here, what does not, why, and what this says
# about the paper. Keep "not shown" and "wrong" apart. ([Open question 10](../docs/teaching/open-questions.md), with a
# rubric.)
#
# **Next:** [your own network and method](10_your_own_method.ipynb), [your own teachers](11_your_own_teachers.ipynb), or
# the [paper read like a reviewer](12_read_like_a_reviewer.ipynb).
