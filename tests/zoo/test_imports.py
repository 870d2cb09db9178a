"""Checkpoints from elsewhere: detected, right in every pixel, kept with a card; what is wrong is told in one line."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.networks.edsr import EDSR
from mtkd.training.recipe import Recipe
from mtkd.training.stages import prepare
from mtkd.zoo import imports
from mtkd.zoo.checkpoints import read_state, save_weights
from mtkd.zoo.headers import Header
from tests.conftest import Run
from tests.training.conftest import small_recipe, write_images, write_model

State = dict[str, Tensor]
MEAN = (0.4488, 0.4371, 0.4040)
"""Of DIV2K, as the original EDSR and RCAN programs have it."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for own models; files to bring lie outside of it."""
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_ZOO", raising=False)
    return tmp_path / "home"


# Public forms, made here of random weights -----------------------------------------------------------------


def conv(state: State, stem: str, out: int, into: int, side: int = 3) -> None:
    state[f"{stem}.weight"] = torch.randn(out, into, side, side) / math.sqrt(into * side * side)
    state[f"{stem}.bias"] = 0.1 * torch.randn(out)


def around(state: State, scale: int, channels: int, value_range: float = 255) -> None:
    """The original programs' head, tail and mean-shift layers."""
    for layer, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{layer}.weight"] = torch.eye(3).view(3, 3, 1, 1)
        state[f"{layer}.bias"] = sign * value_range * torch.tensor(MEAN)
    conv(state, "head.0", channels, 3)
    for k in (0, 2) if scale == 4 else (0,):
        conv(state, f"tail.0.{k}", channels * (9 if scale == 3 else 4), channels)
    conv(state, "tail.1", 3, channels)


def original_edsr(scale: int, channels: int = 64, blocks: int = 16, value_range: float = 255) -> State:
    state: State = {}
    around(state, scale, channels, value_range)
    for i in range(blocks):
        conv(state, f"body.{i}.body.0", channels, channels)
        conv(state, f"body.{i}.body.2", channels, channels)
    conv(state, f"body.{blocks}", channels, channels)
    return state


def original_rcan(scale: int, groups: int = 10, blocks: int = 6) -> State:
    state: State = {}
    around(state, scale, 64)
    for g in range(groups):
        for b in range(blocks):
            stem = f"body.{g}.body.{b}.body"
            conv(state, f"{stem}.0", 64, 64)
            conv(state, f"{stem}.2", 64, 64)
            state[f"{stem}.2.weight"] *= 0.1  # sixty or two hundred residuals add up
            conv(state, f"{stem}.3.conv_du.0", 4, 64, 1)
            conv(state, f"{stem}.3.conv_du.2", 64, 4, 1)
        conv(state, f"body.{g}.body.{blocks}", 64, 64)
    conv(state, f"body.{groups}", 64, 64)
    return state


