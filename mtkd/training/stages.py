"""Prepare a recipe for the training loop: network, method, patches, validation images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.ahead import made_ahead
from mtkd.data.patches import Batch, ImagePair, ImagePairs, Patches
from mtkd.errors import UserError
from mtkd.files import data_hash
from mtkd.images import to_uint8
from mtkd.infer import SelfEnsemble, aggregate, upscale
from mtkd.methods import Method, create
from mtkd.metrics import psnr_of_large
from mtkd.teacher_cache import TeacherCache, check_disk
from mtkd.training.dataset import Dataset
from mtkd.training.initial import begin_with, hash_of, initial
from mtkd.training.recipe import Recipe

AHEAD = 4
"""Number of batches made in advance on a computer with an accelerator."""
SHOWN = 1024
"""Largest side of a sample picture's images."""
Progress = Callable[[str, int, int], None]
"""Called with (task, done, total)."""


@dataclass
class Stage:
    """What the loop trains: ``batches(...)`` for ``method.loss``, ``predict(i)`` for validation."""

    recipe: Recipe
    network: nn.Module
    method: Method
    patches: Patches
    held_out: ImagePairs
    frozen: dict[str, nn.Module]
    caches: dict[str, TeacherCache]
    device: torch.device
    data_hash: str
    init: dict[str, str] = field(default_factory=dict)
    """Name and hash of the initial weights, if the recipe names some."""
    about_init: dict[str, Any] = field(default_factory=dict)
    """Of a file, its name and hash; of another scale, that and what is fresh."""
    held: bool = False
    """Whether patches are cropped on the device: see :meth:`hold`."""

    def batches(
        self, start: int, stop: int, rank: int = 0, ranks: int = 1, ahead: int | None = None
    ) -> Iterator[Batch]:
        """Yield the part of process ``rank`` of every batch from ``start`` to ``stop``, on the device.

        On an accelerator, ``ahead`` threads make as many batches in advance (:data:`AHEAD` by default), unless the
        images are in its memory; on a CPU this would not help.
        """
        if ahead is None:
            ahead = 0 if self.device.type == "cpu" or self.held else AHEAD

        def make(iteration: int) -> Batch:
            batch = self.patches(iteration, rank, ranks)
            return batch.pinned() if self.device.type == "cuda" and not self.held else batch

        yield from map(self._on_device, made_ahead(make, range(start, stop), ahead))

    def batch(self, iteration: int) -> Batch:
        """The whole batch of one iteration, on the device."""
        return self._on_device(self.patches(iteration))

    def _on_device(self, batch: Batch) -> Batch:
        batch = batch.to(self.device)
        if self.recipe.teacher_outputs == "online":
            with torch.no_grad():
                batch.outputs = {name: self.frozen[name](batch.lr_image) for name in self.method.outputs}
        return batch

    def hold(self) -> None:
        """Move the training images and cached outputs to a GPU if they take at most half of its free memory.

        Patches are then cropped there. DIV2K takes 7 GB, the outputs of one network on it twice as much.
        """
        if self.device.type == "cuda" and self.patches.bytes() <= torch.cuda.mem_get_info(self.device)[0] / 2:
            self.patches.hold(self.device)
            self.held = True

    @torch.no_grad()
    def predict(self, network: nn.Module, index: int) -> Tensor:
        """The network's output on held-out image ``index``, (1, 3, sH, sW) on the device."""
        lr = self.held_out[index].lr[None].to(self.device).float() / 255
        if self.recipe.stage != "aggregate":
            return upscale(network, lr, self.recipe.scale)
        if self.caches:
            outputs = [self.caches[name].whole(index).to(self.device) for name in self.recipe.teachers]
        else:
            outputs = [upscale(self.frozen[name], lr, self.recipe.scale) for name in self.recipe.teachers]
        return aggregate(network, outputs)

    def validate(self, network: nn.Module) -> list[float]:
        """PSNR (protocol of the paper) of every held-out image."""
        training = network.training
        network.eval()
        values = [
            psnr_of_large(self.predict(network, i), self.held_out[i].hr, self.recipe.scale)
            for i in range(len(self.held_out))
        ]
        network.train(training)
        return values

    def sample(self, network: nn.Module, index: int = 0) -> Tensor:
        """LR (nearest), output and ground truth of one held-out image side by side, uint8 (H, 3W, 3); of a photo its
        middle."""
        network.eval()
        pair: ImagePair = self.held_out[index]
        scale, side = self.recipe.scale, SHOWN // self.recipe.scale
        height, width = pair.lr.shape[1:]
        top, left = max(0, height - side) // 2, max(0, width - side) // 2
        lr = pair.lr[:, top : top + side, left : left + side]
        enlarged = lr.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        rows, columns = (slice(scale * first, scale * (first + side)) for first in (top, left))
        output = torch.from_numpy(to_uint8(self.predict(network, index)[:, :, rows, columns])).permute(2, 0, 1)
        network.train()
        return torch.cat([enlarged, output, pair.hr[:, rows, columns]], dim=2).permute(1, 2, 0)


