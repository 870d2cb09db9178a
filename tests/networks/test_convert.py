"""Public weight files, imitated with random weights: converted, loaded strictly, tensor by tensor the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtkd.errors import UserError
from mtkd.networks.convert import to_basicsr
from mtkd.networks.edsr import EDSR
from mtkd.networks.rcan import RCAN
from mtkd.networks.swinir import SwinIR

State = dict[str, Tensor]


def add(state: State, stem: str, *shape: int) -> None:
    """A weight of the shape and its bias."""
    state[f"{stem}.weight"] = torch.randn(shape)
    state[f"{stem}.bias"] = torch.randn(shape[0])


def add_head_and_tail(state: State, scale: int, channels: int) -> None:
    for name in ("sub_mean", "add_mean"):
        add(state, name, 3, 3, 1, 1)
    add(state, "head.0", channels, 3, 3, 3)
    factor = 3 if scale == 3 else 2
    for k in (0, 2) if scale == 4 else (0,):
        add(state, f"tail.0.{k}", channels * factor**2, channels, 3, 3)
    add(state, "tail.1", 3, channels, 3, 3)


def edsr_original(scale: int) -> State:
    """The layout of the original EDSR program with 2 blocks of 4 channels."""
    state: State = {}
    add_head_and_tail(state, scale, 4)
    for i in range(2):
        add(state, f"body.{i}.body.0", 4, 4, 3, 3)
        add(state, f"body.{i}.body.2", 4, 4, 3, 3)
    add(state, "body.2", 4, 4, 3, 3)
    return state


def rcan_original(scale: int) -> State:
    """The layout of the original RCAN program with 2 groups of 3 blocks, 4 channels, squeeze 2."""
    state: State = {}
    add_head_and_tail(state, scale, 4)
    for g in range(2):
        for b in range(3):
            add(state, f"body.{g}.body.{b}.body.0", 4, 4, 3, 3)
            add(state, f"body.{g}.body.{b}.body.2", 4, 4, 3, 3)
            add(state, f"body.{g}.body.{b}.body.3.conv_du.0", 2, 4, 1, 1)
            add(state, f"body.{g}.body.{b}.body.3.conv_du.2", 4, 2, 1, 1)
        add(state, f"body.{g}.body.3", 4, 4, 3, 3)
    add(state, "body.2", 4, 4, 3, 3)
    return state


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_edsr_original(scale: int) -> None:
    original = edsr_original(scale)
    network = EDSR(scale, channels=4, blocks=2)
    network.load_state_dict(to_basicsr(original, "edsr"), strict=True)
    pairs = {
        "head.0.weight": network.conv_first.weight,
        "body.0.body.0.weight": network.body[0].conv1.weight,
        "body.1.body.2.bias": network.body[1].conv2.bias,
        "body.2.weight": network.conv_after_body.weight,
        "tail.0.0.bias": network.upsample[0].bias,
        "tail.1.weight": network.conv_last.weight,
    }
    if scale == 4:
        pairs["tail.0.2.weight"] = network.upsample[2].weight
    for key, parameter in pairs.items():
        assert torch.equal(original[key], parameter), key
    assert same_tensors(original, network.state_dict(), dropped=4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rcan_original(scale: int) -> None:
    original = rcan_original(scale)
    network = RCAN(scale, channels=4, groups=2, blocks=3, squeeze=2)
    network.load_state_dict(to_basicsr(original, "rcan"), strict=True)
    block = network.body[1].residual_group[2].rcab
    pairs = {
        "body.1.body.2.body.0.weight": block[0].weight,
        "body.1.body.2.body.2.bias": block[2].bias,
        "body.1.body.2.body.3.conv_du.0.weight": block[3].attention[1].weight,
        "body.1.body.2.body.3.conv_du.2.weight": block[3].attention[3].weight,
        "body.1.body.3.weight": network.body[1].conv.weight,
        "body.2.weight": network.conv_after_body.weight,
    }
    for key, parameter in pairs.items():
        assert torch.equal(original[key], parameter), key
    assert same_tensors(original, network.state_dict(), dropped=4)


def same_tensors(original: State, loaded: State, dropped: int) -> bool:
    """Every tensor of the network is one of the file's, each used once."""
    sums = sorted(float(tensor.double().sum()) for key, tensor in original.items() if "_mean" not in key)
    return len(original) == len(loaded) + dropped and sums == sorted(
        float(tensor.double().sum()) for tensor in loaded.values()
    )


@pytest.mark.parametrize("wrapper", ["params", "params_ema", None])
@pytest.mark.parametrize("upsampler", ["pixelshuffle", "pixelshuffledirect"])
def test_swinir_file(upsampler: str, wrapper: str | None) -> None:
    def small() -> SwinIR:
        return SwinIR(2, channels=6, depths=(2,), heads=2, upsampler=upsampler)  # type: ignore[arg-type]

    source = small()
    file: dict[str, object] = dict(source.state_dict())
    layer = "layers.0.residual_group.blocks"
    file[f"{layer}.0.attn.relative_position_index"] = torch.zeros(64, 64, dtype=torch.long)
    file[f"{layer}.1.attn.relative_position_index"] = torch.zeros(64, 64, dtype=torch.long)
    file[f"{layer}.1.attn_mask"] = torch.zeros(36, 64, 64)
    target = small()
    target.load_state_dict(to_basicsr({wrapper: file} if wrapper else file, "swinir"), strict=True)
    x = torch.rand(1, 3, 9, 10)
    assert torch.equal(source(x), target(x))


def test_params_ema_comes_first() -> None:
    state = {"params": {"conv_first.bias": torch.zeros(1)}, "params_ema": {"conv_first.bias": torch.ones(1)}}
    assert to_basicsr(state, "edsr")["conv_first.bias"] == 1


@pytest.mark.parametrize(
    ("family", "network"),
    [("edsr", EDSR(4, channels=4, blocks=2)), ("rcan", RCAN(4, channels=4, groups=1, blocks=2, squeeze=2))],
)
def test_own_names_stay(family: str, network: torch.nn.Module) -> None:
    state = network.state_dict()
    assert {key: id(value) for key, value in to_basicsr(state, family).items()} == {
        key: id(value) for key, value in state.items()
    }


@pytest.mark.parametrize("family", ["edsr", "rcan", "swinir"])
def test_unknown_keys_survive(family: str) -> None:
    state = {"edsr": edsr_original, "rcan": rcan_original}.get(family, lambda scale: {})(2)
    surplus = ["head.1.weight", "body.0.extra.weight", "sub_mean.other", "attn_mask", "tail.0.0.gamma"]
    converted = to_basicsr(state | {key: torch.zeros(1) for key in surplus}, family)
    assert set(surplus) <= set(converted)


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="unknown network 'edrs'"):
        to_basicsr({}, "edrs")
    with pytest.raises(UserError, match=r"two keys of the weights stand for 'conv_after_body\.weight'"):
        to_basicsr(edsr_original(2) | {"body.3.weight": torch.zeros(1)}, "edsr")
    with pytest.raises(UserError, match="'epoch' in the weights is not a tensor but int"):
        to_basicsr({"epoch": 3}, "edsr")
    with pytest.raises(UserError, match="unknown entries next to 'params'.*: iter"):
        to_basicsr({"params": {}, "iter": 1}, "swinir")
