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
# # 5. Distillation: the student learns from MT
#
# **Goal.** Compute the loss of Stage 2 by hand, see where each of its two terms decides, train three students side by
# side, and judge the recorded long runs by their spread over seeds.
#
# **Time.** About 30 minutes to read, 90 seconds to run.
#
# *In the paper:* Sec. 3.2, Eqs. 2 to 4; Sec. 4.2 (alpha = 0.1, K = 1); Tables 2 to 5.
#
# *In the code:* [mtkd/methods/mtkd.py](../mtkd/methods/mtkd.py), [mtkd/losses/wavelet.py](../mtkd/losses/wavelet.py),
# [mtkd/methods/kd.py](../mtkd/methods/kd.py), [mtkd/training/loop.py](../mtkd/training/loop.py),
# [mtkd/experiments/tables.py](../mtkd/experiments/tables.py)

# %%
from mtkd.course.map import framework_map

framework_map("05")

# %%
FAST = False  # True: short trainings, to see that everything runs
steps = 30 if FAST else 300

# %% [markdown]
# ## What the student is given
#
# Stage 1 is over: the aggregator is frozen, and its image MT is data, like the ground truth. A batch of Stage 2 holds
# three images per patch: the LR image, the ground truth and MT. Here the patches are two crops of the example images.
# The student has already been trained, without distillation, so that its errors are realistic.

# %%
import torch

import mtkd
from mtkd.course import check, progress
from mtkd.data.examples import example
from mtkd.data.patches import Batch
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw.colours import error_map
from mtkd.images import to_tensor, to_uint8
from mtkd.resize import imresize

student, mt = mtkd.load("edsr_tiny-scratch", scale=4), mtkd.load("aggregator_mini", scale=4)


def batch_of(*names: str) -> Batch:
    """Crops of 128 x 128 pixels as the training loop would give them."""
    hr_image = torch.cat([to_tensor(example(name).read()[60:188, 80:208]) for name in names])
    lr_image = imresize(hr_image, 1 / 4)
    with torch.no_grad():
        return Batch(lr_image, hr_image, {"MT": mt(lr_image)})


batch = batch_of("astronaut", "chelsea")
with torch.no_grad():
    student_image = student(batch.lr_image)
truth, taught, made = (to_uint8(i[1])[:96, :96] for i in (batch.hr_image, batch.outputs["MT"], student_image))
sheet(
    [
        ("ground truth", "I_GT", truth),
        ("MT", "I_MT", taught),
        ("student", "I_stu", made),
        ("MT", "against the ground truth", error_map(taught, truth)),
        ("student", "against the ground truth", error_map(made, truth)),
        ("student", "against MT", error_map(made, taught)),
    ],
    zoom=2,
    columns=3,
)

# %% [markdown]
# MT errs nearly where the student errs: at edges and hairs that the LR image does not determine. The difference between
# student and MT is much fainter than the difference between either of them and the ground truth. This faint picture is
# what the student can learn from MT: what *can* be known from the LR image but the student does not know yet.
#
# ## Eq. 2: the term of the ground truth
#
# $$\mathcal L_{stu} = \lVert I_{stu} - I_{GT}\rVert_1$$
#
# As everywhere in this project, the norm is a mean over all values. $\mathcal L_{stu}$ is also the whole loss of a
# student trained without distillation (method `scratch`); multiplied by alpha, it is the first term of the method
# `mtkd`.

# %%
from mtkd.methods import create

alpha = 0.1
method = create("mtkd", {"alpha": alpha, "levels": 1, "wavelet": "haar"}, ("MT",))
terms = method.loss(student, batch)

loss_stu = (student_image - batch.hr_image).abs().mean()

torch.testing.assert_close(loss_stu, create("scratch", {}).loss(student, batch)["L1"])
torch.testing.assert_close(alpha * loss_stu, terms["alpha L_stu"])
assert terms.keys() == {"alpha L_stu", "L_dis"}
print(f"L_stu = {loss_stu:.5f}, which is {255 * loss_stu:.2f} of 255 levels")

# %% [markdown]
# ## Eq. 3: the term of MT, in four lines
#
# Lesson 4 takes the wavelet loss apart. For K = 1 and Haar it needs no library: from every 2 x 2 block of the
# difference, take half of its sum and half of its three signed sums.
#
# $$\mathcal L_{dis} = \frac{1}{4}\sum_{i \in \{LL, LH, HL, HH\}}
# \lVert \mathrm{DWT}_i(I_{stu}) - \mathrm{DWT}_i(I_{MT})\rVert_1$$