def run_original(
    state: State, image: Tensor, body: Callable[[Callable[..., Tensor], Tensor], Tensor], value_range: float = 255
) -> Tensor:
    """The original programs' forward: 0..255 in and out, centred by 1x1 convolutions; ``image`` in [0, 1]."""

    def layer(stem: str, x: Tensor) -> Tensor:
        weight = state[f"{stem}.weight"]
        return F.conv2d(x, weight, state[f"{stem}.bias"], padding=weight.shape[-1] // 2)

    x = layer("head.0", layer("sub_mean", value_range * image))
    x = x + body(layer, x)
    for k in (0, 2):
        if f"tail.0.{k}.weight" in state:
            x = layer(f"tail.0.{k}", x)
            x = F.pixel_shuffle(x, 3 if x.shape[1] == 9 * 64 else 2)
    return layer("add_mean", layer("tail.1", x)) / value_range


def edsr_body(blocks: int, res_scale: float) -> Callable[..., Tensor]:
    def body(layer: Callable[..., Tensor], x: Tensor) -> Tensor:
        for i in range(blocks):
            x = x + res_scale * layer(f"body.{i}.body.2", layer(f"body.{i}.body.0", x).relu())
        return layer(f"body.{blocks}", x)

    return body


def rcan_body(groups: int, blocks: int) -> Callable[..., Tensor]:
    def body(layer: Callable[..., Tensor], x: Tensor) -> Tensor:
        for g in range(groups):
            inner = x
            for b in range(blocks):
                stem = f"body.{g}.body.{b}.body"
                r = layer(f"{stem}.2", layer(f"{stem}.0", inner).relu())
                mean = r.mean((2, 3), keepdim=True)
                gate = layer(f"{stem}.3.conv_du.2", layer(f"{stem}.3.conv_du.0", mean).relu())
                inner = inner + r * gate.sigmoid()
            x = x + layer(f"body.{g}.body.{blocks}", inner)
        return layer(f"body.{groups}", x)

    return body


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def state_of(network: str, scale: int) -> State:
    torch.manual_seed(0)
    return dict(networks.build(network, scale).state_dict())


# What is detected, and that it is right ---------------------------------------------------------------------


def check_pixels(file: Path, expected: Callable[[Tensor], Tensor], network: str, scale: int, dropped: int) -> None:
    found = imports.inspect(file)
    assert (found.header.network, found.header.scale, len(found.dropped)) == (network, scale, dropped)
    model = imports.add(found, "brought")
    assert model.path == imports.folder() / f"brought_x{scale}.safetensors"
    image = torch.rand(1, 3, 9, 10)
    with torch.inference_mode():
        reference = expected(image)
        assert reference.std() > 0.01  # something is computed
        assert torch.allclose(zoo.load("brought", scale)(image), reference, rtol=1e-3, atol=1e-4)
    assert {value.dtype for value in read_state(model.path).values()} == {torch.float32}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_original_edsr(tmp_path: Path, scale: int) -> None:
    torch.manual_seed(scale)
    state = original_edsr(scale)
    file = saved(tmp_path / "edsr_baseline.pt", state)
    check_pixels(file, lambda x: run_original(state, x, edsr_body(16, 1)), "edsr_baseline", scale, 4)


@pytest.mark.slow
def test_the_full_edsr_weakens_its_residuals(tmp_path: Path) -> None:
    """The factor 0.1 is not in the file; without it the image would be another."""
    torch.manual_seed(0)
    state = original_edsr(2, channels=256, blocks=32)
    file = saved(tmp_path / "EDSR_x2.pt", state)
    assert re.search(r"0\.1\b", " ".join(imports.inspect(file).notes))
    check_pixels(file, lambda x: run_original(state, x, edsr_body(32, 0.1)), "edsr", 2, 4)


@pytest.mark.parametrize(("blocks", "network", "scale"), [(6, "rcan_lightweight", 3), (20, "rcan", 4)])
def test_original_rcan(tmp_path: Path, blocks: int, network: str, scale: int) -> None:
    torch.manual_seed(0)
    state = original_rcan(scale, blocks=blocks)
    file = saved(tmp_path / "RCAN.pt", state)
    check_pixels(file, lambda x: run_original(state, x, rcan_body(10, blocks)), network, scale, 4)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("network", ["swinir", "swinir_lightweight"])
def test_swinir_with_its_computed_buffers(tmp_path: Path, network: str, scale: int) -> None:
    state = state_of(network, scale)
    block = "layers.0.residual_group.blocks.1"
    buffers = {f"{block}.attn_mask": torch.zeros(36, 64, 64), f"{block}.attn.relative_position_index": torch.zeros(2)}
    found = imports.inspect(saved(tmp_path / "a.pth", {"params": state | buffers}))
    assert (found.header.network, found.header.scale, found.family) == (network, scale, "SwinIR")
    assert set(found.dropped) == set(buffers)
    assert all(torch.equal(found.state[key], value) for key, value in state.items())


@pytest.mark.parametrize("form", ["params", "params_ema", "plain", "parallel", "safetensors", "half"])
@pytest.mark.parametrize("network", ["edsr_tiny", "rcan_tiny", "swinir_tiny", "edsr_mini"])
def test_names_of_basicsr(tmp_path: Path, form: str, network: str) -> None:
    state = state_of(network, 3)
    file = tmp_path / ("a.safetensors" if form == "safetensors" else "a.pth")
    if form == "safetensors":
        save_file(state, file, {"format": "pt"})
    elif form == "parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, file)
    elif form == "half":
        torch.save({key: value.half() for key, value in state.items()}, file)
    else:
        torch.save(state if form == "plain" else {form: state}, file)
    found = imports.inspect(file)
    assert (found.header.network, found.header.scale, found.dropped) == (network, 3, ())
    assert found.parameters == sum(value.numel() for value in state.values())
    model = imports.add(found, "brought")
    for key, value in read_state(model.path).items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[key].half().float() if form == "half" else state[key])


