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
# # 1. Super-resolution, and how it is measured
#
# **Goal.** See what a x4 network receives and what it must invent, how the LR images of the benchmarks are made, and
# how PSNR-Y and SSIM judge a result. The later lessons argue about a tenth of a dB; this one shows how easily such a
# difference is lost.
#
# **Time.** About 30 minutes to read, 20 seconds to run.
#
# *In the paper:* Sec. 1 and Sec. 4.2 and 4.3 (training data and evaluation).
#
# *In the code:* [mtkd/resize.py](../mtkd/resize.py), [mtkd/metrics](../mtkd/metrics/__init__.py),
# [mtkd/explore/comparison/core.py](../mtkd/explore/comparison/core.py).

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from PIL import Image

from mtkd.course import check, progress
from mtkd.course.lessons import Controls
from mtkd.data.examples import EXAMPLES, example
from mtkd.explore import compare
from mtkd.explore.comparison.crops import Region, crops, sheet
from mtkd.explore.comparison.outputs import outputs
from mtkd.explore.draw.colours import diverging
from mtkd.explore.evidence.charts import bars, lines
from mtkd.images import chw, to_tensor, to_uint8
from mtkd.metrics import Protocol, psnr, ssim, ssim_map
from mtkd.resize import imresize

SCALE = 4
TEACHERS = ("edsr_mini", "rcan_mini", "swinir_mini")
astronaut = example("astronaut").read()  # (H, W, 3) uint8
print("astronaut:", astronaut.shape)

# %% [markdown]
# ## What x4 means
#
# The high-resolution image (HR, the *ground truth*) is downscaled by four along each side. One pixel of the small image
# (LR) then stands where 4 x 4 = 16 pixels stood. Below you see a crop of 32 x 32 HR pixels, the 8 x 8 LR pixels that
# remain of it (each drawn as a block of 4 x 4), and what bicubic interpolation (smooth curves through the pixels,
# nothing learned) makes of these 64 pixels.

# %%
lr_image = imresize(chw(astronaut), 1 / SCALE).permute(1, 2, 0).numpy()
enlarged = to_uint8(outputs("bicubic", lr_image, SCALE).sr)
blocks = lr_image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
eye = Region(top=86, left=92, height=32, width=32)
sheet(
    [
        ("ground truth", "1024 pixels", eye.cut(astronaut)),
        ("LR", "64 pixels", eye.cut(blocks)),
        ("bicubic of LR", "1024 pixels, 64 numbers a channel", eye.cut(enlarged)),
    ],
    zoom=8,
)

# %% [markdown]
# Does the LR image determine the HR image?

# %% [markdown]
# ## Many HR images, one LR image
#
# Downscaling is linear (before rounding). Each LR pixel is a weighted mean of HR pixels; along one row of 64 pixels the
# weights form a matrix $W$ (16 x 64). On an image $X$ it acts on columns and rows, $\text{LR} = W X W^\top$, and
# whatever it maps to zero is invisible in LR. The part of the image that LR does determine is $P X P^\top$, with the
# projection $P = W^{+} W$ ($W^{+}$ is the pseudo-inverse, the best way back from LR). The rest is the detail. It can be
# removed, negated or taken from another image: LR stays the same.

# %%
side = 64
impulses = torch.eye(side, dtype=torch.float64)[:, :, None].expand(side, side, side)  # one row of ones in each image
W = imresize(impulses, 1 / SCALE)[:, :, 0].T  # (16, 64)
P = torch.linalg.pinv(W) @ W

piece = chw(Region(60, 80, side, side).cut(astronaut)).double()
bricks = chw(Region(60, 80, side, side).cut(example("brick").read())).double()
kept, detail = P @ piece @ P.T, piece - P @ piece @ P.T
candidates = {
    "without its detail": kept,
    "detail negated": kept - detail,
    "twice the brick wall's detail": kept + 2 * (bricks - P @ bricks @ P.T),
}
cells = [("ground truth", "", to_uint8(piece / 255))]
for name, picture in candidates.items():
    torch.testing.assert_close(imresize(picture, 1 / SCALE), imresize(piece, 1 / SCALE), atol=1e-9, rtol=0)
    cells.append((name, f"{psnr(picture / 255, piece / 255, SCALE):.2f} dB", to_uint8(picture / 255)))
