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
# # 2. The teachers
#
# **Goal.** Know what EDSR, RCAN and SwinIR are made of and what they cost, where their results differ, and how much
# could be gained by merging them: the reason for the paper's first stage.
#
# **Time.** About 35 minutes to read, 20 seconds to run. *Optional:* not on the core path.
#
# *In the paper:* Sec. 1 and 3.2 (why several teachers), Sec. 4.1 and Table 1.
#
# *In the code:* [mtkd/networks/edsr.py](../mtkd/networks/edsr.py), [mtkd/networks/rcan.py](../mtkd/networks/rcan.py),
# [mtkd/networks/swinir.py](../mtkd/networks/swinir.py),
# [mtkd/zoo/costs.py](../mtkd/zoo/costs.py),
# [mtkd/experiments/maintain/agreement.py](../mtkd/experiments/maintain/agreement.py).

# %%
import math
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from IPython.display import Markdown
from PIL import Image

import mtkd
from mtkd.course import check, progress
from mtkd.course.lessons import Controls
from mtkd.course.oracle import oracle_gain
from mtkd.data.benchmarks import BenchmarkImage
from mtkd.data.examples import EXAMPLES, example
from mtkd.experiments.maintain.agreement import PROTOCOL, agreement, gain_of_averaging
from mtkd.experiments.maintain.evidence import measured_agreements
from mtkd.experiments.published import published
from mtkd.explore import compare
from mtkd.explore.comparison.crops import Region, sheet
from mtkd.explore.comparison.outputs import loaded, outputs
from mtkd.explore.draw.alt import described
from mtkd.explore.draw.colours import diverging
from mtkd.explore.evidence.charts import bars, lines, merging_gains
from mtkd.images import chw, write_image
from mtkd.networks import parameter_count, specs
from mtkd.resize import imresize
from mtkd.zoo.costs import of_network, parts

SCALE = 4
TEACHERS = ("edsr_mini", "rcan_mini", "swinir_mini")
edsr, rcan, swinir = (loaded(name, SCALE).network for name in TEACHERS)

# %% [markdown]
# ## One frame, three bodies
#
# All three work at LR size almost to the end and upscale only then (by pixel shuffles: 4 channels become 2 x 2 pixels).
# The first convolution turns the image into features. The body refines them and adds the result to its input (such a
# sum is called a *skip*). In the diagrams SR is the upscaled result, LN a LayerNorm, and MLP two linear layers with a
# nonlinearity between them.
#
# - **EDSR**: 32 residual blocks, 256 channels.
# - **RCAN**: 10 groups of 20 blocks, 64 channels. Its *channel attention* multiplies each channel by a gate, a number
#   in (0, 1) computed from the means of all channels.
# - **SwinIR**: 6 blocks of 6 layers, 180 channels. Its attention works in windows; in every second layer they are
#   shifted by half a window. A block ends with a convolution and a skip.

# %%
from mtkd.course.schemes import block_schemes

block_schemes()

# %% [markdown]
# EDSR sees the image through 3 x 3 convolutions alone. RCAN's attention lets the whole image decide how strong a
# channel is. SwinIR mixes the 64 pixels of a window of 8 x 8, with weights computed from their content. The next cells
# write out one block of each and compare it with the library's. (They use the small versions of the zoo, which have the
# same blocks, and random numbers as input.)

# %%
shallow = edsr.conv_first(edsr.normalise(torch.rand(1, 3, 24, 24)))
block = edsr.body[0]
torch.testing.assert_close(
    shallow + block.res_scale * block.conv2(block.conv1(shallow).relu()),
    block(shallow),
)

shallow = rcan.conv_first(rcan.normalise(torch.rand(1, 3, 24, 24)))
block = rcan.body[0].residual_group[0]
first, _, second, attention = block.rcab
refined = second(first(shallow).relu())
_, narrow, _, widen, _ = attention.attention
loudness = torch.sigmoid(widen(narrow(refined.mean((2, 3), keepdim=True)).relu()))  # (1, C, 1, 1)
torch.testing.assert_close(shallow + loudness * refined, block(shallow))
print(f"RCAN: the 32 channels of this block are scaled by {loudness.min():.2f} to {loudness.max():.2f}")

# %% [markdown]
# SwinIR's layer works on the tokens $x$ of a window: its 64 pixels, each a vector of channels. The channels are divided
# among *heads* of $d$ channels each, which work side by side. One linear map ($W$, $b$) makes queries $Q$, keys $K$ and
# values $V$; a learned bias (not the $B$ of the paper, which counts blocks) depends on the relative position of two
# pixels:
#
# $$\text{attention}(x) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt d} + \text{bias}\right) V,\qquad
# [Q, K, V] = W\,\text{LN}(x) + b .$$