# %%
difference = student_image - batch.outputs["MT"]
a, b = difference[..., ::2, ::2], difference[..., ::2, 1::2]  # of each 2 x 2 block: the upper two
c, d = difference[..., 1::2, ::2], difference[..., 1::2, 1::2]  # and the lower two
bands = {"LL1": a + b + c + d, "LH1": a + b - c - d, "HL1": a - b + c - d, "HH1": a - b - c + d}
loss_dis = sum((band / 2).abs().mean() for band in bands.values()) / 4

torch.testing.assert_close(loss_dis, terms["L_dis"])
for name, band in bands.items():
    assert abs((band / 2).abs().mean() / 4 - terms.parts["L_dis"][name]) < 1e-6
print({name: f"{value:.5f}" for name, value in terms.parts["L_dis"].items()})

# %% [markdown]
# ## Eq. 4: both together
#
# $$\mathcal L_{total} = \alpha\,\mathcal L_{stu}(I_{stu}, I_{GT}) + \mathcal L_{dis}(I_{stu}, I_{MT})$$
#
# In this project a method returns its terms already weighted, and the training loop adds them.

# %%
total = sum(terms.values())

torch.testing.assert_close(total, alpha * loss_stu + loss_dis)
for name, value in terms.items():
    print(f"{name:12s} {value:.5f}, {value / total:.0%} of the total")

# %%
# Exercise 05.1: MT equals the ground truth, and the student's image is 0.01 too bright everywhere.
# What is L_total (alpha = 0.1, K = 1)? Work it out from the 2 x 2 blocks.
answer_1 = ...  # replace the dots