sheet(cells, zoom=3)

# %% [markdown]
# All four have the same LR image (before they are clipped and rounded to be shown). A network has to choose one among
# infinitely many; which one, it learns from training images. The numbers are PSNR-Y against the first image, explained
# further down.

# %% [markdown]
# ## MATLAB's bicubic, weight by weight
#
# The LR images of the usual benchmarks were made by MATLAB's `imresize`. Its kernel is Keys' cubic, $a = -\tfrac12$:
#
# $$k(x) = \begin{cases}\tfrac32|x|^3 - \tfrac52|x|^2 + 1 & |x| \le 1\\
# -\tfrac12|x|^3 + \tfrac52|x|^2 - 4|x| + 2 & 1 < |x| \le 2\\ 0 & \text{else}\end{cases}$$
#
# To downscale by $s$, the kernel is stretched by $s$, so that it also blurs: frequencies that LR cannot hold are damped
# first (*antialiasing*). LR pixel $j$ has its centre at HR position $u_j = s\,(j + \tfrac12) - \tfrac12$ and reads HR
# pixel $i$ with the weight $k((i - u_j)/s)$, divided by the sum of the weights. Here is the row for $j = 8$, compared
# with the library's $W$:

# %%
j, i = 8, np.arange(side)
x = np.abs(i - (SCALE * (j + 0.5) - 0.5)) / SCALE
kernel = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x <= 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))
weights = kernel / kernel.sum()
np.testing.assert_allclose(W[j], weights, atol=1e-12)
print(f"the weights sum to {weights.sum():.6f}; the smallest is {weights.min():.4f}")

# %%
# Exercise 01.1: how many HR pixels does one LR pixel read when downscaling by four, counted in both directions?
# Think of the kernel's width before you count.
answer_1 = ...  # replace the dots

check("01.1", answer_1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_1 = (4 * 4) ** 2
# ```
#
# The kernel is 4 wide and is stretched by the scale: 16 pixels along one side and 16 x 16 = 256 in all, far more than
# the 16 that the LR pixel replaces. (At even scales the LR centres lie between HR pixels, so none falls on a zero of
# $k$.)
#
# </details>

# %% [markdown]
# ## Why libraries disagree
#
# Many libraries offer a resize called "bicubic", but not all with the same weights. To find the weights, each library
# downscales 64 test images; image $i$ is one in row $i$ and zero elsewhere. Row $j$ of the results then holds the
# weights with which LR pixel $j$ reads the HR rows.

# %%
to_sixteen = {"size": (16, 16), "mode": "bicubic", "align_corners": False}
single = impulses[:, None].float()
readings = {
    "MATLAB: mtkd.resize.imresize": W[j],
    "Pillow: resize, BICUBIC": [
        np.asarray(Image.fromarray(one.numpy()).resize((16, 16), Image.Resampling.BICUBIC))[j, 0]
        for one in single[:, 0]
    ],
    "torch: interpolate, antialias=True": F.interpolate(single, antialias=True, **to_sixteen)[:, 0, j, 0],
    "torch: interpolate": F.interpolate(single, **to_sixteen)[:, 0, j, 0],
}
lines({name: (i[22:46], np.asarray(read)[22:46]) for name, read in readings.items()}, "HR pixel", "weight")

# %% [markdown]
# Three of the four curves coincide. The fourth is torch without `antialias`, its default: it reads 4 pixels instead of
# 16 (with $a = -\tfrac34$) and never sees most of the image. The pictures show what each library makes of one image,
# and the difference from MATLAB's result (red is brighter, blue darker, white equal; full colour at 16 of the levels 0
# to 255). Two other common ways to downscale are added: the mean of 4 x 4 pixels, and every fourth pixel.


# %%
def shrunk(image, how):
    """The LR image (H / 4, W / 4, 3) uint8, made in one of several ways."""
    height, width = image.shape[0] // SCALE, image.shape[1] // SCALE
    options = {"size": (height, width), "mode": "bicubic", "align_corners": False}
    makers = {
        "MATLAB": lambda: imresize(chw(image), 1 / SCALE).permute(1, 2, 0).numpy(),
        "Pillow": lambda: np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)),
        "torch, antialias": lambda: to_uint8(F.interpolate(to_tensor(image), antialias=True, **options)),
        "torch": lambda: to_uint8(F.interpolate(to_tensor(image), **options)),
        "mean of 4 x 4": lambda: to_uint8(F.avg_pool2d(to_tensor(image), SCALE)),
        "every fourth pixel": lambda: np.ascontiguousarray(image[2::SCALE, 2::SCALE]),
    }
    return makers[how]()


