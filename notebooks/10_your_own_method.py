# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10. Your own network and method in 30 lines
#
# **Goal.** Write a student network and a distillation method of your own, compare the method with scratch, KD and MTKD
# over three seeds each, and report honestly what came out.
#
# **Time.** About 30 minutes to read, one to three minutes to run. *Optional:* not on the core path.
#
# *In the paper:* Sec. 4.2 and 5.1, Tables 2 to 4 (the same comparison for three students).
#
# *In the code:* [mtkd/plugins](../mtkd/plugins/__init__.py), [mtkd/methods/base.py](../mtkd/methods/base.py),
# [mtkd/course/project.py](../mtkd/course/project.py),
# [mtkd/experiments/statistics.py](../mtkd/experiments/statistics.py)
#
# This is a project: change anything below. Read lessons 5 (distillation) and 7 (seeds) first.

# %%
from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from IPython.display import Markdown
from torch import Tensor, nn

import mtkd
from mtkd import networks, zoo
from mtkd.course import check, progress
from mtkd.course.lessons import lesson
from mtkd.course.project import over_seeds, score
from mtkd.data.examples import PATTERNS, example
from mtkd.data.patches import Batch
from mtkd.experiments.statistics import pair, seeds_to_decide
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw.alt import described
from mtkd.explore.evidence import charts
from mtkd.methods import create
from mtkd.numbers import interval, signed
from mtkd.plugins import method, network

FAST = False  # True: short trainings, to see that everything runs
steps = 20 if FAST else 500
seeds = (1, 2, 3)

# %% [markdown]
# ## A network
#
# A network maps an LR batch `(N, 3, h, w)` in [0, 1] to an SR batch `(N, 3, s h, s w)`. The decorator registers it
# under a name. From then on `mtkd.build`, recipes, plans, the page and the command line know it. After a change run the
# cell again: the new version replaces the old one.


# %% tags=["code"]
class Mine(nn.Module):
    """Five convolutions at LR size, then pixel-shuffle; at first it is bicubic interpolation."""

    def __init__(self, scale: int, channels: int = 24) -> None:
        super().__init__()
        widths = [3, *[channels] * 4, 3 * scale**2]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        nn.init.zeros_(self.convs[-1].weight)
        nn.init.zeros_(self.convs[-1].bias)
        self.scale = scale

    def forward(self, lr_image: Tensor) -> Tensor:
        x = self.convs[0](lr_image)  # (N, 3, h, w) -> (N, C, h, w)
        for conv in self.convs[1:]:
            x = conv(F.leaky_relu(x, 0.1))  # at last (N, 3 s s, h, w)
        start = F.interpolate(lr_image, scale_factor=self.scale, mode="bicubic")
        return start + F.pixel_shuffle(x, self.scale)  # (N, 3, s h, s w)


@network("mine", scales=(2, 3, 4))
def mine(scale: int) -> nn.Module:
    return Mine(scale)


# %%
fresh = mtkd.build("mine", scale=4)
assert fresh(torch.rand(2, 3, 10, 12)).shape == (2, 3, 40, 48)
known = {name: networks.parameter_count(mtkd.build(name, scale=4)) for name in ("edsr_mini", "edsr_tiny", "mine")}
for name, count in known.items():
    print(f"{name}: {count:,} parameters")

# %% [markdown]
# ## A method
#
# A method turns a batch into named loss terms; training minimises their sum. `batch.lr_image` and `batch.hr_image` are
# the pair; `batch.outputs` holds the images of the teachers that the recipe names.
#
# The idea here is to **trust the teacher where it is right.** MT is wrong in some places, and while we train we know
# the ground truth. So the term of MT gets a weight at every value:
#
# $$ w = \exp\left(-|I_{MT} - I_{GT}| / \tau\right), \qquad
# L = \mathrm{mean}\,|I_{stu} - I_{GT}| + \mathrm{mean}\left(w \, |I_{stu} - I_{MT}|\right) $$
#
# The weight is 1 where MT is exact and falls to 0.37 where MT is wrong by $\tau$.


