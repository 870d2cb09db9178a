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
# # 3. Aggregation
#
# **Goal.** Rebuild Stage 1 of MTKD by hand, from the teachers' images to MT, on the tensors of a trained aggregator,
# and check each step against the library. Train a small one. See how much of the result is learned and how much is
# averaging.
#
# **Time.** About 40 minutes to read, 90 seconds to run (most of it for two short trainings).
#
# *In the paper:* Sec. 3.1 (Fig. 1, Eq. 1), Sec. 5.3.2 (v3 and v4 of Table 5).
#
# *In the code:* [mtkd/networks/aggregator.py](../mtkd/networks/aggregator.py),
# [mtkd/networks/windows.py](../mtkd/networks/windows.py), [mtkd/networks/dct.py](../mtkd/networks/dct.py),
# [mtkd/methods/aggregate.py](../mtkd/methods/aggregate.py),
# [mtkd/explore/inside/trace.py](../mtkd/explore/inside/trace.py).

# %%
from mtkd.course.map import framework_map

framework_map("03")

# %%
FAST = False  # True: short trainings, to see that everything runs
steps = 3 if FAST else 150

# %% [markdown]
# ## Three images of one cat
#
# Three frozen teachers upscale the same LR image. The aggregator sees only their images, never the LR image itself.
# `trace` runs the aggregator once and keeps the outputs of its modules; the cells below compare with them.

# %%
import torch
import torch.nn.functional as F

import mtkd
from mtkd.course import check, progress
from mtkd.course.aggregation import difference_map
from mtkd.data.examples import example
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.inside.trace import trace
from mtkd.images import chw, to_tensor, to_uint8
from mtkd.resize import imresize

photo = example("chelsea").read()[40:168, 96:224]  # (128, 128, 3) uint8: the ground truth
lr_image = imresize(chw(photo), 1 / 4)[None].float() / 255  # (1, 3, 32, 32)
gt_image = to_tensor(photo)  # (1, 3, 128, 128)

mt = mtkd.load("aggregator_mini", 4)
aggregator, names = mt.aggregator, mt.aggregator.teachers
torch.set_grad_enabled(False)
images = [teacher(lr_image) for teacher in mt.teachers]  # three of (1, 3, 128, 128)
record = trace(aggregator, images)

mean = sum(images) / len(images)
cells = [(name, "", to_uint8(image)[:96]) for name, image in zip(names, images, strict=True)]
for name, image in zip(names, images, strict=True):
    cells.append((f"{name} - mean", "full colour at 8 of 255", difference_map(image, mean, full=8)[:96]))
sheet(cells, columns=3)

# %% [markdown]
# They look alike. The lower row, with more contrast, shows that they differ at edges, by a few levels. What can be
# gained from several opinions that are nearly the same?
#
# ## Sec. 3.1.1: concatenation
#
# We subtract the mean colour of DIV2K (a set of training images) from the N teachers' images and concatenate them along
# the channels. The scale is s, here 4, and the LR image has h × w pixels:
#
# $$ [I_{HR}^1 \dots I_{HR}^N]: \quad N \times (1, 3, sh, sw) \to (1, 3N, sh, sw) $$
#
# (Sides that are not multiples of 8 · s, here 32, are padded by reflection; 128 needs no padding.)

# %%
stacked = torch.cat([image - aggregator.mean[:, 0] for image in images], dim=1)

torch.testing.assert_close(stacked, record.concatenated)
print(tuple(stacked.shape))

# %% [markdown]
# ## Sec. 3.1.1: pixel-unshuffle
#
# Each of the s × s pixels of a block goes into a map of its own. Nothing is lost, and everything that follows works at
# the size of the LR image, whatever s is. In PyTorch it is `F.pixel_unshuffle`; inside it are a reshape and a
# transpose:

# %%
s, (_, channels, height, width) = 4, stacked.shape
unshuffled = F.pixel_unshuffle(stacked, s)  # (1, 3N s s, h, w)

