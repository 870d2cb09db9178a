"""The command line: what it prints and writes, and how it says no: one line, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
import shlex
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import typer
from PIL import Image

import mtkd
from mtkd import zoo
from mtkd.cli.main import app
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.images import read_image, to_tensor, to_uint8, write_image
from mtkd.networks.bicubic import Bicubic
from mtkd.zoo.checkpoints import save_weights, weights_hash
from mtkd.zoo.headers import Header
from tests.conftest import Run
from tests.test_evaluate import fake_set
from tests.training.conftest import DISTILL, write_images, write_model, write_recipe

NUMBERS = np.random.default_rng(0)


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks with random weights: teachers ada and bob, their aggregator merged, the student small; x2."""
    folder = tmp_path_factory.mktemp("zoo")
    write_model(folder, "ada", "edsr_mini", 1)
    write_model(folder, "bob", "edsr_mini", 2)
    write_model(folder, "merged", "aggregator_mini", 3, teachers=("ada", "bob"))
    write_model(folder, "small", "edsr_tiny", 4)
    (folder / "small_x2.json").write_text(json.dumps({"iterations": 12, "deviations": ["one"]}))
    return folder


@pytest.fixture(autouse=True)
def _zoo(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_ZOO", str(models_folder))
    monkeypatch.delenv("MTKD_DATA", raising=False)


def photo(path: Path, height: int = 12, width: int = 16, number: int = 0) -> Path:
    write_image(path, EXAMPLES[number].read()[60 : 60 + height, 80 : 80 + width])
    return path


# --- help


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        yield from commands(command, *path, name) if hasattr(command, "commands") else ()


OVERVIEW: Any = typer.main.get_command(app)


@pytest.mark.parametrize(("path", "command"), [pytest.param(*row, id=" ".join(row[0])) for row in commands(OVERVIEW)])
def test_help_ends_with_examples_that_parse(path: tuple[str, ...], command: Any, run: Run) -> None:
    outcome = run(*path, "--help")
    assert (outcome.code, outcome.err) == (0, "") and f"mtkd {' '.join(path)}" in outcome.out
    examples = command.epilog.splitlines()
    assert examples and outcome.out.rstrip().endswith("\n".join(f"  {line}" for line in examples))
    for example in examples:
        program, *words = shlex.split(example)
        assert program == "mtkd"
        found, context = OVERVIEW, OVERVIEW.make_context("mtkd", [])
        while words and words[0] in getattr(found, "commands", ()):
            found = found.commands[words.pop(0)]
        found.make_context(found.name, words, parent=context)  # refuses what the command does not take
        assert found is command or found in getattr(command, "commands", {}).values()


def test_without_a_command_an_overview_is_shown(run: Run) -> None:
    """Every command in the section of its purpose, with a sentence that is not cut off."""
    outcome = run()
    sections = {part.split(":\n")[0]: part for part in outcome.out.split("\n\n")}
    for name, command in OVERVIEW.commands.items():
        (line,) = (line for line in sections[command.rich_help_panel].splitlines() if line.split()[0] == name)
        assert line.endswith(".") and not line.endswith("...")
    assert (outcome.code, outcome.err) == (0, "") and len(outcome.out.splitlines()) < 40


def test_the_version(run: Run) -> None:
    outcome = run("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"mtkd {mtkd.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upscal"], "No such command 'upscal'. Did you mean"),
        (["models", "--jsn"], "No such option: --jsn"),
        (["upscale"], "Missing argument 'IMAGE'"),
        (["upscale", "a.png", "--model", "bicubic"], "Missing option '--output'"),
        (["upscale", "a.png", "-o", "b.png", "--model", "bicubic", "--scale", "two"], "Invalid value for '--scale'"),
    ],
)
def test_a_misspelt_command_line(arguments: list[str], message: str, refused: Callable[..., str]) -> None:
    said = refused(*arguments)
    command = f"mtkd {arguments[0]}" if arguments[0] in OVERVIEW.commands else "mtkd"
    assert message in said and said.endswith(f"(see {command} --help)")


# --- models


def test_models_as_json(run: Run, models_folder: Path) -> None:
    outcome = run("models", "--json")
    assert outcome.code == 0 and outcome.err == ""
    rows = {row["name"]: row for row in json.loads(outcome.out) if not row["bundled"]}
    assert {name: row["role"] for name, row in rows.items()} == {
        "ada": "teacher",
        "bob": "teacher",
        "merged": "aggregator",
        "small": "student",
    }
    assert list(rows) == ["ada", "bob", "merged", "small"]
    assert rows["small"] == {
        "name": "small",
        "title": "small",
        "role": "student",
        "scale": 2,
        "parameters": sum(p.numel() for p in zoo.load("small", 2).parameters()),
        "bundled": False,
        "network": "edsr_tiny",
        "options": {},
        "teachers": [],
        "iterations": 12,
        "snapshots": [],
        "deviations": ["one"],
        "path": str(models_folder / "small_x2.safetensors"),
    }
    assert rows["merged"]["teachers"] == ["ada", "bob"] and rows["merged"]["iterations"] is None


def test_models_as_a_table(run: Run) -> None:
    outcome = run("models")
    header, line, *rows = outcome.out.splitlines()
    assert header.split() == ["name", "title", "role", "scale", "parameters", "iterations", "bundled"]
    assert set(line) == {"-", " "}
    assert any(row.split()[:3] == ["small", "small", "student"] and row.split()[-1] == "no" for row in rows)
    assert any(row.startswith("rcan_tiny-mtkd ") and " RCAN student, with MTKD " in row for row in rows)


def test_one_model_in_two_folders_is_that_of_the_first(
    run: Run, models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, "small", "edsr_mini", 1)
    monkeypatch.setenv("MTKD_ZOO", os.pathsep.join([str(tmp_path), str(models_folder)]))
    rows = [row for row in json.loads(run("models", "--json").out) if row["name"] == "small"]
    assert [row["network"] for row in rows] == ["edsr_mini"]


@pytest.mark.parametrize("damage", ["text", "cut", "foreign", "unknown network", "scale", "teachers", "card"])
def test_an_unreadable_model_is_named_and_leaves_the_others(
    damage: str, run: Run, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    path = write_model(tmp_path, "edsr_mini", "edsr_tiny", 1)  # would be found in place of the bundled one
    write_model(tmp_path, "whole", "edsr_tiny", 1)
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    before = json.loads(run("models", "--json").out)
    network = torch.nn.Conv2d(3, 3, 3)
    if damage == "text":
        path.write_text("not weights")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        from safetensors.torch import save_file

        save_file(network.state_dict(), path)
    elif damage == "unknown network":
        save_weights(path, network, Header("edsr_mini", "edsr_tyni", 2))
    elif damage == "scale":
        save_weights(path, network, Header("edsr_mini", "edsr_tiny", 8))
    elif damage == "teachers":
        save_weights(path, network, Header("edsr_mini", "edsr_tiny", 2, ("ada", "bob")))
    else:
        path.with_suffix(".json").write_text('{"iterations": ')
    message = {
        "text": "edsr_mini_x2.safetensors: not a readable safetensors file",
        "cut": "edsr_mini_x2.safetensors: not a readable safetensors file",
        "foreign": "edsr_mini_x2.safetensors: has no MTKD header",
        "unknown network": "edsr_mini_x2.safetensors: unknown network 'edsr_tyni'; did you mean 'edsr_tiny'?",
        "scale": "edsr_mini_x2.safetensors: network 'edsr_tiny' does not support scale 8",
        "teachers": "edsr_mini_x2.safetensors: names teachers, but 'edsr_tiny' is not an aggregator",
        "card": "edsr_mini_x2.json: not a readable card",
    }[damage]
    for _ in range(2):
        after = run("models", "--json")
        assert after.code == 0
        bundled = [row for row in json.loads(after.out) if (row["name"], row["scale"]) == ("edsr_mini", 2)]
        assert [row["bundled"] for row in bundled] == [True]
        assert [row for row in before if row["path"] != str(path)] == [
            row for row in json.loads(after.out) if row not in bundled
        ]
    (said,) = caplog.messages  # once, however often the models are looked up
    assert said.startswith("skipped: ") and message in said
    source = photo(tmp_path / "lr.png")
    use = ("upscale", source, "-o", tmp_path / "o.png", "--scale", 2, "--model")
    assert message in refused(*use, "edsr_mini")
    assert run(*use, "whole").code == 0


@pytest.mark.parametrize("damaged_first", [True, False])
@pytest.mark.parametrize("run_folder", [True, False])
def test_a_damaged_file_takes_no_model_of_an_earlier_folder_away(
    damaged_first: bool, run_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write_model(tmp_path / "good", "one", "edsr_tiny", 1)
    bad = tmp_path / "bad" / ("one_x2/model.safetensors" if run_folder else "one_x2.safetensors")
    bad.parent.mkdir(parents=True)
    bad.write_text("not weights")
    folders = [tmp_path / "good", tmp_path / "bad"]
    monkeypatch.setenv("MTKD_ZOO", os.pathsep.join(map(str, reversed(folders) if damaged_first else folders)))
    if damaged_first:
        with pytest.raises(UserError, match="not a readable safetensors file"):
            zoo.find("one", 2)
    else:
        assert zoo.find("one", 2).path == good


def test_a_damaged_snapshot_leaves_the_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_model(tmp_path, "one", "edsr_tiny", 1)
    for step in (3, 5, 7):
        write_model(tmp_path / "snapshots", f"one@{step}", "edsr_tiny", step)
    damaged = tmp_path / "snapshots" / "one@5_x2.safetensors"
    damaged.write_text("not weights")
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    for _ in range(2):
        (row,) = [row for row in json.loads(run("models", "--json").out) if row["name"] == "one"]
        assert row["snapshots"] == [3, 7]
    (said,) = caplog.messages
    assert said.startswith(f"skipped: {damaged}: not a readable safetensors file")
    with pytest.raises(UserError, match="unknown step of one x2 'one@5'"):
        zoo.find("one@5", 2)


@pytest.mark.parametrize("damage", ["other weights", "no teacher"])
def test_a_model_that_cannot_be_built_is_named(
    damage: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    if damage == "other weights":
        save_weights(tmp_path / "broken_x2.safetensors", torch.nn.Conv2d(3, 3, 3), Header("broken", "edsr_tiny", 2))
        message = "broken_x2.safetensors: weights of another network: missing body.0.conv1.bias"
    else:
        write_model(tmp_path, "broken", "aggregator_mini", 1, teachers=("ada", "gone"))
        message = "unknown model 'ada'"
    source = photo(tmp_path / "lr.png")
    assert message in refused("upscale", source, "-o", tmp_path / "o.png", "--scale", 2, "--model", "broken")


# --- upscale


def test_upscale_one_file(run: Run, tmp_path: Path) -> None:
    source, target = photo(tmp_path / "in.png"), tmp_path / "new" / "folder" / "out.png"
    outcome = run("upscale", source, "-o", target, "--model", "small", "--scale", 2)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{target}\n", "device: cpu\n")
    with torch.no_grad():
        expected = zoo.load("small", 2)(to_tensor(read_image(source)))
    assert np.array_equal(read_image(target), to_uint8(expected))
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("model", ["bicubic", "ada", "merged", "small"])
def test_upscale_with_every_kind_of_model(model: str, run: Run, tmp_path: Path) -> None:
    assert run("upscale", photo(tmp_path / "in.png"), "-o", tmp_path, "--model", model, "--scale", 2).code == 0
    assert read_image(tmp_path / "in_x2.png").shape == (24, 32, 3)


def test_upscale_several_files_and_folders(run: Run, tmp_path: Path) -> None:
    for number, name in enumerate(("a.png", "sub/b.png", "sub/c.png")):
        photo(tmp_path / name, number=number)
    Image.open(tmp_path / "a.png").save(tmp_path / "sub" / "d.JPG")
    (tmp_path / "sub" / "notes.txt").write_text("no image")
    outcome = run("upscale", tmp_path / "a.png", tmp_path / "sub", "-o", tmp_path / "out", "--model", "bicubic")
    names = [f"{stem}_x4.png" for stem in "abcd"]
    assert outcome.code == 0 and outcome.out.split() == [str(tmp_path / "out" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    expected = to_uint8(Bicubic(4)(to_tensor(read_image(tmp_path / "sub" / "b.png"))))
    assert np.array_equal(read_image(tmp_path / "out" / "b_x4.png"), expected)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_best_student_upscales_where_no_model_is_named(scale: int, run: Run, tmp_path: Path) -> None:
    cards = [json.loads(card.read_text()) for card in Path(*zoo.__path__, "weights").glob(f"*_x{scale}.json")]
    best = max((card for card in cards if card["role"] == "student"), key=lambda card: card["held_out"]["psnr"])["name"]
    source = photo(tmp_path / "in.png")
    done = run("upscale", source, "-o", tmp_path / "out.png", "--scale", scale)
    assert done.code == 0 and f"model: {best}\n" in done.err
    assert run("upscale", source, "-o", tmp_path / "same.png", "--scale", scale, "--model", best).code == 0
    assert np.array_equal(read_image(tmp_path / "out.png"), read_image(tmp_path / "same.png"))


@pytest.mark.parametrize("options, whole", [(("--tile", 0), True), (("--tile", 8), True),
    (("--tile", 8, "--overlap", 16), True), (("--tile", 8, "--overlap", 0), False)])  # fmt: skip
def test_upscale_in_tiles(options: tuple[Any, ...], whole: bool, run: Run, tmp_path: Path) -> None:
    source = photo(tmp_path / "in.png", 40, 31)
    arguments = ("--model", "bicubic", "--scale", 3, *options)
    assert run("upscale", source, "-o", tmp_path / "out.png", *arguments).code == 0
    expected = to_uint8(Bicubic(3)(to_tensor(read_image(source))))
    assert np.array_equal(read_image(tmp_path / "out.png"), expected) == whole


@pytest.mark.parametrize(("model", "emulated"), [("small", True), ("small", False), ("bicubic", True)])
def test_upscale_in_bfloat16(
    model: str, emulated: bool, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtkd.bfloat16.emulates_bf16", lambda: emulated)
    source, arguments = photo(tmp_path / "in.png"), ("--model", model, "--scale", 2, "--device", "cpu")
    for name in ("fp32", "bf16"):
        assert run("upscale", source, "-o", tmp_path / f"{name}.png", *arguments, "--precision", name).code == 0
    exact, near = (read_image(tmp_path / f"{name}.png").astype(int) for name in ("fp32", "bf16"))
    largest = abs(exact - near).max()
    assert largest == 0 if model == "bicubic" else 0 < largest <= 4


@pytest.mark.parametrize(("options", "message"), [
    (("--precision", "fp8"), "--precision fp8: give fp32 or bf16"),
    (("--engine", "tensorrt"), "--engine tensorrt: give torch or onnxruntime"),
    (("--engine", "onnxruntime", "--precision", "bf16"), "not with --engine onnxruntime"),
    (("--engine", "onnxruntime", "--device", "cuda"), "computes on the CPU, not on cuda"),
])  # fmt: skip
def test_upscale_refuses_what_does_not_go_together(
    options: tuple[str, ...], message: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    source = photo(tmp_path / "in.png")
    assert message in refused("upscale", source, "-o", tmp_path / "out.png", "--model", "small", "--scale", 2, *options)


def test_a_device_without_bfloat16_is_named(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "torch.autocast", Mock(side_effect=RuntimeError("Current CUDA Device does not support bfloat16."))
    )
    arguments = ("-o", tmp_path / "out.png", "--model", "small", "--scale", 2, "--precision", "bf16", "--device", "cpu")
    assert "--precision bf16: not available on cpu (Curr" in refused("upscale", photo(tmp_path / "in.png"), *arguments)


def test_upscale_tells_what_is_too_large_for_the_memory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = photo(tmp_path / "in.png")
    cpu, cuda = RuntimeError("DefaultCPUAllocator: not enough memory"), torch.OutOfMemoryError("CUDA out of memory")
    for error in (cpu, cuda):
        monkeypatch.setattr("mtkd.infer.upscale_into", Mock(side_effect=error))
        outcome = run("upscale", source, "-o", tmp_path / "out.png", "--model", "bicubic")
        said = f"device: cpu\nmtkd: {source}: not enough memory; use a smaller --tile (now 256)\n"
        assert (outcome.code, outcome.err) == (2, said) and not (tmp_path / "out.png").exists()


def colour(mode: str, value: Any, size: tuple[int, int] = (7, 5)) -> Image.Image:
    return Image.new(mode, size, value)


def odd_images(folder: Path) -> dict[str, tuple[Path, tuple[int, int, int]]]:
    """Images of every kind, each of one colour: its file and that colour."""
    palette = colour("P", 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    made = {
        "one_pixel.png": (colour("RGB", (10, 20, 30), (1, 1)), (10, 20, 30)),
        "one_row.png": (colour("RGB", (10, 20, 30), (9, 1)), (10, 20, 30)),
        "clear.png": (colour("RGBA", (10, 20, 30, 0)), (255, 255, 255)),
        "opaque.png": (colour("RGBA", (10, 20, 30, 255)), (10, 20, 30)),
        "grey_clear.png": (colour("LA", (10, 0)), (255, 255, 255)),
        "palette.png": (palette, (200, 100, 50)),
        "grey.png": (colour("L", 77), (77, 77, 77)),
        "one_bit.png": (colour("1", 1), (255, 255, 255)),
        "grey16.png": (Image.fromarray(np.full((5, 7), 100 * 257, np.uint16)), (100, 100, 100)),
        "picture.bmp": (colour("RGB", (1, 2, 3)), (1, 2, 3)),
        "picture.webp": (colour("RGB", (90, 90, 90)), (90, 90, 90)),
        "picture.tif": (colour("RGB", (1, 2, 3)), (1, 2, 3)),
        "cmyk.jpg": (colour("CMYK", (0, 0, 0, 255)), (0, 0, 0)),
    }
    for name, (image, _) in made.items():
        image.save(folder / name)
    return {name: (folder / name, rgb) for name, (_, rgb) in made.items()}


def test_upscale_takes_images_of_every_kind(run: Run, tmp_path: Path) -> None:
    for name, (path, rgb) in odd_images(tmp_path).items():
        out = tmp_path / "out" / f"{name}.png"
        assert run("upscale", path, "-o", out, "--model", "bicubic", "--scale", 2).code == 0, name
        with Image.open(path) as image:
            width, height = image.size
        assert np.array_equal(read_image(out), np.broadcast_to(np.uint8(rgb), (2 * height, 2 * width, 3))), name


@pytest.mark.parametrize("model", ["ada", "merged", "small"])
def test_networks_take_one_pixel(model: str, run: Run, tmp_path: Path) -> None:
    colour("L", 9, (1, 1)).save(tmp_path / "in.png")
    assert run("upscale", tmp_path / "in.png", "-o", tmp_path / "o.png", "--model", model, "--scale", 2).code == 0
    assert read_image(tmp_path / "o.png").shape == (2, 2, 3)


def test_upscale_respects_the_orientation(run: Run, tmp_path: Path) -> None:
    image = Image.fromarray(NUMBERS.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    image.save(tmp_path / "in.png", exif=exif)
    run("upscale", tmp_path / "in.png", "-o", tmp_path / "out.png", "--model", "bicubic", "--scale", 2)
    upright = np.rot90(np.asarray(image), -1)
    assert np.array_equal(read_image(tmp_path / "out.png"), to_uint8(Bicubic(2)(to_tensor(upright))))


def huge_png(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims to be huge, and no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bad_image(kind: str, path: Path) -> str:
    """Make a bad image file; returns what should be said of it."""
    whole = (photo(path, 40, 40)).read_bytes()
    if kind == "text":
        path.write_text("hello")
        return "not an image"
    if kind == "empty":
        path.write_bytes(b"")
        return "an empty file"
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
        return "damaged or truncated image"
    if kind == "huge":
        path.write_bytes(huge_png(2_000_000, 1_000_000))
        return "2000000 x 1000000 pixels need about"
    if kind == "animation":
        frames = [colour("L", value) for value in (0, 100, 200)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
        return "an animation or multi-page file"
    assert kind == "float"
    Image.fromarray(np.zeros((40, 40), np.float32)).save(path, format="TIFF")
    return "floating-point samples"


BAD = ("text", "empty", "truncated", "huge", "animation", "float")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_named_by_every_command(kind: str, refused: Callable[..., str], tmp_path: Path) -> None:
    """The bad image stands between good ones, for which nothing is written either."""
    folder, good = tmp_path / "images", tmp_path / "good"
    for name in ("a", "b", "z"):
        photo(folder / f"{name}.png", 40, 40)
        photo(good / f"{name}.png", 40, 40)
    bad = folder / "b.png"
    message = bad_image(kind, bad)
    tiny = fake_set(tmp_path / "data")
    lr = tiny / "img_002_SRF_2_LR.png"
    lr.write_bytes(bad.read_bytes())
    recipe = write_recipe(tmp_path / "recipe.yaml", folder, lr_patch=8)
    for named, arguments in (
        (bad, ("upscale", bad, "-o", tmp_path / "o.png", "--model", "bicubic")),
        (bad, ("degrade", folder, tmp_path / "out", "--scale", 2)),
        (bad, ("score", folder, good, "--scale", 2)),
        (good / "b.png", ()),
        (lr, ("benchmark", "bicubic", "--scale", 2, "--data", tmp_path / "data", "--sets", "Tiny")),
        (bad, ("train", recipe, "--out", tmp_path / "run")),
    ):
        if not arguments:  # the HR side
            (good / "b.png").write_bytes(bad.read_bytes())
            photo(folder / "b.png", 40, 40)
            arguments = ("score", folder, good, "--scale", 2)
        said = refused(*arguments)
        assert message in said and str(named) in said, arguments
        if named == good / "b.png":
            bad.write_bytes(named.read_bytes())


def test_upscale_refuses_bad_input(refused: Callable[..., str], tmp_path: Path) -> None:
    source = photo(tmp_path / "in.png")
    photo(tmp_path / "sub" / "in.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    out = tmp_path / "out.png"
    for inputs, output, options, message in (
        ([tmp_path / "no.png"], out, (), "no.png: no such file"),
        ([source, tmp_path / "no.png"], tmp_path / "out", (), "no.png: no such file"),
        ([tmp_path / "empty"], tmp_path / "out", (), "empty: no images (.png, .jpg"),
        ([source], out, ("--model", "smal"), "unknown model 'smal'; did you mean 'small'?"),
        ([source], out, ("--model", "bicubik"), "unknown model 'bicubik'; did you mean 'bicubic'?"),
        ([source], out, ("--scale", 3), "model 'small' is trained for scale 2, not 3"),
        ([source], out, ("--scale", 5), "--scale 5: give 2, 3 or 4"),
        ([source], out, ("--scale", 0, "--model", "bicubic"), "--scale 0: give 2, 3 or 4"),
        ([source], out, ("--tile", 12), "--tile 12: give a multiple of 8"),
        ([source], out, ("--tile", -8), "--tile -8: give a multiple of 8"),
        ([source], out, ("--overlap", 12), "--overlap 12: give a multiple of 8"),
        ([source], out, ("--overlap", -8), "--overlap -8: give a multiple of 8"),
        ([source], out, ("--device", "cudda"), "--device cudda: not available"),
        ([source], tmp_path / "out.bmp", (), "out.bmp: results are PNG"),
        ([source, tmp_path / "sub"], out, (), "a single file for 2 images; give a folder"),
        ([source, tmp_path / "sub"], tmp_path / "out", (), "two images have the same name"),
        ([source], source, (), "in.png: an input, which would be overwritten"),
        ([source], tmp_path / "sub" / ".." / "in.png", (), "an input, which would be overwritten"),
        ([source], tmp_path / "file", (), "in_x2.png: cannot be written"),
        ([source], tmp_path / "file" / "out.png", (), "out.png: cannot be written"),
        ([source], tmp_path / "file" / "out", (), "cannot be written"),
    ):
        said = refused("upscale", *inputs, "-o", output, "--scale", 2, "--model", "small", *options)
        assert message in said, said


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is unwritable for root")
def test_a_folder_that_cannot_be_written_to(refused: Callable[..., str], tmp_path: Path) -> None:
    source, locked = photo(tmp_path / "in.png"), tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for output in (locked, locked / "out", locked / "out.png"):
        assert "cannot be written" in refused("upscale", source, "-o", output, "--model", "bicubic")
    recipe = write_recipe(tmp_path / "recipe.yaml", tmp_path)
    assert "cannot be written" in refused("train", recipe, "--out", locked / "run")


# --- degrade


def test_degrade_makes_lr_images(run: Run, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "hr")
    outcome = run("degrade", folder, tmp_path / "lr", "--scale", 3)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"6 images in {tmp_path / 'lr'}\n", "")
    for path in folder.iterdir():
        height, width, _ = read_image(path).shape
        assert read_image(tmp_path / "lr" / f"{path.stem}x3.png").shape == (height // 3, width // 3, 3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_degrade_makes_the_official_lr_files(scale: int, run: Run, data_root: Path, tmp_path: Path) -> None:
    official = data_root / "benchmarks" / "Set5" / f"image_SRF_{scale}"
    for path in official.glob("*_HR.png"):
        (tmp_path / "hr").mkdir(exist_ok=True)
        (tmp_path / "hr" / path.name).write_bytes(path.read_bytes())
    assert run("degrade", tmp_path / "hr", tmp_path / "lr", "--scale", scale).code == 0
    made = sorted((tmp_path / "lr").iterdir())
    assert len(made) == 5
    for path in made:
        name = path.name.replace(f"HRx{scale}", "LR")
        assert np.array_equal(read_image(path), read_image(official / name))


def test_degrade_can_mirror(run: Run, tmp_path: Path) -> None:
    photo(tmp_path / "hr" / "a.png", 24, 24)
    for border in ("clamp", "mirror"):
        assert run("degrade", tmp_path / "hr", tmp_path / border, "--border", border).code == 0
    clamped, mirrored = (read_image(tmp_path / border / "ax4.png") for border in ("clamp", "mirror"))
    assert np.array_equal(clamped[2:-2, 2:-2], mirrored[2:-2, 2:-2]) and not np.array_equal(clamped, mirrored)


def test_degrade_refuses_bad_input(refused: Callable[..., str], tmp_path: Path) -> None:
    hr = tmp_path / "hr"
    source = photo(hr / "a.png")
    photo(tmp_path / "small" / "b.png", 3, 16)
    photo(tmp_path / "twins" / "a.png")
    Image.open(source).save(tmp_path / "twins" / "a.bmp")
    (tmp_path / "empty").mkdir()
    for hr_folder, out, options, message in (
        (tmp_path / "no", tmp_path / "lr", (), "no such folder; give a folder of images"),
        (source, tmp_path / "lr", (), "a.png: a file, not a folder; give a folder of images"),
        (tmp_path / "empty", tmp_path / "lr", (), "empty: no images"),
        (tmp_path / "small", tmp_path / "lr", (), "b.png: image of 16 x 3 is too small for scale 4"),
        (tmp_path / "twins", tmp_path / "lr", (), "differ only in their suffix"),
        (hr, hr, (), "the folder of the HR images"),
        (hr, tmp_path / "lr", ("--scale", 8), "--scale 8: give 2, 3 or 4"),
        (hr, tmp_path / "lr", ("--border", "wrap"), "--border wrap: give clamp or mirror"),
        (hr, source, (), "cannot be written"),
        (hr, source / "lr", (), "cannot be written"),
    ):
        said = refused("degrade", hr_folder, out, *options)
        assert message in said, said


# --- score


def scored_folders(tmp_path: Path) -> tuple[Path, Path]:
    for number, name in enumerate("ab"):
        hr = EXAMPLES[number].read()[:32, :40]
        write_image(tmp_path / "hr" / f"{name}.png", hr)
        write_image(tmp_path / "sr" / f"{name}_x2.png", hr if name == "b" else hr // 2)
    return tmp_path / "sr", tmp_path / "hr"


def test_score_as_json(run: Run, tmp_path: Path) -> None:
    outcome = run("score", *scored_folders(tmp_path), "--scale", 2, "--json")
    assert outcome.code == 0 and outcome.err == ""
    content = json.loads(outcome.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(content) == ["scale", "psnr", "ssim", "images", "protocol", "images_hash", "versions", "per_image"]
    assert (content["scale"], content["images"], content["protocol"]) == (2, 2, "Y, crop = scale, uint8")
    first, second = content["per_image"]
    assert first["image"] == "a_x2.png" and 5 < first["psnr"] < 40 and 0 < first["ssim"] < 1
    assert second == {
        "image": "b_x2.png",
        "hr": "b.png",
        "psnr": None,
        "ssim": pytest.approx(1),
    }  # equal: infinitely good
    assert content["psnr"] is None and content["ssim"] == pytest.approx((first["ssim"] + 1) / 2)


def test_score_as_a_table(run: Run, tmp_path: Path) -> None:
    lines = run("score", *scored_folders(tmp_path), "--scale", 2).out.splitlines()
    assert lines[0].split() == ["image", "PSNR", "SSIM"]
    assert lines[3].split() == ["b_x2.png", "inf", "1.0000"]
    assert lines[4].startswith("mean of 2")
    assert lines[-1] == "protocol: Y, crop = scale, uint8 (scale 2)"


def test_upscaled_lr_files_can_be_scored(run: Run, tmp_path: Path) -> None:
    """From the LR files of SelfExSR, by their own names, to scores."""
    folder = fake_set(tmp_path)
    inputs = sorted(folder.glob("*_LR.png"))
    run("upscale", *inputs, "-o", tmp_path / "out", "--model", "bicubic", "--scale", 2)
    by_files = json.loads(run("score", tmp_path / "out", folder, "--scale", 2, "--json").out)
    arguments = ("--scale", 2, "--data", tmp_path, "--sets", "Tiny", "--json")
    by_name = json.loads(run("benchmark", "bicubic", *arguments).out)
    assert by_files["psnr"] == pytest.approx(by_name[0]["psnr"]) and by_files["images"] == 2


def test_score_refuses_bad_input(refused: Callable[..., str], tmp_path: Path) -> None:
    sr, hr = scored_folders(tmp_path)
    photo(tmp_path / "other" / "c.png")
    photo(tmp_path / "small" / "a.png", 20, 20)
    for folder in ("dots", "dots_hr"):
        photo(tmp_path / folder / "a.png", 1, 1)
    for sr_folder, hr_folder, options, message in (
        (tmp_path / "no", hr, (), "no such folder"),
        (sr, tmp_path / "no", (), "no such folder"),
        (sr / "a_x2.png", hr, (), "a file, not a folder"),
        (tmp_path / "other", hr, (), f"c.png: no image of that name in {hr}"),
        (tmp_path / "small", hr, (), "a.png: 20 x 20, but a.png is 40 x 32; HR may be up to"),
        (tmp_path / "dots", tmp_path / "dots_hr", (), "a.png: image of 1 x 1 is too small to crop 2 pixels a side"),
        (sr, hr, ("--scale", 1), "--scale 1: give 2, 3 or 4"),
    ):
        said = refused("score", sr_folder, hr_folder, "--scale", 2, *options)
        assert message in said, said


# --- benchmark


def test_benchmark_as_json(run: Run, tmp_path: Path) -> None:
    fake_set(tmp_path)
    fake_set(tmp_path, "Other", images=1)
    arguments = ("--scale", 2, "--data", tmp_path, "--sets", "Tiny, Other", "--json")
    outcome = run("benchmark", "small", "bicubic", *arguments)
    assert outcome.code == 0 and outcome.err == ""
    rows = json.loads(outcome.out)
    assert [(row["model"], row["set"], row["images"]) for row in rows] == [
        ("small", "Tiny", 2),
        ("small", "Other", 1),
        ("bicubic", "Tiny", 2),
        ("bicubic", "Other", 1),
    ]
    for row in rows:
        measured = ["model", "scale", "set", "psnr", "ssim", "images", "protocol"]
        assert list(row) == [*measured, "weights", "images_hash", "versions", "device"]
        assert row["weights"] == weights_hash(zoo.load(row["model"], 2))
        assert row["versions"]["torch"] == torch.__version__
        assert row["scale"] == 2 and row["protocol"] == "Y, crop = scale, uint8"
        assert isinstance(row["psnr"], float) and 0 < row["ssim"] < 1


def test_benchmark_takes_all_models_of_the_scale(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_set(tmp_path)
    monkeypatch.setenv("MTKD_DATA", str(tmp_path))
    lines = run("benchmark", "--scale", 2, "--sets", "Tiny").out.splitlines()
    assert lines[0].split() == ["model", "set", "PSNR", "SSIM", "images"]
    assert [line.split()[0] for line in lines[2:-1]] == ["bicubic", *(model.name for model in zoo.models(2))]
    assert lines[-1] == "protocol: Y, crop = scale, uint8 (scale 2)"


def test_benchmark_knows_bicubic(run: Run, data_root: Path) -> None:
    rows = json.loads(run("benchmark", "bicubic", "--data", data_root, "--sets", "Set5", "--json").out)
    assert rows[0]["psnr"] == pytest.approx(28.43, abs=0.008) and rows[0]["ssim"] == pytest.approx(0.8113, abs=3e-4)


def test_benchmark_refuses_bad_input(refused: Callable[..., str], tmp_path: Path) -> None:
    folder = fake_set(tmp_path / "data")
    fake_set(tmp_path / "lonely")
    (tmp_path / "lonely" / "Tiny" / "image_SRF_2" / "img_001_SRF_2_HR.png").unlink()
    assert "give --data FOLDER, set MTKD_DATA" in refused("benchmark", "bicubic", "--scale", 2)
    for names, data, options, message in (
        (["smal"], tmp_path / "data", (), "unknown model 'smal'; did you mean 'small'?"),
        (["bicubic"], tmp_path / "no", (), "no: no such folder of benchmark sets"),
        (["bicubic"], folder / "img_001_SRF_2_LR.png", (), "no such folder of benchmark sets"),
        (["bicubic"], tmp_path / "data", ("--sets", "Tiny,Tinny"), "'Tinny'; did you mean 'Tiny'?"),
        (["small"], tmp_path / "data", ("--scale", 4), "model 'small' is trained for scale 2, not 4"),
        (["bicubic"], tmp_path / "data", ("--scale", 7), "--scale 7: give 2, 3 or 4"),
        (["bicubic"], tmp_path / "lonely", (), "img_001_SRF_2_HR.png: no such file"),
    ):
        said = refused("benchmark", *names, "--scale", 2, "--data", data, "--sets", "Tiny", *options)
        assert message in said, said
    write_image(folder / "img_001_SRF_2_LR.png", np.zeros((5, 5, 3), np.uint8))
    said = refused("benchmark", "bicubic", "--scale", 2, "--data", tmp_path / "data", "--sets", "Tiny")
    assert "img_001_SRF_2_LR.png: 2 times its size is not the size of img_001_SRF_2_HR.png" in said


# --- train


def test_train_fills_a_run_folder(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", write_images(tmp_path / "images"), **DISTILL | {"teachers": ["small"]})
    arguments = ("train", recipe, "--out", tmp_path / "run", "--set", "iterations=3", "--cache", tmp_path / "kept")
    outcome = run(*arguments)
    assert outcome.code == 0 and outcome.err == ""
    assert "finished, held-out PSNR" in outcome.out.splitlines()[-2]
    written = {path.name.split(".")[0] for path in (tmp_path / "run").iterdir() if path.name != ".lock"}
    assert written >= {
        "recipe",
        "metrics",
        "events",
        "checkpoints",
        "samples",
        "model",
        "card",
        "finished",
    }
    assert len(list((tmp_path / "kept").rglob("*.npy"))) == 4 and not (tmp_path / "cache").exists()
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in metrics] == [1, 2, 3, 3]
    assert set(metrics[0]) == {"iteration", "alpha L_stu", "L_dis", "loss", "parts", "lr", "it/s"}
    for row in metrics[:3]:
        assert list(row["parts"]) == ["L_dis"] and list(row["parts"]["L_dis"]) == ["LL1", "LH1", "HL1", "HH1"]
        assert sum(row["parts"]["L_dis"].values()) == pytest.approx(row["L_dis"], rel=1e-6)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["iterations"] == 3 and card["data"]["images"] == 4 and card["held_out"]["images"] == 2
    assert metrics[-1]["validation PSNR-Y"] == pytest.approx(card["held_out"]["psnr"], abs=1e-4)

    told = outcome.out.splitlines()[-2:]
    assert run(*arguments, "--resume").out.splitlines() == told  # told again, not done again


def test_a_trained_model_is_found_in_its_run_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", write_images(tmp_path / "images"), save_dtype="float16")
    assert run("train", recipe, "--out", tmp_path / "runs" / "any_name", "--set", "name=mine").code == 0
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path / "runs"))
    row = next(row for row in json.loads(run("models", "--json").out) if row["name"] == "mine")
    assert row["iterations"] == 4 and row["network"] == "edsr_tiny" and not row["bundled"]
    source = photo(tmp_path / "in.png")
    assert run("upscale", source, "-o", tmp_path / "o.png", "--model", "mine", "--scale", 2).code == 0


def test_a_training_without_a_folder_is_found_by_its_name(
    run: Run, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    recipe = write_recipe(tmp_path / "r.yaml", write_images(tmp_path / "images"))
    trained = run("train", recipe, "--set", "name=mine")
    folder = tmp_path / "home" / "runs" / "mine_x2"
    assert trained.code == 0 and trained.out.splitlines()[-2].startswith(f"{folder}: finished")
    (use,) = (line.removeprefix("Use it: ") for line in trained.out.splitlines() if line.startswith("Use it: "))
    source = photo(tmp_path / "in.png")
    words = [str(source) if word == "photo.jpg" else str(tmp_path / word) if word == "large.png" else word
             for word in use.split()]  # fmt: skip
    assert words[0] == "mtkd" and run(*words[1:]).code == 0 and (tmp_path / "large.png").is_file()
    assert run("train", recipe, "--set", "name=mine", "--resume").code == 0  # its own name is not taken
    said = refused("train", recipe, "--set", "name=edsr_tiny-mtkd")
    assert "edsr_tiny-mtkd is the name of a bundled model; add --set name=NAME, or give --out FOLDER" in said
    elsewhere = run("train", recipe, "--out", tmp_path / "elsewhere" / "run", "--set", "name=other")
    assert f"Use it: MTKD_ZOO={tmp_path / 'elsewhere'} mtkd upscale" in elsewhere.out


def test_train_refuses_bad_input(refused: Callable[..., str], run: Run, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images")
    recipe = write_recipe(tmp_path / "recipe.yaml", images)
    distill = write_recipe(tmp_path / "distill.yaml", images, **DISTILL)
    (tmp_path / "bad.yaml").write_text("name: [")
    done = tmp_path / "done"
    assert run("train", recipe, "--out", done).code == 0
    out = tmp_path / "out"
    for path, folder, options, message in (
        ("mini/edsr_mimi", out, (), "unknown recipe 'mini/edsr_mimi'; did you mean 'mini/edsr_mini'?"),
        (tmp_path / "bad.yaml", out, (), "bad.yaml: not a readable YAML file"),
        (recipe, out, ("--set", "iteration=3"), "unknown key 'iteration'; did you mean 'iterations'?"),
        (recipe, out, ("--set", "batch=big"), "batch: Input should be a valid integer"),
        (recipe, out, ("--set", "batch"), "--set batch: write key=value"),
        (recipe, out, ("--set", "network=edsr_tyni"), "unknown network 'edsr_tyni'; did you mean 'edsr_tiny'?"),
        (recipe, out, ("--set", "method.name=scrach"), "unknown method 'scrach'; did you mean 'scratch'?"),
        (recipe, out, ("--set", "data.train=nowhere"), "no folder 'nowhere'"),
        (recipe, out, ("--set", "data.holdout=6"), "6 images, too few to hold 6 out"),
        (recipe, out, ("--set", "lr_patch=64"), "is smaller than the patch of 64"),
        (recipe, out, ("--set", f"data.lr={tmp_path}"), "a.png: no such file"),
        (distill, out, ("--set", "teachers=[gone]"), "unknown model 'gone'"),
        (distill, out, ("--set", "method.options.alpha=big"), "method.options.alpha: Input should be a valid number"),
        (distill, out, ("--set", "teachers=[small]", "--set", "scale=4"), "'small' is trained for scale 2, not 4"),
        (recipe, done, (), "already contains a run; resume it with --resume"),
        (recipe, done, ("--resume", "--set", "seed=3"), "contains a run of another recipe (seed differ)"),
        (recipe, recipe, (), "cannot be written"),
        (recipe, recipe / "run", (), "cannot be written"),
    ):
        said = refused("train", path, "--out", folder, *options)
        assert message in said, said


def test_train_needs_a_cache_that_can_be_written(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", write_images(tmp_path / "images"), **DISTILL | {"teachers": ["small"]})
    outcome = run("train", recipe, "--out", tmp_path / "run", "--cache", recipe)
    assert outcome.code == 2 and outcome.err.count("\n") == 1 and "cannot be written" in outcome.err
    assert not (tmp_path / "run").exists()


# --- as a process


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("mtkd")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "mtkd.cli"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=os.environ | environment, check=False
    )


def test_as_a_process_json_is_all_that_is_printed(tmp_path: Path) -> None:
    fake_set(tmp_path)
    done = process("benchmark", "small", "--scale", 2, "--sets", "Tiny", "--json", MTKD_DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["model"] for row in json.loads(done.stdout)] == ["small"]


@pytest.mark.slow
def test_as_a_process_an_image_is_enlarged(tmp_path: Path) -> None:
    source = photo(tmp_path / "in.png")
    done = process("upscale", source, "-o", tmp_path / "out.png", "--model", "merged", "--scale", 2)
    assert (done.returncode, done.stderr, done.stdout) == (0, "device: cpu\n", f"{tmp_path / 'out.png'}\n")


def test_as_a_process_a_mistake_is_one_line_and_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = process("upscale", "no.png", "-o", "out.png", "--model", "bicubic")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "mtkd: no.png: no such file\n")
    assert not list(tmp_path.iterdir())
