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
# **Goal.** To know what a network that enlarges four times is given and what it has to add, how the small images of
# every benchmark are made, and what the numbers PSNR-Y and SSIM say. The later notebooks argue about a tenth of a dB;
# this one shows how easily such a difference is lost.
#
# **Time.** about 30 minutes to read, 20 seconds to run.
#
# *In the paper:* Sec. 1 and Sec. 4.2 and 4.3 (training data and evaluation).
# *In the code:* [mtkd/resize.py](../mtkd/resize.py), [mtkd/metrics](../mtkd/metrics/__init__.py),
# [mtkd/explore/comparison/core.py](../mtkd/explore/comparison/core.py).

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from PIL import Image

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
# The high-resolution image (HR, the *ground truth*) is made smaller by four along each side. One pixel of the small
# image (LR) then stands where 4 x 4 = 16 pixels stood. Below: a piece of 32 x 32 HR pixels, the 8 x 8 LR pixels that
# are left of it (each drawn as a block of 4 x 4), and what bicubic interpolation (smooth curves through the pixels,
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
# Does the small image determine the large one?

# %% [markdown]
# ## Many pictures, one small picture
#
# Shrinking is linear (before rounding). As a matrix $D$ (16 x 64 for 64 pixels) it acts on rows and columns,
# $\text{LR} = D X D^\top$, and everything that is mapped to zero is invisible in LR. The part of a picture that LR does
# determine is $P X P^\top$ with the projection $P = D^{+} D$ ($D^{+}$ is the pseudo-inverse). The rest, the detail, can
# be removed, turned into its negative or taken from another picture: LR stays the same.

# %%
side = 64
impulses = torch.eye(side, dtype=torch.float64)[:, :, None].expand(side, side, side)  # one row of ones in each image
D = imresize(impulses, 1 / SCALE)[:, :, 0].T  # (16, 64)
P = torch.linalg.pinv(D) @ D

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
# All four have the same LR image (before they are clipped and rounded to be shown). A network that enlarges chooses
# one among infinitely many; which one, it learns from pictures. The numbers are PSNR-Y against the first, explained
# further down.

# %% [markdown]
# ## MATLAB's bicubic, weight by weight
#
# The LR images of the usual benchmarks were made by MATLAB's `imresize`. Its kernel is Keys' cubic, $a = -\tfrac12$:
#
# $$k(x) = \begin{cases}\tfrac32|x|^3 - \tfrac52|x|^2 + 1 & |x| \le 1\\
# -\tfrac12|x|^3 + \tfrac52|x|^2 - 4|x| + 2 & 1 < |x| \le 2\\ 0 & \text{else}\end{cases}$$
#
# For shrinking by $s$ it is stretched by $s$, so that it also blurs: frequencies that LR cannot hold are damped first
# (*antialiasing*). LR pixel $j$ has its centre at HR position $u_j = s\,(j + \tfrac12) - \tfrac12$ and reads HR pixel
# $i$ with the weight $k((i - u_j)/s)$, divided by the sum of the weights. Here for $j = 8$, against that row of the
# library's $D$:

# %%
j, i = 8, np.arange(side)
x = np.abs(i - (SCALE * (j + 0.5) - 0.5)) / SCALE
kernel = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x <= 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))
weights = kernel / kernel.sum()
np.testing.assert_allclose(D[j], weights, atol=1e-12)
print(f"the weights sum to {weights.sum():.6f}; the smallest is {weights.min():.4f}")

# %%
# Exercise 1: how many HR pixels along one side does one LR pixel read when shrinking by four, and how many by two?
# Think of the kernel's width before you count.
at_four = ...
at_two = ...

assert at_four is ... or at_four == int((D[j] != 0).sum()), "k reaches from -2 to 2, and is stretched by the scale"
assert at_two is ... or at_two == int((imresize(impulses, 1 / 2)[:, j, 0] != 0).sum()), "the same at half the stretch"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# at_four = 4 * 4
# at_two = 4 * 2
# ```
#
# The kernel is 4 wide and is stretched by the scale; at even scales the LR centres lie between HR pixels, so that none
# of these falls on a zero of $k$. In two dimensions an LR pixel reads 16 x 16 = 256 HR pixels, not 16.
#
# </details>