WAYS = ("MATLAB", "Pillow", "torch, antialias", "torch", "mean of 4 x 4", "every fourth pixel")
made = {how: shrunk(astronaut, how) for how in WAYS}
apart = {how: made[how].astype(int) - made["MATLAB"] for how in WAYS}
cells = [(how, "", made[how]) for how in WAYS]
cells += [
    (f"max {abs(d).max()}", f"mean {abs(d).mean():.2f} levels", diverging(d.mean(2) / 16)) for d in apart.values()
]
sheet(cells, zoom=2, columns=6)

# %% [markdown]
# Pillow's and torch's antialiased images differ from MATLAB's by a level here and there, and by more at the border.
# There are two causes. At the border MATLAB repeats the outermost pixel, while the others cut off the kernel and
# rescale what is left. And MATLAB rounds to whole levels and clips to 0..255 twice, once for each direction.


# %%
# Exercise 01.2: this function should return the weights with which LR pixel j reads a row of `size` HR pixels when
# downscaling by s, away from the border. It has three mistakes. Find them and correct them (from the formula in the
# text, without looking at the code below it).
def reading(j, s, size):
    x = np.abs(np.arange(size) - s * j)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


check("01.2", reading)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def reading(j, s, size):
#     x = np.abs(np.arange(size) - (s * (j + 0.5) - 0.5)) / s
#     near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
#     weights = np.where(x <= 1, near, np.where(x <= 2, far, 0))
#     return weights / weights.sum()
# ```
#
# The centre is half a pixel from the corner, the kernel is stretched, and the weights add up to 1. Without the first,
# the image shifts by 1.5 HR pixels; without the second it aliases; without the third it is four times too bright.
#
# </details>

# %% [markdown]
# ## What a wrong LR image costs (optional)
#
# A network has learned to undo one kernel. What if its LR image was made with another? The table has bicubic
# interpolation and the three teachers of the next lesson, with the same ground truth: the mean PSNR-Y of the five
# example images (higher is better; the formula comes below).
#
# **Predict first:** which loses more when the LR image is made in another way, interpolation or a network? Can a
# network become worse than interpolation? Write down your answers, then run the cell.

# %%
METHODS = ("bicubic", *TEACHERS)
photos = {e.name: e.read() for e in EXAMPLES}
measured = {
    (how, model): np.mean([psnr(outputs(model, shrunk(x, how), SCALE).sr, x, SCALE) for x in photos.values()])
    for how in WAYS
    for model in METHODS
}
table = ["| LR made by | " + " | ".join(METHODS) + " |", "|---|" + "--:|" * len(METHODS)]
for how in WAYS:
    lost = [measured[how, model] - measured["MATLAB", model] for model in METHODS]
    values = (f"{measured[how, m]:.2f} ({d:+.2f})" for m, d in zip(METHODS, lost, strict=True))
    table.append(f"| {how} | {' | '.join(values)} |")
Markdown("\n".join([*table, "", "PSNR-Y in dB and, in brackets, the difference to MATLAB's LR."]))

# %%
place = Region(top=20, left=88, height=64, width=84)
coffee = photos["coffee"]
sheet(
    [
        (
            f"{model}, LR: {how}",
            f"{psnr(outputs(model, shrunk(coffee, how), SCALE).sr, coffee, SCALE):.2f} dB",
            place.cut(to_uint8(outputs(model, shrunk(coffee, how), SCALE).sr)),
        )
        for how in ("MATLAB", "mean of 4 x 4", "torch")
        for model in ("bicubic", "rcan_mini")
    ]
    + [("ground truth", "", place.cut(coffee))],
    zoom=3,
    columns=4,
)