# %%
layer = swinir.layers[0].residual_group.blocks[0]
heads, tokens = layer.attn.heads, torch.randn(5, 64, 48)  # five windows
q, k, v = layer.attn.qkv(layer.norm1(tokens)).reshape(5, 64, 3, heads, -1).permute(2, 0, 3, 1, 4)  # (5, heads, 64, d)
weights = (q @ k.transpose(-2, -1) / math.sqrt(48 / heads) + layer.attn.position_bias()).softmax(-1)
mixed = tokens + layer.attn.proj((weights @ v).transpose(1, 2).reshape(5, 64, 48))
torch.testing.assert_close(mixed + layer.mlp(layer.norm2(mixed)), layer(tokens, None))
print(f"each of {heads} heads mixes 64 pixels by a table of {tuple(weights.shape[-2:])} weights, anew in every window")

# %% [markdown]
# How far does each of them see? The pictures show how strongly the SR pixel in the middle depends on each LR pixel: the
# size of the gradient, on a log scale (yellow: the largest; black: a ten-thousandth of it or less). RCAN reaches
# everywhere, since its gates depend on the whole image.

# %%
from mtkd.course.figures import receptive_fields
from mtkd.images import to_tensor

small = imresize(to_tensor(example("coffee").read()[40:232, 100:292]), 1 / SCALE)
receptive_fields({"EDSR": edsr, "RCAN": rcan, "SwinIR": swinir}, small, SCALE)

# %% [markdown]
# ## Table 1: the parameters, counted
#
# Here the paper's six networks are built (on the *meta* device, which knows shapes and stores no numbers) and their
# parameters are counted at each scale. Table 1 names no scale. Do its numbers agree?

# %%
with torch.device("meta"):
    counts = {
        row.network: {scale: parameter_count(mtkd.build(row.network, scale)) for scale in (2, 3, 4)}
        for row in published().table1
    }
table = ["| network | role | channels | blocks | groups | printed | x2 | x3 | x4 |", "|---|---|" + "--:|" * 7]
for row in published().table1:
    printed = f"{row.parameters:g}"  # "43" has no digit after the point
    rounded = {s: f"{n / 1e6:.{len(printed.partition('.')[2])}f}" for s, n in counts[row.network].items()}
    assert printed in rounded.values(), row
    cells = (f"**{n:,}**" if rounded[s] == printed else f"{n:,}" for s, n in counts[row.network].items())
    shape = f"{row.channels} | {row.blocks} | {row.groups or '-'}"
    table.append(f"| {row.network} | {row.role} | {shape} | {printed} M | {' | '.join(cells)} |")
Markdown("\n".join([*table, "", "Bold: rounds to the printed number."]))

# %% [markdown]
# Every printed number is right for some scale, but no scale fits them all: the number for SwinIR is that of x2, the
# others are those of x4. (At x4 SwinIR would be printed as 11.9.)


# %%
# Exercise 02.1: count EDSR at x4 yourself. Its convolutions: 3 -> C, two of C -> C in each block, C -> C after the
# body, two of C -> 4 C in the upsampler, C -> 3. A 3x3 convolution has 9 * inputs * outputs weights and `outputs`
# biases. (Table above: 64 channels and 16 blocks are edsr_baseline, 256 and 32 are edsr.)
def edsr_parameters(channels, blocks):
    return ...


check("02.1", edsr_parameters)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def edsr_parameters(channels, blocks):
#     def conv(inputs, outputs):
#         return 9 * inputs * outputs + outputs
#
#     body = (2 * blocks + 1) * conv(channels, channels)
#     return conv(3, channels) + body + 2 * conv(channels, 4 * channels) + conv(channels, 3)
# ```
#
# Almost all of the count grows with the square of the width: four times the channels and twice the blocks make 28 times
# the parameters.
#
# </details>

# %% [markdown]
# ## Where the parameters are
#
# The bars show millions of parameters in each part of the frame.

# %%
with torch.device("meta"):
    teachers = {name: mtkd.build(name, SCALE) for name in ("edsr", "rcan", "swinir")}
bars(
    {
        name: {part: parameter_count(child) / 1e6 for part, child in network.named_children() if parameter_count(child)}
        for name, network in teachers.items()
    },
    "million parameters, x4",
    ".2f",
)