# %% [markdown]
# ## Why libraries disagree
#
# "Bicubic" stands in many manuals. Which weights does each library use? It is asked to shrink 64 images of which image
# $i$ is one in row $i$ and zero elsewhere; row $j$ of the results is what LR pixel $j$ reads.

# %%
to_sixteen = {"size": (16, 16), "mode": "bicubic", "align_corners": False}
single = impulses[:, None].float()
readings = {
    "MATLAB: mtkd.resize.imresize": D[j],
    "Pillow: resize, BICUBIC": [
        np.asarray(Image.fromarray(one.numpy()).resize((16, 16), Image.Resampling.BICUBIC))[j, 0]
        for one in single[:, 0]
    ],
    "torch: interpolate, antialias=True": F.interpolate(single, antialias=True, **to_sixteen)[:, 0, j, 0],
    "torch: interpolate": F.interpolate(single, **to_sixteen)[:, 0, j, 0],
}
lines({name: (i[22:46], np.asarray(read)[22:46]) for name, read in readings.items()}, "HR pixel", "weight")

# %% [markdown]
# Three of the four curves lie on one another. The fourth is torch without `antialias`, its default: it reads 4 pixels
# in place of 16 (with $a = -\tfrac34$) and never sees most of the image. In pictures: what each makes of one image, and
# its difference to MATLAB's (red is brighter, blue darker, white equal; full colour at 16 of the levels 0 to 255). Two
# further ways of shrinking that are in use: the mean of 4 x 4 pixels, and every fourth pixel.


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
# Pillow's and torch's antialiased images differ from MATLAB's by a level here and there, and by more at the edge. Two
# causes: at the edge MATLAB repeats the outermost pixel, while the others cut the kernel off and rescale what is left;
# and MATLAB rounds to whole levels and clips to 0..255 twice, once for each direction.

# %%
# Exercise 2: the library's imresize does not round when it is given floating point. How far is it then from torch's
# antialiased result, 4 LR pixels or more away from the edge? Give the largest difference in levels (0..255).
exact = imresize(to_tensor(astronaut).double(), 1 / SCALE)  # (1, 3, 64, 64), in 0..1
other = F.interpolate(to_tensor(astronaut).double(), size=(64, 64), mode="bicubic", antialias=True)
largest = ...  # replace the dots

assert largest is ... or abs(largest - 255 * (exact - other)[..., 4:-4, 4:-4].abs().max()) < 1e-6, "cut off 4 a side"
assert largest is ... or largest < 0.001, "they are the same but for the edge"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# largest = float(255 * (exact - other)[..., 4:-4, 4:-4].abs().max())
# ```
#
# Inside the picture they are the same function; what differs is the edge and the rounding.
#
# </details>

# %% [markdown]
# ## What a wrongly made LR image costs
#
# A network learned to undo one kernel. What if its LR image was made by another? The same networks (bicubic, and the
# three teachers that the next notebook is about), the same ground truth, the mean PSNR-Y of the five example images
# (more is better; the formula comes below):

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
# The networks lose far more than bicubic interpolation does. They sharpen, and sharpen the jagged edges of an LR image
# without antialiasing too: they then fall below interpolation. With the mean of 4 x 4 they lose a good part of their
# lead, while interpolation loses nothing. Pillow and antialiased torch cost about a hundredth of a dB here, and no
# picture shows it; but papers compare differences of a few hundredths. This project therefore makes every LR image with
# `mtkd.resize.imresize`, which gives the LR files of Set5 and Set14 (the usual test images) bit for bit.

# %% [markdown]
# ## PSNR-Y, written out
#
# Only the luma is compared, $Y = 16 + (65.481 R + 128.553 G + 24.966 B)/255$ of levels 0 to 255, after clipping and
# rounding the result to whole levels as a file would, and without the outermost $s$ pixels. (The 16 cancels.)
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
# Exercise 3: distillation gains about 0.1 dB. By what share does the mean squared error fall? (0.05 would be 5 %.)
share = ...

assert share is ... or abs((1 - share) * 10**0.01 - 1) < 1e-6, "0.1 = 10 log10(MSE before / MSE after)"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# share = 1 - 10 ** (-0.1 / 10)
# ```
#
# About 2.3 %. No eye sees that; it takes a careful measurement to see it in numbers.
#
# </details>

