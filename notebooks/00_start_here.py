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
# **MTKD** (multi-teacher knowledge distillation, Jiang et al. 2024) trains a small, fast super-resolution network (one
# that upscales images) with the help of several large ones. In *distillation* the small network, the *student*, learns
# to imitate the outputs of large networks, its *teachers*. There are two stages:
#
# 1. a separate network, the **aggregator**, merges the images of the teachers EDSR, RCAN and SwinIR into one better
#    image, called MT (Sec. 3.1, Eq. 1);
# 2. the **student** learns from MT, compared by wavelet bands, and from the ground truth (Sec. 3.2, Eqs. 2 to 4).
#
# This map of the method is Fig. 1 of the paper, redrawn. Lessons 3, 4, 5 and 8 begin with it, each with its own part
# lit.

# %%
from mtkd.course.map import framework_map

framework_map("00")

# %% [markdown]
# ## The course
#
# | | notebook | its question |
# |--:|---|---|
# | 1 | [Super-resolution](01_super_resolution.ipynb) | What does downscaling lose, and how is a result measured? |
# | 2 | [The teachers](02_teachers.ipynb) | What are EDSR, RCAN and SwinIR made of, and where do they disagree? |
# | 3 | [Aggregation](03_aggregation.ipynb) | Stage 1, tensor by tensor: how do three images become one (Eq. 1)? |
# | 4 | [Wavelets](04_wavelets.ipynb) | What does the loss of Eq. 3 see, and what do others overlook? |
# | 5 | [Distillation](05_distillation.ipynb) | Stage 2 (Eqs. 2 to 4): what does MT add to the ground truth? |
# | 6 | [Other methods](06_baselines.ipynb) | AT, FAKD, DUKD, CrossKD: what does each take from its teacher? |
# | 7 | [Ablations](07_ablations.ipynb) | Table 5: which part of the method does what? |
# | 8 | [Attribution](08_attribution.ipynb) | Which pixels, and which teacher, made this detail (Fig. 4)? |
# | 9 | [What we found](09_findings.ipynb) | Which claims of the paper hold at this size? |
# | 10 | [Your own method](10_your_own_method.ipynb) | How do I test a network and a method of my own, over seeds? |
# | 11 | [Your own teachers](11_your_own_teachers.ipynb) | Is it worth merging the teachers that I have? |
# | 12 | [Read like a reviewer](12_read_like_a_reviewer.ipynb) | What would refute a claim of the paper? |
#
# **You need** Python, and the basics of PyTorch: tensors, `nn.Module`, a loss and its gradient. You should know what a
# convolution is; attention, wavelets and attribution are explained. No GPU, no internet connection, no data set.
#
# **Read along:** [the paper](https://arxiv.org/abs/2404.09571) (Jiang et al., *MTKD: Multi-Teacher Knowledge
# Distillation for Image Super-Resolution*, ECCV 2024). Each lesson names its sections. Letters and words:
# [notation](../docs/teaching/notation.md), [glossary](../docs/glossary.md).
#
# Three paths:
#
# - **First look, 20 minutes**: this page; the pictures of [5](05_distillation.ipynb); the box at the end of
#   [9](09_findings.ipynb).
# - **Core, 3 hours**: this page and lessons [1](01_super_resolution.ipynb), [3](03_aggregation.ipynb),
#   [4](04_wavelets.ipynb), [5](05_distillation.ipynb), [7](07_ablations.ipynb) and [9](09_findings.ipynb), without the
#   sections marked *(optional)*.
# - **All, 8 to 10 hours**: every lesson in order with its exercises; 4 and 8 can also be read alone.
#
# A lesson takes about half an hour to read and up to three minutes to run. To answer an exercise, replace the dots and
# run the cell. The answer is *right*, *close: more digits*, or *not yet* with a hint. The circles show how hard the
# exercise is, the minutes how long it may take; its solution is folded below it. Where a lesson says **predict first**,
# write your answer down before you run the next cell. Each lesson ends with a question *to think about*, which has no
# fixed answer. `make lab` opens the lessons in JupyterLab.
#
# ## Ten lines
#
# This notebook loads the *zoo*, the trained networks that come with this project, upscales one image by 4 with each of
# them, and compares the results: ten lines. The networks are mini versions, each trained for minutes to three hours on
# one CPU core (a few on a GPU); each has a card that says how. The student `rcan_tiny` appears three times: trained
# from scratch (without a teacher), by plain distillation from RCAN alone (kd), and by MTKD. The first picture is the
# low-resolution image (LR) that all networks were given.

# %%
import mtkd
from mtkd.data.examples import example
from mtkd.explore import compare
from mtkd.explore.comparison.crops import Region, crops

photo = example("chelsea").read()  # (H, W, 3) uint8, the ground truth; it is downscaled as MATLAB's imresize would
models = ["bicubic", "edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini"]
models += ["rcan_tiny-scratch", "rcan_tiny-kd", "rcan_tiny-mtkd"]
result = compare(photo, models, scale=4)
crops(result, Region(top=60, left=60, height=72, width=88), zoom=2)

# %% [markdown]
# These are the numbers of the whole image. PSNR (in dB) and SSIM (at most 1) say how near a result is to the ground
# truth; higher is better. They are measured on luma, the brightness (-Y), as is usual in the field; lesson 1 explains
# them.

# %%
from IPython.display import Markdown

Markdown(result.markdown())

# %% [markdown]
# On this image the students with KD and with MTKD are equal, a few hundredths of a dB above the student alone. Whether
# such differences mean anything is what much of this course is about.

# %% [markdown]
# ## Look closer
#
# The viewer keeps all images in step: scroll to zoom at the cursor, drag to move; *Swipe* puts two of them on either
# side of a divider, *Flicker* alternates between them, and *Error* shows the difference from the ground truth. (It
# comes alive when the notebook runs.)

# %%
from mtkd.explore.comparison.core import data_uri
from mtkd.explore.viewer.widget import Viewer

Viewer(panes=result.panes(data_uri), reference="ground truth")

# %% [markdown]
# Which teacher is nearest to the ground truth at each pixel? (Pale: they are about equal.) If each of them wins
# somewhere, a merged image can be better than all of them: that is what the aggregator is for. It can be, but need not
# be: lesson 2 shows how much of such a map is luck.

# %%
from PIL import Image

from mtkd.explore.draw.alt import described

picture, shares = result.best_teacher()
for colour, (name, share) in zip(("orange", "blue", "green"), shares.items(), strict=True):
    print(f"{colour}: {name} {share:.0%}")
described(Image.fromarray(picture), "The best teacher of each pixel, by colour: specks of all three.")

# %% [markdown]
# ## Your own picture
#
# Put the path of a small image here; without one, a crop of the coffee cup is used. The brackets after `read_image` cut
# out that crop: remove them to upscale a whole image. Your image is the LR image here, so there is no ground truth, and
# there are no numbers.

# %%
from mtkd.images import read_image

my_picture = example("coffee").path  # for instance "holiday.jpg"
student = mtkd.load("edsr_tiny-mtkd", scale=4)
small = read_image(my_picture)[70:150, 80:200]
enlarged = mtkd.infer.upscale(student, mtkd.images.to_tensor(small), scale=4)
described(Image.fromarray(mtkd.images.to_uint8(enlarged)), "The picture, four times as large.")

# %% [markdown]
# On the command line, the same command is `mtkd upscale holiday.jpg -o holiday_x4.png --model edsr_tiny-mtkd --scale
# 4`; `mtkd demo` opens a page to click on.
#
# **Next:** [1. Super-resolution, and how it is measured](01_super_resolution.ipynb).
