"""Weights on disk: safetensors written by this project, and the public ``.pt`` / ``.pth`` forms.

Nothing is ever unpickled freely: files are safetensors, or opened by torch with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.files import write_bytes
from mtkd.zoo.headers import Header


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names, types and values of a module's state; 16 hex digits identify the weights."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{key}:{array.dtype}:{tuple(array.shape)}".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save_weights(path: Path, module: nn.Module, header: Header, dtype: torch.dtype = torch.float32) -> None:
    """Write a module's state as safetensors, atomically; floating point is stored as ``dtype``.

    Equal weights and headers give equal files.
    """
    save_state(path, module.state_dict(), header, dtype)


def save_state(path: Path, state: Mapping[str, Tensor], header: Header, dtype: torch.dtype = torch.float32) -> None:
    """As :func:`save_weights`, of a state dict."""
    stored = {
        key: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype).contiguous()
        for key, value in state.items()
    }
    write_bytes(path, _sorted_metadata(save(stored, header.metadata())))


def _sorted_metadata(file: bytes) -> bytes:
    """A safetensors file (length, JSON, tensors) with its metadata in order; the library's order is random."""
    end = 8 + int.from_bytes(file[:8], "little")
    content = json.loads(file[8:end])
    content["__metadata__"] = dict(sorted(content["__metadata__"].items()))
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[end:]


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors, ``.pt`` or ``.pth`` file; ``params_ema`` or ``params`` are unwrapped.

    Raises:
        UserError: missing, unreadable, or a pickle that holds anything but tensors (never executed).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # damaged files make the reader raise almost anything
        raise UserError(f"{path}: not a readable weights file ({_reason(error)})") from error
    content = load_torch(path)
    for key in ("params_ema", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not (isinstance(content, Mapping) and content and all(map(_is_weight, content.items()))):
        raise UserError(f"{path}: holds no state dict of tensors")
    _check_size(path, sum(value.numel() * value.element_size() for value in content.values()))
    return dict(content)


def load_torch(path: Path) -> Any:
    """What torch has saved, tensors and plain containers; nothing in the file is executed.

    Raises:
        UserError: unreadable, holds anything else, or is much larger unpacked than the file.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_size(path, sum(member.file_size for member in archive.infolist()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: damaged, or holds more than weights; refused, nothing of it was run") from error
    except Exception as error:  # damaged files make the reader raise almost anything
        raise UserError(f"{path}: not a readable weights file ({_reason(error)})") from error


def _check_size(path: Path, claimed: int) -> None:
    """Weights are not packed: a small file with large ones would fill the memory (tied ones may count twice)."""
    if claimed > 4 * path.stat().st_size:
        raise UserError(f"{path}: claims {claimed:,} bytes of content in a file of {path.stat().st_size:,}; refused")


def _reason(error: Exception) -> str:
    """The beginning of another library's message."""
    return str(error).partition("\n")[0].partition(". ")[0][:200] or type(error).__name__


def _is_weight(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def load_state(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load strictly, as float32.

    Raises:
        UserError: missing, surplus or misshapen keys, all named.
    """
    own = module.state_dict()
    problems = []
    if missing := sorted(own.keys() - state.keys()):
        problems.append(f"missing {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}")
    if surplus := sorted(state.keys() - own.keys()):
        problems.append(f"surplus {', '.join(surplus[:5])}{' ...' if len(surplus) > 5 else ''}")
    wrong = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    for key in sorted(wrong)[:5]:
        problems.append(f"{key} is {tuple(state[key].shape)}, should be {tuple(own[key].shape)}")
    if problems:
        raise UserError(f"{source}: weights of another network: {'; '.join(problems)}")
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()}, strict=True)
