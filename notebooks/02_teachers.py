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
# **Goal.** To know what EDSR, RCAN and SwinIR are made of and what they cost, where their pictures differ, and how much
# could be gained by merging them: the reason for the paper's first stage.
#
# **Time.** about 35 minutes to read, 20 seconds to run.
#
# *In the paper:* Sec. 3.1 (why several teachers), Sec. 4.1 and Table 1.
# *In the code:* [mtkd/networks/edsr.py](../mtkd/networks/edsr.py), [mtkd/networks/rcan.py](../mtkd/networks/rcan.py),
# [mtkd/networks/swinir.py](../mtkd/networks/swinir.py),
# [mtkd/explore/comparison/costs.py](../mtkd/explore/comparison/costs.py),
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
from torch import nn

import mtkd
from mtkd.course.lessons import Controls
from mtkd.course.oracle import oracle_gain
from mtkd.data.benchmarks import BenchmarkImage
from mtkd.data.examples import EXAMPLES, example
from mtkd.experiments.maintain.agreement import PROTOCOL, agreement, gain_of_averaging
from mtkd.experiments.maintain.evidence import measured_agreements
from mtkd.experiments.published import published
from mtkd.explore import compare
from mtkd.explore.comparison.costs import multiply_adds, of_network, parts
from mtkd.explore.comparison.crops import Region, sheet
from mtkd.explore.comparison.outputs import loaded, outputs
from mtkd.explore.draw.colours import diverging
from mtkd.explore.evidence.charts import bars, lines, merging_gains
from mtkd.images import chw, write_image
from mtkd.networks import parameter_count, specs
from mtkd.resize import imresize

SCALE = 4
TEACHERS = ("edsr_mini", "rcan_mini", "swinir_mini")
edsr, rcan, swinir = (loaded(name, SCALE).network for name in TEACHERS)

# %% [markdown]
# ## One frame, three bodies
#
# All three work at LR size almost to the end, and only then enlarge (by pixel shuffles: 4 channels become 2 x 2
# pixels). The first convolution makes features of the picture; the body refines them, and adds what it found to what
# came in (such a sum is called a *skip*). SR is the enlarged result, LN a LayerNorm, MLP two linear layers with a
# nonlinearity between them.
#
# ```text
#            ┌──────────────────────────────┐
# LR ── conv ┴─ body: N blocks ── conv ─── (+) ── upsampler ── conv ── SR
#
# EDSR    block: x + 0.1 · conv(ReLU(conv(x)))                      32 blocks, 256 channels
# RCAN    block: x + attention(conv(ReLU(conv(x))))                 10 groups of 20 blocks, 64 channels
#                attention: each channel times a number in (0, 1), made from the means of all channels
# SwinIR  layer: x + window attention(LN(x)), then x + MLP(LN(x))   6 blocks of 6 layers, 180 channels
#                every second layer with windows shifted by half; a block ends with a conv and a skip
# ```
#
# EDSR sees the picture through 3 x 3 convolutions alone. RCAN's attention lets the whole picture decide how loud a
# channel is. SwinIR mixes the 64 pixels of a window of 8 x 8, by weights that it makes from their content. One block of
# each, written out, against the library's (the zoo's small versions, same blocks, on random numbers):

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
# SwinIR's layer, on the tokens $x$ of a window (its 64 pixels, a vector of channels each). The channels are shared out
# among *heads*, of $d$ channels each, that work side by side; the learned bias $B$ depends on how two pixels lie to one
# another. One linear map ($W$, $b$) makes queries $Q$, keys $K$ and values $V$:
#
# $$\text{attention}(x) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt d} + B\right) V,\qquad
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
# ## Table 1: the parameters, counted
#
# The paper's six networks are built (without memory: the *meta* device only knows shapes) and counted at each scale.
# Table 1 names no scale. Does it agree with what is built?

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
# Every printed number is right for some scale, and no scale fits them all: SwinIR's is that of x2, the others' that of
# x4. (At x4 SwinIR would be printed as 11.9.)

# %%
# Exercise 1: count EDSR at x4 yourself. Its convolutions: 3 -> C, two of C -> C in each block, C -> C after the body,
# two of C -> 4 C in the upsampler, C -> 3. A 3x3 convolution has 9 * inputs * outputs weights and `outputs` biases.


def edsr_parameters(channels, blocks):
    """Parameters of EDSR at x4."""
    return ...


assert edsr_parameters(64, 16) in (..., counts["edsr_baseline"][4]), "are all the biases counted?"
assert edsr_parameters(256, 32) in (..., counts["edsr"][4]), "right for 64 channels, but not for 256"

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
# Almost all of it grows with the square of the width: four times the channels and twice the blocks make 28 times the
# parameters.
#
# </details>

# %% [markdown]
# ## Where the parameters are
#
# In millions, by the parts of the frame:

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
# attention. How large is that?

