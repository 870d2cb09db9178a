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
# **Goal.** From the gradient of one number to local attribution maps (LAM), which say what each input pixel, or each
# teacher, did for a detail of the output; and what the diffusion index under such maps does not say.
#
# **Time.** about 35 minutes to read, 60 seconds to run.
#
# *In the paper:* Sec. 5.3.1, Fig. 4 (the method is that of Gu and Dong, 2021).
#
# *In the code:* [mtkd/explain/lam.py](../mtkd/explain/lam.py),
# [mtkd/explain/answer.py](../mtkd/explain/answer.py),
# [mtkd/explore/inside/attribution.py](../mtkd/explore/inside/attribution.py),
# [mtkd/course/picker.py](../mtkd/course/picker.py)
#
# No training here: all networks are those of the bundled zoo.

# %%
import math
from itertools import permutations, product
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients
from IPython.display import Markdown, display

from mtkd import zoo
from mtkd.course.lessons import Controls
from mtkd.course.picker import AttributionPicker, answer_sheet
from mtkd.data.examples import example
from mtkd.explain import LocalAttributionMap, Window, explain
from mtkd.explain.lam import BlurPath
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
# An attribution needs a number to attribute. Asking for the value of one SR pixel would be asking for its brightness,
# which any interpolation gets right. What super-resolution adds is *detail*. So the number is the sum of the gradient
# magnitudes in a small window $W$ of the SR image, over its pixels and the three channels:
#
# $$ F(x) = \sum_{c} \sum_{p \in W} \sqrt{(\partial_x \mathrm{SR}(x)_{c,p})^2 + (\partial_y \mathrm{SR}(x)_{c,p})^2} $$
#
# with differences to the next pixel. The window here is where the picture has most detail.

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
# Exercise 1: an image that is 0 on the left and 1 on the right (all three channels), the edge running down through the
# middle of a window of 16 x 16. What is F of the image itself (no network)?
answer = ...  # replace the dots

edge = torch.zeros(1, 3, 32, 32)
edge[..., 16:] = 1
assert answer is ... or abs(answer - Detail(torch.nn.Identity(), Window(8, 8))(edge).item()) < 1e-3, "count the pixels"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 3 * 16 * 1
# ```
#
# In each of 3 channels and 16 rows one difference is 1. A softer edge, spread over several pixels, has the same sum:
# F measures how high edges are, not how sharp; noise and ringing raise it more than sharpness does.
# </details>

# %% [markdown]
# Which LR pixels is F made of?
#
# ## A first answer: the gradient
#
# One backward pass gives $\partial F / \partial x$, how F would change with a tiny change of each pixel. Its absolute
# value is called *saliency*.

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
# The bright pixels lie around the window. But the gradient is a slope at one point, not a part of F: the values have
# other units than F, and they do not add up to it. A pixel that F depends on strongly but whose last bit of change does
# nothing (a saturated ReLU) gets 0.
#
# ## A path: integrated gradients
#
# Start from an image $x'$ without detail and walk to $x$ on a straight line; add up what each pixel's change does on
# the way:
#
# $$ A_i = (x_i - x'_i) \int_0^1 \frac{\partial F}{\partial x_i}\bigl(x' + a\,(x - x')\bigr)\, da $$
#
# By the fundamental theorem of calculus $\sum_i A_i = F(x) - F(x')$: now the map is a *division of F*. As start serves
# the blurred image (sigma 1.2 pixels). The integral becomes a sum over the middles of 50 steps. The library calls it
# the straight path; Captum, PyTorch's library for attributions, has it as `IntegratedGradients`.

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
# rest. Captum's default start is a black image, which has none; the map then explains all of F, but its question is
# another one: what does this picture have that *darkness* has not?

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
# On the straight line lie mixtures of sharp and blurred, which no camera makes and no network was trained on. LAM walks
# through images of *less and less blur* instead:
#
# $$ g(a) = \mathrm{blur}(x,\ \sigma (1 - a)), \qquad
# A_i = \int_0^1 \frac{\partial F}{\partial g_i}(g(a)) \; \frac{d g_i}{d a}(a) \; da $$
#
# The straight path is the case $dg/da = x - x'$. The blur is a Gaussian, so that $dg/da$ can be had exactly: the
# library differentiates the kernel.

# %%
path, a, h = BlurPath(sigma=1.2, radius=4), 0.3, 1e-4
i = torch.arange(-4, 5.0, dtype=torch.float64)
kernel = torch.exp(-(i**2) / (2 * (1.2 * (1 - a)) ** 2))
kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
padded = F.pad(lr.double(), (4, 4, 4, 4), mode="reflect")
blurred = F.conv2d(padded, kernel.expand(3, 1, 9, 9), groups=3)
point, slope = path(lr.double(), a)
torch.testing.assert_close(point, blurred)
difference = (path(lr.double(), a + h)[0] - path(lr.double(), a - h)[0]) / (2 * h)
torch.testing.assert_close(slope, difference, rtol=1e-5, atol=1e-6)