# %% [markdown]
# Did you expect the smarter method to be the safer one? The networks lose far more than bicubic interpolation does.
# They sharpen, and without antialiasing they also sharpen the jagged edges of the LR image: their results are then
# worse than interpolation. With the mean of 4 x 4 they lose a good part of their lead, while interpolation loses
# nothing. Pillow and antialiased torch cost about a hundredth of a dB here. You cannot see it in any picture, but
# papers compare differences of a few hundredths. This project therefore makes every LR image with
# `mtkd.resize.imresize`, which reproduces the LR files of Set5 and Set14 (the usual test sets) bit for bit.

# %% [markdown]
# ## PSNR-Y, written out
#
# Only the luma is compared: $Y = 16 + (65.481 R + 128.553 G + 24.966 B)/255$, from levels 0 to 255. Before that, the SR
# image is clipped and rounded to whole levels, as in a file, and the outermost $s$ pixels are cropped. (In a difference
# the 16 cancels.)
#
# $$\text{PSNR} = 10 \log_{10} \frac{255^2}{\text{MSE}},\qquad
# \text{MSE} = \frac{1}{|\Omega|}\sum_{p \in \Omega} (Y_\text{SR}(p) - Y_\text{HR}(p))^2 .$$

# %%
sr = outputs("rcan_mini", shrunk(coffee, "MATLAB"), SCALE).sr[0]  # (3, H, W) float, neither clamped nor rounded
levels = (sr.double() * 255).round().clamp(0, 255)
difference = torch.tensordot(torch.tensor([65.481, 128.553, 24.966]).double() / 255, levels - chw(coffee), dims=1)
mse = difference[SCALE:-SCALE, SCALE:-SCALE].square().mean()
by_hand = 10 * math.log10(255**2 / mse)

assert abs(by_hand - psnr(sr, coffee, SCALE)) < 1e-4
print(f"MSE {mse:.2f}: the typical error is {math.sqrt(mse):.1f} levels, and PSNR-Y {by_hand:.2f} dB")

# %%
# Exercise 01.3: distillation gains about 0.1 dB. By what share does the mean squared error fall? (0.05 would be 5 %.)
answer_3 = ...

check("01.3", answer_3)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_3 = 1 - 10 ** (-0.1 / 10)
# ```
#
# About 2.3 %. No eye can see that, and even in numbers it takes a careful measurement.
#
# </details>

# %% [markdown]
# ## SSIM, one window written out (optional)
#
# PSNR does not ask what an error looks like. SSIM does, a little: in a Gaussian window of 11 x 11 pixels it compares
# the means $\mu$, the variances $\sigma^2$ and the covariance $\sigma_{ab}$ of the two images $a$ and $b$. The result
# is averaged over all places where the window lies inside the image.
#
# $$\text{SSIM} =
# \frac{(2\mu_a\mu_b + c_1)(2\sigma_{ab} + c_2)}{(\mu_a^2 + \mu_b^2 + c_1)(\sigma_a^2 + \sigma_b^2 + c_2)},
# \qquad c_1 = (0.01 \cdot 255)^2,\; c_2 = (0.03 \cdot 255)^2 .$$

# %%
a, b = (Protocol().planes(image, SCALE)[0, 100:111, 120:131] for image in (sr, coffee))  # luma, rows and columns of one
gauss = torch.exp(-(torch.arange(-5, 6).double() ** 2) / (2 * 1.5**2))
window = torch.outer(gauss, gauss) / gauss.sum() ** 2
mean_a, mean_b = (window * a).sum(), (window * b).sum()
var_a, var_b = (window * a * a).sum() - mean_a**2, (window * b * b).sum() - mean_b**2
covariance = (window * a * b).sum() - mean_a * mean_b
c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
one = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))

torch.testing.assert_close(one, ssim_map(sr, coffee, SCALE)[0, 100, 120])
print(f"SSIM of this window {one:.4f}, of the whole image {ssim(sr, coffee, SCALE):.4f}")

# %% [markdown]
# One number for each window makes a map (white: 1, black: 0 or less). Flat places are easy; similarity is lost at edges
# and in texture.