# %% [markdown]
# EDSR's upsampler alone is nearly as large as the largest student of Table 1. RCAN is named after its channel
# attention. How large is that part?

# %%
# Exercise 02.2: what share of RCAN's parameters belongs to its 200 channel attentions? Each has a 1x1 convolution from
# 64 to 4 channels and one back, with biases. `counts["rcan"][4]` is all of them. (0.05 would be 5 %.)
answer_2 = ...

check("02.2", answer_2)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_2 = 200 * (64 * 4 + 4 + 4 * 64 + 64) / counts["rcan"][4]
# ```
#
# Less than one percent: a network is not always named after the part that holds its weights.
#
# </details>

# %% [markdown]
# ## Multiply-adds
#
# Parameters say what must be stored. What must be computed for an output of 1280 x 720? The weight of a convolution is
# used once at each pixel, so at LR size (320 x 180) each parameter counts 57,600 times. The last column, uses per LR
# pixel, is therefore close to 1. Layers after the upsampling raise it, and so does attention, which multiplies numbers
# that are not parameters. Biases lower it, and so do weights that are used once per image. The last line lists what MT
# needs: the aggregator and all three teachers.

# %%
table = ["| network | size | parameters | multiply-adds | uses of a parameter per LR pixel |", "|---|---|--:|--:|--:|"]
for name in ("edsr", "rcan", "swinir", "edsr_baseline", "rcan_lightweight", "swinir_lightweight", *TEACHERS):
    cost = of_network(name, SCALE)
    uses = cost.multiply_adds / cost.parameters / (320 * 180)
    table.append(
        f"| {name} | {specs()[name].size} | {cost.parameters:,} | {cost.multiply_adds / 1e9:,.1f} G | {uses:.2f} |"
    )
merged = parts("aggregator_mini", SCALE)
table += ["", "MT of the zoo: " + ", ".join(f"{name} {n / 1e9:,.1f} G" for name, n in merged.items()) + "."]
Markdown("\n".join(table))

# %%
# Exercise 02.3: how many multiply-adds does a 3x3 convolution from 3 to 64 channels need on an LR image of 320 x 180?
# (Biases are not counted: they are added, not multiplied.)
answer_3 = ...

check("02.3", answer_3)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_3 = 9 * 3 * 64 * 320 * 180
# ```
#
# Every weight meets every pixel once. The same layer after upscaling by four would cost 16 times as much.
#
# </details>

# %% [markdown]
# The paper trains for 250,000 steps on a GPU. The zoo has mini versions that were trained on a CPU. This is how they
# differ from the paper's networks:

# %%
Markdown("\n".join(f"- **{name}**: {' '.join(specs()[name].deviations)}" for name in TEACHERS))

# %% [markdown]
# ## Where they agree
#
# The three networks are built differently. Do they make different errors? Top row: the error of each (blue too dark,
# red too bright, full colour at 32 levels of luma). Middle: the differences between two of them, in the same colours.
# Bottom: the same differences with four times the contrast (*to 8*: full colour at 8 levels). The numbers (*typically*)
# are root mean squares over the whole image.

# %%
SHORT = dict(zip(TEACHERS, ("EDSR", "RCAN", "SwinIR"), strict=True))


def residual(model, photo):
    """A model's error in luma levels (H, W), as the library's `agreement` takes it: not rounded, 4 pixels cropped."""
    small = imresize(chw(photo), 1 / SCALE).permute(1, 2, 0).contiguous().numpy()
    sr = outputs(model, small, SCALE).sr.clamp(0, 1)
    return (PROTOCOL.planes(sr, SCALE) - PROTOCOL.planes(photo, SCALE))[0].numpy()


photo = example("astronaut").read()
errors = np.stack([residual(name, photo) for name in TEACHERS])  # (3, H, W)
pairs = list(combinations(range(3), 2))
names = list(SHORT.values())


def rms(values):
    return f"typically {math.sqrt(np.square(values).mean()):.1f} levels"


part = np.s_[64:152, 72:160]
cells = [(f"{names[i]} minus ground truth", rms(errors[i]), diverging(errors[i][part] / 32)) for i in range(3)]
for full in (32, 8):
    for i, j in pairs:
        apart = errors[i] - errors[j]
        cells.append((f"{names[i]} minus {names[j]}, to {full}", rms(apart), diverging(apart[part] / full)))
sheet(cells, zoom=3, columns=3)