# %%
# Exercise 2: what share of RCAN's parameters belongs to its 200 channel attentions? Each has a 1x1 convolution from 64
# to 4 channels and one back, with biases. (0.05 would be 5 %.)
share = ...
inside = sum(parameter_count(m) for m in teachers["rcan"].modules() if type(m).__name__ == "ChannelAttention")

assert share is ... or abs(share - inside / counts["rcan"][4]) < 1e-6, "64 * 4 weights in, 4 biases, 4 * 64 out, 64"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# share = 200 * (64 * 4 + 4 + 4 * 64 + 64) / counts["rcan"][4]
# ```
#
# Less than one percent: what a network is named after need not be where its weights are.
#
# </details>

# %% [markdown]
# ## Multiply-adds
#
# Parameters say what must be stored. What must be computed, for an output of 1280 x 720? A convolution's weight is used
# once at each of its pixels, so at LR size (320 x 180) each parameter counts 57,600 times, and more often after the
# enlargement; attention also multiplies numbers that are no parameters. So the last column is near 1, and above 1 by
# those two; biases, and weights that are used once a picture, pull it below 1. The last line lists what making MT
# takes: the aggregator, and all three teachers.

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
# Exercise 3: how many multiply-adds has a 3x3 convolution from 3 to 64 channels on an LR image of 320 x 180?
# (Biases are not counted: they are added, not multiplied.)
count = ...

assert count is ... or count == multiply_adds(nn.Conv2d(3, 64, 3, padding=1), SCALE), "weights times pixels"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# count = 9 * 3 * 64 * 320 * 180
# ```
#
# Every weight meets every pixel once. The same layer after enlarging by four would cost 16 times as much.
#
# </details>

# %% [markdown]
# The paper trains for 250,000 steps on a GPU. The zoo has mini versions that were trained on a CPU; what they leave
# out:

# %%
Markdown("\n".join(f"- **{name}**: {' '.join(specs()[name].deviations)}" for name in TEACHERS))

# %% [markdown]
# ## Where they agree
#
# Three networks, built differently. Are their mistakes different? Top: each one's error (blue too dark, red too bright,
# full colour at 32 levels of luma). Middle: the differences between two of them, in the same colours. Bottom: the
# differences again, four times as strong (*to 8*: full colour at 8 levels). *Typically* is the root mean square over
# the whole picture.

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
cells = [(f"{names[i]} minus truth", rms(errors[i]), diverging(errors[i][part] / 32)) for i in range(3)]
for full in (32, 8):
    for i, j in pairs:
        apart = errors[i] - errors[j]
        cells.append((f"{names[i]} minus {names[j]}, to {full}", rms(apart), diverging(apart[part] / full)))
sheet(cells, zoom=3, columns=3)

# %% [markdown]
# The top row shows one picture three times: all teachers miss the same fine detail, since LR does not hold it. What
# differs is small beside what they share, and sits along edges.

# %% [markdown]
# ## How alike: the correlation of residuals
#
# With the residuals $e_i = \text{SR}_i - \text{GT}$ and their moments $M_{ij} = \text{mean}(e_i e_j)$ over all pixels,
# the likeness of two teachers' errors is
#
# $$r_{ij} = \frac{M_{ij}}{\sqrt{M_{ii} M_{jj}}} .$$
#
# The library's `agreement` computes it over a set of images; here of a set of one.

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
# What can the mean of $n$ pictures gain, if all are equally good ($M_{ii} = \sigma^2$) and any two have the same $r$?
# Its mean squared error is the sum of all moments, over $n^2$:
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
# *predicted* is the formula with the mean of the three $r$; the plain mean falls short of it here, as the teachers are
# not quite equally good. *MT* is the image of the trained aggregator. *best weights* were chosen looking at the ground
# truth, and so are an upper bound for fixed weights. Independent errors ($r = 0$) would give 4.8 dB; of errors this
# alike there is a tenth of a dB to be had.

# %%
# Exercise 4: how much would the mean of infinitely many such teachers gain, in dB?
ceiling = ...

assert ceiling is ... or abs(ceiling - gain_of_averaging(10**9, same)) < 1e-5, "n / (1 + (n - 1) r) for large n"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# ceiling = 10 * math.log10(1 / same)
# ```
#
# What all teachers miss, no average finds: three teachers already reach two thirds of the ceiling.
#
# </details>

# %% [markdown]
# One picture proves little. The same from the records (what our own runs measured, kept with the code), for all
# scales; there is one set of teachers and one aggregator (one seed each) a scale. Nothing was trained or chosen on
# Set5 and Set14; *held out* are images that were kept from training, and that choices were made on:

# %%
records = measured_agreements("mini")
kinds = ("predicted", "mean", "best weights", "aggregator_mini", "best of each pixel")
table = ["| set | images | scale | r | " + " | ".join(kinds) + " |", "|---|" + "--:|" * (3 + len(kinds))]
for row in records:
    numbers = " | ".join(f"{row['gains'][kind]:+.3f}" for kind in kinds)
    table.append(f"| {row['set']} | {row['images']} | x{row['scale']} | {row['mean_correlation']:.3f} | {numbers} |")