# %%
from mtkd.course.figures import similarity_sheet

similarity = ssim_map(sr, coffee, SCALE)[0]  # of the places whose window lies inside
part = np.s_[80:208, 80:240]
inside = np.s_[9:-9, 9:-9]  # 4 pixels are cropped, and the window reaches 5 further
similarity_sheet(to_uint8(sr)[inside][part], coffee[inside][part], similarity[part], zoom=2)

# %% [markdown]
# Do the two measures agree? Here are three errors of nearly equal PSNR: all pixels brighter by 9 levels, noise, and
# blur (the result of bicubic interpolation, mixed with the ground truth until its error is as large).

# %%
cat = photos["chelsea"]
strength = 9  # levels of R, G and B alike, so 9 * 219 / 255 in luma
blur = outputs("bicubic", shrunk(cat, "MATLAB"), SCALE).sr * 255 - chw(cat)[None]
typical = 255 / 10 ** (psnr(blur / 255 + to_tensor(cat), cat, SCALE) / 20)  # root of its MSE, in luma levels
blur = blur * strength * 219 / 255 / typical
noise = torch.randn(1, 1, *cat.shape[:2], generator=torch.Generator().manual_seed(0)) * strength
errors = {"brighter": torch.full((1, 3, 1, 1), float(strength)), "noise": noise, "blur": blur}
wrong = {name: to_uint8(to_tensor(cat) + error / 255) for name, error in errors.items()}
part = Region(64, 72, 96, 80)
cells = [("ground truth", "", part.cut(cat))]
for name, x in wrong.items():
    cells.append((name, f"{psnr(x, cat, SCALE):.2f} dB / SSIM {ssim(x, cat, SCALE):.4f}", part.cut(x)))
sheet(cells, zoom=3)

# %% [markdown]
# PSNR does not tell them apart. SSIM hardly notices the brightness, and rates blur and noise about equally. Neither
# judges as an eye does; the paper gives both numbers, and so do we.

# %% [markdown]
# ## How the protocol moves the numbers (optional)
#
# Luma or RGB, with the border or without, rounded or not: papers differ, and they seldom say what they chose. Here the
# choice is an object, [`Protocol`](../mtkd/metrics/__init__.py). The table shows one image under five protocols, for
# bicubic and RCAN.

# %%
choices = [
    Protocol(),
    Protocol(crop=0),
    Protocol(quantise=False),
    Protocol(channel="RGB"),
    Protocol(channel="RGB", crop=0, quantise=False),
]
plain = outputs("bicubic", shrunk(coffee, "MATLAB"), SCALE).sr
table = ["| protocol | bicubic | RCAN | RCAN over bicubic |", "|---|--:|--:|--:|"]
for protocol in choices:
    low, high = ((psnr(x, coffee, SCALE, protocol), ssim(x, coffee, SCALE, protocol)) for x in (plain, sr))
    table.append(
        f"| {protocol} | {low[0]:.3f} / {low[1]:.4f} | {high[0]:.3f} / {high[1]:.4f} | {high[0] - low[0]:+.3f} dB |"
    )
Markdown("\n".join([*table, "", "PSNR in dB / SSIM. The first line is the protocol of this project."]))

# %% [markdown]
# (*float* is neither rounded nor clipped.) Switching from Y to RGB lowers every PSNR by over 1.5 dB, and only the
# convention has changed. (Most of this step is merely the narrower range of Y: exercise 01.4.) The lead of RCAN, a
# difference, moves less, but by more than the tenth of a dB that papers on distillation argue about. So the numbers of
# two papers can be compared only if both used the same protocol.
#
# The paper does not name its protocol. Its numbers for known networks are those that others measured on luma with
# cropped borders, so we use that.

# %%
# Exercise 01.4: brick is a grey picture, R = G = B. By how many dB is its PSNR-Y higher than its PSNR over RGB?
# Work it out from the formula of Y, then run this cell.
answer_4 = ...