# %% [markdown]
# ## SSIM, one window written out
#
# PSNR does not ask what an error looks like. SSIM compares, in a Gaussian window of 11 x 11 pixels around each pixel,
# the means $\mu$, variances $\sigma^2$ and the covariance of the two pictures, and takes the mean over all pixels:
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
# Do the two measures agree? Three errors of nearly equal PSNR: all pixels brighter by 9 levels, noise, and blur (what
# bicubic interpolation makes of LR, mixed with the truth until its error is as large).

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
# PSNR does not tell them apart. SSIM hardly minds the brightness, and minds blur and noise about equally. Neither
# is what an eye says; the paper gives both numbers, and so do we.

# %% [markdown]
# ## How the protocol moves the numbers
#
# Luma or RGB, with the edge or without, rounded or not: papers differ, and the choice is seldom printed.
# [`Protocol`](../mtkd/metrics/__init__.py) says which; here for one image, bicubic and RCAN.

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
Markdown("\n".join([*table, "", "PSNR in dB / SSIM. The first line is the protocol of this project and of the paper."]))

# %% [markdown]
# (*float* is neither rounded nor clipped.) From Y to RGB the numbers fall by more than a dB, on nothing but a
# convention. The lead of RCAN, a difference, moves less, but by more than the tenth of a dB that papers on distillation
# are about.
# So numbers of two papers can be compared only where both used one protocol. A part of the step from RGB to Y is
# nothing but the narrower range of Y.

# %%
# Exercise 4: brick is a grey picture, R = G = B. By how many dB is its PSNR-Y higher than its PSNR over RGB?
# Work it out from the formula of Y before you look.
higher = ...
brick = photos["brick"]
grey = outputs("bicubic", shrunk(brick, "MATLAB"), SCALE).sr
in_y, in_rgb = psnr(grey, brick, SCALE), psnr(grey, brick, SCALE, Protocol(channel="RGB"))

assert higher is ... or abs(higher - (in_y - in_rgb)) < 1e-3, "by what factor does an error shrink in Y?"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# higher = 20 * math.log10(255 / (65.481 + 128.553 + 24.966))
# ```
#
# For a grey error, Y is the error times 219 / 255, but the peak in the formula stays 255: 1.32 dB for free.
#
# </details>

# %% [markdown]
# ## Bicubic against the three teachers
#
# Under one protocol, then: `compare` makes the LR image, runs the models, and measures.

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
# How much do the teachers gain, and is it the same on every picture? (*chelsea* is the cat, *coffee* the cup, *rocket*
# stands before a night sky, *brick* is the wall.)

# %%
bars(
    {name: {m: c[m].psnr - c["bicubic"].psnr for m in TEACHERS} for name, c in found.items()}, "dB over bicubic", ".2f"
)

# %% [markdown]
# It is not: long clean edges (cup, wall) gain several dB, fur and a night sky less than one. And the teachers, which
# are built so differently, nearly agree with one another: except on the wall, the best and the worst of them lie at
# most about a tenth as far apart as they are from bicubic. Five images say nothing about the rank of the teachers; the
# next notebook looks at where they differ.

# %% [markdown]
# ## Try it
#
# Choose a picture, a model, the way in which its LR image is made, and the place to look at. One choice is drawn
# first; the controls below it redraw it when the notebook runs.


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
# The viewer keeps all panes in step: the wheel zooms at the cursor, dragging moves, the keys 1 to 6 show one picture
# alone, and *error* shows the difference to the ground truth.

# %%
from mtkd.explore.comparison.core import data_uri
from mtkd.explore.viewer.widget import Viewer

Viewer(panes=result.panes(data_uri))

# %% [markdown]
# ## What to keep
#
# - LR does not determine HR; a network adds what is likely.
# - LR images are made by MATLAB's bicubic with antialiasing. A different kernel can cost a network several dB.
# - PSNR-Y: luma, rounded, $s$ pixels cropped, peak 255. Every number needs its protocol.
# - 0.1 dB is 2 % of the mean squared error.
#
# Next: [the teachers](02_teachers.ipynb).