Markdown("\n".join([*table, "", "dB over the best teacher; aggregator_mini makes MT."]))

# %% [markdown]
# At x4 merging gains, and the trained aggregator gains about what the plain mean gains. At x2 and x3 next to nothing is
# gained, or something lost: there the teachers are unequal, and the best of them is hardly improved by the others,
# whatever the weights. Only the last column is always large, many times the best of what was really merged. What is
# it?

# %% [markdown]
# ## An oracle picks the best teacher at every pixel
#
# Somebody who knows the ground truth takes, at each pixel, the value of the teacher that is nearest. No merging that
# only *picks* can be better, and it is tempting to say: so much is to be gained. First, which teacher is picked (after
# smoothing over a few pixels; pale where two are about equal):

# %%
result = compare(photo, TEACHERS, SCALE)
picture, shares = result.best_teacher()
for colour, (name, part_of_all) in zip(("orange", "blue", "green"), shares.items(), strict=True):
    print(f"{colour}: {SHORT[name]} {part_of_all:.0%}")
Image.fromarray(picture[40:200, 48:208]).resize((480, 480), Image.Resampling.NEAREST)

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
# The teachers win a third of the picture each, in specks. Does the oracle's gain mean that there is something to learn?

# %% [markdown]
# ## Why the oracle promises too much
#
# It looks at the answer. Take **one** teacher, the best, and add noise to it three times, so strong that the copies
# differ from one another as much as the teachers do. There is nothing to learn from such copies: the best that anybody
# can do without the ground truth is to undo the noise, which gives the one teacher back. The oracle gains all the same,
# because among three numbers one is always nearest to the truth.

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
# About half of the oracle's gain is had from noise, on the cat all of it; and noise cannot gain by averaging. A fairer
# oracle may only choose for whole blocks: noise averages out in a block, real differences of skill remain.

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
# On blocks of 8 pixels noise has nothing left, while some of the teachers' gain remains: there *are* places where one
# is better than the others. But that curve, too, was made by somebody who knows the truth: it says that a good choice
# exists, not that it can be seen in the teachers' images. In the records at x4 the trained aggregator reaches about
# what fixed weights reach, and nothing of the oracle's surplus:

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
# Exercise 5: two teachers make independent errors of equal size, normally distributed. Their mean gains 3.01 dB.
# What does the oracle gain, picking the smaller error at each pixel? Simulate it (a million pixels are enough), in dB.
surplus = ...
exact = 10 * math.log10(1 / (1 - 2 / math.pi))

assert surplus is ... or abs(surplus - exact) < 0.05, "mean square of one over the mean of the smaller squares"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# errors_of_two = np.random.default_rng(1).normal(size=(2, 1_000_000))
# surplus = 10 * math.log10(1 / np.square(errors_of_two).min(0).mean())
# ```
#
# 4.4 dB, although nothing in the two images says which one is right at a pixel: the best that can be done is the mean.
#
# </details>

# %% [markdown]
# ## Try it
#
# Two models and a picture: the error of each, and the signed difference between them (blue: the first is darker).


# %%
def show(first, second, picture, full_colour=16):
    """Errors of two models and their difference, 96 x 96 pixels in the middle of the picture."""
    one, two = residual(first, photos[picture]), residual(second, photos[picture])
    likeness = (one * two).mean() / math.sqrt(np.square(one).mean() * np.square(two).mean())
    region = Region((one.shape[0] - 96) // 2, (one.shape[1] - 96) // 2, 96, 96)
    cells = {
        (f"{first} minus truth", rms(one)): one,
        (f"{second} minus truth", f"{rms(two)}; r = {likeness:.3f}"): two,
        (f"{first} minus {second}", f"{rms(one - two)}; to {full_colour} levels"): one - two,
    }
    return sheet([(*words, region.cut(diverging(values / full_colour))) for words, values in cells.items()], zoom=3)


show("edsr_mini", "swinir_mini", "brick")

# %%
MODELS = [*TEACHERS, "bicubic", "aggregator_mini", "rcan_tiny-scratch", "rcan_tiny-mtkd"]
controls = Controls(show, first=MODELS, second=MODELS[::-1], picture=list(photos), full_colour=(4, 32, 4))
controls

# %% [markdown]
# ## What to keep
#
# - One frame, three bodies: convolutions; convolutions with channel attention; attention in windows.
# - Table 1's counts can be rebuilt; they mix two scales.
# - The teachers' errors are alike ($r$ near 1), since LR lacks the same detail for all. What averaging equals can gain
#   follows from $r$: about a tenth of a dB here at x4, and nothing where one teacher is clearly better.
# - An oracle's gain is no promise: it is partly made of luck that nobody can have.
#
# Next: [the aggregator](03_aggregation.ipynb) that merges them.