torch.testing.assert_close(unshuffled, record.unshuffled)
assert torch.equal(unshuffled[:, 1], stacked[:, 0, 0::s, 1::s])  # map 1: row 0, column 1 of every s x s of channel 0
print(tuple(unshuffled.shape))

# %% [markdown]
# In the picture a number stands for a place in a block. All pixels with the same place, the same *phase*, make one map.

# %%
from mtkd.course.schemes import unshuffle_scheme

unshuffle_scheme()


# %%
# Exercise 03.1: write pixel-unshuffle for any s, without F.pixel_unshuffle: (n, c, H, W) -> (n, c s s, H / s, W / s),
# with n images of a batch and any number c of channels.
# Map k s s + i s + j of the result is x[:, k, i::s, j::s].
def unshuffle(x, s):
    return ...  # replace the dots


check("03.1", unshuffle)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def unshuffle(x, s):
#     n, c, height, width = x.shape
#     cut = x.view(n, c, height // s, s, width // s, s)  # (n, c, H / s, s, W / s, s)
#     return cut.permute(0, 1, 3, 5, 2, 4).reshape(n, c * s * s, height // s, width // s)
# ```
#
# `view` cuts each side into blocks of s, `permute` moves the two places inside a block behind the channel. Slices and
# `torch.stack` work as well. Pixel-shuffle, at the end of every network of lesson 2, is the inverse.
#
# </details>

# %% [markdown]
# ## Sec. 3.1.1: the first convolution
#
# A 3 × 3 convolution mixes all phases of all teachers into C = 24 maps, the shallow features $F_s$ (its s is for
# shallow, not the scale). A convolution is a matrix product with the 3 × 3 neighbourhoods, which `unfold` writes into
# columns:
#
# $$ F_s = W \cdot \mathrm{unfold}_{3 \times 3}(x) + b $$

# %%
weight, bias = aggregator.conv_first.weight, aggregator.conv_first.bias  # (24, 144, 3, 3), (24,)
columns = F.unfold(unshuffled, kernel_size=3, padding=1)  # (1, 144 * 9, h * w)
shallow = (weight.flatten(1) @ columns + bias[:, None]).view(1, 24, 32, 32)

torch.testing.assert_close(shallow, record.shallow, atol=1e-4, rtol=1e-4)
from mtkd.explore.draw.mosaics import signed_mosaic

drawn = signed_mosaic(shallow[0].numpy(), 8)
sheet([("F_s: 24 maps, blue negative, red positive, each on its own scale", "", drawn)], zoom=2)

# %%
# Exercise 03.2: how many parameters (weights and biases) would this convolution have with five teachers, not three?
answer_2 = ...  # replace the dots

check("03.2", answer_2)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_2 = 3 * 5 * 4**2 * 24 * 9 + 24
# ```
#
# There is one weight for each input map, output map and place in 3 × 3, and one bias for each output map. Nothing else
# in the aggregator depends on the number of teachers, except the weighted sum at the end.
#
# </details>

# %% [markdown]
# ## Sec. 3.1.2: windows
#
# After a LayerNorm over the channels the maps enter the blocks. Each layer first normalises again, then cuts the maps
# into windows of 8 × 8 pixels. The 64 pixels of a window, each a vector of C channels, are its *tokens*. (*Not in the
# paper's text:* this first LayerNorm, the last one, the mean colour above,
# the six heads, the MLP, and the convolution and sum at the end of a block. We took them from SwinIR, from which
# DCTSwin is derived.)
#
# $$ \mathrm{LN}(x) = \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}} \cdot \gamma + \beta
# \quad \text{over the channels of each pixel} $$

# %%
from mtkd.course.schemes import window_schemes

window_schemes()  # drawn with windows of 4 x 4

# %%


def layer_norm(x, norm):  # over the last axis, the channels
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


