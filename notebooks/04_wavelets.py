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
# # 4. Wavelets
#
# **Goal.** Know what the loss of Stage 2 measures: compute a Haar transform by hand, write Eq. 3 band by band, and find
# out which errors each loss of Table 5 sees and which it overlooks.
#
# **Time.** About 30 minutes to read, 15 seconds to run. Nothing is trained.
#
# *In the paper:* Sec. 3.2.1 (Eq. 3), Sec. 5.3.3, Table 5 (v5, v6, v7).
#
# *In the code:* [mtkd/losses/wavelet.py](../mtkd/losses/wavelet.py), [mtkd/losses/dct.py](../mtkd/losses/dct.py),
# [mtkd/explain/subbands.py](../mtkd/explain/subbands.py),
# [mtkd/explore/inside/wavelets.py](../mtkd/explore/inside/wavelets.py).

# %%
from mtkd.course.map import framework_map

framework_map("04")

# %% [markdown]
# ## Four pixels by hand
#
# The Haar transform replaces each block of 2 × 2 pixels by four other numbers: their sum and three differences, all
# halved.
#
# $$ \begin{pmatrix} a & b \\ c & d \end{pmatrix} \;\to\;
# \mathrm{LL} = \tfrac{a+b+c+d}{2}, \quad
# \mathrm{LH} = \tfrac{a+b-c-d}{2}, \quad
# \mathrm{HL} = \tfrac{a-b+c-d}{2}, \quad
# \mathrm{HH} = \tfrac{a-b-c+d}{2} $$
#
# L stands for low-pass (add neighbours), H for high-pass (subtract them). The first letter is for the direction along a
# row, the second for the direction along a column: LH adds along the row and subtracts the row below. It responds where
# brightness changes from top to bottom, which is at **horizontal edges**. HL holds vertical edges, HH diagonal detail.
# (Some books exchange the names LH and HL.) Two libraries give the same four numbers:

# %%
import numpy as np
import ptwt
import pywt
import torch

from mtkd.course import check, progress

