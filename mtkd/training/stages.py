"""From a recipe to everything that the loop needs: network, method, patches, validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.patches import Batch, ImagePair, ImagePairs, Patches, made_ahead
from mtkd.errors import UserError
from mtkd.files import data_hash
from mtkd.images import to_uint8
from mtkd.infer import SelfEnsemble
from mtkd.methods import Method, create
from mtkd.metrics import psnr
from mtkd.teacher_cache import TeacherCache
from mtkd.training.dataset import Dataset
from mtkd.training.recipe import Recipe

AHEAD = 4
"""Batches that are made ahead on a computer with an accelerator."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, of how many."""


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
    held: bool = False
    """Whether patches are cut on the device: see :meth:`hold`."""

    def batches(
        self, start: int, stop: int, rank: int = 0, ranks: int = 1, ahead: int | None = None
    ) -> Iterator[Batch]:
        """Process ``rank``'s part of every batch from ``start`` to ``stop``, on the device.

        On an accelerator they are made ``ahead`` of their use by as many threads (by default :data:`AHEAD`), unless the
        images are held there; a CPU has nothing better to do meanwhile.
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
        """Keep the training images and cached outputs in a GPU's memory, where they take half of what is free or less.

        Patches are then cut there: DIV2K takes 7 GB, and one network's outputs on it twice as much.
        """
        if self.device.type == "cuda" and self.patches.bytes() <= torch.cuda.mem_get_info(self.device)[0] / 2:
            self.patches.hold(self.device)
            self.held = True

    @torch.no_grad()
    def predict(self, network: nn.Module, index: int) -> Tensor:
        """The network's output on held-out image ``index``, (1, 3, sH, sW) on the device."""
        lr = self.held_out[index].lr[None].to(self.device).float() / 255
        if self.recipe.stage != "aggregate":
            image: Tensor = network(lr)
            return image
        if self.caches:
            outputs = [self.caches[name].whole(index).to(self.device) for name in self.recipe.teachers]
        else:
            outputs = [self.frozen[name](lr) for name in self.recipe.teachers]
        image = network(tuple(outputs))
        return image

    def validate(self, network: nn.Module) -> list[float]:
        """PSNR (protocol of the paper) of every held-out image."""
        training = network.training
        network.eval()
        values = [
            psnr(self.predict(network, i), self.held_out[i].hr, self.recipe.scale) for i in range(len(self.held_out))
        ]
        network.train(training)
        return values

    def sample(self, network: nn.Module, index: int = 0) -> Tensor:
        """LR (nearest), output and ground truth of one held-out image side by side, uint8 (H, 3W, 3)."""
        network.eval()
        pair: ImagePair = self.held_out[index]
        enlarged = pair.lr.repeat_interleave(self.recipe.scale, 1).repeat_interleave(self.recipe.scale, 2)
        output = torch.from_numpy(to_uint8(self.predict(network, index))).permute(2, 0, 1)
        network.train()
        return torch.cat([enlarged, output, pair.hr], dim=2).permute(1, 2, 0)


def _method(recipe: Recipe, network: nn.Module, teachers: dict[str, nn.Module]) -> Method:
    torch.manual_seed(recipe.seed)  # projections, where a method has any
    side = recipe.scale * recipe.lr_patch
    method = create(recipe.method.name, recipe.method.options, recipe.teachers, network, teachers, side)
    if recipe.stage == "aggregate" and recipe.method.name != "aggregate":
        raise UserError(f"stage aggregate has the method 'aggregate', not '{recipe.method.name}'")
    if recipe.stage != "aggregate" and recipe.method.name == "aggregate":
        raise UserError(f"method 'aggregate' trains an aggregator; stage {recipe.stage} has a network with LR input")
    return method


def _network(recipe: Recipe) -> nn.Module:
    torch.manual_seed(recipe.seed)
    return networks.build(recipe.network, recipe.scale, recipe.teachers)


def frozen_network(
    name: str, scale: int, device: torch.device, sources: Sequence[Path], self_ensemble: bool = False
) -> nn.Module:
    """A network that is learned from, as the recipe wants it: see :func:`mtkd.zoo.load`."""
    network = zoo.load(name, scale, device, sources)
    return SelfEnsemble(network).eval() if self_ensemble else network


def prepare(
    recipe: Recipe,
    device: torch.device,
    cache: Path,
    progress: Progress,
    sources: Sequence[Path] = (),
    rank: int = 0,
    ranks: int = 1,
) -> Stage:
    """Read the images, load the frozen networks, compute their outputs on the images once.

    ``sources`` are folders in which the frozen networks are looked up first. Of ``ranks`` processes each computes its
    share of the outputs; all of them are there when all processes have come back from here.

    Raises:
        UserError: no such data or teacher, a teacher of another scale, an image smaller than the patch.
    """
    network = _network(recipe)
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

    crops: dict[str, TeacherCache] = {}
    caches: dict[str, TeacherCache] = {}
    if recipe.teacher_outputs == "cached" and method.outputs:
        for name, teacher in frozen.items():
            crops[name] = TeacherCache(cache, name, teacher, train)
            crops[name].fill(device, partial(progress, f"outputs of {name}"), rank, ranks)
            if recipe.stage == "aggregate":
                caches[name] = TeacherCache(cache, name, teacher, held_out)
                caches[name].fill(device, partial(progress, f"held-out outputs of {name}"), rank, ranks)
    patches = Patches(train, recipe.lr_patch, recipe.batch, recipe.seed, dict(crops))
    images = data_hash(dataset.files())
    return Stage(recipe, network, method, patches, held_out, frozen, caches, device, images)
