"""Architectures that spandrel knows: the same pixels as its own loader gives; plain words where it is absent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explore import compare
from mtkd.networks import parameter_count
from mtkd.zoo import imports
from mtkd.zoo.checkpoints import save_state
from mtkd.zoo.costs import parts
from mtkd.zoo.headers import Header
from tests.conftest import Run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MTKD_ZOO", raising=False)
    return tmp_path / "home"


@pytest.fixture
def spandrel() -> ModuleType:
    try:
        import spandrel
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the extra 'community' ({error})")
    return spandrel


def network(kind: str) -> torch.nn.Module:
    """A small one with random weights, of spandrel's own code."""
    from spandrel.architectures import DAT, ESRGAN, HAT, RCAN, SwinIR
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    made: dict[str, Any] = {
        "esrgan x4": lambda: ESRGAN.ESRGAN(num_filters=16, num_blocks=2, scale=4),
        "rcan x3": lambda: RCAN.RCAN(scale=3, n_resgroups=2, n_resblocks=2, n_feats=32, reduction=8),
        "swinir x2": lambda: SwinIR.SwinIR(
            upscale=2, embed_dim=24, depths=[2, 2], num_heads=[2, 2], window_size=8, upsampler="pixelshuffledirect"
        ),
        "hat x4": lambda: HAT.HAT(
            upscale=4, embed_dim=96, depths=(2,), num_heads=(2,), window_size=8, upsampler="pixelshuffle"
        ),
        "dat x2": lambda: DAT.DAT(upscale=2, embed_dim=24, depth=[2], num_heads=[2], split_size=[8, 8]),
        "grey x2": lambda: SRVGGNetCompact(num_in_ch=1, num_out_ch=1, num_feat=16, num_conv=4, upscale=2),
        "compact x1": lambda: SRVGGNetCompact(num_feat=16, num_conv=4, upscale=1),
    }
    return made[kind]().eval()


@pytest.mark.parametrize("kind", ["esrgan x4", "rcan x3", "swinir x2", "hat x4", "dat x2"])
def test_same_pixels_as_spandrels_own_loader(spandrel: ModuleType, tmp_path: Path, kind: str) -> None:
    file, scale = tmp_path / "net.pth", int(kind[-1])
    state = network(kind).state_dict()
    flat = torch.cat([value.reshape(-1).float() for value in state.values()])
    parts_of = flat.split([value.numel() for value in state.values()])  # weights that share their memory
    shared = {k: p.view(v.shape).to(v.dtype) for (k, v), p in zip(state.items(), parts_of, strict=True)}
    torch.save({"params": shared}, file)
    found = imports.inspect(file)
    assert (found.header.network, found.header.scale, found.role) == ("community", scale, "teacher")
    assert found.family.lower() == kind.split()[0]
    model = imports.add(found, "brought")
    reference = spandrel.ModelLoader().load_from_file(file)
    image = torch.rand(1, 3, 17, 19)
    loaded = zoo.load("brought", scale)
    with torch.inference_mode():
        expected = reference(image.clone())  # its RCAN writes into its input
        assert expected.std() > 0.001 and expected.shape == (1, 3, 17 * scale, 19 * scale)
        before = image.clone()
        assert torch.equal(loaded(image), expected) and torch.equal(image, before)
    assert model.summary()["parameters"] == parameter_count(reference.model) == found.parameters
    assert ("brought", "teacher") in [(m.name, m.role) for m in zoo.models(scale)]
    row = compare((torch.rand(24, 24, 3) * 255).byte().numpy(), ["bicubic", "brought"], scale)["brought"]
    assert row.role == "teacher" and row.image.shape == (24, 24, 3)
    assert parts("brought", scale)["brought"] > 0
    x = image.requires_grad_()
    loaded(x).sum().backward()  # attribution asks for gradients
    assert x.grad is not None and x.grad.abs().sum() > 0


@pytest.mark.parametrize(("kind", "message"), [("grey x2", "1 channels in"), ("compact x1", "scale 1")])
def test_what_enlarges_no_rgb_images_is_refused(spandrel: ModuleType, tmp_path: Path, kind: str, message: str) -> None:
    torch.save(network(kind).state_dict(), tmp_path / "net.pth")
    with pytest.raises(UserError, match=message):
        imports.inspect(tmp_path / "net.pth")


def test_weights_that_spandrel_does_not_know_either(spandrel: ModuleType, tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(UserError, match="not weights of .*EDSR.*does not support its architecture"):
        imports.inspect(tmp_path / "net.pth")
    rrdb = {f"body.{i}.rdb1.conv1.weight": torch.zeros(2, 2) for i in range(3)}
    torch.save({"conv_first.weight": torch.zeros(64, 3, 3, 3)} | rrdb, tmp_path / "net.pth")
    with pytest.raises(UserError, match="spandrel") as caught:
        imports.inspect(tmp_path / "net.pth")
    assert "\n" not in str(caught.value)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)


def test_the_extra_is_named_where_it_would_help(absent: None, tmp_path: Path) -> None:
    torch.save({"body.0.rdb1.conv1.weight": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(UserError, match=r"further architectures need the extra 'community': pip install 'mtkd\[com"):
        imports.inspect(tmp_path / "net.pth")


def test_lists_do_not_need_the_extra(absent: None, home: Path, run: Run) -> None:
    """A model that was brought while spandrel was there does not break the lists when it is gone."""
    header = Header("brought", "community", 4)
    save_state(home / "models" / "brought_x4.safetensors", {"w": torch.zeros(3)}, header)
    (home / "models" / "brought_x4.json").write_text(json.dumps({"parameters": 3}))
    row = next(r for r in json.loads(run("models", "--json").out) if r["name"] == "brought")
    assert (row["parameters"], row["role"], row["network"]) == (3, "teacher", "community")
    with pytest.raises(UserError, match="need the extra 'community'"):
        zoo.load("brought", 4)
