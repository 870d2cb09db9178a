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
# # 8. Attribution
#
# **Goal.** Go from the gradient of one number to local attribution maps (LAM), which say what each input pixel, or each
# teacher, contributed to a detail of the output. Learn how to test such a map, and what the diffusion index printed
# under it does not say.
#
# **Time.** About 40 minutes to read, 60 seconds to run. *Optional:* not on the core path.
#
# *In the paper:* Sec. 5.3.1, Fig. 4 (the method is that of Gu and Dong, 2021).
#
# *In the code:* [mtkd/explain/lam.py](../mtkd/explain/lam.py),
# [mtkd/explain/answer.py](../mtkd/explain/answer.py), [mtkd/explain/causal.py](../mtkd/explain/causal.py),
# [mtkd/explain/curves.py](../mtkd/explain/curves.py),
# [mtkd/explore/inside/attribution.py](../mtkd/explore/inside/attribution.py),
# [mtkd/course/picker.py](../mtkd/course/picker.py)
#
# Nothing is trained here: all networks come from the bundled zoo.

# %%
from mtkd.course.map import framework_map

framework_map("08")

# %%
import math
from itertools import permutations, product
from statistics import fmean

import numpy as np
import torch
from captum.attr import IntegratedGradients
from IPython.display import Markdown, display
from torch.nn import functional

from mtkd import zoo
from mtkd.course import check, progress
from mtkd.course.lessons import Controls
from mtkd.course.picker import AttributionPicker, answer_sheet
from mtkd.data.examples import example
from mtkd.explain import LocalAttributionMap, Window, explain
from mtkd.explain.blur import BlurPath
from mtkd.explain.curves import Removal, nearness_maps, random_maps
from mtkd.explain.maps import attribution_maps, diffusion_index, shares
from mtkd.explain.question import Detail
from mtkd.explain.saliency import gradient_sizes
from mtkd.explore import compare
from mtkd.explore.comparison.crops import sheet, whole_with_box
from mtkd.explore.comparison.region import Region
from mtkd.explore.evidence import charts
from mtkd.explore.inside.attribution import on_image, question, window_in
from mtkd.images import to_tensor, to_uint8

names = ["rcan_tiny-mtkd", "edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini", "edsr_tiny-mtkd"]
photo = example("chelsea").read()[60:188, 60:220]  # 128 x 160 pixels, its LR image has 32 x 40
comparison = compare(photo, names, scale=4)
student, lr = zoo.load("edsr_tiny-mtkd", scale=4), to_tensor(comparison.lr_image)

# %% [markdown]
# ## The question: one number
#
# An attribution divides up one number. Which number? The value of one SR pixel would be its brightness, which any
# interpolation gets right. What super-resolution adds is *detail*. So the number is the sum of the gradient magnitudes
# in a small window $\Omega$ of the SR image, over its pixels and the three channels:
#
# $$ F(x) = \sum_{c} \sum_{p \in \Omega}
# \sqrt{(\Delta_h \mathrm{SR}(x)_{c,p})^2 + (\Delta_v \mathrm{SR}(x)_{c,p})^2} $$
#
# Here $x$ is the LR image; $\Delta_h$ and $\Delta_v$ are the differences to the next pixel along a row and along a
# column. The window lies where the image has most detail.

# %%
window = window_in(comparison, None, 16)
place = Region(window.top, window.left, window.size, window.size)
pictures = {"LR (nearest)": "LR", "edsr_tiny-mtkd": "edsr_tiny-mtkd", "ground truth": "ground truth"}
sheet(
    [(title, "", np.asarray(whole_with_box(comparison.pictures()[key], place))) for title, key in pictures.items()],
    zoom=2,
)

# %%
with torch.no_grad():
    part = student(lr)[..., window.top : window.top + 17, window.left : window.left + 17]
    down, right = part[..., 1:, :-1] - part[..., :-1, :-1], part[..., :-1, 1:] - part[..., :-1, :-1]
    by_hand = (down.square() + right.square()).sqrt().sum()
    detail = Detail(student, window)
    torch.testing.assert_close(detail(lr), by_hand[None])
