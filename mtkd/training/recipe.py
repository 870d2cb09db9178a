"""Recipes: all settings of a training run, in one strictly validated YAML file."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from mtkd import networks
from mtkd.config import Strict, explain, to_yaml
from mtkd.errors import UserError, unknown_name
from mtkd.methods import changed_options, compares_features, runs_teacher
from mtkd.plugins import Plugin, providers
from mtkd.resize import Border

Then = Literal["constant", "cosine"]
"""Learning rate of what is added to a run: constant, that of its end, or a new cosine from the full one."""

OFFICIAL = "official"
"""Value of ``data.lr`` for the LR images that come with a folder of HR images."""


class Data(Strict):
    """Training images: a folder of HR images. LR images are derived from them, or read from ``lr``.

    See :mod:`mtkd.training.dataset`.
    """

    train: str
    """A folder, or its name in the data folder (``MTKD_DATA``), or in ``train`` or ``DIV2K`` in it."""
    lr: str | None = None
    """A folder, or "official": DIV2K_train_LR_bicubic/X4 beside DIV2K_train_HR, if it exists."""
    holdout: int = Field(20, ge=1)
    """Number of images held out of training, for validation and all choices."""
    held_out: tuple[str, ...] = ()
    """Their file names, in place of ``holdout`` many spread over all."""
    images: int | None = Field(None, ge=1)
    """Number of training images, drawn with the recipe's seed; None: all of them."""
    border: Border = "clamp"
    skip_damaged: bool = False
    """Skip unreadable images, with a warning, instead of stopping."""

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_unset(handler(self), ("images", "held_out"))


def _without_unset(written: dict[str, Any], later: tuple[str, ...]) -> dict[str, Any]:
    """Leave out keys that came ``later`` and are not set: recipes and identities stay what they were before."""
    return {key: value for key, value in written.items() if key not in later or value not in (None, (), [])}


class Optimizer(Strict):
    """Adam (Sec. 4.2)."""

    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def deviations(self) -> list[str]:
        """What differs from the paper's, in sentences for people."""
        paper, (first, second) = Optimizer(), self.betas
        notes = [f"learning rate {self.lr:g} (paper: 1e-4)"] if self.lr != paper.lr else []
        notes += [f"Adam betas {first:g}, {second:g} (paper: 0.9, 0.999)"] if self.betas != paper.betas else []
        return notes + ([f"Adam eps {self.eps:g} (paper: 1e-8)"] if self.eps != paper.eps else [])


