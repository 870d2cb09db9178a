"""Networks of any size, wrapped in whatever a trainer writes: found, said, and right in every pixel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mtkd import infer, zoo
from mtkd.errors import UserError
from mtkd.networks.common import SuperResolutionNetwork
from mtkd.networks.edsr import EDSR
from mtkd.networks.rcan import RCAN
from mtkd.networks.swinir import SwinIR
from mtkd.zoo import imports
from mtkd.zoo.architectures import PATTERNS, looks_like
from tests.conftest import Run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_ZOO", raising=False)
    return tmp_path / "home"


State = dict[str, torch.Tensor]
SEEDS = range(6)
WORDS = ("state_dict", "model", "generator", "net_g", "weights", "params", "student", "best", "a.b", "1", "Netz")


def network(seed: int) -> SuperResolutionNetwork:
    """A small network of unusual size; the options that shapes do not tell are the usual ones."""
    rng = Random(seed)
    torch.manual_seed(seed)
    scale = rng.choice((2, 3, 4))
    made: list[Callable[[], SuperResolutionNetwork]] = [
        lambda: EDSR(scale, channels=rng.randint(3, 20), blocks=rng.randint(1, 9)),
        lambda: RCAN(scale, channels=rng.randint(8, 20), groups=rng.randint(1, 3), blocks=rng.randint(1, 4), squeeze=4),
        lambda: swinir(rng, scale),
    ]
    return made[seed % 3]().eval()


def swinir(rng: Random, scale: int, upsampler: Any = None) -> SwinIR:
    blocks, head = rng.randint(1, 4), rng.randint(2, 5)
    return SwinIR(
        scale,
        channels=head * 12,
        depths=tuple(rng.randint(1, 3) for _ in range(blocks)),
        heads=tuple(rng.choice((1, 2, 3, 4, 6)) for _ in range(blocks)),
        window=rng.choice((3, 4, 5, 7, 8, 12)),
        mlp_ratio=rng.choice((1.0, 1.5, 2.0, 3.1)),
        upsampler=upsampler or rng.choice(("pixelshuffle", "pixelshuffledirect")),
        convolutions=rng.choice((1, 3)),
        width=rng.choice((16, 48)),
    ).eval()


def brought(file: Path, module: SuperResolutionNetwork, **choice: Any) -> imports.Found:
    """Import a file, and compare what comes out of the model with what comes out of the network."""
    found = imports.inspect(file, **choice)
    imports.add(found, "brought", replace=True)
    image = torch.rand(1, 3, 13, 10)
    with torch.inference_mode():
        expected = module(image)
        assert torch.equal(zoo.load("brought", module.scale)(image), expected)
    assert found.parameters == sum(p.numel() for p in module.parameters())
    return found


# Any size ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(18))
def test_any_width_and_depth(tmp_path: Path, seed: int) -> None:
    module = network(seed)
    torch.save(module.state_dict(), tmp_path / "a.pth")
    found = brought(tmp_path / "a.pth", module)
    assert found.header.network == ("edsr", "rcan", "swinir")[seed % 3] and found.header.scale == module.scale
    model = zoo.find("brought", module.scale)
    assert model.header.options == found.header.options and model.card["options"]["channels"] == module.feature_channels
    size = {0: "channels, .* blocks", 1: "groups of", 2: "heads, window"}[seed % 3]
    assert re.search(size, found.family)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_swinir_for_real_photos(tmp_path: Path, seed: int, scale: int) -> None:
    torch.manual_seed(seed)
    module = swinir(Random(seed), scale, "nearest+conv")
    torch.save({"params_ema": module.state_dict()}, tmp_path / "a.pth")
    assert "nearest+conv" in brought(tmp_path / "a.pth", module).family


@pytest.mark.parametrize("network", ["edsr", "rcan"])
@pytest.mark.parametrize("seed", range(3))
def test_one_step_networks_add_the_image(tmp_path: Path, network: str, seed: int) -> None:
    """As those that this project trains."""
    rng = Random(seed)
    torch.manual_seed(seed)
    size = {"channels": rng.randint(8, 20), "blocks": rng.randint(1, 5), "one_step": True, "image_skip": True}
    module = EDSR(3, **size) if network == "edsr" else RCAN(3, groups=2, squeeze=2, **size)
    torch.save(module.eval().state_dict(), tmp_path / "a.pth")
    brought(tmp_path / "a.pth", module)


@pytest.mark.parametrize(
    ("module", "options", "usual"),
    [
        (lambda **o: EDSR(2, channels=7, blocks=3, **o), {"res_scale": 0.37}, "res_scale 1"),
        (lambda **o: EDSR(2, channels=260, blocks=1, **o), {"res_scale": 1.0}, "res_scale 0.1"),
        (lambda **o: RCAN(3, channels=12, groups=2, blocks=1, squeeze=3, **o), {"res_scale": 0.5}, "value_range 255"),
        (lambda **o: EDSR(4, channels=5, blocks=2, **o), {"value_range": 1.0, "mean": (0.5, 0.4, 0.3)}, "255"),
        (lambda **o: SwinIR(2, channels=12, depths=(2,), heads=2, **o), {"mean": (0.0, 0.0, 0.0)}, "0.4488"),
        (lambda **o: EDSR(2, 24, 4, one_step=True, **o), {"image_skip": False}, "edsr_tiny"),
    ],
)
def test_what_shapes_cannot_tell(tmp_path: Path, module: Any, options: dict[str, Any], usual: str) -> None:
    """It is said what is taken, and an option gives another."""
    torch.manual_seed(0)
    made = module(**options).eval()
    torch.save(made.state_dict(), tmp_path / "a.pth")
    assert usual in " ".join(imports.inspect(tmp_path / "a.pth").notes)
    found = brought(tmp_path / "a.pth", made, options=options)
    assert dict(found.header.options).items() >= options.items()
    assert "As given: " in " ".join(found.notes)


@pytest.mark.parametrize("option", [{"heads": 3}, {"res_scale": "x"}, {"mean": [1, 2]}, {"image_skip": 1}])
def test_options_that_are_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    torch.save(EDSR(2, channels=7, blocks=3).state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match="--set"):
        imports.inspect(tmp_path / "a.pth", options=option)


def test_a_scale_that_is_not_supported(tmp_path: Path) -> None:
    state = EDSR(4, channels=7, blocks=3).state_dict()
    state["upsample.4.weight"], state["upsample.4.bias"] = state["upsample.0.weight"], state["upsample.0.bias"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(
        UserError, match=r"looks like EDSR x8 \(7 channels, 3 blocks\); give a network of scale 2, 3, 4"
    ):
        imports.inspect(tmp_path / "a.pth")
    torch.save(EDSR(3, channels=7, blocks=3).state_dict(), tmp_path / "b.pth")
    with pytest.raises(UserError, match=r"is not x2, but EDSR x3 \(7 channels"):
        imports.inspect(tmp_path / "b.pth", scale=2)


@pytest.mark.parametrize(
    ("window", "upsampler"),
    [(3, "pixelshuffledirect"), (5, "nearest+conv"), (7, "pixelshuffle"), (12, "nearest+conv"), (16, "pixelshuffle")],
)
def test_tiles_are_whole_windows(window: int, upsampler: Any) -> None:
    """Windows of any side: a tiled image is that of the whole."""
    torch.manual_seed(window)
    module = SwinIR(2, 12, (2,), 2, window, upsampler=upsampler, width=8).eval()
    image = torch.rand(1, 3, 150, 170)
    with torch.inference_mode():
        assert torch.allclose(infer.upscale(module, image, 2, tile=64), module(image), atol=1e-5)


def test_the_command_says_it_all(tmp_path: Path, run: Run) -> None:
    torch.manual_seed(0)
    module = EDSR(4, channels=9, blocks=3, res_scale=0.3)
    content = {"net_g": {f"module.{k}": v for k, v in module.state_dict().items()}, "iter": 7}
    torch.save(content | {"net_g_ema": module.state_dict()}, tmp_path / "net.ckpt")
    done = run("models", "import", tmp_path / "net.ckpt", "--set", "res_scale=0.3", "--key", "net_g")
    assert done.code == 0 and "EDSR, 9 channels, 3 blocks" in done.out
    assert "Weights under 'net_g' in the file, without the prefix 'module.'" in done.out
    assert "Also in the file: net_g_ema" in done.out and "value_range 255" in done.out
    assert json.loads(run("models", "--json").out)[0]["options"] == {}
    row = next(row for row in json.loads(run("models", "--json").out) if row["name"] == "net")
    assert row["options"]["res_scale"] == 0.3 and row["options"]["blocks"] == 3


# Any wrapping -----------------------------------------------------------------------------------------------


def wrapped(state: State, rng: Random) -> tuple[Any, list[str], str]:
    """A file with the state somewhere; the keys that lead to it, and the prefix of its own keys."""
    parts = rng.choices(("module", "_orig_mod", "model", "net_g", "generator", "x1", "G"), k=rng.randint(0, 4))
    prefix = "".join(f"{part}." for part in parts)
    content: Any = {prefix + key: value for key, value in state.items()}
    place: list[str] = []
    for _ in range(rng.randint(0, 6)):
        name = rng.choice(WORDS)
        content = {"epoch": 3, name: content, "lr": 1e-4, "log": ["a", {"b": None}], "norm": torch.ones(2)}
        place.insert(0, name)
        if rng.random() < 0.2:
            content = [content]
            place.insert(0, "0")
    if rng.random() < 0.5 and isinstance(content, dict):
        content["optimizer"] = {"state": {0: {"exp_avg": torch.zeros(3), "step": torch.ones(1)}}, "param_groups": [{}]}
    return content, place, prefix


@pytest.mark.parametrize("seed", range(30))
def test_any_depth_and_any_prefix(tmp_path: Path, seed: int) -> None:
    module = network(seed % 6)
    content, place, prefix = wrapped(dict(module.state_dict()), Random(seed))
    torch.save(content, tmp_path / "a.pth")
    found = imports.inspect(tmp_path / "a.pth")
    assert all(torch.equal(found.state[key], value) for key, value in module.state_dict().items())
    assert found.state.keys() == module.state_dict().keys()
    notes = " ".join(found.notes)
    assert (f"'{'.'.join(place)}' in the file" in notes) == bool(place) and "Also in the file" not in notes
    assert (f"without the prefix {prefix!r}" in notes) == bool(prefix)


@pytest.mark.parametrize("seed", SEEDS)
def test_prefixes_in_safetensors(tmp_path: Path, seed: int) -> None:
    module = network(seed)
    prefix = Random(seed).choice(("module.", "_orig_mod.module.", "params.", "net.module._orig_mod."))
    save_file({prefix + key: value for key, value in module.state_dict().items()}, tmp_path / "a.safetensors")
    assert repr(prefix) in " ".join(brought(tmp_path / "a.safetensors", module).notes)


AVERAGES = ("ema", "params_ema", "model_ema", "netG_ema", "ema_model", "swa", "emaModel", "averaged_model")


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("average", AVERAGES)
def test_an_average_is_preferred(tmp_path: Path, average: str, nested: bool) -> None:
    """Beside the plain weights, in dicts or by prefixes of one dict; ``--key`` chooses."""
    plain, averaged = network(0), network(0)
    with torch.no_grad():
        for parameter in averaged.parameters():
            parameter.mul_(0.9)
    states = {"online": plain.state_dict(), average: averaged.state_dict()}
    flat = {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}
    torch.save({"state_dict": states if nested else {**flat, "initted": torch.ones(1)}}, tmp_path / "a.ckpt")
    notes = " ".join(brought(tmp_path / "a.ckpt", averaged).notes)
    assert "Also in the file: state_dict.online; an average (EMA)" in notes and average in notes
    for key in ("online", "state_dict.online"):
        assert f"Also in the file: state_dict.{average}" in " ".join(brought(tmp_path / "a.ckpt", plain, key=key).notes)
    with pytest.raises(UserError, match=rf"--key nothing: .* state_dict.{average}, state_dict.online"):
        imports.inspect(tmp_path / "a.ckpt", key="nothing")


def test_a_copy_inside_of_the_weights(tmp_path: Path) -> None:
    """``model.*`` beside ``model.ema.*``: each without the other."""
    plain, averaged = network(0), network(3)
    state = dict(plain.state_dict()) | {f"ema.{key}": value for key, value in averaged.state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    assert "Also in the file: the rest" in " ".join(brought(tmp_path / "a.pth", averaged).notes)


@pytest.mark.parametrize("counters", [{"step": torch.tensor(7)}, {"lr": torch.tensor(1e-4), "epoch": torch.tensor(2)}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_counters_among_the_weights(tmp_path: Path, counters: State, prefix: str) -> None:
    module = network(2)
    torch.save({prefix + key: value for key, value in (module.state_dict() | counters).items()}, tmp_path / "a.pth")
    assert "Also in" not in " ".join(brought(tmp_path / "a.pth", module).notes)


def test_averaged_model_of_torch(tmp_path: Path) -> None:
    module = network(1)
    average = torch.optim.swa_utils.AveragedModel(module)
    torch.save({"model": average.state_dict()}, tmp_path / "a.pth")
    brought(tmp_path / "a.pth", module)


def test_of_several_scales_the_chosen_one(tmp_path: Path) -> None:
    modules = {scale: EDSR(scale, channels=6, blocks=2).eval() for scale in (2, 3, 4)}
    torch.save({f"x{scale}": module.state_dict() for scale, module in modules.items()}, tmp_path / "a.pth")
    for scale, module in modules.items():
        brought(tmp_path / "a.pth", module, scale=scale)
        brought(tmp_path / "a.pth", module, key=f"x{scale}")


def test_numpy_is_plain_data(tmp_path: Path) -> None:
    """Scores as NumPy's numbers beside the weights, and weights as its arrays."""
    module = network(0)
    arrays = {key: value.numpy() for key, value in module.state_dict().items()}
    for content in (arrays, {"best": np.float64(31.2), "curve": np.arange(3), "net": module.state_dict()}):
        torch.save(content, tmp_path / "a.pth")
        brought(tmp_path / "a.pth", module)


