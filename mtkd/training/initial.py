"""The weights that a training begins with (``init``): a model by name, or a file; of another scale all that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.files import sha256_of
from mtkd.training.recipe import Recipe
from mtkd.zoo import imports
from mtkd.zoo.checkpoints import load_state, read_state, weights_hash
from mtkd.zoo.headers import Header

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
UPSAMPLER = "upsample"
"""Beginning of the keys that are not taken over from another scale."""


@dataclass(frozen=True, eq=False)
class Initial:
    """Given weights.

    Attributes:
        header: network and scale.
        path: their file.
        state: the tensors; None until they are read.
    """

    header: Header
    path: Path
    state: dict[str, Tensor] | None = None

    def module(self) -> nn.Module:
        """The network with these weights."""
        header = self.header
        module = networks.build(header.network, header.scale, header.teachers, **dict(header.options))
        load_state(module, self.state or read_state(self.path), str(self.path))
        return module


def initial(recipe: Recipe, sources: Sequence[Path] = ()) -> Initial:
    """The weights that a recipe names, of its network.

    Raises:
        UserError: no such model or file, or one of another network.
    """
    name = str(recipe.init)
    path = Path(name).expanduser()
    if not name.endswith(SUFFIXES) and path.exists():
        raise UserError(f"init: {name}: not weights; give a file that ends in {', '.join(SUFFIXES)}, or a model's name")
    given = _of_file(path) if name.endswith(SUFFIXES) else _of_model(name, recipe.scale, sources)
    if given.header.network != recipe.network or "channels" in dict(given.header.options):
        size = dict(given.header.options).get("channels")
        of = f"{given.header.network}{f' with {size} channels' if size else ''}"
        raise UserError(f"init: network of {name} is {of}; name a model of {recipe.network}")
    return given


def begin_with(network: nn.Module, given: Initial, recipe: Recipe) -> dict[str, Any]:
    """Load given weights into a fresh network; returns what a card says of them beyond their name and hash.

    Those of another scale are taken over without the upsampler, and without what has another shape.

    Raises:
        UserError: they do not fit.
    """
    about: dict[str, Any] = {}
    if str(recipe.init).endswith(SUFFIXES):
        about |= {"file": given.path.name, "sha256": sha256_of(given.path)}
    state = given.module().state_dict()
    if given.header.scale == recipe.scale:
        load_state(network, state, str(given.path))
        return about
    fresh = network.state_dict()
    fitting = {
        key: value
        for key, value in state.items()
        if not key.startswith(UPSAMPLER) and key in fresh and fresh[key].shape == value.shape
    }
    if 2 * len(fitting) < len(fresh):
        raise UserError(f"init: of {recipe.init} x{given.header.scale} only {len(fitting)} of {len(fresh)} weights fit")
    network.load_state_dict(fitting, strict=False)
    return about | {"scale": given.header.scale, "fresh": [key for key in fresh if key not in fitting]}


def hash_of(given: Initial) -> str:
    """The hash of given weights, as in cards."""
    return weights_hash(given.module())


def _of_file(path: Path) -> Initial:
    found = imports.inspect(path)
    return Initial(found.header, path, found.state)


def _of_model(name: str, scale: int, sources: Sequence[Path]) -> Initial:
    """The model of that scale; else of the nearest other one."""
    try:
        model = zoo.find(name, scale, sources)
    except UserError:
        of = name.partition("@")[0]
        others = sorted(
            {m.scale for m in zoo.models(sources=sources) if m.name == of and m.scale != scale},
            key=lambda other: (abs(other - scale), other),
        )
        if not others:
            raise
        model = zoo.find(name, others[0], sources)
    return Initial(model.header, model.path)
