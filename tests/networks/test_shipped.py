"""SPAN and Compact: counts and names as published, folded against its branches, files of other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd import infer, networks, zoo
from mtkd.methods import create
from mtkd.networks.common import DIV2K_MEAN
from mtkd.networks.compact import Compact
from mtkd.networks.span import SPAN, FoldingConv
from mtkd.training.average import average_weights
from mtkd.zoo import imports
from mtkd.zoo.costs import of_network

State = dict[str, Tensor]

# Wan et al. 2024 (0.426 M), the NTIRE 2026 efficient challenge (0.151 M), Real-ESRGAN's animevideov3 and general-x4v3
PUBLISHED = {"span": 426_288, "span_28": 150_688, "compact": 621_424, "compact_32": 1_213_296}


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 14, 17, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    assert networks.parameter_count(networks.skeleton(name, 4)) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["span_tiny", "compact_tiny"])
def test_tiny_ones_are_tiny(name: str) -> None:
    assert 50_000 <= networks.parameter_count(networks.skeleton(name, 4)) <= 100_000


def test_names_of_the_public_files() -> None:
    parts = ("sk", "conv.0", "conv.1", "conv.2", "eval_conv")
    convolutions = ["conv_1", "conv_2", *(f"block_{i}.c{j}_r" for i in range(1, 7) for j in (1, 2, 3))]
    layers = [*(f"{conv}.{part}" for conv in convolutions for part in parts), "conv_cat", "upsampler.0"]
    expected = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert set(networks.skeleton("span", 4).state_dict()) == expected
    chain = {f"body.{i}.{kind}" for i in range(0, 35, 2) for kind in ("weight", "bias")}
    assert set(networks.skeleton("compact", 4).state_dict()) == chain | {f"body.{i}.weight" for i in range(1, 34, 2)}


def span_by_hand(state: State, image: Tensor, scale: int) -> Tensor:
    """Wan et al. 2024, Fig. 2, with every branch run by itself; of the sixth block the first activation goes on."""

    def conv(x: Tensor, name: str) -> Tensor:
        def layer(y: Tensor, part: str) -> Tensor:
            return F.conv2d(y, state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"])

        inner = layer(layer(layer(F.pad(x, (1, 1, 1, 1)), "conv.0"), "conv.1"), "conv.2")
        return inner + layer(x, "sk")

    x = 255 * (image - torch.tensor(DIV2K_MEAN).to(image.dtype).view(1, 3, 1, 1))
    outputs = [conv(x, "conv_1")]
    for number in range(1, 7):
        x = outputs[-1]
        first = F.silu(conv(x, f"block_{number}.c1_r"))
        deep = conv(F.silu(conv(first, f"block_{number}.c2_r")), f"block_{number}.c3_r")
        outputs.append((deep + x) * (torch.sigmoid(deep) - 0.5))
    merged = torch.cat([outputs[0], conv(outputs[6], "conv_2"), outputs[1], first], 1)
    merged = F.conv2d(merged, state["conv_cat.weight"], state["conv_cat.bias"])
    return F.pixel_shuffle(F.conv2d(merged, state["upsampler.0.weight"], state["upsampler.0.bias"], padding=1), scale)


@pytest.mark.parametrize(("scale", "channels"), [(2, 16), (3, 20), (4, 28)])
def test_span_is_that_of_the_paper_folded_or_not(scale: int, channels: int, image: Tensor) -> None:
    torch.manual_seed(0)
    module = SPAN(scale, channels).double()
    state, image = module.state_dict(), image.double()
    expected = span_by_hand(state, image, scale)
    alone = module.folded().double()
    alone.load_state_dict({key: state[key] for key in alone.state_dict()})
    assert expected.std() > 0.1 and expected.shape == (2, 3, scale * 14, scale * 17)
    for run in (module.train(), module.eval(), alone):
        assert (run(image) - expected).abs().max() < 1e-10
    assert sum(p.numel() for p in alone.parameters()) == networks.parameter_count(module)


def test_compact_by_hand(image: Tensor) -> None:
    torch.manual_seed(0)
    module = Compact(3, channels=8, convolutions=2)
    state, deep = module.state_dict(), image
    for number in (0, 2, 4):
        deep = F.conv2d(deep, state[f"body.{number}.weight"], state[f"body.{number}.bias"], padding=1)
        slopes = state[f"body.{number + 1}.weight"].view(1, -1, 1, 1)
        deep = torch.where(deep > 0, deep, slopes * deep)
    residual = F.pixel_shuffle(F.conv2d(deep, state["body.6.weight"], state["body.6.bias"], padding=1), 3)
    nearest = image.repeat_interleave(3, 2).repeat_interleave(3, 3)
    torch.testing.assert_close(module(image), nearest + residual)


def test_folded_weights_follow_the_branches() -> None:
    """In files after a training step, and of an average: of this one they are those of its own branches."""
    torch.manual_seed(0)
    conv, average = FoldingConv(4, 5, branches=True), FoldingConv(4, 5, branches=True)
    before = conv.state_dict()["eval_conv.weight"].clone()
    conv(torch.rand(1, 4, 6, 6)).square().mean().backward()
    torch.optim.SGD(conv.parameters(), 0.1).step()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in conv.parameters())
    average_weights(average, conv, 0.9, 2)
    image = torch.rand(1, 4, 6, 6)
    for module in (conv, average):
        state = module.state_dict()
        held = F.conv2d(image, state["eval_conv.weight"], state["eval_conv.bias"], padding=1)
        torch.testing.assert_close(held, module(image))
        assert not torch.equal(state["eval_conv.weight"], before)


def test_in_bfloat16_the_folding_is_not_rounded() -> None:
    conv, image = FoldingConv(8, 8, branches=True), torch.rand(1, 8, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        output, (weight, bias) = conv(image), conv.kernel()
    assert output.dtype == torch.bfloat16 and weight.dtype == torch.float32
    exact = F.conv2d(image, weight, bias, padding=1)
    torch.testing.assert_close(output.float(), exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", ["span_tiny", "compact_tiny"])
def test_feature_points_and_tiles(name: str) -> None:
    torch.manual_seed(0)
    network = networks.build(name, 2).eval()
    image = torch.rand(1, 3, 150, 130)
    with torch.inference_mode():
        whole, maps = network(image, with_features=True)
        assert [tuple(m.shape) for m in maps] == [(1, network.feature_channels, 150, 130)] * 3
        torch.testing.assert_close(infer.upscale(network, image, 2, tile=64), whole, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network.tail(maps[-1], image), whole)


@pytest.mark.parametrize("method", ["scratch", "kd", "at", "fakd", "crosskd", "mtkd"])
@pytest.mark.parametrize("name", ["span_tiny", "compact_tiny"])
def test_every_method_trains_them(name: str, method: str) -> None:
    from mtkd.data.patches import Batch

    torch.manual_seed(0)
    student, teacher = networks.build(name, 2), networks.build("edsr_tiny", 2).requires_grad_(False)
    hr = torch.rand(2, 3, 32, 32)
    batch = Batch(F.avg_pool2d(hr, 2), hr, {"edsr_tiny": hr})
    outputs = () if method == "scratch" else ("edsr_tiny",)
    made = create(method, {}, outputs, student, {"edsr_tiny": teacher})
    torch.stack(list(made.loss(student, batch).values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())
    assert any(p.grad.any() for p in student.parameters() if p.grad is not None)


def test_multiply_adds_are_those_of_the_folded_network() -> None:
    """20 convolutions of one kernel each: weights without biases, times LR pixels."""
    weights = sum(v.numel() for k, v in SPAN(4, branches=False).state_dict().items() if k.endswith("weight"))
    assert of_network("span", 4).multiply_adds == weights * (1280 // 4) * (720 // 4)


BROUGHT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "span": (lambda: SPAN(4), "SPAN"),
    "span_28": (lambda: SPAN(4, 28), "SPAN"),
    "span of 52": (lambda: SPAN(2, 52), "SPAN, 52 channels"),
    "span of 32, folded": (lambda: SPAN(3, 32).folded(), "SPAN, 32 channels, folded"),
    "compact": (lambda: Compact(4), "Compact (SRVGG)"),
    "compact of 24": (lambda: Compact(2, 24, 8), "Compact (SRVGG), 24 channels, 8 convolutions"),
}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", BROUGHT)
def test_files_of_others(
    kind: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: Tensor
) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    module: Any = BROUGHT[kind][0]().eval()
    torch.save({"params_ema": {prefix + key: value for key, value in module.state_dict().items()}}, tmp_path / "a.pth")
    found = imports.inspect(tmp_path / "a.pth")
    assert found.family == BROUGHT[kind][1] and found.parameters == networks.parameter_count(module)
    imports.add(found, "brought")
    with torch.inference_mode():
        assert torch.equal(zoo.load("brought", module.scale)(image), module(image))


@pytest.mark.parametrize("kind", ["span x4", "compact x2"])
def test_same_pixels_as_spandrel(kind: str, image: Tensor) -> None:
    try:
        from spandrel import architectures
        from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the extra 'community' ({error})")
    torch.manual_seed(0)
    theirs, ours = {
        "span x4": lambda: (
            architectures.SPAN.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=28, upscale=4),
            SPAN(4, 28),
        ),
        "compact x2": lambda: (SRVGGNetCompact(num_feat=16, num_conv=4, upscale=2), Compact(2, 16, 4)),
    }[kind]()
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(image), theirs.eval()(image.clone()), rtol=1e-5, atol=1e-5)


@pytest.mark.sweep
def test_an_onnx_file_holds_the_folded_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place with branches is one convolution, of a size that counts those alone."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from mtkd.export import export

    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    module = networks.build("span_tiny", 2)
    torch.save(module.state_dict(), tmp_path / "a.pth")
    imports.add(imports.inspect(tmp_path / "a.pth"), "brought")
    done = export("brought", 2, tmp_path / "a.onnx")
    graph = onnx.load(tmp_path / "a.onnx").graph
    assert sum(node.op_type == "Conv" for node in graph.node) == 20 + 2  # conv_cat and the upsampler have no branches
    assert not any(node.op_type in ("MatMul", "Gemm", "Pad") for node in graph.node)
    assert done.parameters == networks.parameter_count(module) and done.difference < 1e-5