# %% [markdown]
# The top row seems to show one picture three times: all teachers miss the same fine detail, since LR does not hold it.
# The differences are small beside what the errors share, and lie along edges.

# %% [markdown]
# ## How alike: the correlation of residuals
#
# With the residuals $e_i = \text{SR}_i - \text{GT}$ and their moments $M_{ij} = \text{mean}(e_i e_j)$ over all pixels,
# the similarity of two teachers' errors is measured by their correlation
#
# $$r_{ij} = \frac{M_{ij}}{\sqrt{M_{ii} M_{jj}}} .$$
#
# The library's `agreement` computes it over a set of images; here the set is one image.

# %%
moments = np.einsum("ihw,jhw->ij", errors, errors) / errors[0].size
r = moments / np.sqrt(np.outer(np.diag(moments), np.diag(moments)))

with TemporaryDirectory() as folder:
    pair = BenchmarkImage("astronaut", Path(folder) / "lr.png", example("astronaut").path)
    write_image(pair.lr, imresize(chw(photo), 1 / SCALE).permute(1, 2, 0).numpy())
    networks = {name: loaded(name, SCALE).network for name in TEACHERS}
    found = agreement(networks, [pair], SCALE, {"MT": loaded("aggregator_mini", SCALE).network})
np.testing.assert_allclose(r, found.correlation, atol=1e-4)
print(", ".join(f"{names[i]} and {names[j]}: r = {r[i, j]:.3f}" for i, j in pairs))

# %% [markdown]
# The mean of the images keeps what the errors share and averages away what is each teacher's own: the *bias* and the
# *variance* of the three. With $\bar e$, the mean of the errors, this is exact:
#
# $$\frac{1}{n}\sum_i \text{mean}(e_i^2) = \text{mean}(\bar e^2) + \frac{1}{n}\sum_i \text{mean}((e_i - \bar e)^2) .$$


# %%
def kept_and_averaged_away(name):
    """The mean squared error of the teachers, and its two parts, in levels squared."""
    one = np.stack([residual(teacher, example(name).read()) for teacher in TEACHERS])
    kept = one.mean(0)
    found = [np.square(one).mean(), np.square(kept).mean(), np.square(one - kept).mean()]
    assert math.isclose(found[0], found[1] + found[2], rel_tol=1e-5)
    return dict(zip(("a teacher's error", "kept by their mean", "averaged away"), found, strict=True))


bars({name: kept_and_averaged_away(name) for name in ("astronaut", "chelsea", "brick")}, "levels squared", ".1f")

# %% [markdown]
# Nearly all of the error is shared. Averaging cannot touch it.

# %% [markdown]
# What can the mean of $n$ SR images gain if all are equally good ($M_{ii} = \sigma^2$) and any two have the same $r$?
# Its mean squared error is the sum of all moments divided by $n^2$:
#
# $$\text{MSE} = \frac{1}{n^2}\left(n\,\sigma^2 + n(n-1)\,r\,\sigma^2\right) = \sigma^2\,\frac{1 + (n-1)\,r}{n},\qquad
# \text{gain} = 10 \log_{10} \frac{n}{1 + (n-1)\,r}\ \text{dB} .$$

# %%
same = found.mean_correlation
equal = 50.0 * ((1 - same) * np.eye(3) + same * np.ones((3, 3)))  # sigma^2 = 50
third = np.full(3, 1 / 3)
assert math.isclose(10 * math.log10(50.0 / (third @ equal @ third)), gain_of_averaging(3, same))

gains = {label: value for label, value in found.gains().items() if label != "best of each pixel"}
Markdown(
    "| what is merged | dB over the best teacher, astronaut |\n|---|--:|\n"
    + "\n".join(f"| {label} | {value:+.3f} |" for label, value in gains.items())
)

# %% [markdown]
# *predicted* is the formula with the mean of the three $r$; the plain mean falls short of it here, because the teachers
# are not quite equally good. *MT* is the image of the trained aggregator. *best weights* were chosen with the ground
# truth in sight, so they are an upper bound for fixed weights. Independent errors ($r = 0$) would gain 4.8 dB; errors
# as similar as these gain about a tenth of a dB.

# %%
# Exercise 02.4: infinitely many equally good teachers, the errors of any two with r = 0.95: how many dB does their
# mean gain?
answer_4 = ...