# %% [markdown]
# The integral is once more a sum over the middles of the steps. This loop is all of LAM:

# %%
total = torch.zeros_like(lr)
for k in range(steps):
    point, slope = path(lr, (k + 0.5) / steps)
    point.requires_grad_()
    total += torch.autograd.grad(detail(point).sum(), point)[0] * slope / steps

found = explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, steps=steps)
torch.testing.assert_close(total[0], found.attributions[0], rtol=1e-3, atol=1e-4)
torch.testing.assert_close(total, LocalAttributionMap(detail).attribute(lr, path, steps), rtol=1e-3, atol=1e-4)
sheet(
    [
        *on_lr("straight path", f"sum {straight.attributions[0].sum():.1f}", straight.attributions[0]),
        *on_lr("LAM: blur path", f"sum {total.sum():.1f}", total[0]),
    ],
    zoom=8,
)

# %% [markdown]
# What is shown of $A$ (one value a pixel and channel) is $|\sum_c A_c|$, divided by the largest value: where a picture
# of the map is bright, a pixel did much, *for or against* the detail.
#
# ## Completeness: is the integral right?
#
# The sum of the map must be $F(x) - F(\mathrm{blurred})$. This costs two more passes of the network and is the one
# check that every map should come with. The difference of the two numbers is the *completeness error*; divided by the
# change of F, it is the relative one:

# %%
print(f"sum of the map {float(total.sum()):.4f}, F(x) - F(blurred) {found.after - found.before:.4f}")
assert abs(float(total.sum()) - (found.after - found.before)) < 0.01 * abs(found.after - found.before)

# %%
# Exercise 2: the relative completeness error of `found`, from found.attributions, found.before and found.after.
answer = ...  # replace the dots

assert answer is ... or abs(answer - found.row()["completeness_error_relative"]) < 1e-6, "(sum - change) / change"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# change = found.after - found.before
# answer = (float(sum(a.double().sum() for a in found.attributions)) - change) / change
# ```
#
# In a flat window the change is near zero and the relative error means nothing; the library then says None.
# </details>

# %% [markdown]
# How many steps are enough? On a smooth function the midpoint rule's error falls with the square of the number of
# steps, and Gauss-Legendre nodes do better still. F of a network of ReLUs is not smooth: its gradient jumps, and so
# does that of the magnitude where a difference changes its sign. The published LAM code takes gradients at the right
# end of each step (`compat="official"`). In float64:

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
# The fast fall of a smooth function ends at some 16 steps; from there on the jumps decide, more steps hardly help, and
# the better rule is no better. Right ends fall slowly all the way. With midpoints fifty steps are well below -2, one
# percent, where no picture changes visibly. A complete map is not yet a *true* one: completeness holds for any path,
# and another path divides F otherwise.
#
# ## Teachers and students
#
# The same window of the same photo, asked of five networks. Under each map its *diffusion index* (DI), of which more
# below: how widely the used pixels are spread, 100 for a uniform map.

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
# These are one window of one picture: do not rank networks by it. What can be read off is *where* a network looks: at
# the glint in the window, a handful of LR pixels, and hardly beyond.
#
# ## The aggregator: one map a teacher
#
# The aggregator's inputs are not an LR image but its teachers' HR images. All are unblurred together (sigma four times
# as wide, in HR pixels), the gradient is taken for each, and all maps are scaled by one common maximum. This is what
# the paper's Fig. 4 shows.

# %%
small = compare(photo[:96, :112], ["aggregator_mini"], scale=4)
asked = question(small, "aggregator_mini", window_in(small, None, 16))
merged = explain("aggregator_mini", small.lr_image, 4, asked.window, steps=20)
images = {name: to_uint8(image) for name, image in zip(asked.inputs, asked.images, strict=True)}
box = Region(merged.window.top, merged.window.left, 16, 16)
display(sheet([("MT, with the window", "", np.asarray(whole_with_box(small["aggregator_mini"].image, box)))], zoom=2))
answer_sheet(merged, images)

# %% [markdown]
# Four numbers a teacher are given:
#
# - **share** $\;\sum|A_k| \,/\, \sum_j \sum|A_j|$: how much of all attribution lies in teacher k's image;
# - **signed share** $\;\sum A_k \,/\, (F(x) - F(x'))$: what part of the *change of F*, gains less losses;
# - **Shapley**: teacher k is *present* (sharp) or *absent* (blurred). Its value is what its arrival adds to F, averaged
#   over all orders in which the three may arrive. It needs no path and no gradient, so it is a check from outside;
# - **DI**, the spread.

# %%
lines = ["| teacher | share | signed share | Shapley | DI |", "|---|--:|--:|--:|--:|"]
for about in merged.row()["inputs"]:
    parts = " | ".join(f"{about[key]:.1%}" for key in ("share", "signed_share", "shapley"))
    lines.append(f"| {about['input']} | {parts} | {about['di']:.2f} |")
