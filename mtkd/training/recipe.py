"""Recipes: everything that decides a training run, in one YAML file checked strictly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from mtkd import networks
from mtkd.config import Strict, explain, to_yaml
from mtkd.data.div2k import official_lr
from mtkd.data.patches import ImagePairs, damaged, lr_file, split
from mtkd.errors import UserError, unknown_name
from mtkd.home import data_folder
from mtkd.images import find_images
from mtkd.methods import changed_options, compares_features, runs_teacher
from mtkd.resize import Border

OFFICIAL = "official"
"""What ``data.lr`` says for the LR images that come with a folder of HR images."""


class Data(Strict):
    """Training images: a folder of HR images; LR is made from them, or read from ``lr``."""

    train: str
    """A folder, or the name of one under the data folder (``MTKD_DATA``): in it, in ``train`` or in ``DIV2K``."""
    lr: str | None = None
    """A folder, or "official": DIV2K_train_LR_bicubic/X4 beside DIV2K_train_HR, where it is there."""
    holdout: int = Field(20, ge=1)
    """Images held out of training, for validation and every choice."""
    images: int | None = Field(None, ge=1)
    """Train on the first so many of the others, in an order that the recipe's seed draws; None: on all of them."""
    border: Border = "clamp"
    skip_damaged: bool = False
    """Leave out images that cannot be read, and name them, instead of stopping."""

    def found(self) -> Path | None:
        """Where the HR images are; None where neither the folder nor the name under the data folder exists."""
        given, root = Path(self.train), data_folder()
        tried = (given, root / "train" / self.train, root / self.train, root / "DIV2K" / self.train)
        return next((path for path in tried if path.is_dir()), None)

    def folder(self) -> Path:
        """Where the HR images are.

        Raises:
            UserError: neither the folder nor the name under the data folder exists.
        """
        if (path := self.found()) is not None:
            return path
        name = Path(self.train).name
        known = next((n for n in ("BSDS400", "DIV2K") if name.startswith(n)), None)
        fetch = f", or fetch it: mtkd data fetch {known.lower()}" if known else ""
        raise UserError(
            f"data.train: no folder '{self.train}'; give a folder of HR images with --set data.train=FOLDER, "
            f"or set MTKD_DATA to the folder that holds train/{name}{fetch}"
        )

    def lr_folder(self, scale: int) -> Path | None:
        """Where the LR images of a scale are read from; None where they are made from the HR images."""
        if self.lr == OFFICIAL:
            return official_lr(self.folder(), scale)
        return Path(self.lr) if self.lr else None

    def left_out(self, scale: int) -> dict[Path, str]:
        """The HR files that are left out as damaged, with the reason; with ``skip_damaged`` every image is decoded."""
        if not self.skip_damaged:
            return {}
        return damaged(find_images(self.folder()), scale, self.lr_folder(scale))

    def split(self, scale: int) -> tuple[list[Path], list[Path]]:
        """The files to train on, and those held out; see :func:`mtkd.data.patches.split`."""
        return split(self.folder(), self.holdout, self.left_out(scale))

    def drawn(self, files: Sequence[Path], seed: int) -> list[Path]:
        """Of the files to train on, the first ``images`` in the order of ``seed``: fewer are the first of more.

        Raises:
            UserError: there are not so many.
        """
        if self.images is None:
            return list(files)
        if self.images > len(files):
            raise UserError(f"data.images: {self.images} of {len(files)} training images; give at most {len(files)}")
        return [files[i] for i in np.random.default_rng(seed).permutation(len(files))[: self.images]]

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without ``images`` where all are trained on: recipes and identities are then as before there was the key."""
        written: dict[str, Any] = handler(self)
        return {key: value for key, value in written.items() if key != "images" or value is not None}

    def files(self, scale: int) -> list[Path]:
        """All image files, HR of training, HR held out, then LR where they are read: together they are the data."""
        hr, lr = [file for files in self.split(scale) for file in files], self.lr_folder(scale)
        if lr is None:
            return hr
        return hr + ([lr_file(lr, path, scale) for path in hr] if self.skip_damaged else find_images(lr))

    def pairs(self, files: Sequence[Path], scale: int) -> ImagePairs:
        """HR files with their LR images; see :class:`mtkd.data.patches.ImagePairs`."""
        return ImagePairs(files, scale, self.border, self.lr_folder(scale))

    def record(self, scale: int) -> dict[str, Any]:
        """What a run's card says of its images beyond their folder: where LR came from, what was left out."""
        told: dict[str, Any] = {}
        if self.lr:
            lr = self.lr_folder(scale)
            told["lr"] = f"files of {lr.parent.name}/{lr.name}" if lr else f"made from HR (bicubic, {self.border})"
        if left_out := self.left_out(scale):
            told["left_out"] = {path.name: reason for path, reason in left_out.items()}
        return told


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
        """What the learning rate is multiplied with at ``iteration`` (0-based): a pure function."""
        if iteration < self.warmup:
            return (iteration + 1) / self.warmup
        if self.kind == "step":
            return float(self.gamma ** (iteration // self.every))
        done = (iteration - self.warmup) / max(1, iterations - self.warmup)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


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
    """Models whose outputs are learned from: the teachers in order (aggregate), or the target (distill)."""
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
    """Let torch compile the network (needs a C++ compiler, or Triton on a GPU): a minute first, then faster steps."""
    save_dtype: Literal["float32", "float16"] = "float32"
    log_every: int = Field(50, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    validate_every: int = Field(2_000, ge=1)
    snapshots: tuple[int, ...] = ()
    """Iterations after which the network is kept as it is, to look at a training afterwards."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        known = networks.specs()
        if self.network not in known:
            raise unknown_name("network", self.network, known)
        role = known[self.network].role
        if (self.stage == "aggregate") != (role == "aggregator"):
            raise UserError(f"stage {self.stage} cannot train '{self.network}', whose role is {role}")
        if self.stage == "pretrain" and self.teachers:
            raise UserError("stage pretrain has no teachers; use stage distill")
        if self.stage != "pretrain" and not self.teachers:
            raise UserError(f"stage {self.stage} needs teachers")
        if self.self_ensemble and self.stage != "distill":
            raise UserError("self_ensemble is for students (stage distill): an aggregator would be run without it")
        if self.self_ensemble and compares_features(self.method.name):
            raise UserError(
                f"method {self.method.name} compares features, and an average over orientations has none; "
                "leave self_ensemble out"
            )
        return self

    def deviations(self) -> list[str]:
        """Where this run departs from the paper's setting, in sentences for people."""
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
        if self.ema:
            notes.append(f"exponential moving average of the weights, {self.ema} (not in the paper)")
        if self.precision != "fp32":
            notes.append(f"{self.precision} mixed precision")
        if self.teachers and self.teacher_outputs == "cached" and not runs_teacher(self.method.name):
            notes.append("teachers' outputs computed once on whole images, float16, and cropped")
        if self.self_ensemble:
            notes.append("teachers' outputs averaged over the 8 orientations of their input (not in the paper)")
        return notes

    def dump(self) -> str:
        """The resolved recipe as YAML."""
        return to_yaml(self.model_dump(mode="json"))


def parse(content: Any, source: str) -> Recipe:
    """A recipe from parsed YAML.

    Raises:
        UserError: unknown key (the nearest is suggested), missing key, or a value of the wrong type or range.
    """
    if not isinstance(content, dict):
        raise UserError(f"{source}: a recipe is a mapping of keys to values")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, source, Recipe)) from error