layer = aggregator.body[0].layers[0]
maps = layer_norm(shallow.permute(0, 2, 3, 1), aggregator.patch_norm)  # (1, h, w, C)
tokens = maps.view(4, 8, 4, 8, 24).transpose(1, 2).reshape(16, 64, 24)  # 4 x 4 windows, 64 tokens, C
before = layer_norm(tokens, layer.norm1)

torch.testing.assert_close(before, record.windows.before, atol=1e-4, rtol=1e-4)
print(tuple(before.shape))

# %% [markdown]
# ## Sec. 3.1.2: the DCT of a window
#
# This is what is new in MTKD: attention works on the *frequencies* of a window, not on its pixels. Each channel $X$ of
# each window goes through the two-dimensional discrete cosine transform:
#
# $$ Y = D X D^T, \qquad D_{ui} = c_u \cos\frac{\pi (2i+1) u}{2 \cdot 8}, \qquad
# c_0 = \sqrt{\tfrac{1}{8}}, \; c_{u>0} = \sqrt{\tfrac{2}{8}} $$
#
# Row u of $D$ is the frequency, column i the pixel.

# %%
import math

i = torch.arange(8.0)
u = i[:, None]
D = torch.cos(math.pi * (2 * i + 1) * u / 16) * math.sqrt(2 / 8)
D[0] /= math.sqrt(2)
X = before.permute(0, 2, 1).reshape(16, 24, 8, 8)  # (windows, C, 8, 8)
Y = D @ X @ D.T

torch.testing.assert_close(Y.flatten(2).transpose(1, 2), record.windows.frequencies, atol=1e-4, rtol=1e-4)
torch.testing.assert_close(D @ D.T, torch.eye(8), atol=1e-6, rtol=0)  # orthonormal: its transpose is its inverse

# %% [markdown]
# The transform writes a window as a weighted sum of 64 patterns (red positive, blue negative). The mean is at the top
# left; waves get finer along x to the right, and along y downwards.

# %%
from mtkd.course.figures import dct_cosines

dct_cosines()

# %% [markdown]
# Since D is orthonormal, the DCT only rotates the axes: the energy of a window stays the same. Which frequencies hold
# it?

# %%
torch.testing.assert_close(Y.square().sum(), X.square().sum(), atol=0, rtol=1e-4)
share = Y.square().mean((0, 1)) / Y.square().mean((0, 1)).sum()  # (8, 8)
print(f"mean of the window: {share[0, 0]:.1%} of the energy; lowest 4 x 4 of 64 frequencies: {share[:4, :4].sum():.1%}")

# %%
# Exercise 03.3: all 64 pixels of a window have the value 3. What is its coefficient Y[0, 0]?
answer_3 = ...  # replace the dots

check("03.3", answer_3)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_3 = 8 * 3
# ```
#
# Each of the two products sums eight values and multiplies by sqrt(1/8). That is a factor of sqrt(8) each, 8 in all.
# Without the normalisation the coefficient would be 64 · 3, and the logits of the attention, products of two such
# numbers, up to 64 times larger.
#
# </details>

# %% [markdown]
# ## One window, step by step
#
# The pictures show one channel of a window before the DCT, after it (the mean at the top left, finer along x to the
# right, finer along y downwards), after attention, and transformed back to pixels. Red is positive, blue negative; ± is
# the value of full colour, and *log* means that the colours follow a log scale.

# %%
from mtkd.course.aggregation import window_sheet

window_sheet(photo, record.windows, row=1, column=1, channel=5)

# %%
from IPython.display import Markdown, display

from mtkd.course.lessons import Controls


def show(row, column, channel):
    return window_sheet(photo, record.windows, row, column, channel)


controls = Controls(show, row=(0, 3), column=(0, 3), channel=(0, 23))
display(controls)

# %% [markdown]
# ## Sec. 3.1.2: attention between frequencies
#
# There are six heads, each on 4 of the 24 channels. Every frequency sends a query q, compares it with the keys k of all
# frequencies, and takes a weighted mean of their values v. The bias depends on the offset between two tokens, here
# between two *frequencies*:
#
# $$ \mathrm{softmax}\!\left(\frac{q k^T}{\sqrt{4}} + \text{bias}\right) v $$

