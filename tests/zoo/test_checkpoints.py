"""Weights files: round trips, refusals that name the keys, and pickles that are not run."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mtkd.errors import UserError
from mtkd.networks import build
from mtkd.zoo.checkpoints import Header, load_state, read_header, read_state, save_weights, weights_hash

HEADER = Header("mine", "edsr_tiny", 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_round_trip(tmp_path, dtype):
    network, copy = build("edsr_tiny", 2), build("edsr_tiny", 2)
    save_weights(tmp_path / "a.safetensors", network, HEADER, dtype)
    assert read_header(tmp_path / "a.safetensors") == HEADER
    load_state(copy, read_state(tmp_path / "a.safetensors"), "a")
    for key, value in copy.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, network.state_dict()[key].to(dtype).float())


def test_teachers_keep_their_order(tmp_path):
    teachers = ("swinir_mini", "edsr_mini")
    header = Header("agg", "aggregator_mini", 2, teachers)
    save_weights(tmp_path / "a.safetensors", build("aggregator_mini", 2, teachers=teachers), header)
    assert read_header(tmp_path / "a.safetensors").teachers == teachers


def test_wrong_keys_are_named():
    network = build("edsr_tiny", 2)
    state = dict(network.state_dict())
    state["extra.weight"] = state.pop("conv_first.weight")
    state["body.0.conv1.bias"] = torch.zeros(3)
    with pytest.raises(UserError) as caught:
        load_state(network, state, "file.pth")
    for part in (
        "file.pth",
        "missing conv_first.weight",
        "surplus extra.weight",
        "body.0.conv1.bias is (3,), should be (24,)",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("wrapper", [None, "params", "params_ema"])
def test_torch_files(tmp_path, wrapper):
    state = build("edsr_tiny", 2).state_dict()
    torch.save({wrapper: state} if wrapper else state, tmp_path / "a.pth")
    assert read_state(tmp_path / "a.pth").keys() == state.keys()


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("inside", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, inside):
    path, mark = tmp_path / "evil.pth", tmp_path / "was-run"
    if inside:
        torch.save({"weight": torch.zeros(1), "bomb": Bomb(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(UserError, match="refused|not a readable"):
        read_state(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_unreadable(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        read_state(path)


def test_truncated_and_missing(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, build("edsr_tiny", 2), HEADER)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable"):
        read_header(path)
    with pytest.raises(UserError, match="no such weights file"):
        read_state(tmp_path / "missing.pth")


def test_what_holds_no_state_dict(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="no state dict"):
        read_state(tmp_path / "list.pth")


def test_headers(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="no MTKD header"):
        read_header(path)
    save_file({"w": torch.zeros(1)}, path, {**HEADER.metadata(), "format": "mtkd/9"})
    with pytest.raises(UserError, match="update mtkd"):
        read_header(path)
    save_file({"w": torch.zeros(1)}, path, {"format": "mtkd/1", "name": "x"})
    with pytest.raises(UserError, match="damaged header"):
        read_header(path)
    assert json.loads(Header("a", "b", 2, ("x",)).metadata()["teachers"]) == ["x"]


def test_weights_hash():
    torch.manual_seed(0)
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    assert weights_hash(first) == weights_hash(second)
    with torch.no_grad():
        second.bias[0] = torch.nextafter(second.bias[0], torch.tensor(9.0))
    assert weights_hash(first) != weights_hash(second)