error = merged.row()["completeness_error_relative"]
Markdown("\n".join([*lines, "", f"Completeness error {error:+.2%}."]))

# %% [markdown]
# All four by hand. DI is $100\,(1 - G)$ with the Gini coefficient $G$ of the map's values, sorted upwards as
# $v_1 \le \dots \le v_n$:
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
# Share, signed share and Shapley agree closely here. Why so well? The mini aggregator adds a weighted sum of its
# teachers to what its branch computes, and [notebook 9](09_findings.ipynb) found that the branch adds next to nothing.
# For a plain weighted sum of like images each of the three numbers is the weight. The learned weights:

# %%
weights = zoo.load("aggregator_mini", 4).aggregator.teacher_weights.detach().flatten()
Markdown("\n".join(f"- {name}: weight {float(w):.3f}" for name, w in zip(asked.inputs, weights, strict=True)))

# %% [markdown]
# **What Fig. 4 says and what ours says.** The paper shows three maps and a DI under each, on one image and one window
# that it does not name, and concludes that all three teachers contribute. In ours all three do, too; the numbers that
# say so are the shares, not DI. And what they contribute *to* is an image that is about their mean.

# %%
# Exercise 3: what do the signed shares of all teachers add up to, for an exact integral? A number without running.
answer = ...  # replace the dots

assert answer is ... or abs(answer - sum(row["signed_share"] for row in rows)) < 0.02, "completeness"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 1.0
# ```
#
# Completeness: the sum of all maps is the change of F. The shares add up to 1 as well, by definition, whatever the
# error of the integral; so the signed share is the one that can reveal a wrong map.
# </details>

# %% [markdown]
# ## DI is spread, not contribution
#
# The paper's caption takes DI as the overall contribution of a teacher. It can not be that. First, it does not change
# when a map is multiplied by 100. Second, few strong pixels have a low DI and many weak ones a high one:

# %%
one = merged.maps[0]
assert abs(diffusion_index(100 * one) - diffusion_index(one)) < 1e-6
few, many = torch.zeros(64, 64), torch.full((64, 64), 0.01)
few[:2, :2] = 100
assert few.sum() > 9 * many.sum() and diffusion_index(few) < 0.1 < 99.9 < diffusion_index(many)
print(f"few strong pixels: sum {few.sum():.0f}, DI {diffusion_index(few):.2f}")
print(f"many weak ones: sum {many.sum():.0f}, DI {diffusion_index(many):.2f}")

# %% [markdown]
# As an aggregator: take nine parts of one teacher and one part of another who shows the same image. Nobody would say
# that both contribute as much; their DIs are equal, their shares are not.

# %%
unfair = Detail(lambda images: 0.9 * images[0] + 0.1 * images[1], Window(8, 8))
same = asked.images[0][..., :64, :64]
maps = LocalAttributionMap(unfair).attribute((same, same.clone()), BlurPath.for_hr(4), 20)
parts, spreads = shares(maps), [diffusion_index(each[0].sum(0).abs()) for each in maps]
assert np.allclose(parts, [0.9, 0.1]) and np.allclose(*spreads)
print("shares", [round(part, 3) for part in parts], "DI", [round(spread, 3) for spread in spreads])


# %%
# Exercise 4: the DI of a map of n pixels of which k have the same value and the others are 0.
def mine(k, n):
    return ...  # replace the dots


half = torch.zeros(100)
half[:50] = 3
assert mine(50, 100) is ... or abs(mine(50, 100) - diffusion_index(half)) < 1e-3, "half filled is 50"
assert mine(1, 200) is ... or abs(mine(1, 200) - diffusion_index(torch.eye(200)[0])) < 1e-3, "a single pixel"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def mine(k, n):
#     return 100 * k / n
# ```
#
# So DI depends on the size of the map: the same four pixels in an image of twice the sides give a quarter. Compare DIs
# of maps of equal size only.
# </details>

# %% [markdown]
# ## Try it
#
# Move the window over the picture, and change from how much blur the path starts: with a larger sigma the coarser
# structure counts as detail, too. Under the window stands F of the blurred start and of the sharp image. (A student, 12
# steps, to be quick.)


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
# The picture below can be zoomed and dragged; a click places the window, and the map of the chosen network is drawn
# beside it. Choose the aggregator to get a map a teacher (that takes some seconds). What a click shows, as a still
# picture:

# %%
around = window_in(comparison, Region(40, 40, 16, 16), 16)
clicked = explain("rcan_tiny-mtkd", comparison.lr_image, 4, around, steps=25)
answer_sheet(clicked, {"LR": comparison.lr_image})

# %%
picker = AttributionPicker(comparison)
display(picker)

# %% [markdown]
# The same, with saliency while it computes, density views and files to download, is in `mtkd demo`, tab *Attribution*;
# from the command line: `mtkd explain`.