# %%
attention = layer.attn
frequencies = Y.flatten(2).transpose(1, 2)  # (windows, 64, C)
qkv = frequencies @ attention.qkv.weight.T + attention.qkv.bias  # (windows, 64, 3C)
q, k, v = qkv.view(16, 64, 3, 6, 4).permute(2, 0, 3, 1, 4)  # (windows, heads, 64, 4) each
weights = (q @ k.transpose(2, 3) / math.sqrt(4) + attention.position_bias()).softmax(-1)  # (windows, heads, 64, 64)
mixed = (weights @ v).transpose(1, 2).reshape(16, 64, 24) @ attention.proj.weight.T + attention.proj.bias

torch.testing.assert_close(mixed, record.windows.mixed, atol=1e-4, rtol=1e-4)

# %% [markdown]
# The pictures show the weights in one window. Rows are queries, columns are keys, both from the mean (top, left) to the
# finest frequency. White is uniform attention, 1/64 = 0.016; red is more, blue is less. Each head has its own log
# scale, and its range is printed below. Is any frequency preferred?

# %%
from mtkd.course.aggregation import attention_sheet

own = weights[:, :, 0, 0].mean(0)  # by head, the weight that the window's mean gives itself, averaged over the windows
print("weight of the mean for itself:", ", ".join(f"{value:.2f}" for value in own.tolist()))
spread = (weights[:, :, 1:] - 1 / 64).abs().mean() * 64
print(f"all other rows differ from 1/64 by {spread:.0%} of it on average")
attention_sheet(weights[5])

# %% [markdown]
# The first row is the exception: the mean of the window attends only to itself in two heads, and only to the other
# frequencies in the rest. The other rows are nearly uniform, with slight preferences along diagonals, which come from
# the bias.

# %% [markdown]
# ## Sec. 3.1.2: back to pixels, and the MLP
#
# The inverse of the DCT is its transpose. The result is added to the layer's input. Then an MLP with one hidden layer
# works on each pixel separately, and its result is added too:
#
# $$ t' = t + \mathrm{IDCT}(\text{attention}), \qquad t'' = t' + W_2\,\mathrm{GELU}(W_1 \mathrm{LN}(t')) $$
#
# ($t$ are the tokens of a window; the biases of $W_1$ and $W_2$ are left out.)

# %%
added = (D.T @ mixed.transpose(1, 2).reshape(16, 24, 8, 8) @ D).flatten(2).transpose(1, 2)
inside = tokens + added
mlp = layer.mlp
hidden = F.gelu(layer_norm(inside, layer.norm2) @ mlp.fc1.weight.T + mlp.fc1.bias)
after = inside + hidden @ mlp.fc2.weight.T + mlp.fc2.bias

torch.testing.assert_close(added, record.windows.added, atol=1e-4, rtol=1e-4)
torch.testing.assert_close(after, layer(tokens, None), atol=1e-4, rtol=1e-4)
first = float(added[:, 0].square().sum() / added.square().sum())
print(f"{first:.0%} of what the layer adds is in 1 of 64 pixels, the top left one; evenly it would be {1 / 64:.1%}")

# %% [markdown]
# Why does so much of it land in one pixel? Where attention is nearly uniform, every frequency gets nearly the same mean
# of all. The inverse DCT of a constant spectrum has 76 % of its energy in one pixel, the corner of the window (its two
# neighbours have −27 % of its height). The bias, which depends on the offset between two frequencies, hardly tells them
# apart here. To do something useful the layer would have to learn which frequency to take from which. After 6,000 steps
# this one has learned little of that.


# %%
# Exercise 03.4: the idea of DCTSwin in one function. x is one window (8, 8, C), w_q, w_k, w_v are (C, C); one head, no
# biases. Transform each channel by the DCT, let the 64 frequencies attend to one another with q = w_q t for each
# token t (and so on; the logits are divided by sqrt(C)), transform back. `D` is the matrix from above.
def dct_attention(x, w_q, w_k, w_v):
    return ...  # (8, 8, C)


