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
# # 11. Bring your own teachers
#
# **Goal.** You have a trained network, or two. Find out in ten minutes, before any long training, whether it is
# worthwhile to merge it with others and to distil from the result.
#
# **Time.** About 25 minutes to read, one to two minutes to run. *Optional:* not on the core path.
#
# *In the paper:* Sec. 3.1 (Stage 1), Table 5 (v1, v2).
#
# *In the code:* [mtkd/zoo/imports.py](../mtkd/zoo/imports.py),
# [mtkd/experiments/maintain/agreement.py](../mtkd/experiments/maintain/agreement.py),
# [mtkd/networks/aggregator.py](../mtkd/networks/aggregator.py)
#
# Read lessons 2 (where teachers disagree) and 3 (aggregation) first. The steps are: import, compare, predict, average,
# train an aggregator, decide. Each step is cheaper than the next, and any of them may already give the answer.

# %%
import os
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from IPython.display import Markdown

from mtkd import zoo
from mtkd.course import check, progress
from mtkd.course.lessons import lesson
from mtkd.course.project import as_set
from mtkd.data.examples import EXAMPLES, PATTERNS, PICTURES
from mtkd.experiments.maintain.agreement import agreement, gain_of_averaging
from mtkd.experiments.maintain.evidence import measured_report
from mtkd.experiments.tables import sentence
from mtkd.explore.evidence import charts
from mtkd.numbers import signed
from mtkd.training.loop import train
from mtkd.zoo import imports

FAST = False  # True: a short training, to see that everything runs
steps = 10 if FAST else 200
folder = Path(mkdtemp())
os.environ["MTKD_HOME"] = str(folder)  # imported models go here and not among yours; leave this line out at home

# %% [markdown]
# ## 1. Import a checkpoint
#
# Give the path of a checkpoint of yours (`.pth`, `.pt`, `.safetensors`): EDSR, RCAN, SwinIR, SPAN and Compact of any
# size are recognised ([Data and weights](../docs/data.md)). Without one, the lesson writes one in the style of other
# programs: a dictionary with `params_ema`, and keys that begin with `module.`. No code in the file is run.

# %%
my_file = None  # for instance Path("downloads/my_rcan_x4.pth")
if my_file is None:
    my_file = folder / "from_elsewhere.pth"
    weights = zoo.load("rcan_tiny-kd", scale=4).state_dict()
    torch.save({"params_ema": {f"module.{key}": value for key, value in weights.items()}}, my_file)

found = imports.inspect(my_file)
print(f"{found.family}, x{found.header.scale}, {found.parameters:,} parameters; weights at {found.key!r}")
for note in found.notes:
    print("-", note)
mine = imports.add(found, name="my_teacher")
print("imported as", mine.name)

# %% [markdown]
# ## 2. Compare: how good, how similar?
#
# Two numbers decide what a merge can gain: how good each network is, and how similar their errors are. With residuals
# $e_i = I_i - I_{GT}$ and moments $M_{ij} = \mathrm{mean}(e_i e_j)$, the correlation is
# $r_{ij} = M_{ij} / \sqrt{M_{ii} M_{jj}}$. Use many images, and none that a network was trained on. To be quick, this
# lesson uses the bundled ones.

# %%
names = ["edsr_mini", "rcan_mini", "my_teacher", "bicubic"]
networks = {name: zoo.load(name, scale=4) for name in names}
images = as_set(PICTURES)
alike = agreement(networks, images, 4)

lines = [
    "| | PSNR-Y, dB | " + " | ".join(f"r with {name}" for name in names) + " |",
    "|---|" + "--:|" * (1 + len(names)),
]
for name, row in zip(names, alike.correlation, strict=True):
    lines.append(f"| {name} | {alike.psnr[name]:.2f} | {' | '.join(f'{r:.3f}' for r in row)} |")
Markdown("\n".join(lines))

# %% [markdown]
# Correlations near 1 are usual: most of a network's error at x4 is detail that the LR image does not hold. Bicubic
# plays the part of a network that is much weaker than the others.
#
# ## 3. Predict the gain
#
# For two networks and weights $w$ and $1 - w$ the squared error of the merge is
#
# $$ E(w) = w^2 M_{11} + 2 w (1 - w) M_{12} + (1 - w)^2 M_{22}, \qquad
# w^* = \frac{M_{22} - M_{12}}{M_{11} + M_{22} - 2 M_{12}} $$
#
# This is a parabola. The weaker network helps if its lowest point lies between 0 and 1, which is the case if and only
# if
#
# $$ r < \sigma_{\text{better}} / \sigma_{\text{worse}} . $$
#
# Here $\sigma = \sqrt{M_{ii}}$ is the root mean square error. A network that is worse by 0.3 dB is therefore useful
# only if r is below $10^{-0.3/20} = 0.966$, one that is worse by 2 dB only if r is below 0.79.