(a, b), (c, d) = block = np.array([[1.0, 2.0], [3.0, 8.0]])
by_hand = (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2

low, details = pywt.dwt2(block, "haar")
assert np.allclose(by_hand, np.array([low, *details]).flatten())
low, details = ptwt.wavedec2(torch.tensor(block)[None], "haar", level=1)
assert np.allclose(by_hand, torch.stack([low, *details]).flatten())
print(*by_hand)

# %% [markdown]
# The transform can be inverted. Which formula gives a back?


# %%
# Exercise 04.1: undo the transform: the pixels a, b, c, d from the four coefficients.
def inverse(ll, lh, hl, hh):
    return ...  # a, b, c, d


check("04.1", inverse)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def inverse(ll, lh, hl, hh):
#     return (ll + lh + hl + hh) / 2, (ll + lh - hl - hh) / 2, (ll - lh + hl - hh) / 2, (ll - lh - hl + hh) / 2
# ```
#
# In LL + LH + HL + HH, a occurs four times, each time halved, so the sum is 2 a; b, c and d cancel. The inverse has the
# same signs as the transform, since its 4 × 4 matrix is symmetric and orthonormal.
#
# </details>

# %% [markdown]
# ## A whole image
#
# Slices with a step of 2 take every a, every b, every c and every d of an image at once. The drawing shows LL divided
# by 2, so that it looks like an image, and the details in red where positive, in blue where negative; ± is the value of
# full colour.

# %%
from mtkd.course.figures import haar_square
from mtkd.course.wavelets import bands_sheet
from mtkd.data.examples import example
from mtkd.explain.subbands import transform
from mtkd.images import to_tensor

photo = example("astronaut").read()[24:152, 64:192]  # (128, 128, 3) uint8
image = to_tensor(photo)[0].double()  # (3, 128, 128) in [0, 1]
a, b = image[:, 0::2, 0::2], image[:, 0::2, 1::2]
c, d = image[:, 1::2, 0::2], image[:, 1::2, 1::2]

bands = transform(image, levels=1, wavelet="haar")
torch.testing.assert_close(bands["LL1"], (a + b + c + d) / 2)
torch.testing.assert_close(bands["LH1"], (a + b - c - d) / 2)
torch.testing.assert_close(bands["HL1"], (a - b + c - d) / 2)
torch.testing.assert_close(bands["HH1"], (a - b - c + d) / 2)
bands_sheet(image)

# %% [markdown]
# Stripes show which band is which. Does an image of horizontal stripes put anything into HL?

# %%
stripes = torch.zeros(3, 16, 16, dtype=torch.double)
stripes[:, 0::2] = 1  # every other row is white
energy = {name: float(band.square().sum()) for name, band in transform(stripes, 1, "haar").items()}
assert energy["HL1"] == energy["HH1"] == 0 < energy["LH1"]
print({name: round(value, 6) for name, value in energy.items()})

# %%
# Exercise 04.2: in which detail band does a chessboard of single pixels lie? Write its name: "LH1", "HL1" or "HH1".
answer_2 = ...  # replace the dots

check("04.2", answer_2)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_2 = "HH1"
# ```
#
# With a = d = 0 and b = c = 1, LH and HL are 0 and HH is -1. LL is 1, because the mean of the chessboard is not 0.
#
# </details>

# %% [markdown]
# ## Energy is kept
#
# The factor 1/2 makes the transform orthonormal: it rotates the axes and changes no length.
#
# $$ \sum_{\text{bands}} \lVert \mathrm{DWT}_{\text{band}}(x) \rVert_2^2 = \lVert x \rVert_2^2 $$
#
# With one level the four bands have equally many values. So the mean *squared* error over the bands is the mean squared
# error of the pixels, and the transform changes nothing. (With more levels a mean over bands gives the coarse ones more
# weight.) The paper takes absolute values; with those, the choice of axes matters. How is the energy of a photograph
# distributed?

# %%
total = sum(float(band.square().sum()) for band in bands.values())
assert np.isclose(total, float(image.square().sum()))
for name, band in bands.items():
    print(f"{name}: {float(band.square().sum()) / total:8.4%} of the energy")

# %% [markdown]
# Nearly all of it lies in LL, the small image. Details are rare and weak, and they are what super-resolution is about.
#
# ## Levels
#
# LL is an image of half the size and can be transformed in turn. After K levels there are 3K detail bands and one LL,
# so 3K + 1 bands in all. They fit into a square of the image's size: LL at the top left, and around it the details of
# every level, the finest outermost. (Each band has its own colour scale.)

# %%
torch.testing.assert_close(transform(bands["LL1"], 1, "haar")["HL1"], transform(image, 2, "haar")["HL2"])
assert len(transform(image, 3, "haar")) == 3 * 3 + 1
haar_square(image, levels=3)

# %% [markdown]
# Other wavelets use more than two neighbours (db4 uses eight). Then smooth slopes leave less in the details, and edges
# leave ripples. Choose one:

# %%
from IPython.display import display

from mtkd.course.lessons import Controls
from mtkd.explain.subbands import wavelets


def show(wavelet, level):
    return bands_sheet(image, level, wavelet)


controls = Controls(show, wavelet=wavelets(), level=(1, 3))
display(controls)

# %% [markdown]
# ## Eq. 3, band by band
#
# The distillation loss takes the mean absolute difference between student and MT in every band, and averages over the
# bands:
#
# $$ \mathcal{L}_{dis} = \frac{1}{3K+1} \sum_{i,k} \big\lVert \mathrm{DWT}_{i,k}(I_{stu}) -
# \mathrm{DWT}_{i,k}(I_{HR}^{MT}) \big\rVert_1 $$
#
# Here i runs over LH, HL and HH at the levels k = 1 to K, and over LL at level K only: 3K + 1 terms. (The formula as
# printed lists LL at every level, which would be 4K terms.) In the experiments K = 1.

# %%
from mtkd.explore import compare
from mtkd.explore.inside.wavelets import Pair
from mtkd.losses import WaveletLoss

comparison = compare(photo, ["rcan_tiny-scratch", "rcan_tiny-mtkd", "rcan_mini", "aggregator_mini"], scale=4)
pair = Pair(comparison, "rcan_tiny-scratch", "aggregator_mini", levels=1)
student_image, mt_image = pair.images  # (3, 128, 128) each

for levels in (1, 2, 3):
    student, mt = transform(student_image, levels, "haar"), transform(mt_image, levels, "haar")
    terms = {name: (student[name] - mt[name]).abs().mean() / (3 * levels + 1) for name in student}

    loss = WaveletLoss(levels)
    torch.testing.assert_close(loss(student_image[None], mt_image[None]), sum(terms.values()))
    torch.testing.assert_close(loss.bands(student_image[None], mt_image[None]), terms)
    print(f"K = {levels}: {float(sum(terms.values())):.5f} over {len(terms)} bands")


# %%
# Exercise 04.3: write Eq. 3 for any K with the Haar wavelet, by slices alone: no transform of a library. The images are
# (N, 3, H, W), and H and W are multiples of 2^K.
def wavelet_loss(student, mt, levels):
    return ...  # replace the dots


check("04.3", wavelet_loss)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def wavelet_loss(student, mt, levels):
#     low, total = student - mt, 0
#     for _ in range(levels):
#         a, b = low[..., 0::2, 0::2], low[..., 0::2, 1::2]
#         c, d = low[..., 1::2, 0::2], low[..., 1::2, 1::2]
#         total += sum((band / 2).abs().mean() for band in (a + b - c - d, a - b + c - d, a - b - c + d))
#         low = (a + b + c + d) / 2
#     return (total + low.abs().mean()) / (3 * levels + 1)
# ```
#
# The transform is linear, so one transform of the difference is enough. The mean is taken in each band first, so a band
# of few coefficients counts as much as one of many.
#
# </details>

# %% [markdown]
# The library, too, transforms the difference of the images once. Below are the bands of a student trained without
# distillation, the bands of MT, and their differences.

# %%
from mtkd.course.wavelets import pair_sheet

pair_sheet(pair)

# %%
from IPython.display import Markdown

rows = [f"| {r['band']} | {r['what']} | {r['contribution']:.5f} | {r['share']:.0%} |" for r in pair.table()]
Markdown("\n".join(["| band | holds | contributes | share |", "|---|---|--:|--:|", *rows]))

# %% [markdown]
# LL carries the largest share although the images look alike in it: most of the difference between the two is coarse
# (the last chart of this lesson shows the same for plain L1), and its coefficients are twice as large as pixels. HH
# carries little, because *neither* image has much there. How much energy do the networks produce in each band, compared
# with the photograph?

# %%
from mtkd.explore.evidence.charts import bars
from mtkd.explore.inside.wavelets import energy_table

reference, energies = energy_table(comparison, levels=2, wavelet="haar")
bars(energies, f"energy in the band, dB over the {reference}", "+.1f", columns=2)

# %% [markdown]
# All networks lack fine detail, most of all in HH1, and MT, a mean of similar images, is no exception. A student that
# imitated MT perfectly would be as smooth as MT.

# %%
# Exercise 04.4: two images differ by the constant 0.1 everywhere. What is the wavelet loss with K = 2 (Haar)?
answer_4 = ...  # replace the dots

check("04.4", answer_4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer_4 = 0.1 * 2**2 / (3 * 2 + 1)
# ```
#
# Every detail is 0. LL doubles the value at each level and is one of 3K + 1 terms: a constant $m$ costs
# $m \, 2^K / (3K + 1)$, so 0.5 $m$ at K = 1, 0.57 $m$ at K = 2 and 0.8 $m$ at K = 3.
#
# </details>

# %% [markdown]
# ## Errors of equal size (optional)
#
# Table 5 replaces Eq. 3 by other losses: L1 on pixels (v5), L1 on the DCT of the whole patch (v6; the paper gives no
# block size, the whole patch is our reading), and the wavelet loss without LL (v7). How do they differ? We distort a
# photograph in four ways, each scaled to the same root mean square, so that PSNR cannot tell them apart: a *blur*, a
# *shift* by one pixel, the *ringing* of a sharp low-pass filter, and an *offset* in brightness. Red is too bright, blue
# too dark, full colour at 32 of 255 levels.

# %%
from mtkd.course.wavelets import equal_errors, errors_sheet

size = 8 / 255
truth = to_tensor(photo)[0]
errors = equal_errors(truth, size)
for error in errors.values():
    assert np.isclose(float(error.square().mean().sqrt()), size)
errors_sheet(truth, errors, full=4 * size)

# %% [markdown]
# How does each loss rate them? The bars are the loss divided by the root mean square of the error.
#
# **Predict first:** all four errors have the same PSNR. Which loss does not see the offset at all, and which rates the
# offset highest? For each loss, which error costs most?

# %%
from mtkd.explore.inside.losses import loss_of, losses

TITLES = {name: losses()[name].title for name in ("wavelet", "v5", "v6", "v7")}

answers = {
    title: {kind: float(loss_of(name)(error[None], 0 * error[None])) / size for kind, error in errors.items()}
    for name, title in TITLES.items()
}
assert answers[TITLES["v7"]]["offset"] < 1e-5  # blind
assert np.isclose(answers[TITLES["v5"]]["offset"], 1) and np.isclose(answers[TITLES["wavelet"]]["offset"], 0.5)
bars(answers, "loss / root mean square of the error", columns=2)

# %% [markdown]
# - **L1** rates the offset, which is the same everywhere, highest, and errors that gather at edges lower. It does not
#   ask what kind of error it is.
# - **Details alone (v7)** rates the offset exactly 0, and any slow change of brightness nearly 0.
# - **DCT (v6)** over the whole patch nearly overlooks the offset too: it is *one* coefficient of 128 × 128, and a
#   single large value hardly moves the mean of absolute values. Errors that spread over many frequencies cost most.
# - **The wavelet loss** rates the four errors most alike. Errors at edges cost about as much as under L1. An offset
#   costs half as much as under L1: only one of the four terms sees it, in coefficients of twice its size.
#
# ## Where a loss pushes (optional)
#
# Which bands of the error $e$ does a loss $L$ respond to? All these losses satisfy $L(t\,e) = t\,L(e)$ for $t \ge 0$:
# twice the error costs twice as much. The derivative of both sides with respect to $t$, at $t = 1$, gives
# $L(e) = \langle \partial L/\partial e,\; e \rangle$ wherever $L$ is differentiable. If $e$ is written as a sum of
# bands, the loss becomes a sum too: the contribution of each band, under *any* of the losses. A band that the gradient
# leaves alone contributes 0. The reverse does not hold: a band in which $e$ is 0 contributes 0 whatever the gradient
# does there, and a contribution may be negative.

# %%
from mtkd.explain.subbands import loss_by_band


def pushes(kind, levels):
    """The share of each band in each loss, for one of the errors."""
    error = errors[kind]
    found = {}
    for name, title in TITLES.items():
        parts = loss_by_band(error, 0 * error, loss_of(name, levels), levels)
        found[title] = {band: value / (sum(parts.values()) or 1) for band, value in parts.items()}
    return bars(found, f"share of the loss, {kind}", ".0%", columns=2)


error = errors["blur"]
parts = loss_by_band(error, 0 * error, torch.nn.L1Loss())
assert np.isclose(sum(parts.values()), float(error.abs().mean()))
pushes("blur", 1)

# %% [markdown]
# The bars show the same error under four losses. Compared with L1, the wavelet loss moves weight from LL to the
# finest detail, HH (LH and HL together hardly change), and the DCT loss does nearly the same; v7 leaves LL alone. Try
# the other errors. For the offset, v7 has no bars.

# %%
pushing = Controls(pushes, kind=list(errors), levels=(1, 2))
display(pushing)

# %% [markdown]
# And with a real student? The student without distillation and MT are both smooth. In their difference LL has a larger
# share than in the blur, and HH a smaller one, under every loss (except v7, which has no LL):

# %%
bars(
    {
        TITLES[name]: {b: v / sum(parts.values()) for b, v in parts.items()}
        for name, parts in pair.by_band().items()
        if name in TITLES
    },
    "share of the loss, rcan_tiny-scratch against MT",
    ".0%",
    columns=2,
)


# %%
# Exercise 04.5: write the loss v7 with K = 1, of the difference of two images: LH, HL and HH, without LL.
def details_only(difference):  # (3, H, W)
    return ...  # replace the dots


check("04.5", details_only)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def details_only(difference):
#     bands = transform(difference, 1, "haar")
#     return sum(bands[name].abs().mean() for name in ("LH1", "HL1", "HH1")) / 3
# ```
#
# `mtkd train --set method.options.details_only=true` trains with it.
#
# </details>

# %% [markdown]
# ## What the records say (optional)
#
# Does it matter to a student which of these losses it learns from? These are our own runs: RCAN student, x4, MT as the
# target, and 0.1 L1 to the ground truth in all of them. The numbers are differences in PSNR-Y; [lesson
# 9](09_findings.ipynb) says how the students were trained.

# %%
from mtkd.experiments.maintain.evidence import measured_report
from mtkd.experiments.tables import sentence

report = measured_report("mini")
Markdown(
    "\n".join(
        f"- {words}: {sentence(report, *names)}"
        for words, *names in (
            ("wavelet over L1 (v5)", "table5", "mtkd", "v5"),
            ("wavelet over DCT (v6)", "table5", "mtkd", "v6"),
            ("wavelet over detail bands alone (v7)", "table5", "mtkd", "v7"),
        )
    )
)

# %% [markdown]
# For v7 the pictures above tell half of the story: its loss cannot see an offset. Yet 0.1 L1 to the ground truth holds
# the brightness. What the student of v7 loses lies one level coarser than the details that its loss sees ([lesson
# 7](07_ablations.ipynb)). For v6 the pictures predicted nothing: its loss overlooks an offset nearly as much, but its
# student does not suffer. The errors of a student are not constant; they spread over many frequencies, and
# there the DCT loss and the wavelet loss rate them alike.
#
# Between L1, DCT and wavelets the differences at this size are a few hundredths of a dB, with few seeds, and the DCT
# loss is ahead. Nothing here shows that the wavelet loss is the better one. The paper reports larger differences, with
# larger networks and longer trainings.

# %% [markdown]
# ## What the paper says, what we found

# %%
from mtkd.course.conclusions import conclusion

Markdown(conclusion("04"))

# %%
progress("04")

# %% [markdown]
# ## To think about
#
# Why take L1 of wavelet bands and not L1 of pixels? Find two errors with equal L1 and different wavelet loss. Does
# another weighting of errors also make a better student? ([Open question 4](../docs/teaching/open-questions.md), with a
# rubric.)
#
# **Next:** the students that are trained with this loss, in [distillation](05_distillation.ipynb).