def test_a_file_of_this_project_is_what_it_says(tmp_path: Path) -> None:
    write_model(tmp_path, "ada", "edsr_tiny", 1)
    (tmp_path / "ada_x2.json").write_text(json.dumps({"iterations": 12, "deviations": ["one"]}))
    found = imports.inspect(tmp_path / "ada_x2.safetensors")
    assert found.header == Header("ada", "edsr_tiny", 2)
    model = imports.add(found)
    assert (model.card["iterations"], model.card["deviations"]) == (12, ["one"])  # how it was trained is still known
    with pytest.raises(UserError, match="a checkpoint of edsr_tiny x2; choose that"):
        imports.inspect(tmp_path / "ada_x2.safetensors", scale=4)
    state = read_state(tmp_path / "ada_x2.safetensors")
    save_file(state, tmp_path / "lies.safetensors", Header("ada", "edsr_tiny", 3).metadata())
    with pytest.raises(UserError, match=r"its header says edsr_tiny x3, but upsample\.0\.weight is"):
        imports.inspect(tmp_path / "lies.safetensors")


def test_an_aggregator_comes_after_its_teachers(tmp_path: Path) -> None:
    write_model(tmp_path, "ada", "edsr_mini", 1)
    write_model(tmp_path, "bob", "edsr_mini", 2)
    write_model(tmp_path, "merged", "aggregator_mini", 3, teachers=("ada", "bob"))
    found = imports.inspect(tmp_path / "merged_x2.safetensors")
    assert found.role == "aggregator" and found.header.teachers == ("ada", "bob")
    with pytest.raises(UserError, match="an aggregator of ada, bob: unknown model 'ada'"):
        imports.add(found)
    for name in ("ada", "bob"):
        imports.add(imports.inspect(tmp_path / f"{name}_x2.safetensors"))
    imports.add(found)
    assert zoo.load("merged", 2)(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)
    with pytest.raises(UserError, match="ada is a teacher of merged; remove that first"):
        imports.remove("ada", 2)


# Keeping ---------------------------------------------------------------------------------------------------


def test_the_card_and_the_lists(tmp_path: Path) -> None:
    file = saved(tmp_path / "My net (new)_x4.pth", {"params": state_of("edsr_tiny", 4)})
    file.with_suffix(".json").write_text('["options of another program"]')
    model = imports.add(imports.inspect(file))
    assert model.name == "My-net-new"
    card = json.loads((imports.folder() / "My-net-new_x4.json").read_text())
    assert card["source"]["file"] == file.name
    assert card["source"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (card["network"], card["scale"], card["role"]) == ("edsr_tiny", 4, "student")
    assert re.match(r"\d{4}-\d\d-\d\dT", card["imported"])
    assert ("My-net-new", False) in [(m.name, m.bundled) for m in zoo.models(4)]
    assert [m.name for m in imports.own()] == ["My-net-new"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("edsr_baseline_x4-6b446fab", "edsr_baseline"),
        ("RCAN_BIX2", "RCAN_BI"),
        ("edsr_mini", "edsr_mini-own"),
        ("bicubic", "bicubic-own"),
        ("rcan_tiny-kd@500", "rcan_tiny-kd-500"),
        ("../ü", "own"),
    ],
)
def test_suggested_names_can_be_used(stem: str, name: str) -> None:
    assert imports.inspect.__module__ == "mtkd.zoo.detect"
    from mtkd.zoo.detect import suggested_name

    assert suggested_name(stem) == name
    imports._check_name(Header(name, "edsr_tiny", 4), False)