check("03.4", dct_attention)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def dct_attention(x, w_q, w_k, w_v):
#     channels = x.shape[-1]
#     tokens = (D @ x.permute(2, 0, 1) @ D.T).flatten(1).T  # (64, C)
#     q, k, v = tokens @ w_q.T, tokens @ w_k.T, tokens @ w_v.T
#     mixed = (q @ k.T / math.sqrt(channels)).softmax(-1) @ v  # (64, C)
#     return (D.T @ mixed.T.reshape(channels, 8, 8) @ D).permute(1, 2, 0)
# ```
#
# Without the two transforms it is the attention of SwinIR (and of v4 in Table 5). Without
# the softmax the DCT would cancel: with t → M t for an orthonormal M, $q k^T v$ becomes M $q k^T v$, and the inverse
# removes M. So in this function the transform matters only through the softmax (in the network also through the bias).
#
# </details>

# %% [markdown]
# ## Fig. 1, from end to end
#
# A block consists of L = 2 such layers, the second on windows shifted by half a window, then a 3 × 3 convolution; the
# block's input is added to the result. Four blocks, a LayerNorm and a convolution make the deep features $F_d$. The sum
# $F_s + F_d$ is upscaled by sub-pixel convolution. The paper stops there.
#
# Two details matter here. The shift is cyclic: what leaves on one side comes in at the other. Swin masks the attention
# between such pixels. Here nothing is masked (`layer(tokens, None)`), because the tokens are frequencies, for which a
# mask of places has no meaning; so windows at one edge also see pixels of the opposite edge. And, unlike the paper's,
# the *mini* aggregator adds a weighted sum of its teachers' images (one learned weight each), so that its
# training starts from a good image. Its card states this deviation. Below, what the network adds to this sum is called
# the *branch*.

# %%
from mtkd.networks.windows import merge_windows, partition_windows

deep = maps.permute(0, 3, 1, 2)
for block, recorded in zip(aggregator.body, record.blocks, strict=True):
    entry = deep
    for layer, shift in zip(block.layers, (0, 4), strict=True):
        rolled = deep.roll((-shift, -shift), (2, 3)).permute(0, 2, 3, 1)
        merged = merge_windows(layer(partition_windows(rolled, 8), None), 8, 32, 32)
        deep = merged.permute(0, 3, 1, 2).roll((shift, shift), (2, 3))
    deep = entry + block.conv(deep)
    torch.testing.assert_close(deep, recorded, atol=1e-3, rtol=1e-3)
deep = aggregator.conv_after_body(layer_norm(deep.permute(0, 2, 3, 1), aggregator.norm).permute(0, 3, 1, 2))
branch = aggregator.upsample(shallow + deep)  # (1, 3, sh, sw)
summed = sum(w * (image - aggregator.mean[:, 0]) for w, image in zip(aggregator.teacher_weights, images, strict=True))
mt_image = aggregator.mean[:, 0] + summed + branch

torch.testing.assert_close(mt_image, aggregator(images), atol=1e-4, rtol=1e-4)
torch.testing.assert_close(mt_image, mt(lr_image), atol=1e-4, rtol=1e-4)

# %% [markdown]
# Now the question of this lesson: how much of MT comes from the branch, with all its machinery, and how much from the
# weighted sum?

# %%
from mtkd.metrics import psnr

parts = {"MT": mt_image, "MT without its branch": mt_image - branch, "plain mean of the teachers": mean}
for title, image in parts.items():
    print(f"{title:28} {psnr(to_uint8(image), photo, 4):.3f} dB")
print("weights of", ", ".join(f"{n}: {w:.3f}" for n, w in zip(names, aggregator.teacher_weights.tolist(), strict=True)))
print(f"root mean square of the branch: {255 * float(branch.square().mean().sqrt()):.2f} of 255 levels")
without = difference_map(branch, 0 * branch, full=1)
sheet([("MT", "", to_uint8(mt_image)), ("the branch alone", "full colour at 1 of 255", without)], zoom=2)

