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
# # Start here
#
# **MTKD** (multi-teacher knowledge distillation, Jiang et al. 2024) makes a small, fast super-resolution network (one
# that enlarges pictures) from several large ones. *Distillation*: the small network, the *student*, learns from what
# the large ones, its *teachers*, put out. There are two stages:
#
# 1. an **aggregator** of DCTSwin blocks merges the images of the teachers EDSR, RCAN and SwinIR into one better
#    image, called MT (Sec. 3.1, Eq. 1);
# 2. the **student** learns from MT through a wavelet loss (Sec. 3.2, Eqs. 2 to 4).
#
# ## The course
#
# | | notebook | its question |
# |--:|---|---|
# | 1 | [Super-resolution](01_super_resolution.ipynb) | What does shrinking lose, and how is a guess measured? |
# | 2 | [The teachers](02_teachers.ipynb) | What are EDSR, RCAN and SwinIR made of, and where do they disagree? |
# | 3 | [Aggregation](03_aggregation.ipynb) | Stage 1, tensor by tensor: how do three images become one (Eq. 1)? |
# | 4 | [Wavelets](04_wavelets.ipynb) | What does the loss of Eq. 3 see, and what do others overlook? |
# | 5 | [Distillation](05_distillation.ipynb) | Stage 2 (Eqs. 2 to 4): what does MT add to the ground truth? |
# | 6 | [Other methods](06_baselines.ipynb) | AT, FAKD, DUKD, CrossKD: what does each take from its teacher? |
# | 7 | [Ablations](07_ablations.ipynb) | Table 5: which part of the method does what? |
# | 8 | [Attribution](08_attribution.ipynb) | Which pixels, and which teacher, made this detail (Fig. 4)? |
# | 9 | [What we found](09_findings.ipynb) | What of the paper shows at this size, and what not? |
#
# Each takes about half an hour to read and up to three minutes to run, on a CPU, offline. They build on one another in
# this order; 4 and 8 can also be read alone. Exercises have their solutions folded below them: replace the dots, run
# the cell, and if it stays silent the answer is right. `make lab` opens them here.
#
# ## Ten lines
#
# This notebook loads the *zoo*, the trained networks that come with this project, enlarges a picture four times and
# compares the results: ten lines. The networks are mini versions that were trained on two CPU cores in about two hours;
# their cards, a page each, say how. The student `rcan_tiny` is there three times: trained from scratch (without a
# teacher), from RCAN alone (kd) and by MTKD. First picture: the low-resolution image (LR) that all were given.

# %%
import mtkd
from mtkd.data.examples import example
from mtkd.explore import compare, default_models
from mtkd.explore.comparison.crops import Region, crops

photo = example("chelsea").read()  # (H, W, 3) uint8, the ground truth; its small version is made like MATLAB does
models = default_models(scale=4)
result = compare(photo, models, scale=4)
crops(result, Region(top=60, left=60, height=72, width=88), zoom=2)

# %% [markdown]
# The numbers of the whole image. PSNR (in dB) and SSIM (at most 1) say how near a result is to the ground truth; more
# is better. They are measured on luma, the brightness (-Y), as in the paper's tables; notebook 1 explains them.

# %%
from IPython.display import Markdown

Markdown(result.markdown())

# %% [markdown]
# ## Look closer
#
# The viewer keeps all panes in step: the wheel zooms at the cursor, dragging moves, keys 1 to 9 show one model alone
# at the same place, and *error* shows the difference to the ground truth. (It comes alive when the notebook runs.)

# %%
from mtkd.explore.comparison.core import data_uri
from mtkd.explore.viewer.widget import Viewer

Viewer(panes=result.panes(data_uri))

# %% [markdown]
# Which teacher is nearest to the ground truth at each pixel (pale where they are about equal)? Where each of them wins
# somewhere, a merged image can be better than all of them: that is what the aggregator is for. Can, not must: notebook
# 2 shows how much of such a map is luck.

# %%
from PIL import Image

picture, shares = result.best_teacher()
for colour, (name, share) in zip(("orange", "blue", "green"), shares.items(), strict=True):
    print(f"{colour}: {name} {share:.0%}")
Image.fromarray(picture)

# %% [markdown]
# ## Your own picture
#
# Put the path of a small picture here; until then it is a piece of the cup of coffee. The brackets behind `read_image`
# cut that piece out: take them away to enlarge a whole picture. It is taken as the low-resolution image, so there is no
# ground truth and there are no numbers.

# %%
from mtkd.images import read_image

my_picture = example("coffee").path  # for instance "holiday.jpg"
student = mtkd.load("edsr_tiny-mtkd", scale=4)
small = read_image(my_picture)[70:150, 80:200]
enlarged = mtkd.infer.upscale(student, mtkd.images.to_tensor(small), scale=4)
Image.fromarray(mtkd.images.to_uint8(enlarged))

# %% [markdown]
# The same from the command line: `mtkd upscale holiday.jpg -o holiday_x4.png --model edsr_tiny-mtkd --scale 4`,
# and with a page to click on: `mtkd demo`.