def test_names_are_those_of_recipes() -> None:
    pattern = next(m.pattern for m in Recipe.model_fields["name"].metadata if hasattr(m, "pattern"))
    assert pattern == f"^{imports.NAME}$"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("edsr_mini", "is that of a bundled model; choose another"),
        ("bicubic", "is reserved"),
        ("LR", "is reserved"),
        ("../x", "use letters, digits"),
        ("a b", "use letters, digits"),
        ("x\n", "use letters, digits"),
        ("<img>", "use letters, digits"),
        ("x" * 300, "cannot be written"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, home: Path, name: str, message: str) -> None:
    """Also at a scale that the bundled model does not come in."""
    found = imports.inspect(saved(tmp_path / "a.pth", state_of("edsr_tiny", 3)))
    with pytest.raises(UserError, match=message):
        imports.add(found, name)
    assert not list(home.rglob("*.safetensors"))


def test_names_of_models_elsewhere_are_refused(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zoo").mkdir()
    write_model(tmp_path / "zoo", "ada", "edsr_tiny", 1)
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path / "zoo"))
    found = imports.inspect(saved(tmp_path / "a.pth", state_of("edsr_tiny", 2)))
    with pytest.raises(UserError, match="name 'ada' is that of a model in"):
        imports.add(found, "ada", replace=True)
    assert not home.exists()


def test_a_file_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    found = imports.inspect(saved(tmp_path / "a.pth", state_of("edsr_tiny", 4)))
    imports.folder().mkdir(parents=True)
    damaged = imports.folder() / "mine_x4.safetensors"
    damaged.write_text("once a model")
    for replace in (False, True):
        with pytest.raises(UserError, match=r"mine_x4\.safetensors: exists, but is not a readable model; move it"):
            imports.add(found, "mine", replace)
    assert damaged.read_text() == "once a model"
    assert imports.add(found, "other").path.is_file()


def test_a_damaged_file_in_a_callers_folder_is_no_namesakes_turn(tmp_path: Path) -> None:
    """A run whose teacher's weights are damaged must not go on with a bundled model of that name."""
    run = tmp_path / "edsr_mini_x4_s2-0123abcd"
    run.mkdir()
    (run / "model.safetensors").write_text("once a teacher")
    assert zoo.find("edsr_mini", 4).bundled
    for call in (lambda: zoo.find("edsr_mini", 4, (tmp_path,)), lambda: zoo.models(4, (tmp_path,))):
        with pytest.raises(UserError, match=r"0123abcd.model\.safetensors: not a readable safetensors file"):
            call()


def test_nothing_is_replaced_or_removed_for_good(tmp_path: Path) -> None:
    first, second = (saved(tmp_path / f"{n}.pth", state_of(n, 4)) for n in ("edsr_tiny", "rcan_tiny"))
    imports.add(imports.inspect(first), "mine")
    with pytest.raises(UserError, match="a model 'mine' exists at scale 4; replace it"):
        imports.add(imports.inspect(second), "mine")
    before = (imports.folder() / "mine_x4.safetensors").read_bytes()
    assert zoo.find("mine", 4).header.network == "edsr_tiny"
    imports.add(imports.inspect(second), "mine", replace=True)
    assert zoo.find("mine", 4).header.network == "rcan_tiny"
    aside = list((imports.folder() / "removed").glob("mine_x4-*.safetensors"))
    assert [path.read_bytes() for path in aside] == [before] and aside[0].with_suffix(".json").exists()
    kept = imports.remove("mine", 4)
    assert kept.exists() and kept.with_suffix(".json").exists() and imports.own() == []
    assert "mine" not in {model.name for model in zoo.models()}
    for name in ("mine", "edsr_mini"):
        with pytest.raises(UserError, match=f"no imported model '{name}' at scale 4"):
            imports.remove(name, 4)


def test_one_name_at_several_scales(tmp_path: Path) -> None:
    for scale in (2, 4):
        imports.add(imports.inspect(saved(tmp_path / f"a{scale}.pth", state_of("edsr_tiny", scale))), "mine")
    imports.remove("mine", 2)
    assert [(m.name, m.scale) for m in imports.own()] == [("mine", 4)]


