"""Detect the network and scale of a checkpoint. No code in the file is executed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mtkd import networks
from mtkd.errors import UserError, unknown_name
from mtkd.networks.convert import constants, is_converted
from mtkd.zoo import architectures, catalogue, community, contents
from mtkd.zoo.checkpoints import check_size, is_safetensors, read_content, read_state
from mtkd.zoo.contents import Part
from mtkd.zoo.fitting import Fit, NoFit, candidates, differences, few, fitting, marks, shapes_of
from mtkd.zoo.headers import Header, frozen, read_header
from mtkd.zoo.model import Model

OTHERS = {
    b"version https://git-lfs": "a pointer of Git LFS, not the weights; `git lfs pull` fetches those",
    b"<!doctype html": "a web page, not weights; download the file itself",
    b"<html": "a web page, not weights; download the file itself",
    b"\x89hdf": "an HDF5 file (Keras, MATLAB); give weights of PyTorch",
    b"gguf": "a GGUF file; give weights of PyTorch",
    b"\x08\x07\x12\x07pytorch": "an ONNX graph; give the weights that it was made from",
}
"""Beginnings, in lower case, of what people take for weights."""


@dataclass(frozen=True, eq=False)
class Found:
    """The content of a checkpoint.

    Attributes:
        header: network, scale, and a name derived from the file name.
        state: the weights under the names used here.
        family: the architecture, for people.
        parameters: parameter count, as in Table 1.
        form: naming scheme of the keys.
        dropped: keys that are not weights (constants of the original code).
        notes: what was chosen of the file, and assumptions about what it does not contain, in sentences.
        card: the card beside a file of this project.
        key, keys: where in the file the weights are, and all the places that have some.
        untold: options of the network that weights do not tell, with the values that are taken.
    """

    path: Path
    header: Header
    state: dict[str, Tensor]
    family: str
    parameters: int
    form: str
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    keys: tuple[str, ...] = ()
    untold: Mapping[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """``teacher``, ``aggregator`` or ``student``, as the network is declared; ``teacher`` for other
        architectures."""
        network = self.header.network
        return "teacher" if network == community.NETWORK else networks.specs()[network].role


def _counted(header: Header, path: Path) -> int:
    return networks.parameter_count(Model(header, path, False).skeleton())


def reserved() -> tuple[str, ...]:
    """Names that a model cannot have, since they have another meaning."""
    return (*networks.baselines(), "LR")


def inspect(
    path: Path,
    network: str | None = None,
    scale: int | None = None,
    key: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Found:
    """Find the network and scale that the weights of a file match exactly, in names and shapes.

    For a file of this project, the header decides. Otherwise the weights may lie at any depth and under any prefix
    (:mod:`mtkd.zoo.contents`). Published networks are preferred over the mini ones, and those over networks of
    their families of any other size. No code in the file is executed.

    Args:
        network, scale: restrict the search.
        key: where in the file the weights are; by default an average (EMA), else the first that fit.
        options: of the network, which shapes do not tell (``res_scale``, ``value_range``, ``mean``, ``image_skip``), in
            place of the usual values.

    Raises:
        UserError: no readable weights, weights of no known network or of another one than chosen (the nearest one and
            the differences are listed, or what they look like), or weights for another mean colour.
    """
    _check_kind(path)
    if network is not None and network not in candidates():
        raise unknown_name("network", network, candidates())
    if header := _own_header(path):
        if key is not None or options:
            raise UserError(f"{path}: written by MTKD, its header says what it is; leave out --key and --set")
        result = _as_it_says(path, header)
    else:
        result = _of_others(path, network, scale, key, options or {})
    if (network or result.header.network, scale or result.header.scale) != (result.header.network, result.header.scale):
        raise UserError(
            f"{path}: a checkpoint of {result.header.network} x{result.header.scale}; choose that network and scale"
        )
    return result


def suggested_name(text: str) -> str:
    """A model name made of a file's: without scale and checksum, other signs as hyphens, never a bundled one."""
    stem = re.sub(r"[-_.]?x[234](-[0-9a-f]{8})?$", "", text, flags=re.IGNORECASE)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "own"
    taken = {*reserved(), *(model.name for model in catalogue.models() if model.bundled)}
    return f"{name}-own" if name in taken else name


