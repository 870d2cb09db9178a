"""Parameter counts of Table 1 and the names of parameters that public weight files hold."""

from __future__ import annotations

import pytest
import torch

from mtkd import networks
from mtkd.errors import UserError

# SPEC section 1: x2, x3, x4.
PUBLISHED = {
    "edsr": (40_729_603, 43_680_003, 43_089_923),
    "edsr_baseline": (1_369_859, 1_554_499, 1_517_571),
    "rcan": (15_444_643, 15_629_283, 15_592_355),
    "rcan_lightweight": (5_023_603, 5_208_243, 5_171_315),
    "swinir": (11_752_487, 11_937_127, 11_900_199),
    "swinir_lightweight": (910_152, 918_267, 929_628),
}
MINI_TEACHERS = ("edsr_mini", "rcan_mini", "swinir_mini")
TINY_STUDENTS = ("edsr_tiny", "rcan_tiny", "swinir_tiny")


def on_meta(name: str, scale: int) -> torch.nn.Module:
    with torch.device("meta"):
        return networks.build(name, scale)


def both(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str, scale: int) -> None:
    assert networks.parameter_count(on_meta(name, scale)) == PUBLISHED[name][scale - 2]


def test_catalogue_has_the_paper_and_the_mini_networks() -> None:
    specs = networks.specs()
    roles = {name: specs[name].role for name in (*PUBLISHED, *MINI_TEACHERS, *TINY_STUDENTS)}
    teachers = {name for name, role in roles.items() if role == "teacher"}
    assert teachers == {"edsr", "rcan", "swinir", *MINI_TEACHERS}
    assert set(roles.values()) == {"teacher", "student"}
    for name in PUBLISHED:
        assert specs[name].size == "paper" and specs[name].deviations == ()
    for name in (*MINI_TEACHERS, *TINY_STUDENTS):
        assert specs[name].size == "mini" and specs[name].deviations
        assert all(sentence.endswith(".") for sentence in specs[name].deviations)
    for name, spec in specs.items():
        assert spec.name == name and spec.title and set(spec.scales) <= {2, 3, 4}


@pytest.mark.parametrize("name", TINY_STUDENTS)
def test_tiny_students_are_tiny(name: str) -> None:
    assert 50_000 <= networks.parameter_count(on_meta(name, 4)) <= 100_000


def test_unknown_name_and_scale_are_the_users_mistakes() -> None:
    with pytest.raises(UserError, match="did you mean 'edsr_mini'"):
        networks.build("edsr_mimi", 4)
    with pytest.raises(UserError, match="x2, x3, x4"):
        networks.build("edsr_mini", 8)


UPSAMPLE = {2: ("upsample.0",), 3: ("upsample.0",), 4: ("upsample.0", "upsample.2")}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_edsr_keys(scale: int) -> None:
    blocks = [f"body.{i}.{conv}" for i in range(16) for conv in ("conv1", "conv2")]
    expected = both("conv_first", *blocks, "conv_after_body", *UPSAMPLE[scale], "conv_last")
    assert set(on_meta("edsr_baseline", scale).state_dict()) == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rcan_keys(scale: int) -> None:
    parts = ("rcab.0", "rcab.2", "rcab.3.attention.1", "rcab.3.attention.3")
    blocks = [f"body.{g}.residual_group.{b}.{part}" for g in range(10) for b in range(6) for part in parts]
    groups = [f"body.{g}.conv" for g in range(10)]
    expected = both("conv_first", *blocks, *groups, "conv_after_body", *UPSAMPLE[scale], "conv_last")
    assert set(on_meta("rcan_lightweight", scale).state_dict()) == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "depth"), [("swinir", 6), ("swinir_lightweight", 4)])
def test_swinir_keys(name: str, depth: int, scale: int) -> None:
    parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    layers = [f"layers.{i}.residual_group.blocks.{j}" for i in range(depth) for j in range(6)]
    expected = both("conv_first", "patch_embed.norm", "norm", "conv_after_body")
    expected |= both(*(f"{layer}.{part}" for layer in layers for part in parts))
    expected |= both(*(f"layers.{i}.conv" for i in range(depth)))
    expected |= {f"{layer}.attn.relative_position_bias_table" for layer in layers}
    if name == "swinir":
        expected |= both("conv_before_upsample.0", *UPSAMPLE[scale], "conv_last")
    else:
        expected |= both("upsample.0")
    assert set(on_meta(name, scale).state_dict()) == expected


def test_shapes_of_public_files() -> None:
    shapes = {key: tuple(value.shape) for key, value in on_meta("swinir", 4).state_dict().items()}
    layer = "layers.0.residual_group.blocks.0"
    assert shapes[f"{layer}.attn.relative_position_bias_table"] == (225, 6)
    assert shapes[f"{layer}.attn.qkv.weight"] == (540, 180)
    assert shapes[f"{layer}.mlp.fc1.weight"] == (360, 180)
    assert shapes["conv_before_upsample.0.weight"] == (64, 180, 3, 3)
    assert shapes["upsample.2.weight"] == (256, 64, 3, 3)
    rcan = {key: tuple(value.shape) for key, value in on_meta("rcan", 3).state_dict().items()}
    assert rcan["body.0.residual_group.0.rcab.3.attention.1.weight"] == (4, 64, 1, 1)
    assert rcan["upsample.0.weight"] == (576, 64, 3, 3)