class Schedule(Strict):
    """Learning rate over the run: ``step`` (Sec. 4.2: times ``gamma`` every ``every``) or ``cosine`` to ``final``."""

    kind: Literal["step", "cosine"] = "step"
    every: int = Field(100_000, ge=1)
    gamma: float = Field(0.1, gt=0, le=1)
    final: float = Field(0.01, ge=0, le=1)
    warmup: int = Field(0, ge=0)

    def deviations(self) -> list[str]:
        """What differs from the paper's, in sentences for people."""
        notes = []
        if self.kind == "cosine":
            notes.append(f"cosine schedule to {self.final:g} of the rate (paper: times 0.1 every 100,000)")
        elif (self.every, self.gamma) != (100_000, 0.1):
            notes.append(f"step schedule, times {self.gamma:g} every {self.every:,} (paper: times 0.1 every 100,000)")
        return notes + ([f"warm-up over {self.warmup:,} iterations (not in the paper)"] if self.warmup else [])

    def factor(self, iteration: int, iterations: int) -> float:
        """Factor on the learning rate at ``iteration`` (0-based): a pure function."""
        if iteration < self.warmup:
            return (iteration + 1) / self.warmup
        if self.kind == "step":
            return float(self.gamma ** (iteration // self.every))
        done = (iteration - self.warmup) / max(1, iterations - self.warmup)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


class Longer(Strict):
    """A run was made longer: it went on ``after`` so many iterations, to the next of them or the recipe's end."""

    after: int = Field(ge=1)
    rate: Literal["schedule", "constant", "cosine"]
    """``schedule``: the step schedule goes on, as if it had been meant from the start."""

    def text(self) -> str:
        """For people."""
        how = {
            "schedule": "its step schedule goes on",
            "constant": "at the constant learning rate of its end",
            "cosine": "with a new cosine from the full learning rate",
        }
        return f"made longer after {self.after:,} iterations: {how[self.rate]}"


class MethodChoice(Strict):
    """The training method, by name, with its options."""

    name: str
    options: dict[str, Any] = Field({})


class Recipe(Strict):
    """One training run. The defaults are the paper's setting (Sec. 4.2)."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the trained model, e.g. ``edsr_mini`` or ``edsr_tiny-mtkd`` (network-method)."""
    stage: Literal["pretrain", "aggregate", "distill"]
    network: str
    scale: Literal[2, 3, 4]
    data: Data
    method: MethodChoice
    teachers: tuple[str, ...] = ()
    """Models to learn from: the teachers in order (aggregate), or the target (distill)."""
    init: str | None = None
    """A model of the same network (``NAME`` or ``NAME@STEP``) or a file whose weights the training begins with; of
    another scale all but the upsampler."""
    teacher_outputs: Literal["cached", "online"] = "cached"
    self_ensemble: bool = False
    """Average every teacher's output over the 8 orientations of its input (beyond the paper)."""
    seed: int = Field(0, ge=0, lt=1 << 63)
    lr_patch: int = Field(64, ge=8, le=4096)
    batch: int = Field(16, ge=1, le=65_536)
    iterations: int = Field(250_000, ge=1, le=1_000_000_000)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    ema: float | None = Field(None, gt=0, lt=1)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    """Compile the network with torch (needs a C++ compiler, or Triton on a GPU): takes a minute, then steps are
    faster."""
    save_dtype: Literal["float32", "float16"] = "float32"
    log_every: int = Field(50, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    validate_every: int = Field(2_000, ge=1)
    snapshots: tuple[int, ...] = ()
    """Iterations after which a snapshot of the network is saved."""
    longer: tuple[Longer, ...] = ()
    """How the run was made longer, written by ``--resume --set iterations=N``."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        known = networks.specs()
        if self.network not in known:
            raise unknown_name("network", self.network, known)
        role = known[self.network].role
        if not known[self.network].weights:
            raise UserError(f"network '{self.network}' has no weights to train")
        if (self.stage == "aggregate") != (role == "aggregator"):
            raise UserError(f"stage {self.stage} cannot train '{self.network}', whose role is {role}")
        if self.stage == "pretrain" and self.teachers:
            raise UserError("stage pretrain takes no teachers; leave them out, or use stage distill")
        if self.stage != "pretrain" and not self.teachers:
            raise UserError(f"stage {self.stage} needs teachers; name them under 'teachers'")
        lengths = [*(part.after for part in self.longer), self.iterations]
        if lengths != sorted(set(lengths)):
            after = " and ".join(map(str, lengths[:-1]))
            raise UserError(
                f"iterations {self.iterations}: the run was made longer after {after} iterations; it can only be made "
                "longer again"
            )
        if self.self_ensemble and self.stage != "distill":
            raise UserError("self_ensemble works for students only (stage distill); leave it out")
        if self.self_ensemble and compares_features(self.method.name):
            raise UserError(
                f"method {self.method.name} compares features, which self_ensemble does not have; leave it out"
            )
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_unset(handler(self), ("init", "longer"))

    def rate(self, iteration: int) -> float:
        """Factor on the learning rate at ``iteration`` (0-based): the schedule, then that of the added parts."""
        first = self.longer[0].after if self.longer else self.iterations
        if iteration < first:
            return self.schedule.factor(iteration, first)
        ends = [*(part.after for part in self.longer[1:]), self.iterations]
        part, end = next((part, end) for part, end in zip(self.longer, ends, strict=True) if iteration < end)
        if part.rate == "schedule":
            return self.schedule.factor(iteration, end)
        if part.rate == "cosine":
            again = Schedule(kind="cosine", final=self.schedule.final)
            return again.factor(iteration - part.after, end - part.after)
        return self.rate(part.after - 1) if self.schedule.kind == "step" else self.schedule.final

    def deviations(self) -> list[str]:
        """Differences of this run from the paper's setting, as sentences."""
        paper = {"lr_patch": 64, "batch": 16, "iterations": 250_000}
        notes = list(networks.specs()[self.network].deviations)
        notes += [
            f"{key} {getattr(self, key)} (paper: {value})"
            for key, value in paper.items()
            if getattr(self, key) != value
        ]
        notes += [*self.optimizer.deviations(), *self.schedule.deviations()]
        notes += [
            f"{self.method.name}: {option} {value} (default: {usual})"
            for option, (value, usual) in changed_options(self.method.name, self.method.options).items()
        ]
        if self.init:
            notes.append(f"begins with the weights of {self.init} (paper: random weights)")
        notes += [part.text() for part in self.longer]
        if self.ema:
            notes.append(f"exponential moving average of the weights, {self.ema} (not in the paper)")
        if self.precision != "fp32":
            notes.append(f"{self.precision} mixed precision")
        if self.teachers and self.teacher_outputs == "cached" and not runs_teacher(self.method.name):
            notes.append("teachers' outputs computed once on whole images, float16, and cropped")
        if self.self_ensemble:
            notes.append("teachers' outputs averaged over the 8 orientations of their input (not in the paper)")
        return notes

    def plugins(self) -> list[Plugin]:
        """The loaded plugins that declare its network, method or loss."""
        loss = self.method.options.get("loss")
        return providers(("network", self.network), ("method", self.method.name), ("loss", loss))

    def dump(self) -> str:
        """The resolved recipe as YAML."""
        return to_yaml(self.model_dump(mode="json"))


def parse(content: Any, source: str) -> Recipe:
    """A recipe from parsed YAML.

    Raises:
        UserError: unknown key (the nearest is suggested), missing key, or a value of the wrong type or range.
    """
    if not isinstance(content, dict):
        raise UserError(f"{source}: not a recipe; write a mapping of keys to values")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, source, Recipe)) from error
