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
# **Goal.** Know what the loss of Stage 2 measures: take a Haar transform by hand, write Eq. 3 band by band, and find
# out which errors each loss of Table 5 sees and which it overlooks.
#
# **Time.** About 30 minutes to read, 15 seconds to run. Nothing is trained.
#
# *In the paper:* Sec. 3.2.1 (Eq. 3), Sec. 5.3.3, Table 5 (v5, v6, v7).
#
# *In the code:* [mtkd/losses/wavelet.py](../mtkd/losses/wavelet.py), [mtkd/losses/dct.py](../mtkd/losses/dct.py),
# [mtkd/explain/subbands.py](../mtkd/explain/subbands.py),
# [mtkd/explore/inside/wavelets.py](../mtkd/explore/inside/wavelets.py).

# %% [markdown]
# ## Four pixels by hand
#
# The Haar transform takes 2 × 2 pixels and writes four other numbers for them: their sum, and three differences.
#
# $$ \begin{pmatrix} a & b \\ c & d \end{pmatrix} \;\to\;
# \mathrm{LL} = \tfrac{a+b+c+d}{2}, \quad
# \mathrm{LH} = \tfrac{a+b-c-d}{2}, \quad
# \mathrm{HL} = \tfrac{a-b+c-d}{2}, \quad
# \mathrm{HH} = \tfrac{a-b-c+d}{2} $$
#
# L stands for low-pass (add neighbours), H for high-pass (subtract them). Here the first letter is the direction along
# a row, the second the one along a column: LH adds along the row and subtracts the row below. It answers where
# brightness changes from top to bottom, which is at **horizontal edges**. HL holds vertical edges, HH what is neither.
# (Some books exchange the names LH and HL.) Two libraries give the same four numbers:

# %%
import numpy as np
import ptwt
import pywt
import torch