print(f"F = {by_hand:.2f}")

# %%
# Exercise 08.1: an image is 0 on the left and 1 on the right (in all three channels); the edge runs vertically through
# the middle of a window of 16 x 16. What is F of the image itself (no network)?
answer_1 = ...  # replace the dots

check("08.1", answer_1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_1 = 3 * 16 * 1
# ```
#
# In each of 3 channels and 16 rows, one difference is 1. A softer edge, spread over several pixels, has the same sum: F
# measures how high edges are, not how sharp. Noise and ringing raise it more than sharpness does.
#
# </details>

# %% [markdown]
# Which LR pixels does F come from?
#
# ## A first answer: the gradient
#
# One backward pass gives $\partial F / \partial x$: how much F would change if each pixel changed a little. Its
# absolute value is called *saliency*.

# %%
x = lr.clone().requires_grad_()
(gradient,) = torch.autograd.grad(detail(x).sum(), x)
asked = question(comparison, "edsr_tiny-mtkd", window)
torch.testing.assert_close(gradient[0].abs(), gradient_sizes(asked)[0])


def on_lr(title, text, *attributions):
    """Maps over the LR image, scaled together, as cells of a sheet."""
    return [(title, text, on_image(one, comparison.lr_image)) for one in attribution_maps(attributions)]


sheet([("LR image", "40 x 32 pixels", comparison.lr_image), *on_lr("saliency", "", gradient[0].abs())], zoom=6)

# %% [markdown]
# The bright pixels lie around the window. But the gradient is a slope at one point, not a part of F: its values have
# other units than F, and do not add up to it. A pixel can matter a lot to F and still get 0, if a small change of it
# has no effect (a saturated ReLU).
#
# ## A path: integrated gradients
#
# Start from an image $x'$ without detail, walk to $x$ in a straight line, and add up the effect of each pixel's change
# on the way:
#
# $$ A_i = (x_i - x'_i) \int_0^1 \frac{\partial F}{\partial x_i}\bigl(x' + a\,(x - x')\bigr)\, da $$
#
# By the fundamental theorem of calculus $\sum_i A_i = F(x) - F(x')$: now the map *divides up* the change of F. The path
# starts at the blurred image (sigma 1.2 pixels). The integral becomes a sum over the midpoints of 50 steps. The library
# calls this the straight path; in Captum, PyTorch's library for attributions, it is `IntegratedGradients`.

# %%
steps = 50
start = BlurPath(sigma=1.2, radius=4).start(lr)
total = torch.zeros_like(lr)
for k in range(steps):
    point = (start + (k + 0.5) / steps * (lr - start)).requires_grad_()
    total += torch.autograd.grad(detail(point).sum(), point)[0] * (lr - start) / steps

straight = explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, path="straight", steps=steps)
torch.testing.assert_close(total[0], straight.attributions[0], rtol=1e-3, atol=1e-4)
captum = IntegratedGradients(detail).attribute(lr, start, n_steps=steps, method="riemann_middle")
torch.testing.assert_close(total, captum.float(), rtol=1e-3, atol=1e-4)

# %% [markdown]
# What is divided up depends on the start. The blurred image keeps some of the detail, $F(x')$, and the map explains the
# rest. Captum starts by default at a black image, which has no detail. The map then explains all of F, but it answers
# another question: what does this image have that *darkness* does not have?

# %%
black = IntegratedGradients(detail).attribute(lr, torch.zeros_like(lr), n_steps=steps, method="riemann_middle").float()
sheet(
    [
        *on_lr("saliency", "", gradient[0].abs()),
        *on_lr("from the blurred image", f"sum {total.sum():.1f}", total[0]),
        *on_lr("from black", f"sum {black.sum():.1f}", black[0]),
    ],
    zoom=7,
)