@pytest.mark.parametrize("network", ["edsr_tiny", "edsr_mini"])
def test_any_own_model_can_teach(tmp_path: Path, network: str) -> None:
    """A recipe names it as a teacher, whatever its role in the paper: its outputs are learned from."""
    model = imports.add(imports.inspect(saved(tmp_path / "a.pth", state_of(network, 2))), "brought")
    images = write_images(tmp_path / "images")
    recipe = small_recipe(images, stage="distill", method={"name": "kd"}, teachers=["brought"])
    stage = prepare(recipe, torch.device("cpu"), tmp_path / "cache", lambda *_: None)
    batch = stage.batch(0)
    with torch.inference_mode():
        expected = zoo.load("brought", 2)(stage.held_out[0].lr[None].float() / 255)
    assert torch.equal(stage.predict(stage.frozen["brought"], 0), expected)
    assert set(batch.outputs) == {"brought"} and model.role in ("student", "teacher")


# Refusals --------------------------------------------------------------------------------------------------


def refusal(file: Path, **choice: Any) -> str:
    with pytest.raises(UserError) as caught:
        imports.inspect(file, **choice)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    return str(caught.value).removeprefix(f"{file}: ")


def test_no_checkpoints(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path)
    assert refusal(tmp_path / "none.pt") == "no such file"
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))
    for name in ("a.pt", "a.safetensors"):
        (tmp_path / name).write_bytes(b"")
        assert refusal(tmp_path / name) == "an empty file"
        (tmp_path / name).write_text("not weights but a poem\n" * 30)
        assert refusal(tmp_path / name).startswith("not a")
    save_file(state_of("edsr_tiny", 2), tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:20_000])
    assert "not a readable weights file" in refusal(tmp_path / "cut.safetensors")
    saved(tmp_path / "whole.pt", state_of("edsr_tiny", 2))
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:20_000])
    assert "not a readable weights file" in refusal(tmp_path / "cut.pt")
    assert len(refusal(tmp_path / "cut.pt")) < 160