# %% [markdown]
# The weights are about a third each, and the branch is faint: this aggregator could have learned anything, and what it
# learned is an average. More evidence follows at the end. First, what was it trained to do?
#
# ## Eq. 1
#
# $$ \mathcal{L}_{KA} = \lVert I_{GT} - I_{HR}^{MT} \rVert_1 $$
#
# We take the norm as a mean over pixels and colours, so that it does not grow with the patch (the crop of an image that
# a training step sees).

# %%
from mtkd.data.patches import Batch
from mtkd.methods.aggregate import Aggregate

batch = Batch(lr_image, gt_image, outputs=dict(zip(names, images, strict=True)))
by_hand = (gt_image - mt_image).abs().mean()

torch.testing.assert_close(by_hand, Aggregate(names).loss(aggregator, batch)["L_KA"])
print(f"L_KA = {by_hand:.5f}, or {255 * by_hand:.2f} levels")

# %% [markdown]
# Averaging helps only as far as the errors differ. If n images are equally good and their errors have the correlation
# r, averaging them multiplies the mean squared error by (1 + (n - 1) r) / n.

# %%
# Exercise 03.5: three teachers are equally good and their errors have the correlation r = 0.94. How many dB does their
# mean gain over one of them?
answer_5 = ...  # replace the dots

