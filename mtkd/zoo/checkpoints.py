"""Weights on disk: safetensors written by this project, and the public ``.pt`` / ``.pth`` forms.

No file can execute code: files are safetensors, or are opened by torch with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
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
    """As :func:`save_weights`, for a state dict."""
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
        UserError: missing, unreadable, or a pickle with anything other than tensors (which is not executed).
    """
    content = read_content(path)
    for key in ("params_ema", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not (isinstance(content, Mapping) and content and all(map(_is_weight, content.items()))):
        raise UserError(f"{path}: contains no state dict of tensors")
    check_size(path, content)
    return dict(content)


def read_content(path: Path) -> Any:
    """All that a safetensors, ``.pt`` or ``.pth`` file holds: tensors and plain containers.

    Raises:
        UserError: as :func:`read_state`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        if is_safetensors(path):
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # damaged files make the reader raise almost anything
        raise UserError(f"{path}: not a readable weights file ({_reason(error)})") from error
    return load_torch(path)


def is_safetensors(path: Path) -> bool:
    """By what a file begins with, whatever its name says; a damaged one by its name."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return True
    return path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def load_torch(path: Path) -> Any:
    """Load a file saved by torch: tensors and plain containers. No code in the file is executed.

    Raises:
        UserError: unreadable, with other content, or much larger in memory than the file.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_size(path, sum(member.file_size for member in archive.infolist()))
                _check_sums(path, archive)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd pickle protocols
            with torch.serialization.safe_globals(_numpy()), path.open("rb") as file:  # by its content, not its name
                return torch.load(file, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: damaged, or contains more than weights; refused, no code in it was run. {_conversion(path)}"
        ) from error
    except Exception as error:  # damaged files make the reader raise almost anything
        if "TorchScript" in str(error):
            text = "a TorchScript program; refused, no code in it was run."
            raise UserError(f"{path}: {text} {_of_script(path)}") from error
        raise UserError(f"{path}: not a readable weights file ({_reason(error)})") from error


def _check_sums(path: Path, archive: zipfile.ZipFile) -> None:
    """Compare a file's parts with their checksums, which ``torch.load`` does not.

    Raises:
        UserError: some do not match. (None does where the file was saved without them.)
    """
    wrong = [member.filename for member in archive.infolist() if not _intact(archive, member)]
    if wrong and len(wrong) < len(archive.infolist()):
        raise UserError(f"{path}: damaged ({len(wrong)} of its parts changed since it was saved); copy it anew")


def _intact(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(member) as part:
            while part.read(1 << 20):
                pass
    except zipfile.BadZipFile:
        return False
    return True


@cache
def _numpy() -> list[Any]:
    """What arrays and numbers of NumPy are made by, under the names of its versions 1 and 2: plain data."""
    from numpy._core import multiarray

    made = {name: getattr(multiarray, name) for name in ("_reconstruct", "scalar")}
    old = [(one, f"numpy.core.multiarray.{name}") for name, one in made.items()]
    kinds = [type(np.dtype(kind)) for kind in "bBhHiIlLqQefd?"]
    return [*made.values(), *old, np.ndarray, np.dtype, *dict.fromkeys(kinds)]


def _of_script(path: Path) -> str:
    """How its weights become a file of their own."""
    load = f"torch.jit.load({path.name!r}, map_location='cpu')"
    store = f"torch.save(dict({load}.named_parameters()), {path.stem + '-weights.pth'!r})"
    return f"If you trust it, convert it with two lines of Python: `import torch` and `{store}`"


def _conversion(path: Path) -> str:
    """The two lines of Python that keep the tensors of a file, to be run where it was made."""
    collect = (
        "import torch; keep = lambda x: x if isinstance(x, torch.Tensor) else {k: keep(v) for k, v in x.items()} "
        "if isinstance(x, dict) else keep(x.state_dict()) if hasattr(x, 'state_dict') else None"
    )
    load = f"torch.load({path.name!r}, map_location='cpu', weights_only=False)"
    store = f"torch.save(keep({load}), {path.stem + '-weights.pth'!r})"
    return f"If you trust it, convert it where it was made, with two lines of Python: `{collect}` and `{store}`"


def check_size(path: Path, state: Mapping[str, Tensor]) -> None:
    """Weights that claim more memory than their file can hold are refused.

    Raises:
        UserError: they do.
    """
    _check_size(path, sum(value.numel() * value.element_size() for value in state.values()))


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
    """Load a state dict strictly, as float32.

    Raises:
        UserError: missing or unexpected keys, or wrong shapes; they are listed.
    """
    expected = module.state_dict()
    problems = []
    if missing := sorted(expected.keys() - state.keys()):
        problems.append(f"missing {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}")
    if surplus := sorted(state.keys() - expected.keys()):
        problems.append(f"unexpected {', '.join(surplus[:5])}{' ...' if len(surplus) > 5 else ''}")
    wrong = [k for k in expected.keys() & state.keys() if expected[k].shape != state[k].shape]
    for key in sorted(wrong)[:5]:
        problems.append(f"{key} is {tuple(state[key].shape)}, should be {tuple(expected[key].shape)}")
    if problems:
        raise UserError(f"{source}: weights of another network: {'; '.join(problems)}")
    module.load_state_dict({key: value.to(expected[key].dtype) for key, value in state.items()}, strict=True)
