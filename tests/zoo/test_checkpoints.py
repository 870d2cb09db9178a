"""Weight files: round trips, and everything that must be refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mtkd.errors import UserError
from mtkd.zoo.checkpoints import load_state, read_state, save_weights, weights_hash
from mtkd.zoo.headers import FORMAT, Header, read_header

HEADER = Header("small_x2", "small", 2)


class Small(nn.Module):
    """Weights of several kinds: matrices, a scalar, whole numbers, a buffer that is not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("steps", torch.tensor([3, 5]))
        self.register_buffer("mean", torch.zeros(3), persistent=False)


@pytest.fixture
def module() -> Small:
    torch.manual_seed(0)
    return Small()


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# Round trips -----------------------------------------------------------------------------------------------


def test_float32_round_trip(tmp_path: Path, module: Small) -> None:
    save_weights(tmp_path / "x.safetensors", module, HEADER)
    state = read_state(tmp_path / "x.safetensors")
    assert set(state) == {"conv.weight", "conv.bias", "gain", "steps"}
    other = Small()
    load_state(other, state, "x")
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in other.state_dict().items())
    assert weights_hash(other) == weights_hash(module)


def test_float16_round_trip(tmp_path: Path, module: Small) -> None:
    save_weights(tmp_path / "x.safetensors", module, HEADER, torch.float16)
    state = read_state(tmp_path / "x.safetensors")
    assert state["conv.weight"].dtype == torch.float16 and state["steps"].dtype == torch.int64
    other = Small()
    load_state(other, state, "x")
    assert other.conv.weight.dtype == torch.float32
    assert torch.equal(other.conv.weight, module.conv.weight.half().float())
    assert torch.equal(other.steps, module.steps)
    whole = tmp_path / "y.safetensors"
    save_weights(whole, module, HEADER)
    assert whole.stat().st_size - (tmp_path / "x.safetensors").stat().st_size >= 2 * (4 * 3 * 9 + 4)


@pytest.mark.parametrize("header", [HEADER, Header("merged", "aggregator_mini", 4, ("edsr", "rcan", "swin ü, 'x'"))])
def test_header_round_trip(tmp_path: Path, module: Small, header: Header) -> None:
    save_weights(tmp_path / "x.safetensors", module, header)
    assert read_header(tmp_path / "x.safetensors") == header


def test_equal_weights_give_equal_files(tmp_path: Path, module: Small) -> None:
    header = Header("merged", "aggregator_mini", 4, ("edsr", "rcan"))
    for name in "ab":
        save_weights(tmp_path / name, module, header)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_channels_last_weights(tmp_path: Path, module: Small) -> None:
    before = weights_hash(module)
    module.conv.weight.data = module.conv.weight.data.contiguous(memory_format=torch.channels_last)
    assert weights_hash(module) == before
    save_weights(tmp_path / "x.safetensors", module, HEADER)
    assert torch.equal(read_state(tmp_path / "x.safetensors")["conv.weight"], module.conv.weight)


def test_failed_write_keeps_the_old_file(tmp_path: Path, module: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(path, module, HEADER)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="cannot be written"):
        save_weights(path, module, HEADER)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# Public forms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"params": s}, lambda s: {"params_ema": s}])
@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_torch_files(tmp_path: Path, module: Small, wrap: Any, old_format: bool, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    torch.save(wrap(module.state_dict()), path, _use_new_zipfile_serialization=not old_format)
    state = read_state(path)
    assert type(state) is dict and state.keys() == module.state_dict().keys()
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in state.items())


def test_averaged_weights_come_first(tmp_path: Path) -> None:
    plain, averaged = {"w": torch.zeros(2)}, {"w": torch.ones(2)}
    torch.save({"params": plain, "params_ema": averaged}, tmp_path / "x.pth")
    assert torch.equal(read_state(tmp_path / "x.pth")["w"], torch.ones(2))


# Refusals --------------------------------------------------------------------------------------------------