(a, b), (c, d) = block = np.array([[1.0, 2.0], [3.0, 8.0]])
by_hand = (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2

low, details = pywt.dwt2(block, "haar")
assert np.allclose(by_hand, np.array([low, *details]).flatten())
low, details = ptwt.wavedec2(torch.tensor(block)[None], "haar", level=1)
assert np.allclose(by_hand, torch.stack([low, *details]).flatten())
print(*by_hand)

# %% [markdown]
# The transform can be undone. Which formula gives a back?

# %%
# Exercise 1: compute the pixel a from the four coefficients LL, LH, HL, HH of by_hand.
ll, lh, hl, hh = by_hand
answer = ...  # replace the dots

assert answer is ... or abs(answer - 1.0) < 1e-9, "add all four: b, c and d must cancel. By what do you divide?"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = (ll + lh + hl + hh) / 2
# ```
#
# In the sum of the four formulas a comes four times, over 2, and b, c and d cancel. The transform is its own inverse,
# since its 4 × 4 matrix is symmetric and orthonormal.
# </details>

# %% [markdown]
# ## A whole image
#
# Slices with a step of 2 take every a, every b, every c and every d of an image at once. Drawn below: LL divided by 2,
# to be seen as a picture; the details red where positive, blue where negative, with the value of full colour (±).

# %%
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
# Stripes show which band is which. Does a picture of horizontal stripes put anything into HL?

# %%
stripes = torch.zeros(3, 16, 16, dtype=torch.double)
stripes[:, 0::2] = 1  # every other row is white
energy = {name: float(band.square().sum()) for name, band in transform(stripes, 1, "haar").items()}
assert energy["HL1"] == energy["HH1"] == 0 < energy["LH1"]
print({name: round(value, 6) for name, value in energy.items()})

# %%
# Exercise 2: in which detail band does a chessboard of single pixels lie? Write its name: "LH1", "HL1" or "HH1".
answer = ...  # replace the dots

chessboard = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * torch.ones(3, 1, 1)
assert answer is ... or float(transform(chessboard, 1, "haar")[answer].abs().min()) > 0.9, "put a = d = 0, b = c = 1"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = "HH1"
# ```
#
# With a = d = 0 and b = c = 1, LH and HL are 0 and HH is -1; LL is 1, as the chessboard has a mean.
# </details>

# %% [markdown]
# ## Energy is kept
#
# The factor 1/2 makes the transform orthonormal: it turns the axes, and changes no length.
#
# $$ \sum_{\text{bands}} \lVert \mathrm{DWT}_{\text{band}}(x) \rVert_2^2 = \lVert x \rVert_2^2 $$
#
# So a mean *squared* error over the bands would be the mean squared error of the pixels, and the transform would change
# nothing. The paper takes absolute values; with those, the axes matter. How is the energy of a photograph spread?

# %%
total = sum(float(band.square().sum()) for band in bands.values())
assert np.isclose(total, float(image.square().sum()))
for name, band in bands.items():
    print(f"{name}: {float(band.square().sum()) / total:8.4%} of the energy")

# %% [markdown]
# Nearly all lies in LL, the small picture. Details are rare and weak, and they are what super-resolution is about.
#
# ## Levels
#
# LL is a picture of half the size, and can be transformed in its turn. After K levels there are 3K detail bands and
# one LL, so 3K + 1 in all. Below, the LL in brackets is the input of the next row and is not kept.

# %%
torch.testing.assert_close(transform(bands["LL1"], 1, "haar")["HL1"], transform(image, 2, "haar")["HL2"])
assert len(transform(image, 3, "haar")) == 3 * 3 + 1
bands_sheet(image, levels=3)

# %% [markdown]
# Other wavelets look at more than two neighbours (db4 at eight), so that smooth slopes leave less in the details and
# edges leave waves. Choose one:

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
# The distillation loss compares student and MT in every band by its mean absolute difference, and takes the mean over
# the bands:
#
# $$ \mathcal{L}_{dis} = \frac{1}{3K+1} \sum_{i,k} \big\lVert \mathrm{DWT}_{i,k}(I_{stu}) -
# \mathrm{DWT}_{i,k}(I_{HR}^{MT}) \big\rVert_1 $$
#
# with i over LH, HL and HH at the levels k = 1 to K, and LL at level K alone. That is where 3K + 1 comes from: the
# formula as printed also lists LL at every level, which would be 4K terms. K = 1 in the experiments.

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

# %% [markdown]
# The library transforms the difference of the images once, in the place of two images: the transform is linear. The
# bands of a student trained without distillation, of MT, and their differences:

# %%
from mtkd.course.wavelets import pair_sheet

pair_sheet(pair)

# %%
from IPython.display import Markdown

rows = [f"| {r['band']} | {r['what']} | {r['contribution']:.5f} | {r['share']:.0%} |" for r in pair.table()]
Markdown("\n".join(["| band | holds | contributes | share |", "|---|---|--:|--:|", *rows]))

# %% [markdown]
# LL carries the largest share although the images look alike in it: its coefficients are twice as large as pixels. HH
# carries little, as *neither* image has much there. How much of each band does a network put out, beside the
# photograph?

# %%
from mtkd.explore.evidence.charts import bars
from mtkd.explore.inside.wavelets import energy_table

reference, energies = energy_table(comparison, levels=2, wavelet="haar")
bars(energies, f"energy in the band, dB over the {reference}", "+.1f", columns=2)

# %% [markdown]
# All networks are short of fine detail, most of all in HH1, and MT, a mean of similar images, is no exception. A
# student that follows MT perfectly would be as smooth as MT.

# %%
# Exercise 3: two images differ by the constant 0.1 everywhere. What is the wavelet loss with K = 2 (Haar)?
answer = ...  # replace the dots

flat = torch.full((1, 3, 16, 16), 0.1)
assert answer is ... or abs(answer - float(WaveletLoss(levels=2)(flat, 0 * flat))) < 1e-6, "LL doubles at each level"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 0.1 * 2**2 / (3 * 2 + 1)
# ```
#
# Every detail is 0. LL doubles the value at each level, and is one of 3K + 1 terms: a constant c costs
# $c \, 2^K / (3K + 1)$, so 0.5 c at K = 1, 0.57 c at K = 2 and 0.8 c at K = 3.
# </details>

# %% [markdown]
# ## Errors of one size
#
# Table 5 puts other losses in the place of Eq. 3: L1 on pixels (v5), L1 on the DCT of the whole patch (v6), and the
# wavelet loss without LL (v7). How do they differ? Take a photograph and spoil it in four ways, each scaled to the same
# root mean square, so that PSNR cannot tell them apart: a *blur*, a *shift* by one pixel, the *ringing* of a low-pass
# with a hard edge, and an *offset* in brightness. Red is too bright, blue too dark, full colour at 32 of 255.

# %%
from mtkd.course.wavelets import equal_errors, errors_sheet

size = 8 / 255
truth = to_tensor(photo)[0]
errors = equal_errors(truth, size)
for error in errors.values():
    assert np.isclose(float(error.square().mean().sqrt()), size)
errors_sheet(truth, errors, full=4 * size)

# %% [markdown]
# What does each loss say? The bars are the loss divided by the root mean square, so 1 is "as large as the error".

# %%
from mtkd.explore.inside.losses import loss_of, losses

TITLES = {name: variant.title for name, variant in losses().items()}

answers = {
    title: {kind: float(loss_of(name)(error[None], 0 * error[None])) / size for kind, error in errors.items()}
    for name, title in TITLES.items()
}
assert answers[TITLES["v7"]]["offset"] < 1e-5  # blind
assert np.isclose(answers[TITLES["v5"]]["offset"], 1) and np.isclose(answers[TITLES["wavelet"]]["offset"], 0.5)
bars(answers, "loss / root mean square of the error", columns=2)

# %% [markdown]
# - **L1** gives most to the offset, which is everywhere, and less to errors that gather at edges. It does not ask what
#   kind of error it is.
# - **Details alone (v7)** gives exactly 0 to the offset, and so to any slow change of brightness next to nothing.
# - **DCT (v6)** over the whole patch nearly overlooks the offset too: all of it is *one* coefficient of
#   128 × 128, and the mean of absolute values makes little of a single large one. What spreads over many frequencies
#   costs most.
# - **The wavelet loss** differs least between the four. Errors at edges cost about what they cost under L1, an
#   offset half of that: it is seen by one of the four terms, in coefficients of twice its size.
#
# ## Where a loss pushes
#
# Every one of these losses satisfies $L(td) = t\,L(d)$ for the difference d, so $L(d) = \langle \partial L/\partial d,
# d \rangle$. Writing d as a sum of bands writes the loss as a sum: what each band of the difference contributes under
# *any* of the losses. A band with 0 is one that the gradient leaves alone.

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
# The same error under four losses. Compared with L1, the wavelet loss moves weight from LL to the details, most of all
# to HH, and the DCT does nearly the same; v7 leaves LL alone. Try the other errors; under the offset, v7 has no bars.

# %%
pushing = Controls(pushes, kind=list(errors), levels=(1, 2))
display(pushing)

# %% [markdown]
# And on the images of a real student? Between the undistilled student and MT, which are both smooth, LL weighs more
# than under the blur and HH less, whatever the loss (but v7, which has no LL):

# %%
bars(
    {TITLES[name]: {b: v / sum(parts.values()) for b, v in parts.items()} for name, parts in pair.by_band().items()},
    "share of the loss, rcan_tiny-scratch against MT",
    ".0%",
    columns=2,
)


# %%
# Exercise 4: write the loss v7 with K = 1, of the difference of two images: LH, HL and HH, without LL.
def details_only(difference):  # (3, H, W)
    return ...  # replace the dots


value = details_only(errors["shift"])
assert value is ... or torch.isclose(value, loss_of("v7")(errors["shift"][None], 0 * truth[None])), "divide by 3, not 4"

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def details_only(difference):
#     bands = transform(difference, 1, "haar")
#     return sum(bands[name].abs().mean() for name in ("LH1", "HL1", "HH1")) / 3
#
# value = details_only(errors["shift"])
# ```
#
# `mtkd train --set method.options.details_only=true` trains with it.
# </details>

# %% [markdown]
# ## What the records say
#
# Does it matter for a student which of these losses it learned from? Our own runs (RCAN student, x4, MT as the target,
# 0.1 L1 to the ground truth in all of them; numbers are differences in PSNR-Y; see [What we found](09_findings.ipynb)
# for how they were trained):

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
# For v7 the pictures foretold it: a loss that cannot see brightness needs help from the ground truth, and 0.1 L1 is
# little. For v6 they did not: it overlooks a constant nearly as much, and its student does not suffer. The errors of a
# student are not constant, and over many frequencies the DCT counts them as the wavelets do. Between L1, DCT and
# wavelets the differences at this size are a few hundredths of a dB, with few seeds: nothing here shows that the
# wavelet loss is the better one. The paper reports larger differences, with larger networks and longer trainings.
#
# **Next:** the students that are trained with it, in [distillation](05_distillation.ipynb).