# %% [markdown]
# ## Fig. 4: the path of LAM
#
# On the straight line lie mixtures of a sharp and a blurred image, which no camera produces and no network was trained
# on. LAM instead walks through images with *less and less blur*:
#
# $$ g(a) = \mathrm{blur}(x,\ \sigma (1 - a)), \qquad
# A_i = \int_0^1 \frac{\partial F}{\partial g_i}(g(a)) \; \frac{d g_i}{d a}(a) \; da $$
#
# The straight path is the case $dg/da = x - x'$. The blur is a Gaussian, so $dg/da$ can be computed exactly: the
# library differentiates the kernel. By hand:

# %%
path, a, h = BlurPath(sigma=1.2, radius=4), 0.3, 1e-4
i = torch.arange(-4, 5.0, dtype=torch.float64)
kernel = torch.exp(-(i**2) / (2 * (1.2 * (1 - a)) ** 2))
kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
padded = functional.pad(lr.double(), (4, 4, 4, 4), mode="reflect")
blurred = functional.conv2d(padded, kernel.expand(3, 1, 9, 9), groups=3)
point, slope = path(lr.double(), a)
torch.testing.assert_close(point, blurred)
difference = (path(lr.double(), a + h)[0] - path(lr.double(), a - h)[0]) / (2 * h)
torch.testing.assert_close(slope, difference, rtol=1e-5, atol=1e-6)

# %% [markdown]
# The pictures show the path, and F along it. Most of the detail appears while sigma falls from 0.6 to 0.3 pixels; the
# last step adds little.

# %%
from mtkd.course.figures import path_sheet

places = [0, 0.25, 0.5, 0.75, 1]
with torch.no_grad():
    points = [path(lr, a)[0] for a in places]
    path_image = path_sheet(points, places, [float(detail(point)) for point in points])
path_image

# %% [markdown]
# The integral is again a sum over the midpoints of the steps. You have seen this loop for the straight path; now write
# it for any path.


# %%
# Exercise 08.2: write LAM. `objective(x)` is F of the images x, one number for each; `path(x, a)` gives the point g(a)
# and the slope dg/da there, as `path(lr, 0.3)` above. Return the attribution of every value of x.
def my_lam(objective, path, x, steps):
    return ...  # replace the dots


check("08.2", my_lam)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_lam(objective, path, x, steps):
#     total = torch.zeros_like(x)
#     for k in range(steps):
#         point, slope = path(x, (k + 0.5) / steps)
#         point.requires_grad_()
#         total += torch.autograd.grad(objective(point).sum(), point)[0] * slope / steps
#     return total
# ```
#
# This loop is all of LAM. With `StraightPath` as the path it computes integrated gradients.
#
# </details>

# %%
total = LocalAttributionMap(detail).attribute(lr, path, steps)
found = explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, steps=steps)
torch.testing.assert_close(total[0], found.attributions[0], rtol=1e-3, atol=1e-4)
sheet(
    [
        *on_lr("straight path", f"sum {straight.attributions[0].sum():.1f}", straight.attributions[0]),
        *on_lr("LAM: blur path", f"sum {total.sum():.1f}", total[0]),
    ],
    zoom=8,
)

# %% [markdown]
# $A$ has one value per pixel and channel. The picture shows $|\sum_c A_c|$, divided by the largest value: a bright
# pixel contributed much, *for or against* the detail.
#
# ## Completeness: is the integral right?
#
# The sum of the map must be $F(x) - F(\mathrm{blurred})$. Every map should come with this check, which costs two more
# passes of the network. The difference between the two numbers is the *completeness error*; divided by the change of F
# it is the relative error:

# %%
print(f"sum of the map {float(total.sum()):.4f}, F(x) - F(blurred) {found.after - found.before:.4f}")
assert abs(float(total.sum()) - (found.after - found.before)) < 0.01 * abs(found.after - found.before)


# %%
# Exercise 08.3: the relative completeness error, from the maps (one tensor for each input), F before and F after.
def relative_error(maps, before, after):
    return ...  # replace the dots


check("08.3", relative_error)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def relative_error(maps, before, after):
#     change = after - before
#     return (sum(float(one.sum()) for one in maps) - change) / change
# ```
#
# In a flat window the change is near zero and the relative error means nothing; the library then returns None. Try the
# function on `found.attributions, found.before, found.after`.
#
# </details>