# %% tags=["code"]
@method("trust", title="Trust the teacher where it is right")
class Trust(mtkd.Method):
    def __init__(self, outputs: tuple[str, ...], tau: float = 0.02) -> None:
        super().__init__()
        self.outputs, self.tau = outputs, tau

    def loss(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        student_image, mt_image = network(batch.lr_image), batch.outputs[self.outputs[0]]
        weight = torch.exp(-(mt_image - batch.hr_image).abs() / self.tau)
        pull = (weight * (student_image - mt_image).abs()).mean()
        return {"L_gt": F.l1_loss(student_image, batch.hr_image), "L_trust": pull}


# %% [markdown]
# ### Test it before you train it
#
# A wrong loss trains without any error message. Two checks take a second: where MT is exact, the method must equal KD;
# where MT is off by half of the range, MT must not matter.

# %%
torch.manual_seed(0)
hr_image = torch.rand(1, 3, 32, 32)
lr_image = F.avg_pool2d(hr_image, 4)


def loss_of(name: str, mt_image: Tensor) -> Tensor:
    batch = Batch(lr_image, hr_image, {"MT": mt_image})
    return sum(create(name, {}, ("MT",)).loss(fresh, batch).values())


far = 1 - hr_image.round()  # at least half of the range away
assert torch.isclose(loss_of("trust", hr_image), loss_of("kd", hr_image))
assert torch.isclose(loss_of("trust", far), F.l1_loss(fresh(lr_image), hr_image), atol=1e-6)

# %%
# Exercise 10.1: at some pixel MT is wrong by 2 tau. How large is the weight w there?
answer_1 = ...  # replace the dots

check("10.1", answer_1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# answer_1 = math.exp(-2)
# ```
#
# The weight falls by the factor e for every tau: at 3 tau it is 0.05, and MT is almost ignored.
# </details>

# %% [markdown]
# ## The experiment, decided before it runs
#
# - **Students**: `mine`, four times per seed. They differ only in the method: same seed, same initial weights, same
#   patches.
# - **Teachers**: KD learns from EDSR, the other two from MT, the combined teacher.
# - **Images**: trained on the bundled examples; measured on two images of fine structure that neither student nor
#   teacher was trained on.
# - **Endpoint** (the number that decides): mean PSNR-Y of the two images, paired by seed. A difference below 0.02 dB is
#   of no interest.
# - **Seeds**: three. If the 97.5 % interval of the mean difference then contains 0 and reaches beyond 0.02 dB to either
#   side, the answer is *undecided*.
#
# Writing this down first separates a measurement from a story: afterwards you will always find an image on which your
# method wins.


# %%
def recipe(base: str, **changed: str):
    """A recipe by seed: that of the EDSR student with this network, and with what is changed."""
    given = [f"{key}={value}" for key, value in {"network": "mine", "name": "my_student", **changed}.items()]
    return lambda seed: lesson(base, steps, [*given, f"seed={seed}"]).model_copy(update={"validate_every": steps})


recipes = {
    "scratch": recipe("edsr_tiny-scratch"),
    "KD": recipe("edsr_tiny-kd"),
    "MTKD": recipe("edsr_tiny-mtkd"),
    "trust": recipe("edsr_tiny-kd", teachers="[aggregator_mini]", method="{name: trust}"),
}
one = recipes["trust"](1)
assert (one.network, one.method.name, one.teachers, one.iterations) == ("mine", "trust", ("aggregator_mini",), steps)
scores = over_seeds(recipes, seeds, PATTERNS)

# %%
references = {name: score(zoo.load(name, 4), PATTERNS) for name in ("bicubic", "edsr_mini", "aggregator_mini")}
lines = ["| | " + " | ".join(p.title for p in PATTERNS) + " | mean |", "|---|" + "--:|" * (len(PATTERNS) + 1)]
for title, by_seed in {**{name: {0: found} for name, found in references.items()}, **scores}.items():
    cells = [sum(s[p.name]["psnr"] for s in by_seed.values()) / len(by_seed) for p in PATTERNS]
    lines.append(f"| {title} | " + " | ".join(f"{c:.2f}" for c in [*cells, sum(cells) / len(cells)]) + " |")
Markdown("PSNR-Y in dB, mean over the seeds:\n\n" + "\n".join(lines))

# %% [markdown]
# ## What came out
#
# Each diamond is the mean of three differences, each grey dot is one seed, and the line is the interval that decides.
# An arrow means that the interval goes on outside the chart (the table has its ends). Differences inside the grey band
# are too small to matter.

# %%
wanted = [("KD", "scratch"), ("MTKD", "scratch"), ("trust", "scratch"), ("trust", "KD"), ("trust", "MTKD")]
found = {f"{first} − {second}": pair(scores[first], scores[second]) for first, second in wanted}
charts.forest(found, "the second")

# %%
lines = ["| difference | mean, dB | 97.5 % interval | verdict | seeds to decide it |", "|---|--:|--:|---|--:|"]
for name, row in found.items():
    more = "–" if row.verdict != "undecided" else seeds_to_decide(row.spread)
    more = "100 or more" if more == 100 else more
    lines.append(f"| {name} | {signed(row.mean, '+.3f')} | {interval(row.tested)} | {row.verdict} | {more} |")
Markdown("\n".join(lines))

# %% [markdown]
# Read it as a reviewer would:
#
# - **Undecided is not "no effect".** With three seeds the half width of the interval is 3.6 times the spread (Student's
#   t with two degrees of freedom, over the root of 3). The last column says how many seeds would decide *if* the spread
#   stays as it is.
# - **These trainings are short.** A method can do well in the first steps and not in the end. In [lesson
#   9](09_findings.ipynb) the students were trained for 10,000 steps, and there plain KD does as well as MTKD.
# - **Five verdicts at once.** Each is wrong in up to 2.5 % of cases; with five verdicts, about one run of this lesson
#   in eight has a false alarm. Holm's correction, which this project uses for the claims, is the remedy.
# - **A decided row is decided for this setting.** A student that is far from its teachers after a few hundred steps has
#   more to learn from the ground truth than from them. Before you explain it, ask what happens with ten times the
#   steps.
# - **Two images are a small sample.** The seeds say how much luck there is in the training, and nothing about the luck
#   in the choice of images. Urban100 has a hundred of them.
# - **A defeat by scratch is a result, too.** Report it: a table without the failures is not evidence.

# %% [markdown]
# ## Look at the pictures as well
#
# A mean does not say where. The pictures show the weight $w$ of the method: where does it trust MT?

# %%
photo = example("pavilion").read()
truth = mtkd.images.to_tensor(photo)
small = mtkd.resize.imresize(truth[0], 1 / 4)[None].clamp(0, 1)
with torch.inference_mode():
    mt = zoo.load("aggregator_mini", 4)(small).clamp(0, 1)
height, width = mt.shape[-2:]
weight = torch.exp(-(mt - truth[..., :height, :width]).abs() / 0.02).mean(1, keepdim=True)
cells = [("ground truth", "", photo[:height, :width])]
cells += [("MT", "", mtkd.images.to_uint8(mt))]
cells += [(f"w, mean {weight.mean():.2f}", "white: trusted", mtkd.images.to_uint8(weight.expand(-1, 3, -1, -1)))]
described(sheet(cells, columns=3), "A pavilion: ground truth, MT, and w, white on flat parts and dark along edges.")

# %% [markdown]
# The weight is low along edges, where MT errs, and high in the flat parts, where any method is right. So *trust* is
# silent where a student has most to learn. The next experiment can test this explanation: reverse the weight.


# %%
# Exercise 10.2: reverse the weight. Distil where MT is wrong: write the whole loss, a scalar.
def turned(student_image, mt_image, hr_image, tau):
    return ...  # replace the dots


check("10.2", turned)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def turned(student_image, mt_image, hr_image, tau):
#     weight = 1 - torch.exp(-(mt_image - hr_image).abs() / tau)
#     return F.l1_loss(student_image, hr_image) + (weight * (student_image - mt_image).abs()).mean()
# ```
#
# Put it into a second class with its own name, add a line to `recipes`, and compare. Why should a student imitate MT
# where MT is wrong? Because there the ground truth may hold what no network can know from LR.
# </details>

# %% [markdown]
# ## From the notebook to a real experiment
#
# Put the two cells with the decorators, and their imports, into a file `my_plugin.py`. Then the same names work
# everywhere:
#
# ```
# mtkd --plugin my_plugin.py train mini/edsr_tiny-scratch --set network=mine --set name=mine-scratch --out runs/mine
# mtkd --plugin my_plugin.py demo
# ```
#
# A plan makes a table of such runs, with seeds, records, intervals and verdicts ([Training](../docs/training.md),
# [Plugins](../docs/plugins.md)). The recipe, the version of the plugin file and the seed are kept with each run.
#
# ## Your turn
#
# Each of these is a project for one to three people. Write down the endpoint and the number of seeds first.
#
# | project | what to change | hours |
# |---|---|--:|
# | Reverse the weight: distil where MT is wrong | one line in `Trust` | 1 |
# | Fade the teacher out: `advance(done)` is told how far the training is | the weight of a term | 2 |
# | A student of half the multiply-adds: what does depth buy, what width? | `Mine` | 3 |
# | Distil from each teacher in turn, one batch each | `outputs` of three names | 3 |
#
# <details><summary>How a project is marked (20 points)</summary>
#
# | points | for |
# |--:|---|
# | 4 | the idea is one sentence and one equation, and the code is that equation |
# | 4 | checks before training: a case in which the method equals a known one, and a case in which a term must vanish |
# | 4 | the plan was written before: endpoint, pictures, seeds, what would refute the idea |
# | 4 | the result as a forest plot with intervals, failures included, and words no stronger than the verdict |
# | 2 | one picture that explains a number |
# | 2 | another team can run it: a plugin file and a recipe |
# </details>
#
# ## To think about
#
# Choose one of the projects, or an idea of your own. What is the idea in one sentence and one equation, in which case
# must it change nothing, and which result would make you give it up? (The rubric is the one above.)
#
# **Next:** [your own teachers](11_your_own_teachers.ipynb).

# %%
progress("10")