class Payload:
    """Runs a command when unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["plain pickle", "zip", "old"])
def test_code_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    path, mark = tmp_path / "x.pt", tmp_path / "was run"
    content = {"w": torch.zeros(2), "extra": Payload(f"touch '{mark}'")}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(content["extra"], protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UserError, match="refused, no code in it was run") as caught:
        read_state(path)
    one_line(caught)
    assert not mark.exists()
    pickle.loads(pickle.dumps(content["extra"]))  # the payload itself works
    assert mark.exists()


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "x.pt")
    with pytest.raises(UserError, match="refused"):
        read_state(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"no weights at all, but some text\n" * 20, b"PK\x03\x04" + b"\0" * 99]
)
def test_garbage(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: (not a readable weights file \(.+\)|damaged)") as caught:
        read_state(tmp_path / name)
    one_line(caught)
    with pytest.raises(UserError, match=r"not a readable safetensors file"):
        read_header(tmp_path / name)


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("name", ["x.pt", "old.pt", "x.safetensors"])
def test_truncated(tmp_path: Path, module: Small, name: str, keep: float) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_weights(path, module, HEADER)
    else:
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=name == "x.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError) as caught:
        read_state(path)
    one_line(caught)


def test_random_damage_is_a_user_error_or_weights(tmp_path: Path, module: Small) -> None:
    rng = np.random.default_rng(0)
    for name in ("new.pt", "old.pt", "x.safetensors"):
        path = tmp_path / name
        if name == "x.safetensors":
            save_weights(path, module, HEADER)
        else:
            torch.save(module.state_dict(), path, _use_new_zipfile_serialization=name == "new.pt")
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(damaged), 3):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                assert all(isinstance(value, Tensor) for value in read_state(path).values())
            except UserError:
                continue


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"w": 3},
        {"w": torch.zeros(1), "epoch": 7},
        [torch.zeros(1)],
        torch.zeros(3),
        {"params": {"w": "x"}},
        {1: torch.ones(1)},
    ],
    ids=str,
)
def test_files_without_a_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match="contains no state dict of tensors"):
        read_state(tmp_path / "x.pt")


def test_missing_file(tmp_path: Path) -> None:
    for read in (read_state, read_header):
        with pytest.raises(UserError, match=r"none\.pt: no such weights file"):
            read(tmp_path / "none.pt")
        with pytest.raises(UserError, match="no such weights file"):
            read(tmp_path)


def foreign(path: Path, metadata: Mapping[str, str] | None) -> Path:
    save_file({"w": torch.zeros(2)}, path, dict(metadata) if metadata is not None else None)
    return path


GOOD = {"format": FORMAT, "name": "x", "network": "edsr", "scale": "4"}


def test_header_by_hand(tmp_path: Path) -> None:
    path = foreign(tmp_path / "x.safetensors", {**GOOD, "teachers": json.dumps(["a", "b"]), "more": "is ignored"})
    assert read_header(path) == Header("x", "edsr", 4, ("a", "b"))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "has no MTKD header"),
        ({"format": "pt"}, "format 'pt', this version reads mtkd/1"),
        ({**GOOD, "format": "mtkd/2"}, "format 'mtkd/2', this version reads mtkd/1; update mtkd"),
        ({k: v for k, v in GOOD.items() if k != "scale"}, "damaged header"),
        ({**GOOD, "scale": "four"}, "damaged header"),
        ({**GOOD, "teachers": "[1, 2"}, "damaged header"),
        ({**GOOD, "teachers": "7"}, "damaged header"),
    ],
)
def test_bad_headers(tmp_path: Path, metadata: Mapping[str, str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_header(foreign(tmp_path / "x.safetensors", metadata))


# Strict loading --------------------------------------------------------------------------------------------


def test_every_difference_is_named(module: Small) -> None:
    state = module.state_dict()
    del state["gain"]
    state["conv.weight"] = torch.zeros(4, 3, 5, 5)
    state["extra.weight"] = torch.zeros(1)
    before = weights_hash(module)
    with pytest.raises(UserError) as caught:
        load_state(module, state, "file.pt")
    text = one_line(caught)
    assert text.startswith("file.pt: weights of another network: ")
    assert "missing gain" in text and "unexpected extra.weight" in text
    assert "conv.weight is (4, 3, 5, 5), should be (4, 3, 3, 3)" in text
    assert weights_hash(module) == before  # nothing was loaded


def test_long_lists_are_shortened(module: Small) -> None:
    surplus = {f"k{i}": torch.zeros(1) for i in range(9)}
    with pytest.raises(UserError, match=r"unexpected k0, k1, k2, k3, k4 \.\.\.$"):
        load_state(module, {**module.state_dict(), **surplus}, "file.pt")


def test_scalars_do_not_spread(module: Small) -> None:
    """A (1,) tensor is not a scalar, and a scalar fills no vector."""
    for key, value in (("gain", torch.ones(1)), ("conv.bias", torch.tensor(0.0))):
        with pytest.raises(UserError, match=f"{key} is"):
            load_state(module, {**module.state_dict(), key: value}, "file.pt")


# Hash ------------------------------------------------------------------------------------------------------


def test_hash_is_stable_across_instances(module: Small) -> None:
    torch.manual_seed(0)
    assert weights_hash(Small()) == weights_hash(module)
    assert weights_hash(Small()) != weights_hash(module)
    digest = weights_hash(module)
    assert len(digest) == 16 and int(digest, 16) >= 0


def test_hash_of_known_weights() -> None:
    """Stored in cards and compared across versions: it must never change."""
    linear = nn.Linear(2, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, -2.0]]))
        linear.bias.fill_(0.5)
    assert weights_hash(linear) == "f7b2be79b13909de"


@pytest.mark.parametrize("bit", [0, 7, 31])
@pytest.mark.parametrize("key", ["conv.weight", "gain"])
def test_hash_changes_with_one_bit(module: Small, key: str, bit: int) -> None:
    before = weights_hash(module)
    array = module.state_dict()[key].numpy()  # shares memory
    array.reshape(-1).view(np.uint32)[-1] ^= np.uint32(1 << bit)
    assert weights_hash(module) != before
    array.reshape(-1).view(np.uint32)[-1] ^= np.uint32(1 << bit)
    assert weights_hash(module) == before


def test_hash_knows_names_shapes_and_types() -> None:
    class Holder(nn.Module):
        def __init__(self, **tensors: Tensor) -> None:
            super().__init__()
            for name, tensor in tensors.items():
                self.register_buffer(name, tensor)

    zeros = torch.zeros(4)
    variants = [
        Holder(a=zeros),
        Holder(b=zeros),
        Holder(a=zeros.view(2, 2)),
        Holder(a=torch.zeros(4, dtype=torch.int32)),
        Holder(a=zeros, b=zeros),
        Holder(a=torch.zeros((), dtype=torch.bfloat16)),
    ]
    assert len({weights_hash(v) for v in variants}) == len(variants)
    assert weights_hash(Holder(a=zeros, b=zeros + 1)) == weights_hash(Holder(b=zeros + 1, a=zeros))