# %%
def two(first: str, second: str):
    """(moments, best weight of the first) of two networks, over all pictures."""
    at = [names.index(first), names.index(second)]
    m = alike.moments.mean(0)[np.ix_(at, at)]
    return m, (m[1, 1] - m[0, 1]) / (m[0, 0] + m[1, 1] - 2 * m[0, 1])


for second in names[1:]:
    first = "edsr_mini"
    m, best = two(first, second)
    sigma = np.sqrt(np.diag(m))
    r, ratio = m[0, 1] / sigma.prod(), sigma.min() / sigma.max()
    assert (0 < best < 1) == (r < ratio)
    weights = np.array([best, 1 - best])
    assert np.allclose(
        m @ weights, (m @ weights).mean()
    )  # at the best weights both errors have the same moment with the merge's error
    says = "helps" if r < ratio else "only harms"
    print(f"{first} with {second}: r = {r:.3f}, better/worse = {ratio:.3f}: the weaker {says}; best weight {best:.2f}")

# %%
weights = np.linspace(0.4, 1, 25)
curves = {}
for other in names[1:]:
    m, _ = two("edsr_mini", other)
    error = [w * w * m[0, 0] + 2 * w * (1 - w) * m[0, 1] + (1 - w) ** 2 * m[1, 1] for w in weights]
    curves[f"with {other}"] = (weights.tolist(), (10 * np.log10(m[0, 0] / np.array(error))).tolist())
charts.lines(curves, "weight of edsr_mini in the merge", "gain over edsr_mini alone, dB")


# %%
# Exercise 11.1: derive the best weight of the first network from the moments, an array (2, 2), with pencil and paper:
# E'(w) = 0. Then write it down here, and only then compare it with the formula above.
def best_weight(moments):
    return ...  # replace the dots


check("11.1", best_weight)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def best_weight(moments):
#     return (moments[1, 1] - moments[0, 1]) / (moments[0, 0] + moments[1, 1] - 2 * moments[0, 1])
# ```
#
# There E'(w) = 2 w M11 + 2 (1 - 2 w) M12 - 2 (1 - w) M22 is 0. If M12 > M11, the weight is above 1: the second network
# would have to be subtracted.
# </details>

# %% [markdown]
# For $n$ equally good networks the gain is that of [lesson 2](02_teachers.ipynb), $10 \log_{10}(n / (1 + (n - 1) r))$.
# Each further teacher helps less: however many there are, the gain stays below $-10 \log_{10} r$.

# %%
r = alike.correlation[0, 1]
assert all(gain_of_averaging(n, r) < -10 * np.log10(r) for n in range(2, 50))
for n in (2, 3, 5, 10):
    print(f"{n} equals with r = {r:.3f}: {gain_of_averaging(n, r):+.3f} dB")
print(f"any number: below {-10 * np.log10(r):+.3f} dB")

# %% [markdown]
# ## 4. The plain mean, before anything is trained
#
# The plain mean costs one line. Whatever an aggregator gains must be compared with it.

# %%
r = alike.correlation[:3, :3][np.triu_indices(3, 1)].mean()
gains = {
    "predicted from r, for equals": gain_of_averaging(3, r),
    "plain mean of the three": alike.weighted(np.array([1, 1, 1, 0]) / 3) - alike.best,
    "plain mean with bicubic, too": alike.weighted(np.full(4, 1 / 4)) - alike.best,
    "best fixed weights of the four": alike.weighted(alike.weights) - alike.best,
}
charts.bars({f"over the best of the three, {alike.best:.2f} dB": gains}, "dB", "+.3f", 1)


# %%
# Exercise 11.2: from the moments of n networks, an array (n, n): what does the plain mean gain over the best, in dB?
def plain_gain(moments):
    return ...  # replace the dots


check("11.2", plain_gain)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def plain_gain(moments):
#     return 10 * np.log10(np.diag(moments).min() / moments.mean())
# ```
#
# With all weights 1/n the squared error w M w is the mean of all n × n entries of M. No image is needed any more.
# </details>

# %% [markdown]
# A network that is far weaker spoils a plain mean. Leave it out, or give it a smaller weight: the best weights follow
# from $M$ and need no training. They have the least squared error over all pixels of all images. In mean PSNR, which
# counts every image equally, another merge may be slightly ahead; for the same reason the prediction is not exact.
#
# ## 5. Train an aggregator for them
#
# The aggregator of lesson 3 takes any number of teachers. Ours starts as a learned weighted mean of their images, so a
# short training can find the weights. The paper claims that an aggregator finds *more* than weights.