@pytest.mark.parametrize("name", ["a.pth", "a.pth.tar", "a", "a.bin"])
def test_safetensors_under_another_name(tmp_path: Path, name: str) -> None:
    module = network(1)
    save_file(module.state_dict(), tmp_path / name)
    brought(tmp_path / name, module)


def test_a_file_of_torch_called_safetensors(tmp_path: Path) -> None:
    module = network(2)
    torch.save(module.state_dict(), tmp_path / "a.safetensors")
    brought(tmp_path / "a.safetensors", module)


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [5, "text", None, 2.5, [], [1, [2]], {}, {"a": "b"}, torch.zeros(3)], ids=range(9))
def test_no_weights_at_all(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match="contains no state dict of tensors"):
        imports.inspect(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v * float("nan"), "conv_first.weight holds values that are not finite"),
        (lambda v: v / 0.0, "not finite"),
        (lambda v: v.to_sparse(), "float32 numbers of a sparse kind"),
        (lambda v: v.to(torch.complex64), "complex64 numbers"),
        (lambda v: (100 * v).to(torch.int8), "int8 numbers"),
        (lambda v: v.to(torch.float8_e4m3fn), "float8_e4m3fn numbers"),
    ],
)
def test_weights_that_nobody_can_compute_with(tmp_path: Path, change: Callable[..., Any], message: str) -> None:
    state = network(0).state_dict()
    torch.save({**state, "conv_first.weight": change(state["conv_first.weight"])}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=message):
        imports.inspect(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"\n<!DOCTYPE html>", "a web page"),
        (b"\x89HDF\r\n", "HDF5"), (b"GGUF\3", "GGUF"), (b"\x08\x07\x12\x07pytorch", "ONNX"),
    ],
    ids=range(5),
)  # fmt: skip
def test_what_is_no_checkpoint_is_named(tmp_path: Path, start: bytes, message: str) -> None:
    (tmp_path / "a.pth").write_bytes(start + bytes(60))
    with pytest.raises(UserError, match=message):
        imports.inspect(tmp_path / "a.pth")


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_too_many_or_too_few(tmp_path: Path, seed: int) -> None:
    """Compared with the network of that size, not with one that is bundled."""
    state = network(seed).state_dict()
    torch.save({**state, "body.extra": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"looks like \w+ x\d \(.*\), but body.extra is unexpected"):
        imports.inspect(tmp_path / "a.pth")
    torch.save({key: value for key, value in state.items() if key != "conv_first.bias"}, tmp_path / "b.pth")
    with pytest.raises(UserError, match=r"looks like \w+ x\d \(.*\), but conv_first.bias is missing"):
        imports.inspect(tmp_path / "b.pth")


@pytest.mark.parametrize("seed", range(3))
def test_a_missing_block_is_named(tmp_path: Path, seed: int) -> None:
    module = [
        EDSR(3, channels=7, blocks=5),
        RCAN(2, channels=8, groups=4, blocks=2, squeeze=4),
        SwinIR(4, channels=24, depths=(3, 1), heads=(2, 2), window=4),
    ][seed]
    block = ("body.1.", "body.1.", "layers.0.residual_group.blocks.1.")[seed]
    state = {key: value for key, value in module.state_dict().items() if not key.startswith(block)}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(
        UserError, match=rf"looks like \w+ x{module.scale} \(.*\), but {re.escape(block)}\S+ is missing"
    ):
        imports.inspect(tmp_path / "a.pth")


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_byte_is_noticed(tmp_path: Path, seed: int) -> None:
    """``torch.load`` takes such a file; files that were saved without checksums are taken here, too."""
    path, module = tmp_path / "a.pth", network(seed)
    torch.save(module.state_dict(), path)
    content = bytearray(path.read_bytes())
    weights = module.state_dict()["conv_first.weight"].numpy().tobytes()
    content[content.index(weights) + 5] ^= 64
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a.pth: damaged \(1 of its parts"):
        imports.inspect(path)
    torch.serialization.set_crc32_options(compute_crc32=False)
    try:
        torch.save(module.state_dict(), path)
    finally:
        torch.serialization.set_crc32_options(compute_crc32=True)
    brought(path, module)


class Options:
    """Something of a trainer's own, as its files hold it."""

    lr = 1e-4


@pytest.mark.parametrize("form", ["dict", "module", "deep", "script"])
def test_two_lines_of_python_convert_what_holds_more(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = EDSR(2, channels=5, blocks=2).eval()
    content: Any = {"model": module.state_dict(), "args": Options(), "epoch": 3}
    content = {"dict": content, "module": module, "script": None, "deep": {"a": {"trainer": content, "net": module}}}[
        form
    ]
    file = tmp_path / "net x2.pth"
    if form == "script":
        torch.jit.save(torch.jit.trace(module, torch.rand(1, 3, 8, 8)), file)
    else:
        torch.save(content, file)
    with pytest.raises(UserError, match="refused, no code in it was run") as caught:
        imports.inspect(file)
    first, second = re.findall(r"`([^`]+)`", str(caught.value))
    monkeypatch.chdir(tmp_path)
    exec(compile(f"{first}\n{second}", "lines", "exec"), {})
    brought(tmp_path / "net x2-weights.pth", module)


OTHERS = {
    "RRDB": ["conv_first.weight", "body.0.rdb1.conv1.weight", "conv_body.weight", "conv_last.weight"],
    "RRDB (ESRGAN": ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight", "model.1.sub.23.weight"],
    "RRDB (": ["conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight", "trunk_conv.weight"],
    "HAT": ["conv_first.weight", "layers.0.residual_group.blocks.0.conv_block.cab.0.weight"],
    "HAT ": ["conv_first.weight", "layers.0.residual_group.overlap_attn.relative_position_bias_table"],
    "DAT": ["conv_first.weight", "before_RG.1.weight", "layers.0.blocks.0.attn.attns.0.rpe_biases"],
    "RGT": ["before_RG.1.weight", "layers.0.blocks.0.gamma", "layers.0.blocks.0.attn.attns.0.rpe_biases"],
    "DRCT": ["conv_first.weight", "layers.0.swin1.attn.qkv.weight", "layers.0.adjust1.weight"],
    "ATD": ["conv_first.weight", "layers.0.residual_group.td", "layers.0.residual_group.layers.0.wqkv.weight"],
    "Swin2SR": ["conv_first.weight", "layers.0.residual_group.blocks.0.attn.logit_scale"],
    "SRFormer": ["conv_first.weight", "layers.0.residual_group.blocks.0.attn.aligned_relative_position_index"],
    "OmniSR": ["residual_layer.0.residual_layer.0.layer.0.fn.0.weight", "input.weight", "up.0.weight"],
    "PLKSR": ["feats.0.weight", "feats.1.lk.conv.weight", "feats.1.channe_mixer.0.weight"],
    "SAFMN": ["to_feat.weight", "feats.0.safm.mfr.0.weight", "to_img.0.weight"],
    "RealCUGAN": ["unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight"],
    "SCUNet": ["m_head.0.weight", "m_tail.0.weight", "m_body.0.trans_block.ln1.weight"],
    "NAFNet": ["intro.weight", "middle_blks.0.beta", "middle_blks.0.conv1.weight", "ending.weight"],
    "SRResNet": ["conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_hr.weight", "conv_last.weight"],
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are wrapped in, with the ways to bring them."""
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    rng = Random(name)
    state = {key: torch.zeros(4, 3, 3, 3) for key in OTHERS[name]}
    for content in (state, wrapped(state, rng)[0], wrapped(state, rng)[0]):
        torch.save(content, tmp_path / "a.pth")
        with pytest.raises(UserError, match=rf"looks like {re.escape(name.strip())}.*pip install.*or a plugin"):
            imports.inspect(tmp_path / "a.pth")


def test_networks_of_ours_look_like_none_of_others() -> None:
    assert not any(looks_like(network(seed).state_dict()) for seed in range(9))
    assert looks_like(nn.Sequential(nn.Linear(2, 2)).state_dict()) is None and len(PATTERNS) > 20