class Payload:
    """Makes a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_code_is_not_run(tmp_path: Path, form: str) -> None:
    mark = tmp_path / "was run"
    content = {"params": state_of("edsr_tiny", 2), "extra": Payload(mark)}
    if form == "torch":
        torch.save(content, tmp_path / "a.pth")
    else:
        (tmp_path / "a.pth").write_bytes(pickle.dumps(Payload(mark)))
    assert "no code in it was run" in refusal(tmp_path / "a.pth")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(mark)))  # the payload itself works
    assert mark.exists()


def test_other_architectures(tmp_path: Path) -> None:
    rrdb = {f"body.{i}.rdb{k}.conv{j}.weight": torch.zeros(2, 2) for i in range(4) for k in (1, 2, 3) for j in (1, 2)}
    file = saved(tmp_path / "esrgan.pth", {"params_ema": {"conv_first.weight": torch.zeros(64, 3, 3, 3)} | rrdb})
    for choice in ({}, {"network": "edsr"}, {"scale": 4}):
        message = refusal(file, **choice)
        assert re.search(r"not weights of .*EDSR.*; looks like RRDB", message)


def test_the_nearest_network_and_what_differs(tmp_path: Path) -> None:
    state = EDSR(4, channels=64, blocks=16).state_dict()
    del state["body.7.conv1.bias"]
    message = refusal(saved(tmp_path / "a.pth", state))
    assert "looks like EDSR, but with other layers; the closest is edsr_baseline x4: body.7.conv1.bias is m" in message
    file = saved(tmp_path / "b.pth", EDSR(4, channels=60, blocks=7).state_dict())
    message = refusal(file, network="edsr_baseline", scale=4)
    assert "is not edsr_baseline x4 but EDSR x4 of 60 channels, 7 blocks" in message
    assert "conv_first.weight is (60, 3, 3, 3), should be (64, 3, 3, 3)" in message


def test_a_wrong_choice(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.pth", state_of("rcan_tiny", 4))
    assert imports.inspect(file, "rcan_tiny", 4).header.network == "rcan_tiny"
    message = refusal(file, scale=2)
    assert message.startswith(
        "is not rcan_tiny x2 but rcan_tiny x4: upsample.0.weight is (48, 24, 3, 3), should be (12"
    )
    assert "is not swinir x4 but rcan_tiny x4" in refusal(file, network="swinir", scale=4)
    assert refusal(file, network="rcan_tiny", scale=5) == "rcan_tiny does not support scale 5"
    for name in ("rcan_tin", "aggregator_mini"):
        with pytest.raises(UserError, match=f"unknown network '{name}'"):
            imports.inspect(file, network=name)


@pytest.mark.parametrize("value_range", [1, 20])
def test_another_value_range(tmp_path: Path, value_range: float) -> None:
    """The original programs can train in another range as well: their first layer says in which."""
    torch.manual_seed(0)
    state = original_edsr(2, value_range=value_range)
    found = imports.inspect(saved(tmp_path / "a.pt", state))
    assert dict(found.header.options) == {"value_range": value_range}
    imports.add(found, "brought")
    image = torch.rand(1, 3, 9, 10)
    with torch.inference_mode():
        expected = run_original(state, image, edsr_body(16, 1), value_range)
        assert torch.allclose(zoo.load("brought", 2)(image), expected, rtol=1e-3, atol=1e-3)


def test_another_mean_colour_is_refused(tmp_path: Path) -> None:
    state = original_edsr(2)
    state["sub_mean.bias"] = torch.tensor([-127.5, -127.5, -127.5])
    message = refusal(saved(tmp_path / "a.pt", state))
    assert "sub_mean.bias is -127.50, -127.50, -127.50" in message and "-114.44, -111.46, -103.02" in message


def test_damage_is_a_refusal_or_weights(tmp_path: Path) -> None:
    save_weights(tmp_path / "a.safetensors", networks.build("edsr_tiny", 2), Header("a", "edsr_tiny", 2))
    torch.save({"params": state_of("edsr_tiny", 2)}, tmp_path / "a.pth")
    rng = np.random.default_rng(0)
    for name in ("a.safetensors", "a.pth"):
        whole = (tmp_path / name).read_bytes()
        for _ in range(30):
            damaged = bytearray(whole)
            for place in rng.integers(0, 3000, 3):
                damaged[place] = rng.integers(256)
            (tmp_path / name).write_bytes(damaged)
            try:
                assert imports.inspect(tmp_path / name).header.network == "edsr_tiny"
            except UserError:
                continue


# Command line ----------------------------------------------------------------------------------------------


def test_models_import(tmp_path: Path, home: Path, run: Run, refused: Callable[..., str]) -> None:
    file = saved(tmp_path / "edsr_tiny_x4.pth", {"params": state_of("edsr_tiny", 4)})
    outcome = run("models", "import", file)
    assert outcome.code == 0 and outcome.err == ""
    first, place, note, where = outcome.out.splitlines()
    assert place == "Weights under 'params' in the file."
    assert first == "edsr_tiny x4: EDSR (edsr_tiny, 57,960 parameters)" and "residual" in note
    assert where == str(home / "models" / "edsr_tiny_x4.safetensors")
    assert "replace it, or choose another name" in refused("models", "import", file)
    assert "unknown network 'edrs'; did you mean 'edsr'" in refused("models", "import", file, "--network", "edrs")
    assert "--scale 7: give 2, 3 or 4" in refused("models", "import", file, "--scale", 7)
    assert "is not edsr_tiny x2 but edsr_tiny x4" in refused("models", "import", file, "--scale", 2)
    row = json.loads(run("models", "import", file, "--name", "mine", "--json").out)
    assert (row["name"], row["network"], row["scale"], row["bundled"]) == ("mine", "edsr_tiny", 4, False)
    assert run("models", "import", file, "--name", "mine", "--replace").code == 0
    assert re.search(r"^mine +mine +student +4 +57,960 +no$", run("models").out, re.MULTILINE)
    assert {"mine", "edsr_tiny"} <= {row["name"] for row in json.loads(run("models", "--json").out)}


def test_the_command_as_a_process(tmp_path: Path, home: Path) -> None:
    """As a person types it, from another folder; code in a file is not run."""
    saved(tmp_path / "net.pth", state_of("rcan_tiny", 4))
    mark = tmp_path / "was run"
    torch.save({"w": torch.zeros(1), "extra": Payload(mark)}, tmp_path / "bad.pth")

    def mtkd(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mtkd.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    assert mtkd("models", "import", "net.pth", "--name", "brought").returncode == 0
    assert (home / "models" / "brought_x4.safetensors").exists()
    bad = mtkd("models", "import", "bad.pth")
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and "no code in it was run" in bad.stderr
    assert not mark.exists()