# %% [markdown]
# How many steps are enough? For a smooth function the error of the midpoint rule falls with the square of the number of
# steps, and Gauss-Legendre nodes are better still. But F of a network with ReLUs is not smooth: its gradient jumps, and
# so does the gradient of the magnitude where a difference changes its sign. The published LAM code takes gradients at
# the right end of each step (`compat="official"`). The chart compares the three in float64.

# %%
exact = Detail(zoo.load("edsr_tiny-mtkd", scale=4).double(), window)
counts = [1, 2, 4, 8, 16, 32, 64]
ways = {"midpoint": {}, "gauss-legendre": {"rule": "gauss-legendre"}, "official: right end": {"compat": "official"}}
curves = {}
for title, way in ways.items():
    errors = []
    for n in counts:
        _, delta = LocalAttributionMap(exact).attribute(lr.double(), path, n, return_convergence_delta=True, **way)
        errors.append(math.log10(abs(float(delta)) / (found.after - found.before)))
    curves[title] = counts, errors
charts.lines(curves, "steps of the path", "log10 |relative error|", log=True)

# %% [markdown]
# The fast fall of a smooth function ends at about 16 steps. From there on the jumps dominate, more steps hardly help,
# and the better rule is no better. With right-end sampling the error falls only slowly. With midpoints, fifty steps are
# well below -2, one percent, where the picture no longer changes visibly. But a complete map need not be a *true* one:
# completeness holds for any path, and another path divides F differently.

# %% [markdown]
# ## A second opinion: take a patch away
#
# This needs no gradient and no path: blur one patch $P$ of the LR image, run the network again, and see how much detail
# the window has lost.
#
# $$ A_P = F(x) - F(x \text{ with patch } P \text{ blurred}) $$
#
# If it is positive, the patch adds detail; if negative, it removes some. This is an *intervention*, so the answer is
# causal; but it is about whole patches, one at a time. (With the ground truth, `effect="psnr"` measures the loss in dB
# instead.) The cell computes one patch by hand, the one in the middle of the window, and compares it with the library's
# *causal effect map*:

# %%
causal = explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, method="causal", patch=4)
row, column = ((start + 8) // 4 for start in (window.top, window.left))  # an LR pixel in the middle of the window
effects = causal.attributions[0].sum(0)
patch = effects == effects[row, column]  # a patch's pixels share its effect evenly
without = torch.where(patch, BlurPath().start(lr), lr)
with torch.no_grad():
    lost = float(detail(lr) - detail(without))
assert int(patch.sum()) == 16 and abs(float(effects[patch].sum()) - lost) < 1e-3
print(f"F falls by {lost:.2f} of {causal.after:.2f} when this patch is blurred")

# %% [markdown]
# ## Is a map right? Deletion and insertion
#
# A map claims that some pixels matter more than others. That can be tested: blur the most marked pixels first and watch
# the window. If the map is right, the window changes *soon* (deletion curve). Or begin with the blurred image and put
# the marked pixels back first (insertion curve). A curve
# is the change of the SR image in the window, as a share of the change when all pixels are blurred. The area under it,
# over the logarithm of the number of pixels, is one number from 0 to 1; larger is better. For comparison there are two
# other orders: random pixels, and the pixels nearest to the window first, an order that knows nothing of network and
# image.
#
# **Predict first:** order the five by their deletion area. Does every map beat *nearest first*?

# %%
removal = Removal.of(asked)
candidates = {
    "LAM": found.maps,
    "saliency": [gradient[0].sum(0).abs()],
    "causal, patches of 4": causal.maps,
    "nearest first": nearness_maps(asked),
    "random": random_maps(asked),
}
curves = {title: removal.curves(maps) for title, maps in candidates.items()}
charts.lines(
    {title: (c.pixels, c.deletion) for title, c in curves.items()},
    "pixels blurred",
    "share of the window's change",
    log=True,
)

# %%
lines = ["| map | deletion area | insertion area |", "|---|--:|--:|"]
lines += [f"| {title} | {c.deletion_area:.2f} | {c.insertion_area:.2f} |" for title, c in curves.items()]
assert curves["LAM"].deletion_area > curves["random"].deletion_area
Markdown("\n".join(lines))

# %% [markdown]
# It is easy to beat random pixels: any map that knows where the window is does. The real test is *nearest first*, and
# here only LAM passes it. In 100 random windows of the bundled images the deletion area of LAM beats random pixels in
# all and nearest first in 99 (`edsr_tiny-mtkd`; `python -m tests.benchmarks.deletion`). A causal map of patches orders
# pixels in blocks of 16, so it can lose here and still be right about its patches. And no camera produces blurred
# pixels beside sharp ones: a curve tests a map against this one way of removing pixels, not against all.
#
# ## Teachers and students
#
# Here are the maps of five networks for the same window of the same image. Under each map stands its *diffusion index*
# (DI), which says how widely the map is spread: 100 for a uniform map. More on it below.

# %%
cells = []
for name in ("edsr_mini", "rcan_mini", "swinir_mini", "rcan_tiny-mtkd", "edsr_tiny-mtkd"):
    one = explain(name, comparison.lr_image, 4, window, steps=20)
    about = one.row()
    error = about["completeness_error_relative"]
    cells.append(
        (
            name,
            f"DI {about['inputs'][0]['di']:.2f}, completeness {error:+.1%}",
            on_image(one.maps[0], comparison.lr_image),
        )
    )
sheet(cells, zoom=7, columns=3)

# %% [markdown]
# This is one window of one image: do not rank networks by it. What it shows is *where* a network looks: at the glint in
# the window, a handful of LR pixels, and hardly beyond.
#
# ## The aggregator: one map per teacher
#
# The inputs of the aggregator are not the LR image but the SR images of its teachers. Along the path all of them become
# sharp together (sigma is four times as wide, in HR pixels), and each gets its own gradient. All maps are scaled by one
# common maximum. This is what Fig. 4 of the paper shows.

# %%
small = compare(photo[:96, :112], ["aggregator_mini"], scale=4)
asked = question(small, "aggregator_mini", window_in(small, None, 16))
merged = explain("aggregator_mini", small.lr_image, 4, asked.window, steps=20)
images = {name: to_uint8(image) for name, image in zip(asked.inputs, asked.images, strict=True)}
box = Region(merged.window.top, merged.window.left, 16, 16)
display(sheet([("MT, with the window", "", np.asarray(whole_with_box(small["aggregator_mini"].image, box)))], zoom=2))
sheet(
    [
        (one["input"], f"DI {one['di']:.1f}, share {one['share']:.0%}", on_image(drawn, images[one["input"]]))
        for drawn, one in zip(merged.maps, merged.row()["inputs"], strict=True)
    ],
    zoom=3,
)

# %% [markdown]
# There are four numbers per teacher:
#
# - **share** $\;\sum|A_k| \,/\, \sum_j \sum|A_j|$: how much of all attribution lies in teacher k's image;
# - **signed share** $\;\sum A_k \,/\, (F(x) - F(x'))$: its part of the *change of F*, gains minus losses;
# - **Shapley**: teacher k is *present* (sharp) or *absent* (blurred). Its value is what F gains when it arrives,
#   averaged over all orders in which the three can arrive, as a part of the whole change of F. It needs no path and no
#   gradient, so it is an independent check;
# - **DI**: how widely the map is spread.

# %%
lines = ["| teacher | share | signed share | Shapley | DI |", "|---|--:|--:|--:|--:|"]
for about in merged.row()["inputs"]:
    parts = " | ".join(f"{about[key]:.1%}" for key in ("share", "signed_share", "shapley"))
    lines.append(f"| {about['input']} | {parts} | {about['di']:.2f} |")
error = merged.row()["completeness_error_relative"]
Markdown("\n".join([*lines, "", f"Completeness error {error:+.2%}."]))

# %% [markdown]
# Next we compute all four by hand. DI is $100\,(1 - G)$, with the Gini coefficient $G$ of the map's $n$ values, sorted
# as $v_1 \le \dots \le v_n$:
#
# $$ G = \frac{\sum_{i=1}^{n} (2 i - n - 1)\, v_i}{n \sum_i v_i} $$

# %%
A = [attribution.double() for attribution in merged.attributions]
rows = merged.row()["inputs"]
assert np.allclose([a.abs().sum() / sum(b.abs().sum() for b in A) for a in A], [row["share"] for row in rows])
assert np.allclose([a.sum() / (merged.after - merged.before) for a in A], [row["signed_share"] for row in rows])

v = np.sort(A[0].sum(0).abs().numpy().ravel())
gini = ((2 * np.arange(1, v.size + 1) - v.size - 1) * v).sum() / (v.size * v.sum())
assert abs(100 * (1 - gini) - rows[0]["di"]) < 1e-3

with torch.no_grad():
    pairs = [(BlurPath.for_hr(4).start(image), image) for image in asked.images]
    value = {
        on: float(asked.objective(*(p[k] for p, k in zip(pairs, on, strict=True)))) for on in product((0, 1), repeat=3)
    }
orders = list(permutations(range(3)))


def arrival(k, order):
    """What teacher k adds to F when it arrives after those before it in the order."""
    before = [int(j in order[: order.index(k)]) for j in range(3)]
    return value[(*before[:k], 1, *before[k + 1 :])] - value[tuple(before)]


shapley = [fmean(arrival(k, order) for order in orders) / (merged.after - merged.before) for k in range(3)]
assert np.allclose(shapley, [row["shapley"] for row in rows], atol=1e-3)

# %% [markdown]
# Share, signed share and Shapley value agree closely here. Why? The mini aggregator is a weighted sum of its teachers
# plus a branch, and the branch adds next to nothing ([lesson 3](03_aggregation.ipynb)). For a plain weighted sum of
# similar images the two shares are the weights. The Shapley values are close to the weights, but not equal, because
# detail is not a linear measure (weights 0.9 and 0.1 give 0.906 and 0.094). The learned weights:

# %%
weights = zoo.load("aggregator_mini", 4).aggregator.teacher_weights.detach().flatten()
Markdown("\n".join(f"- {name}: weight {float(w):.3f}" for name, w in zip(asked.inputs, weights, strict=True)))

# %% [markdown]
# **What Fig. 4 says and what ours says.** The paper shows three maps with a DI under each, for one image and one window
# that it does not name, and concludes that all three teachers contribute. Here all three contribute, too; the numbers
# that say so are the shares, not the DI. And what they contribute *to* is nearly their mean.


# %%
# Exercise 08.4: Shapley values of two teachers P and Q, as parts of the change of F, from F with none of them sharp,
# with P alone, with Q alone, and with both. Return the value of P, then that of Q.
def shapley_of_two(none, only_p, only_q, both):
    return ...  # replace the dots


check("08.4", shapley_of_two)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def shapley_of_two(none, only_p, only_q, both):
#     change = both - none
#     of_p = ((only_p - none) + (both - only_q)) / 2
#     of_q = ((only_q - none) + (both - only_p)) / 2
#     return of_p / change, of_q / change
# ```
#
# Each value is the mean over two orders: P arrives first, or after Q. The two values add up to 1 whatever F does, so
# their sum tests nothing. The signed shares also add up to 1, but only if the integral is right: they can reveal a
# wrong map.
#
# </details>

# %% [markdown]
# ## DI is spread, not contribution
#
# The paper's caption takes the DI as the overall contribution of a teacher. It cannot be that. First, it does not
# change when a map is multiplied by 100. Second, a few strong pixels have a low DI, and many weak ones a high DI:

# %%
one = merged.maps[0]
assert abs(diffusion_index(100 * one) - diffusion_index(one)) < 1e-6
few, many = torch.zeros(64, 64), torch.full((64, 64), 0.01)
few[:2, :2] = 100
assert few.sum() > 9 * many.sum() and diffusion_index(few) < 0.1 < 99.9 < diffusion_index(many)
print(f"few strong pixels: sum {few.sum():.0f}, DI {diffusion_index(few):.2f}")
print(f"many weak ones: sum {many.sum():.0f}, DI {diffusion_index(many):.2f}")

# %% [markdown]
# Third, imagine an aggregator that takes nine parts of one teacher and one part of another with the same image. Nobody
# would say that both contribute equally. Their DIs are equal; their shares are not.

# %%
unfair = Detail(lambda images: 0.9 * images[0] + 0.1 * images[1], Window(8, 8))
same = asked.images[0][..., :64, :64]
maps = LocalAttributionMap(unfair).attribute((same, same.clone()), BlurPath.for_hr(4), 20)
parts, spreads = shares(maps), [diffusion_index(each[0].sum(0).abs()) for each in maps]
assert np.allclose(parts, [0.9, 0.1]) and np.allclose(*spreads)
print("shares", [round(part, 3) for part in parts], "DI", [round(spread, 3) for spread in spreads])


# %%
# Exercise 08.5: the DI of a map of n pixels, of which k have the same value and the others are 0.
def di_of(k, n):
    return ...  # replace the dots


check("08.5", di_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def di_of(k, n):
#     return 100 * k / n
# ```
#
# So the DI depends on the size of the map: the same four pixels in an image with sides twice as long have a quarter of
# it. Compare DIs only between maps of equal size.
#
# </details>

# %% [markdown]
# ## Try it
#
# Move the window over the image, and change the blur at the start of the path: with a larger sigma coarser structure
# counts as detail, too. Under the window stands F of the blurred start and of the sharp image. (The network is a
# student, with 12 steps, to be fast.)


# %%
def ask_at(top, left, sigma):
    at = Window(top, left, 16)
    one = explain("edsr_tiny-mtkd", comparison.lr_image, 4, at, sigma=sigma, steps=12)
    about, error = one.row()["inputs"][0], one.row()["completeness_error_relative"]
    said = "flat window" if error is None else f"DI {about['di']:.2f}, completeness {error:+.1%}"
    result = whole_with_box(comparison["edsr_tiny-mtkd"].image, Region(top, left, 16, 16))
    enlarged = on_image(one.maps[0], comparison.lr_image).repeat(4, 0).repeat(4, 1)
    return sheet(
        [("window", f"F {one.before:.1f} to {one.after:.1f}", np.asarray(result)), ("LAM", said, enlarged)], zoom=2
    )


ask_at(window.top, window.left, 1.2)

# %%
asking = Controls(ask_at, top=(8, 104, 8), left=(8, 136, 8), sigma=(0.4, 2.0, 0.4))
display(asking)

# %% [markdown]
# ## Click and ask
#
# The image below can be zoomed and dragged. A click places the window, and the map of the chosen network is drawn
# beside it. Choose the aggregator to get one map per teacher (this takes some seconds). The first picture shows what a
# click gives; the live one follows.

# %%
around = window_in(comparison, Region(40, 40, 16, 16), 16)
clicked = explain("rcan_tiny-mtkd", comparison.lr_image, 4, around, steps=25)
answer_sheet(clicked, {"LR": comparison.lr_image})

# %%
picker = AttributionPicker(comparison)
display(picker)

# %% [markdown]
# The tab *Attribution* of `mtkd demo` does the same, with saliency while it computes, density views and files to
# download. On the command line it is `mtkd explain`.

# %% [markdown]
# ## What the paper says, what we found

# %%
from mtkd.course.conclusions import conclusion

Markdown(conclusion("08"))

# %%
progress("08")

# %% [markdown]
# ## To think about
#
# Which teacher made this detail? Share, Shapley value and diffusion index answer different questions. What would you
# measure to show that a teacher is *needed*, not only used? ([Open question 8](../docs/teaching/open-questions.md),
# with a rubric.)
#
# **Next:** [what we found](09_findings.ipynb): all claims beside their evidence.