check("05.1", answer_1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_1 = 0.1 * 0.01 + (4 * 0.01 / 2) / 4
# ```
#
# The three detail bands of a constant are 0, but the mean over four bands still divides LL by 4: as printed, the loss
# rates an error in brightness at half its size.
#
# </details>

# %% [markdown]
# ## Who decides?
#
# The gradient says more than the value of the loss. Each term pulls at every value of the student's image, up or down.
# The gradient of abs(x) is its sign, whatever the size of x, so the ground truth pulls with the strength alpha
# everywhere (in units of 1 / number of values). The gradient of the wavelet term is half the sum of four signs, one per
# band, so the strength of its pull is 0, 1 or 2. Where does it have which strength, and where does the ground truth
# change the direction of the sum? In the maps red pulls up (brighter) and blue down (darker); full colour is a strength
# of 2.

# %%
from PIL import Image

from mtkd.explore.draw.colours import diverging

PICTURES = {name: batch_of(name) for name in ("astronaut", "chelsea", "coffee", "rocket")}


def pulls(alpha: float, picture: str) -> Image.Image:
    """Downhill directions of both terms and of their sum, at the student's image; shown: 32 x 32 values of green."""
    data = PICTURES[picture]
    image = student(data.lr_image).requires_grad_()
    found = create("mtkd", {"alpha": alpha}, ("MT",)).loss(lambda lr: image, data)
    truth, dis = (-image.numel() * torch.autograd.grad(found[name], image)[0] for name in ("alpha L_stu", "L_dis"))
    dis = dis.round()  # 0, 1 or 2, without the last bits
    both = truth + dis
    decided = ((both.sign() != dis.sign()) & (both != 0)).float().mean()
    titles = (f"ground truth, {alpha:g}", "MT, through the bands"), ("sum", f"ground truth decides {decided:.0%}")
    maps = [(titles[0][0], "pull 0 or alpha", truth), (titles[0][1], "pull 0, 1 or 2", dis), (*titles[1], both)]
    return sheet([(*lines, diverging(m[0, 1, 48:80, 48:80].double().numpy() / 2)) for *lines, m in maps], 8, 3)


pulls(0.1, "chelsea")

# %%
from IPython.display import display

from mtkd.course.lessons import Controls

deciding = Controls(pulls, alpha=(0.0, 2.5, 0.1), picture=list(PICTURES))
display(deciding)

# %% [markdown]
# With alpha = 0.1 the ground truth decides only where the votes of the bands cancel exactly (white in the middle map).
# But that is more than a third of the values. The paper calls the contribution of $\mathcal L_{stu}$ "rather limited"
# (Sec. 3.2); here it is about a third of the total, and decides more than a third of the directions. Move alpha across
# 1, and across 2: the share jumps there and hardly changes in between, since only the order of the strengths matters.
# (At 1 and 2 themselves there are ties.)

# %%
# Exercise 05.2: for one value x of the image, with the plain L1 loss instead of L_dis (variant v5 of Table 5), the
# total is 0.1 |x - 0.2| + |x - 0.6|: the ground truth is 0.2, MT is 0.6. Which x makes it smallest?
answer_2 = ...  # replace the dots

check("05.2", answer_2)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_2 = 0.6
# ```
#
# Absolute values do not compromise: per unit, a move away from 0.6 costs 1 and gains at most 0.1. For every alpha below
# 1 the optimum is MT itself. The ground truth matters only because the student is too small to reach MT.
#
# </details>

# %%
# Exercise 05.3: the wavelet term's vote at a value is half the sum of four signs. Suppose that these signs are
# independent coin flips, and so is the sign of the ground truth's term. At which share of the values does the ground
# truth decide the direction if alpha = 1.5? (0.05 would be 5 %.)
answer_3 = ...  # replace the dots

check("05.3", answer_3)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_3 = 6 / 16 + (8 / 16) / 2
# ```
#
# Of 16 patterns, 6 give a vote of 0, 8 a vote of strength 1 and 2 a vote of strength 2. The ground truth decides where
# the vote is 0, and where it contradicts a vote of 1, which is half of those. For alpha below 1 the share is 6/16 =
# 38 %, above 2 it is 6/16 + 10/32 = 69 %. Compare with the slider above: the signs of real errors are nearly
# independent.
#
# </details>

# %% [markdown]
# ## Nothing flows back into the teachers
#
# MT enters the loss as a constant. Neither the aggregator nor its teachers get a gradient; only the student's weights
# change. The training loop therefore runs the teachers once per image and stores their outputs.

# %%
import copy

learner = copy.deepcopy(student).requires_grad_(True)
sum(method.loss(learner, batch).values()).backward()

assert all(parameter.grad is not None for parameter in learner.parameters())
assert all(parameter.grad is None and not parameter.requires_grad for parameter in mt.parameters())
counts = (sum(p.numel() for p in network.parameters()) for network in (learner, mt))
print("{:,} weights learn, {:,} do not".format(*counts))


# %%
# Exercise 05.4: write one training step of Eq. 4 with K = 1. Return the loss before the step. (In lesson 4 you wrote
# the wavelet loss; `mtkd.losses.WaveletLoss(1)(image, mt_image)` is the library's.)
def train_step(student, optimizer, lr_image, gt_image, mt_image, alpha):
    return ...  # replace the dots


check("05.4", train_step)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def train_step(student, optimizer, lr_image, gt_image, mt_image, alpha):
#     optimizer.zero_grad()
#     image = student(lr_image)
#     loss = alpha * (image - gt_image).abs().mean() + mtkd.losses.WaveletLoss(1)(image, mt_image)
#     loss.backward()
#     optimizer.step()
#     return float(loss.detach())
# ```
#
# That is all of Stage 2. The library's loop adds batches of patches, mixed precision, a moving average of the weights,
# and checkpoints.
#
# </details>

# %% [markdown]
# ## Three students side by side
#
# Three students have the same network, the same initial weights and the same patches in the same order; only the loss
# differs. *scratch* has Eq. 2 alone, *KD* adds the image of one teacher of the student's own architecture, and *MTKD*
# is Eq. 4. They train on four images; PSNR is measured on the fifth. Scratch and MTKD are trained once more with
# another seed: other initial weights, other patches. Does distillation show after so few steps?

# %%
from mtkd.course.lessons import HELD_OUT_PSNR, lesson, study

trained = study(
    {
        "scratch": lesson("edsr_tiny-scratch", steps),
        "KD": lesson("edsr_tiny-kd", steps),
        "MTKD": lesson("edsr_tiny-mtkd", steps),
        "scratch, seed 2": lesson("edsr_tiny-scratch", steps, ["seed=2"]),
        "MTKD, seed 2": lesson("edsr_tiny-mtkd", steps, ["seed=2"]),
    }
)

# %%
from mtkd.explore.evidence.charts import lines

lines(trained.of(HELD_OUT_PSNR), "step", "PSNR-Y of the held-out picture, dB")

# %%
ends = {title: values[-1] for title, (_, values) in trained.of(HELD_OUT_PSNR).items()}
for first, second in (
    ("KD", "scratch"),
    ("MTKD", "scratch"),
    ("MTKD, seed 2", "scratch, seed 2"),
    ("scratch, seed 2", "scratch"),
    ("MTKD, seed 2", "MTKD"),
):
    print(f"{first} over {second}: {ends[first] - ends[second]:+.3f} dB")

# %% [markdown]
# The methods cannot be told apart. The last two lines compare students that were trained in the *same* way, and they
# differ as much as students of different methods. An effect must be larger than that before it means anything. In the
# stored output MTKD is behind scratch after 300 steps, with both seeds; in the long runs below it is ahead. The
# pictures show no difference at all:

# %%
from mtkd.metrics import psnr

whole = to_uint8(batch.hr_image[1])
cells = [("ground truth", "", whole[:64, :64])]
for title, network in trained.networks.items():
    made = to_uint8(network(batch.lr_image[1:]))
    cells.append((title, f"{psnr(made, whole, 4):.2f} dB", made[:64, :64]))
sheet(cells, zoom=3, columns=3)

# %% [markdown]
# ## The long runs
#
# The bundled students were trained for thousands of steps on 380 images, some of them with several seeds. The records
# hold the PSNR of every image, so two methods can be compared image by image and seed by seed:

# %%
from IPython.display import Markdown

from mtkd.experiments.maintain.evidence import measured_report
from mtkd.experiments.tables import find, sentence

report = measured_report("mini")
students = {"table2": "RCAN", "table3": "EDSR", "table4": "SwinIR"}
pairs = [("kd", "scratch"), ("mtkd", "scratch"), ("mtkd", "kd")]
Markdown(
    "\n".join(
        f"- {student} student, {first} over {second}: {sentence(report, table, first, second)}"
        for table, student in students.items()
        for first, second in pairs
    )
)

# %% [markdown]
# The number after ± is the standard deviation, over the seeds, of the difference between two students with the same
# seed. Note the SwinIR student, for which KD is clearly ahead of MTKD; [lesson 9](09_findings.ipynb) looks for the
# reason. The chart shows the RCAN student. The line through a point is the spread; *held out* are the images on which
# choices were made.

# %%
from mtkd.explore.evidence.charts import differences

differences(report, "table2", pairs, sets=("held out", "Set5", "Set14"))

# %%
# Exercise 05.5: how many standard errors is the gain of MTKD over scratch away from 0, for the RCAN student on Set14?
# `cell` has the mean, the spread (standard deviation) and the number of seeds.
rows = {(row["first"], row["second"]): row["sets"] for row in find(report, "table2", 4)["differences"]}
cell = rows["mtkd", "scratch"]["Set14"]
answer_5 = ...  # replace the dots

check("05.5", answer_5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_5 = cell["mean"] / (cell["spread"] / cell["seeds"] ** 0.5)
# ```
#
# Compare your number with the 95 % limit of Student's t. With n seeds there are n - 1 degrees of freedom; for three
# seeds the limit is 4.3, not 1.96. Few seeds prove little, even if they all have the same sign. (Lesson 7 explains
# this, and the stricter 97.5 % that our verdicts use.)
#
# </details>

# %% [markdown]
# ## On the way there (optional)
#
# Which part of the training makes the difference? The chart shows the PSNR of the held-out images while the EDSR
# students were trained.

# %%
from mtkd.experiments.plan import load_plan
from mtkd.experiments.records import MEASURED, read
from mtkd.explore.evidence.charts import training_curves

names = {"edsr_tiny-scratch": "scratch", "edsr_tiny-kd": "KD", "edsr_tiny-mtkd": "MTKD"}
training_curves(load_plan("mini"), read(MEASURED / "mini.sqlite"), names)

# %% [markdown]
# Most of the rise is common to all of them. (The first points are too low, all for the same reason: the measured
# weights are a moving average that still holds some of the random start, 14 % at step 2,000 and 2 % at step 4,000.) The
# RCAN students were also saved at steps that are evenly spaced on a logarithmic scale, as models that can be run:
# `rcan_tiny-mtkd@STEP`. Below you see these steps and the students' lead over scratch at each, then one crop after the
# first saved step and after the last.

# %%
from mtkd.course.distillation import after_steps, held_out_by_step
from mtkd.explore.evidence.ablations import kept

names = {"rcan_tiny-scratch": "scratch", "rcan_tiny-kd": "KD", "rcan_tiny-mtkd": "MTKD"}
on_the_way = kept(4)["rcan_tiny-mtkd"]
print(on_the_way)
_, base = held_out_by_step("rcan_tiny-scratch")
gains = {}
for name, title in names.items():
    at, quality = held_out_by_step(name)
    gains[title] = at, [own - scratch for own, scratch in zip(quality, base, strict=True)]
lines(gains, "step", "held-out PSNR-Y over scratch, dB", log=True)

# %%
CROPS = {
    "chelsea": example("chelsea").read()[64:144, 80:160],
    "astronaut": example("astronaut").read()[30:110, 90:170],
    "coffee": example("coffee").read()[60:140, 120:200],
}


def after(number: int, picture: str) -> Image.Image:
    """The crop as the students made it when they were kept for the ``number``-th time."""
    return after_steps(CROPS[picture], names, on_the_way[number - 1])


after(1, "chelsea")

# %%
after(len(on_the_way), "chelsea")

# %%
training = Controls(after, number=(1, len(on_the_way)), picture=list(CROPS))
display(training)

# %% [markdown]
# At the first saved step the upscaled image is already there, since these networks add their output to the bilinearly
# upscaled input. But each of the 4 x 4 sub-pixels has its own error, which shows as a grid. First the grid disappears,
# then edges and hairs get their contrast. To the eye the three students are alike at every step. Their gains jump up
# and down: the curves are of one seed, and while the learning rate is high a snapshot says little about where the
# training will end.

# %% [markdown]
# ## Which control, which alpha? (optional)
#
# What helps: MT, the loss, or the small alpha? Runs that change one thing at a time are *controls*. The list is read
# from the records. v1 to v7 are the variants of the paper's Table 5, the subject of lesson 7. The chart shows v7, whose
# L_dis has the three detail bands and no LL.

# %%
from mtkd.course.distillation import measured_gains

recorded = measured_gains(report, {"controls": "RCAN", "table5": "RCAN", "edsr_controls": "EDSR"})
alphas = [title for title in recorded if "alpha" in title]
print("alpha:", ", ".join(alphas) or "only 0.1, the default, is recorded; runs with other values are still to be made")


def gain(control: str, beside_mtkd: bool) -> Image.Image:
    """The gain over scratch on every set, for one recorded control."""
    table, label = recorded[control]
    chosen = [(label, "scratch")] + [("mtkd", "scratch")] * (beside_mtkd and label != "mtkd")
    return differences(report, table, chosen, sets=("held out", "Set5", "Set14"))


gain("RCAN: v7: detail bands only", True)

# %%
controls = Controls(gain, control=list(recorded), beside_mtkd=True)
display(controls)

# %% [markdown]
# Without LL (v7) the distillation sees nothing that is coarser than the finest detail, and with alpha = 0.1 the ground
# truth is too weak to make up for that: the student is worse than without any teacher. Lesson 7 measures where its
# error lies. Hollow points are single seeds.
#
# Now try two values of alpha, for half the steps. With alpha = 0 the student never sees the ground truth; with
# alpha = 1 both terms pull about equally hard. **Predict first,** after the section *Who decides?*: which is ahead,
# and by about how much? How far behind is a student that never sees the ground truth?

# %%
weighed = study(
    {
        "alpha = 0": lesson("edsr_tiny-mtkd", steps // 2, ["method.options.alpha=0"]),
        "alpha = 1": lesson("edsr_tiny-mtkd", steps // 2, ["method.options.alpha=1"]),
    }
)

# %%
ends = {title: values[-1] for title, (_, values) in weighed.of(HELD_OUT_PSNR).items()}
print(f"alpha = 1 over alpha = 0: {ends['alpha = 1'] - ends['alpha = 0']:+.3f} dB")
lines(weighed.of(HELD_OUT_PSNR), "step", "PSNR-Y of the held-out picture, dB", height=2.8)

# %% [markdown]
# A student that never saw the ground truth learns to upscale nearly as well: MT is near enough to it. In the stored
# output alpha = 1 is ahead, as scratch was ahead of MTKD above; perhaps the ground truth speeds up the start. One seed
# and so few steps prove neither. In the long runs with the RCAN student (choose them above) alpha = 0.1 is within 0.01
# dB of alpha = 0 (three seeds), and 0.01 to 0.03 dB ahead of alpha = 1 (one seed).

# %% [markdown]
# ## What the paper says, what we found

# %%
from mtkd.course.conclusions import conclusion

Markdown(conclusion("05"))

# %%
progress("05")

# %% [markdown]
# ## What to keep
#
# - Eq. 4 has two targets. With alpha = 0.1 MT decides wherever the votes of the bands do not cancel, and the ground
#   truth where they do: at more than a third of the values.
# - The gain of distillation is small at this size: it takes thousands of steps, whole test sets and several seeds to
#   measure it, and the eye sees none of it.
# - Whether MT or the loss helps is a question for controls.
#
# ## To think about
#
# Why should a student learn from MT, when each training image has its ground truth, a better image? Describe a case in
# which it should not help, and an experiment that would show it. ([Open question
# 5](../docs/teaching/open-questions.md), with a rubric.)
#
# **Next:** [the other methods](06_baselines.ipynb) and what each takes from its teacher.