check("02.4", answer_4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_4 = 10 * math.log10(1 / 0.95)
# ```
#
# 0.22 dB. No average finds what all teachers miss. Three teachers already reach two thirds of this limit.
#
# </details>

# %% [markdown]
# One image proves little. The next table has the same numbers from the records (the measurements of our own runs, which
# come with the code), for all scales. Per scale there is one set of teachers and one aggregator, of one seed each.
# Nothing was trained or chosen on Set5 and Set14. The *held out* images were kept from training, but used for choices.
#
# **Predict first:** is the trained aggregator ahead of the plain mean? Does merging pay at every scale?

# %%
records = measured_agreements("mini")
kinds = ("predicted", "mean", "best weights", "aggregator_mini", "best of each pixel")
table = ["| set | images | scale | r | " + " | ".join(kinds) + " |", "|---|" + "--:|" * (3 + len(kinds))]
for row in records:
    numbers = " | ".join(f"{row['gains'][kind]:+.3f}" for kind in kinds)
    table.append(f"| {row['set']} | {row['images']} | x{row['scale']} | {row['mean_correlation']:.3f} | {numbers} |")
Markdown("\n".join([*table, "", "dB over the best teacher; aggregator_mini makes MT."]))

# %% [markdown]
# (*best weights* have the least squared error over all pixels of a set. The table shows the mean of the images' PSNR,
# so the plain mean can be slightly ahead of them.)
#
# At x4 merging helps, and the trained aggregator gains about as much as the plain mean. At x2 and x3 merging gains next
# to nothing, or loses: there the teachers are unequal, and the others hardly improve the best one, whatever the
# weights. Only the last column is always large, many times the gain of any real merge. What is it?

# %% [markdown]
# ## An oracle picks the best teacher at every pixel
#
# An oracle knows the ground truth and takes, at each pixel, the value of the teacher that is nearest to it. No merge
# that only *picks* can be better, and it is tempting to conclude that this much can be gained. First, which teacher is
# picked? (Smoothed over a few pixels; pale where two are about equal.)

# %%
result = compare(photo, TEACHERS, SCALE)
picture, shares = result.best_teacher()
for colour, (name, part_of_all) in zip(("orange", "blue", "green"), shares.items(), strict=True):
    print(f"{colour}: {SHORT[name]} {part_of_all:.0%}")
best_map = Image.fromarray(picture[40:200, 48:208]).resize((480, 480), Image.Resampling.NEAREST)
described(best_map, "The best teacher of each pixel, by colour: specks of all three.")

# %%
picked = np.square(errors).min(0).mean()
np.testing.assert_allclose(picked, found.oracle[0], rtol=1e-4)
np.testing.assert_allclose(oracle_gain(errors), found.gains()["best of each pixel"], atol=1e-3)

best = found.best
table = ["| picture | PSNR-Y | over the best teacher |", "|---|--:|--:|"]
for name, value in {
    **{SHORT[name]: value for name, value in found.psnr.items()},
    "mean of the three": best + found.gains()["mean"],
    "MT, the trained aggregator": best + found.gains()["MT"],
    "oracle": best + found.gains()["best of each pixel"],
}.items():
    table.append(f"| {name} | {value:.2f} dB | {value - best:+.3f} dB |")
Markdown("\n".join([*table, "", f"astronaut; {PROTOCOL}."]))

# %% [markdown]
# Each teacher wins about a third of the pixels, in small specks. Does the oracle's gain mean that there is something to
# learn?

# %% [markdown]
# ## Why the oracle promises too much
#
# The oracle looks at the answer, so it gains even where there is nothing to learn. Take **one** teacher, the best, and
# add noise to it three times, so strong that the copies differ from one another as much as the teachers do. There is
# nothing to learn from such copies: without the ground truth one can at best remove the noise, which gives the one
# teacher back. The oracle gains all the same, because one of three numbers is always the nearest to the ground truth.

# %%
photos = {entry.name: entry.read() for entry in EXAMPLES}
random = np.random.default_rng(0)
residuals, copies, best_of = {}, {}, {}
for name, image in photos.items():
    residuals[name] = np.stack([residual(teacher, image) for teacher in TEACHERS])
    best_of[name] = min(residuals[name], key=lambda e: np.square(e).mean())
    spread = math.sqrt(np.mean([np.square(residuals[name][i] - residuals[name][j]).mean() for i, j in pairs]))
    copies[name] = best_of[name] + random.normal(0, spread / math.sqrt(2), residuals[name].shape)
bars(
    {
        name: {
            "oracle, teachers": oracle_gain(residuals[name]),
            "oracle, noise": oracle_gain(copies[name], over=best_of[name]),
            "mean, teachers": oracle_gain(residuals[name].mean(0)[None], over=best_of[name]),
            "mean, noise": oracle_gain(copies[name].mean(0)[None], over=best_of[name]),
        }
        for name in photos
    },
    "dB over the best teacher",
    "+.2f",
)

# %% [markdown]
# Noise alone gives the oracle about half of its gain, and on the cat all of it, although averaging noise gains nothing.
# A fairer oracle may choose only for whole blocks: in a block noise averages out, and real differences in skill remain.

# %%
sides = (1, 2, 4, 8, 16, 32, 64)
lines(
    {
        "oracle, three teachers": (sides, [np.mean([oracle_gain(e, b) for e in residuals.values()]) for b in sides]),
        "oracle, one teacher with noise": (
            sides,
            [np.mean([oracle_gain(copies[n], b, best_of[n]) for n in photos]) for b in sides],
        ),
    },
    "side of the blocks that the oracle chooses for, pixels",
    "dB over the best teacher (mean of 5)",
    log=True,
)

# %% [markdown]
# On blocks of 8 pixels the gain from noise is gone, while some of the teachers' gain remains: there *are* places where
# one teacher is better than the others. But this oracle, too, knows the ground truth. Its curve says that a good choice
# exists, not that the choice can be read from the teachers' images. In the records at x4 the trained aggregator gains
# about as much as fixed weights, and nothing of what the oracle gains beyond them:

# %%
merging_gains(
    records,
    {
        "mean": "plain mean",
        "best weights": "best fixed weights",
        "aggregator_mini": "MT, three teachers",
        "best of each pixel": "oracle, each pixel",
    },
)

# %%
# Exercise 02.5: two teachers make independent errors of equal size, normally distributed. Their mean gains 3.01 dB.
# What does the oracle gain, picking the smaller error at each pixel? Simulate it (a million pixels are enough), in dB.
# (`np.random.default_rng(1).normal(size=(2, n))` makes the errors of both.)
answer_5 = ...

check("02.5", answer_5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# errors_of_two = np.random.default_rng(1).normal(size=(2, 1_000_000))
# answer_5 = 10 * math.log10(1 / np.square(errors_of_two).min(0).mean())
# ```
#
# 4.4 dB, although nothing in the two images says which one is right at a pixel: without the ground truth the mean is
# the best choice.
#
# </details>

# %% [markdown]
# ## Try it
#
# Choose two models and an image. You see the error of each, and the signed difference between them (blue: the first is
# darker).


# %%
def show(first, second, picture, full_colour=16):
    """Errors of two models and their difference, 96 x 96 pixels in the middle of the picture."""
    one, two = residual(first, photos[picture]), residual(second, photos[picture])
    likeness = (one * two).mean() / math.sqrt(np.square(one).mean() * np.square(two).mean())
    region = Region((one.shape[0] - 96) // 2, (one.shape[1] - 96) // 2, 96, 96)
    cells = {
        (f"{first} minus ground truth", rms(one)): one,
        (f"{second} minus ground truth", f"{rms(two)}; r = {likeness:.3f}"): two,
        (f"{first} minus {second}", f"{rms(one - two)}; to {full_colour} levels"): one - two,
    }
    return sheet([(*words, region.cut(diverging(values / full_colour))) for words, values in cells.items()], zoom=3)


show("edsr_mini", "swinir_mini", "brick")

# %%
MODELS = [*TEACHERS, "bicubic", "aggregator_mini", "rcan_tiny-scratch", "rcan_tiny-mtkd"]
controls = Controls(show, first=MODELS, second=MODELS[::-1], picture=list(photos), full_colour=(4, 32, 4))
controls

# %%
progress("02")

# %% [markdown]
# ## What to keep
#
# - One frame, three bodies: convolutions; convolutions with channel attention; attention in windows.
# - Table 1's counts can be rebuilt; they mix two scales.
# - The teachers' errors are similar ($r$ near 1), since LR lacks the same detail for all. What an average of equals can
#   gain follows from $r$: about a tenth of a dB here at x4. Where one teacher is clearly better, it gains nothing.
# - An oracle's gain is no promise: part of it is luck that no real method can use.
#
# ## To think about
#
# Why should a mean be better than its best member, and when is it worse? What would an aggregator have to do *beyond* a
# mean, and how would you notice? ([Open question 2](../docs/teaching/open-questions.md), with a rubric.)
#
# **Next:** [the aggregator](03_aggregation.ipynb) that merges them.