# %%
recipe = lesson("aggregator_mini", steps, ["name=my_mt", "teachers=[edsr_mini, my_teacher]", "lr_patch=32"])
run = folder / "runs" / "my_mt"
recipe = recipe.model_copy(update={"validate_every": steps})
train(recipe, run, False, lambda row: None, cache=folder / "cache")
mt = zoo.load("my_mt", scale=4, sources=[run])
pair = {name: networks[name] for name in recipe.teachers}
labels = {"mean": "plain mean of the two", "best weights": "best fixed weights", "my_mt": f"aggregator, {steps} steps"}
groups = {}
for where, pictures in (("pictures of the training", EXAMPLES), ("two other pictures", PATTERNS)):
    merged = agreement(pair, as_set(pictures), 4, {"my_mt": mt})
    gains = merged.gains()
    groups[where] = {label: gains[key] for key, label in labels.items()}
charts.bars(groups, "dB over the better of the two", "+.3f", 2)

# %%
trained, other = (values[labels["my_mt"]] - values[labels["mean"]] for values in groups.values())
Markdown(
    f"Aggregator over the plain mean: {signed(trained, '+.3f')} dB on the pictures that it was trained on, "
    f"{signed(other, '+.3f')} dB on two others. **Only the second number counts.**"
)

# %% [markdown]
# On the two other pictures every merge is worse than the better network alone: there `my_teacher` is far behind, as the
# last table of this lesson shows. A short training shows that it runs and what it costs. Long trainings are in the
# records. There, three about equal teachers were merged:

# %%
report = measured_report("mini")
rows = [
    ("three teachers merged, over the best of them", "aggregators", "MT", "rcan"),
    ("RCAN student: MTKD over KD from one teacher", "table2", "mtkd", "kd"),
    ("EDSR student: MTKD over KD from one teacher", "table3", "mtkd", "kd"),
    ("SwinIR student: MTKD over KD from one teacher", "table4", "mtkd", "kd"),
]
Markdown("\n".join(f"- {words}: {sentence(report, *names)}" for words, *names in rows))

# %% [markdown]
# ## Is it worth it for me?
#
# | question | look at | if no |
# |---|---|---|
# | Is another network about as good as my best? | section 2, PSNR | give it a smaller weight: next row |
# | Are their errors different enough: r below better/worse? | section 3 | use the best alone |
# | Is the predicted gain above 0.05 dB? | section 3 | use the best alone |
# | Is an aggregator better than the plain mean? | section 5 | distil from the mean; nothing to train |
# | Does the student gain more than from one teacher, over seeds? | [lesson 10](10_your_own_method.ipynb) | KD |
#
# The first three questions need no training, the fourth needs one, and the last needs six. At the size of our networks
# the answer to the last question is usually no: what the merge gains hardly reaches the students
# ([Findings](../docs/findings.md)).
#
# On the command line, with your own files:
#
# ```
# mtkd models import downloads/my_rcan_x4.pth --name my_teacher
# mtkd agreement edsr_mini rcan_mini my_teacher
# mtkd train mini/aggregator_mini_x4 --set name=my_mt --set "teachers=[edsr_mini, my_teacher]" --out runs/my_mt
# ```

# %%
m, best = two("edsr_mini", "my_teacher")
at, weights = [names.index("edsr_mini"), names.index("my_teacher")], np.array([best, 1 - best])
lines = ["| picture | my_teacher behind edsr_mini, dB | best merge over edsr_mini, dB |", "|---|--:|--:|"]
gains = []
for picture, moments in zip(PICTURES, alike.moments, strict=True):
    one = moments[np.ix_(at, at)]
    gains.append(10 * np.log10(one[0, 0] / (weights @ one @ weights)))
    behind = 10 * np.log10(one[1, 1] / one[0, 0])
    lines.append(f"| {picture.title} | {signed(behind, '+.2f')} | {signed(gains[-1], '+.3f')} |")
over = sum(gain > 0.05 for gain in gains)
answer = "worth a training" if over > len(gains) / 2 else "not worth a training"
Markdown("\n".join(lines) + f"\n\nThe merge gains more than 0.05 dB on {over} of {len(gains)} pictures: **{answer}**.")

# %% [markdown]
# **Which images** you test on matters more than which merge you choose. On a brick wall `my_teacher` (if you gave no
# file: the small student `rcan_tiny-kd`) is better than EDSR; on stairs it is far behind. A mean over mixed images
# hides both. Use images of the kind that you want to super-resolve.
#
# ## To think about
#
# A colleague offers you a fourth teacher. What do you ask for, and in which order?
#
# <details><summary>Rubric (6 points)</summary>
#
# | points | for |
# |--:|---|
# | 1 | its SR images of test images that no network was trained on, before its weights |
# | 2 | PSNR *and* the correlation of its residuals with those of the others |
# | 1 | the bound $-10 \log_{10} r$: what a fourth one can add at most |
# | 1 | the cost: one more forward pass of a large network per training picture |
# | 1 | what to do if it is weaker: give it a smaller weight, or leave it out |
# </details>
#
# **Next:** [read like a reviewer](12_read_like_a_reviewer.ipynb).

# %%
progress("11")