def _check_kind(path: Path) -> None:
    """What is plainly no weights file is told in plain words."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder; give the weights file in it")
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not start:
        raise UserError(f"{path}: an empty file")
    for beginning, what in OTHERS.items():
        if start.lstrip().lower().startswith(beginning):
            raise UserError(f"{path}: {what}")
    if not is_safetensors(path) and not start.startswith((b"PK", b"\x80")):  # zip, pickle
        raise UserError(f"{path}: not a supported checkpoint; give a .safetensors, .pth, .pt or .ckpt file")


def _own_header(path: Path) -> Header | None:
    """The header of a file that this project wrote; a file that cannot be read is left to ``read_state``."""
    if is_safetensors(path):
        with contextlib.suppress(SafetensorError, OSError), safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format", "").startswith("mtkd/"):
                return read_header(path)
    return None


def _as_it_says(path: Path, header: Header) -> Found:
    state = read_state(path)
    if header.network == community.NETWORK:
        part = Part((), "", state)
        return _of_the_community(path, part, "a community model imported by another installation")
    if header.network not in networks.specs():
        raise UserError(f"{path}: {unknown_name('network', header.network, networks.specs())}")
    shapes = shapes_of(Model(header, path, False).skeleton().state_dict())
    if problems := differences(shapes, shapes_of(state)):
        raise UserError(f"{path}: its header says {header.network} x{header.scale}, but {few(problems)}")
    named = replace(header, name=suggested_name(header.name))
    title = networks.specs()[header.network].title
    form, card = "MTKD safetensors, with a header", Model(header, path, False).card
    return Found(path, named, state, title, _counted(header, path), form, card=card)


def _of_others(
    path: Path, network: str | None, scale: int | None, key: str | None, options: Mapping[str, Any]
) -> Found:
    """The first part of a file that a network fits; averages come first."""
    every = [part for part in contents.parts(read_content(path), (*marks(), *architectures.MARKS)) if part.state]
    if not every:
        raise UserError(f"{path}: contains no state dict of tensors")
    parts = contents.chosen(every, key, path) if key is not None else every
    problems: list[UserError] = []
    for part in parts:
        check_size(path, part.state)
        try:
            return _found(path, part, fitting(part.state, network, scale, options), every)
        except UserError as error:
            problems.append(error)
    for problem in problems:
        if network or not isinstance(problem, NoFit):
            raise UserError(f"{path}: {problem}") from problem
    named = next((part for part in parts if architectures.looks_like(part.state)), parts[0])
    return _of_the_community(path, named, str(problems[parts.index(named)]), every)


def _check_values(state: Mapping[str, Tensor]) -> None:
    """
    Raises:
        UserError: weights that no network can compute with.
    """
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.element_size() == 1:
            kind = str(value.dtype).removeprefix("torch.")
            sort = "" if value.layout == torch.strided else " of a sparse kind"
            raise UserError(f"{key} holds {kind} numbers{sort}; save the weights as plain float numbers")
        if not bool(torch.isfinite(value.float()).all()):
            raise UserError(f"{key} holds values that are not finite; the training has diverged, take an earlier file")


def _found(path: Path, part: Part, fit: Fit, every: Sequence[Part]) -> Found:
    _check_values(fit.state)
    spec = networks.specs()[fit.network]
    try:
        options = frozen(fit.options)
    except ValueError as error:
        raise UserError(f"{error}: too large, or not a plain value") from error
    header = Header(suggested_name(path.stem), fit.network, fit.scale, (), options)
    original = bool(spec.converts) and is_converted(part.state, spec.name)
    return Found(
        path,
        header,
        fit.state,
        f"{spec.title}, {fit.text}" if fit.text else spec.title,
        _counted(header, path),
        "original code (head, body, tail)" if original else "BasicSR",
        constants(part.state, spec.name),
        (*contents.said(part, every), *fit.notes),
        key=part.name,
        keys=_names(every),
        untold=fit.untold,
    )


def _names(every: Sequence[Part]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.name for part in every))


def _of_the_community(path: Path, part: Part, why: str, every: Sequence[Part] = ()) -> Found:
    """What spandrel makes of it; ``why`` it is none of the networks here is said where that is nothing either."""
    try:
        module = community.build(part.state)
    except UserError as error:
        raise UserError(f"{path}: {why}; {error}") from error
    header = Header(suggested_name(path.stem), community.NETWORK, module.scale)
    parameters = networks.parameter_count(module)
    return Found(
        path,
        header,
        part.state,
        module.architecture,
        parameters,
        "own names, unchanged",
        notes=contents.said(part, every),
        key=part.name if every else None,
        keys=_names(every),
    )