check("03.5", answer_5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_5 = 10 * math.log10(3 / (1 + 2 * 0.94))
# ```
#
# About 0.18 dB. With r = 0 it would be 10 log10(3) = 4.8 dB, with r = 1 nothing.
#
# </details>

# %% [markdown]
# ## Training a small aggregator (optional)
#
# Here a new aggregator is trained on four of the example images; the fifth is held out. It starts with weights of a
# third each and a branch that outputs 0, so it starts as the plain mean. We try two learning rates: that of the recipe,
# and a fifth of it. Does either rise above the mean?

# %%
from mtkd.course.lessons import lesson, study

torch.set_grad_enabled(True)
small = ["precision=fp32", "batch=2", "lr_patch=16", "teacher_outputs=online"]
studied = study(
    {
        "learning rate 0.001": lesson("aggregator_mini", steps, small),
        "learning rate 0.0002": lesson("aggregator_mini", steps, [*small, "optimizer.lr=0.0002"]),
    }
)

# %% [markdown]
# The chart has the two curves, the best teacher and the plain mean of the three, on the held-out image.

# %%
from mtkd.course.lessons import HELD_OUT_PSNR
from mtkd.data.examples import EXAMPLES
from mtkd.data.patches import split
from mtkd.explore import compare
from mtkd.explore.comparison.outputs import outputs
from mtkd.explore.evidence.charts import lines
from mtkd.images import read_image

(path,) = split(EXAMPLES[0].path.parent, 1)[1]  # the one that the lesson held out
held_out = read_image(path)
small_image = imresize(chw(held_out), 1 / 4).permute(1, 2, 0).numpy()
plain_mean = to_uint8(sum(outputs(name, small_image, 4).sr for name in names) / len(names))
comparison = compare(held_out, [*names, "aggregator_mini"], others={"plain mean": plain_mean})

print(f"held out: {path.stem}")
levels = {"plain mean": comparison["plain mean"].psnr, "best teacher": max(comparison[name].psnr for name in names)}
level_lines = {title: ([0, steps], [psnr_y, psnr_y]) for title, psnr_y in levels.items()}
lines(studied.of(HELD_OUT_PSNR) | level_lines, "steps", "held-out PSNR-Y, dB")

# %% [markdown]
# In the stored output no curve rises above the line of the plain mean. (Mind the axis: it spans only a few
# hundredths of a dB.) At the large learning rate the branch first adds noise and has to unlearn it; at the small one
# little happens. A minute of training proves nothing, but the long training ended in the same place, as the records
# below show.
#
# ## MT against each teacher (optional)

# %%
from mtkd.explore.comparison.crops import Region, crops

crops(comparison, Region(top=64, left=80, height=56, width=88), zoom=2, columns=4)

# %%
Markdown(comparison.markdown())

# %% [markdown]
# The bundled aggregator was trained for 6,000 steps on 380 images. Its PSNR is about that of the plain mean, and to the
# eye all five images are the same. The records for Set5 and Set14 follow. A *seed* is one training with its own random
# start, ± is the standard deviation over seeds, and "13 of 14" counts the images on which the first is better.

# %%
from mtkd.experiments.maintain.evidence import measured_agreements, measured_report
from mtkd.experiments.tables import sentence

report = measured_report("mini")


def say(*rows):
    return Markdown("\n".join(f"- {words}: {sentence(report, 'aggregators', 'MT', row)}" for words, row in rows))


say(
    ("MT over EDSR", "edsr"),
    ("MT over RCAN", "rcan"),
    ("MT over SwinIR", "swinir"),
    ("MT over MT of two teachers (v1)", "MT-v1"),
    ("MT over MT of SwinIR alone (v2)", "MT-v2"),
)

# %% [markdown]
# MT is better than each teacher. But is it better than their mean? On the cat it was not. **Predict first:** and on
# whole test sets, by how many dB? *Predicted* is the formula of exercise 03.5 with the measured r, which is printed
# above each panel.

# %%
from mtkd.explore.evidence.charts import merging_gains

merging_gains(
    measured_agreements("mini"),
    {
        "predicted": "predicted from r",
        "mean": "plain mean of the teachers",
        "best weights": "best fixed weights",
        "aggregator_mini": "MT, three teachers",
        "aggregator_mini-v3": "MT, Mixer layers (v3)",
        "aggregator_mini-v4": "MT, no DCT (v4)",
    },
)

# %% [markdown]
# It is not: the aggregator is about as good as the plain mean. At this size, and after this training, its gain is the
# gain of averaging. The paper trains for 250,000 steps of 16 patches, with teachers many times larger; [lesson
# 9](09_findings.ipynb) says what that leaves open.
#
# ## What v3 and v4 change (optional)
#
# Table 5 asks whether the DCT and the attention matter. v3 replaces both by a Mixer layer (an MLP over the 64 tokens of
# a window); v4 keeps attention and leaves out DCT and IDCT. In the code each is one value of the argument `mixing`. The
# records say:

# %%
say(("MT over Mixer layers (v3)", "MT-v3"), ("MT over attention without DCT (v4)", "MT-v4"))

# %%
variants = {title: mtkd.load(f"aggregator_mini{tail}", 4).aggregator for title, tail in (("v3", "-v3"), ("v4", "-v4"))}
cells = []
with torch.no_grad():
    for title, variant in variants.items():
        image = variant(images)
        largest = 255 * float((image - mt_image).abs().max())
        text = f"full colour at 1/4 level of 255; at most {largest:.2f}"
        cells.append((f"{title} - MT", text, difference_map(image, mt_image, full=0.25)))
sheet(cells, zoom=2)

# %% [markdown]
# The three images differ by less than half a level of 255 nearly everywhere; once rounded, they are almost the same. A
# branch that adds next to nothing cannot show whether its inside is well chosen. These runs do not support the paper's
# ranking of v3 and v4, and do not refute it.

# %% [markdown]
# ## What the paper says, what we found

# %%
from mtkd.course.conclusions import conclusion

Markdown(conclusion("03"))

# %%
progress("03")

# %% [markdown]
# ## To think about
#
# What is the DCT in the aggregator for? What can attention between frequencies do that attention between pixels cannot,
# and which experiment would show it? ([Open question 3](../docs/teaching/open-questions.md), with a rubric.)
#
# **Next:** what a student can take from MT depends on how the two are compared:
# [wavelets](04_wavelets.ipynb).