check("01.4", answer_4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_4 = 20 * math.log10(255 / (65.481 + 128.553 + 24.966))
# ```
#
# A grey error is multiplied by 219 / 255 in Y, but the peak in the formula stays 255: 1.32 dB for free.
#
# </details>

# %% [markdown]
# ## Bicubic against the three teachers (optional)
#
# Now all under one protocol: `compare` makes the LR image, runs the models and measures.

# %%
result = compare(coffee, METHODS, SCALE)
crops(result, Region(top=156, left=196, height=72, width=80), zoom=3, columns=3)

# %%
found = {name: compare(photo, METHODS, SCALE) for name, photo in photos.items()}
rows = [
    f"| {name} | " + " | ".join(f"{r.psnr:.2f} / {r.metrics['ssim']:.4f}" for r in c.results) + " |"
    for name, c in found.items()
]
head = ["| image | " + " | ".join(METHODS) + " |", "|---|" + "--:|" * len(METHODS)]
Markdown("\n".join([*head, *rows, "", f"PSNR / SSIM: {result.protocol}, x{SCALE}."]))

# %% [markdown]
# How much do the teachers gain, and is the gain the same on every image? (*chelsea* is the cat, *coffee* the cup,
# *rocket* a rocket against the night sky, *brick* the wall.)

# %%
bars(
    {name: {m: c[m].psnr - c["bicubic"].psnr for m in TEACHERS} for name, c in found.items()}, "dB over bicubic", ".2f"
)

# %% [markdown]
# It is not: long clean edges (cup, wall) gain several dB, fur and a night sky less than one. And although the teachers
# are built so differently, they nearly agree: except on the wall, the best and the worst of them are at most about a
# tenth as far apart as they are from bicubic. Five images are too few to rank the teachers; the next lesson looks at
# where they differ.

# %% [markdown]
# ## Try it (optional)
#
# Choose an image, a model, how its LR image is made, and the place to look at. One choice is drawn here; the controls
# below redraw it when the notebook runs.


# %%
def show(picture, model, lr, down=0.5, across=0.5):
    """LR, bicubic, the model and the ground truth at one place, with PSNR-Y of the whole image."""
    truth, small = photos[picture], shrunk(photos[picture], lr)
    size = 80
    region = Region(int(down * (truth.shape[0] - size)), int(across * (truth.shape[1] - size)), size, size)
    cells = [("LR", lr, region.cut(small.repeat(SCALE, axis=0).repeat(SCALE, axis=1)))]
    for name in ("bicubic", model):
        image = to_uint8(outputs(name, small, SCALE).sr)
        cells.append((name, f"{psnr(image, truth, SCALE):.2f} dB / {ssim(image, truth, SCALE):.4f}", region.cut(image)))
    return sheet([*cells, ("ground truth", picture, region.cut(truth))], zoom=3)


show("rocket", "swinir_mini", "MATLAB", down=0.35, across=0.85)

# %%
controls = Controls(
    show,
    picture=list(photos),
    model=[*TEACHERS, "aggregator_mini", "rcan_tiny-scratch", "rcan_tiny-mtkd"],
    lr=list(WAYS),
    down=(0.0, 1.0, 0.05),
    across=(0.0, 1.0, 0.05),
)
controls

# %% [markdown]
# The viewer keeps all images in step: scroll to zoom at the cursor, drag to move; *Swipe* puts two of them on either
# side of a divider, *Flicker* alternates between them, and *Error* shows the difference from the ground truth.

# %%
from mtkd.explore.comparison.core import data_uri
from mtkd.explore.viewer.widget import Viewer

Viewer(panes=result.panes(data_uri), reference="ground truth")

# %%
progress("01")

# %% [markdown]
# ## What to keep
#
# - LR does not determine HR; a network adds what is likely.
# - LR images are made by MATLAB's bicubic resize, with antialiasing. Another kernel can cost a network several dB.
# - PSNR-Y means: luma, rounded, $s$ pixels cropped, peak 255. A number without its protocol says little.
# - 0.1 dB is 2 % of the mean squared error.
#
# ## To think about
#
# Which parts of an image can be recovered from LR, and which can only be guessed? From where does a network know what
# is likely? Find a place in one of the pictures above where it guesses wrong. ([Open question
# 1](../docs/teaching/open-questions.md), with a rubric.)
#
# **Next:** [the teachers](02_teachers.ipynb).