def _method(recipe: Recipe, network: nn.Module, teachers: dict[str, nn.Module]) -> Method:
    torch.manual_seed(recipe.seed)  # projections, where a method has any
    side = recipe.scale * recipe.lr_patch
    method = create(recipe.method.name, recipe.method.options, recipe.teachers, network, teachers, side)
    if recipe.stage == "aggregate" and recipe.method.name != "aggregate":
        raise UserError(f"stage aggregate has the method 'aggregate', not '{recipe.method.name}'")
    if recipe.stage != "aggregate" and recipe.method.name == "aggregate":
        raise UserError(f"method 'aggregate' trains an aggregator; stage {recipe.stage} has a network with LR input")
    return method


def _network(recipe: Recipe, sources: Sequence[Path]) -> tuple[nn.Module, dict[str, str], dict[str, Any]]:
    """The fresh network, or with the weights that it begins with: their name and hash, and more about them."""
    torch.manual_seed(recipe.seed)
    network = networks.build(recipe.network, recipe.scale, recipe.teachers)
    if not recipe.init:
        return network, {}, {}
    given = initial(recipe, sources)
    about = begin_with(network, given, recipe)
    return network, {recipe.init: hash_of(given)}, about


def frozen_network(
    name: str, scale: int, device: torch.device, sources: Sequence[Path], self_ensemble: bool = False
) -> nn.Module:
    """Load a network to learn from, as the recipe requires: see :func:`mtkd.zoo.load`."""
    network = zoo.load(name, scale, device, sources)
    return SelfEnsemble(network).eval() if self_ensemble else network


def cut_text(cut: Mapping[str, str], images: int) -> str:
    """What was cut of images whose LR files do not fit them exactly."""
    name, how = next(iter(cut.items()))
    return f"{len(cut)} of {images} image pairs are cut right and bottom to what both show, e.g. {name}: {how}"


def prepare(
    recipe: Recipe,
    device: torch.device,
    cache: Path,
    progress: Progress,
    sources: Sequence[Path] = (),
    rank: int = 0,
    ranks: int = 1,
) -> Stage:
    """Read the images, load the frozen networks, and cache their outputs on the images.

    ``sources`` are folders to search first for the frozen networks. Each of ``ranks`` processes computes its share of
    the outputs; they are complete when all processes have returned.

    Raises:
        UserError: no such data or teacher, a teacher of another scale, an image smaller than the patch.
    """
    network, init, about_init = _network(recipe, sources)
    frozen = {
        name: frozen_network(name, recipe.scale, device, sources, recipe.self_ensemble) for name in recipe.teachers
    }
    method = _method(recipe, network, frozen)
    dataset = Dataset(recipe.data, recipe.scale)
    train_files, held_files = dataset.split()
    train_files = dataset.drawn(train_files, recipe.seed)
    train, held_out = (dataset.pairs(files) for files in (train_files, held_files))
    for number, path in enumerate(train_files + held_files):
        pair: ImagePair = train[number] if number < len(train) else held_out[number - len(train)]
        if min(pair.lr.shape[1:]) < recipe.lr_patch:
            raise UserError(
                f"{path}: LR image of {pair.lr.shape[2]} x {pair.lr.shape[1]} is smaller than the patch of "
                f"{recipe.lr_patch}; lower lr_patch or remove the image"
            )
        progress("reading images", number + 1, len(train_files) + len(held_files))

    if cut := train.cut | held_out.cut:
        logging.getLogger("mtkd").warning("%s", cut_text(cut, len(train_files) + len(held_files)))
    crops: dict[str, TeacherCache] = {}
    caches: dict[str, TeacherCache] = {}
    if recipe.teacher_outputs == "cached" and method.outputs:
        crops = {name: TeacherCache(cache, name, teacher, train) for name, teacher in frozen.items()}
        if recipe.stage == "aggregate":
            caches = {name: TeacherCache(cache, name, teacher, held_out) for name, teacher in frozen.items()}
        check_disk(cache, [*crops.values(), *caches.values()], progress)
        for name in frozen:
            crops[name].fill(device, partial(progress, f"outputs of {name}"), rank, ranks)
            if name in caches:
                caches[name].fill(device, partial(progress, f"held-out outputs of {name}"), rank, ranks)
    patches = Patches(train, recipe.lr_patch, recipe.batch, recipe.seed, dict(crops))
    images = data_hash(dataset.files())
    return Stage(recipe, network, method, patches, held_out, frozen, caches, device, images, init, about_init)
