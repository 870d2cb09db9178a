"""Malformed files: what the fuzz harness feeds to the program, drawn from the random numbers that it is given."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import random
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image, PngImagePlugin
from safetensors.torch import save

from mtkd import networks
from mtkd.experiments.plan import SIZES, load_plan
from mtkd.images import Metadata, Picture, write_picture
from mtkd.images.profiles import srgb

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
CANARY = "mtkd-fuzz-canary"
"""What code in a file would create, were it ever run."""


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One to eight random changes of a file; some splice in a part of another one."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not out:
            return bytes(out)
        at = rng.randrange(len(out))
        # headers are at the beginning, and most of what they say is read there
        at = rng.randrange(min(len(out), 128)) if rng.random() < 0.5 else at
        match rng.randrange(7):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.randrange(256)
            case 2:
                width, order = rng.choice((1, 2, 4, 8)), rng.choice("<>")
                number = rng.choice(EXTREMES) % (1 << 8 * width)
                out[at : at + width] = number.to_bytes(width, "little" if order == "<" else "big")
            case 3:
                del out[at:]
            case 4:
                del out[at : at + rng.randint(1, 64)]
            case 5:
                start = rng.randrange(len(other))
                out[at:at] = other[start : start + rng.randint(1, 256)]
            case 6:
                out[at : at + 16] = bytes([rng.choice((0, 0xFF))]) * 16
    return bytes(out)


# --- images


def _written(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _own(suffix: str, colour: np.ndarray, alpha: np.ndarray | None = None) -> bytes:
    """As our writer makes them: 16 bits a channel."""
    with tempfile.TemporaryDirectory() as folder:
        write_picture(Path(folder) / f"x{suffix}", Picture(colour, alpha))
        return (Path(folder) / f"x{suffix}").read_bytes()


def _described(suffix: str, colour: np.ndarray) -> bytes:
    """With XMP and IPTC."""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="A" tiff:Orientation="6"/></rdf:RDF>'
        b"</x:xmpmeta>"
    )
    iptc = b"\x1c\x02\x05\0\6A boat\x1c\x02\x50\0\3Ada"
    with tempfile.TemporaryDirectory() as folder:
        write_picture(Path(folder) / f"x{suffix}", Picture(colour, metadata=Metadata(xmp=xmp, iptc=iptc)))
        return (Path(folder) / f"x{suffix}").read_bytes()


@cache
def whole_images() -> dict[str, bytes]:
    """Small pictures of every form that is read, and some that are not."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))
    grey = rgb.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    alpha = rgb.convert("RGBA")
    colours = np.asarray(rgb).astype(np.uint16) * 257
    profile = srgb()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 500, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {
        "rgb.png": _written(rgb, "PNG", pnginfo=text),
        "rgba.png": _written(alpha, "PNG"),
        "palette.png": _written(rgb.convert("P"), "PNG", transparency=3),
        "bits.png": _written(rgb.convert("1"), "PNG"),
        "deep.png": _written(deep, "PNG"),
        "moving.png": _written(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)]),
        "rgb.jpg": _written(rgb, "JPEG", exif=exif),
        "progressive.jpg": _written(rgb, "JPEG", progressive=True),
        "cmyk.jpg": _written(rgb.convert("CMYK"), "JPEG"),
        "views.mpo": _written(rgb, "MPO", save_all=True, append_images=[rgb]),
        "rgb.bmp": _written(rgb, "BMP"),
        "palette.bmp": _written(rgb.convert("P"), "BMP"),
        "rgb.tif": _written(rgb, "TIFF"),
        "lzw.tif": _written(rgb, "TIFF", compression="tiff_lzw"),
        "deflate.tif": _written(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": _written(rgb, "TIFF", compression="jpeg"),
        "pages.tif": _written(rgb, "TIFF", save_all=True, append_images=[rgb, rgb]),
        "deep.tif": _written(deep, "TIFF"),
        "float.tif": _written(grey.convert("F"), "TIFF"),
        "integers.tif": _written(grey.convert("I"), "TIFF"),
        "rgb.webp": _written(rgb, "WEBP"),
        "lossless.webp": _written(alpha, "WEBP", lossless=True),
        "moving.webp": _written(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)]),
        "rgb.ppm": _written(rgb, "PPM"),
        "deep.ppm": _written(deep, "PPM"),
        "moving.gif": _written(rgb, "GIF", save_all=True, append_images=[rgb.rotate(90)]),
        "one.gif": _written(rgb, "GIF"),
        "rgb.avif": _written(rgb, "AVIF"),
        "clear.avif": _written(alpha, "AVIF", quality=50),
        "moving.avif": _written(rgb, "AVIF", save_all=True, append_images=[rgb.rotate(90)]),
        "rgb.jp2": _written(rgb, "JPEG2000"),
        "deep.jp2": _written(deep, "JPEG2000"),
        "profile.png": _written(rgb, "PNG", icc_profile=profile),
        "profile.jpg": _written(rgb, "JPEG", icc_profile=profile, exif=exif, dpi=(300, 300)),
        "profile.tif": _written(rgb, "TIFF", icc_profile=profile),
        "grey-alpha.png": _written(rgb.convert("LA"), "PNG"),
        "deep-rgb.png": _own(".png", colours),
        "deep-rgba.png": _own(".png", colours, colours[..., 0]),
        "deep-rgb.tif": _own(".tif", colours),
        "deep-rgba.tif": _own(".tif", colours, colours[..., 0]),
        **{f"remarks{suffix}": _described(suffix, np.asarray(rgb)) for suffix in (".jpg", ".png", ".tif", ".webp")},
        "laughs.webp": _written(rgb, "WEBP", xmp=b"<!DOCTYPE a [" + b"<!ENTITY a 'b'>" * 9 + b"]><a>&a;</a>"),
        "numbers.png": png_of(
            [*png_chunks(_written(rgb, "PNG"))[:1], (b"cICP", b"\x0c\x0d\0\1"), *png_chunks(_written(rgb, "PNG"))[1:]]
        ),
        "icon.ico": _written(rgb, "ICO"),
        "page.pdf": _written(rgb, "PDF", creationDate=time.gmtime(0), modDate=time.gmtime(0)),
        "page.eps": _written(rgb, "EPS"),
        "rgb.tga": _written(rgb, "TGA"),
        "rgb.pcx": _written(rgb, "PCX"),
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "code.ps": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch {CANARY}) (w) file\n".encode(),
        "empty.png": b"\0",
    }
    return found


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and content of each chunk."""
    found, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file with right checksums, whatever the chunks hold: a decoder looks at them only then."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        out += struct.pack(">I", len(content)) + kind + content
        out += struct.pack(">I", zlib.crc32(kind + content))
    return out


@cache
def png_bomb(width: int, height: int, mode: int, depth: int, text: int = 0) -> bytes:
    """A small file of a large picture, all zero, or with a long compressed text."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[mode]
    row = 1 + -(-width * samples * depth // 8)
    packer, content = zlib.compressobj(9), b""
    for _ in range(0, height, 100):
        content += packer.compress(bytes(100 * row))  # some rows too many do no harm
    header = struct.pack(">IIBBBBB", width, height, depth, mode, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(3 * 256))] if mode == 3 else [(b"IHDR", header)]
    if text:
        chunks.append((b"zTXt", b"Comment\0\0" + zlib.compress(bytes(text), 9)))
    return png_of([*chunks, (b"IDAT", content + packer.flush()), (b"IEND", b"")])


def images(rng: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of so many image files."""
    whole = whole_images()
    bombs = {
        "bomb-limit.png": png_bomb(7000, 7000, 2, 8),
        "bomb-deep.png": png_bomb(7000, 7000, 0, 16),
        "bomb-alpha.png": png_bomb(7000, 7000, 6, 8),
        "bomb-palette.png": png_bomb(7000, 7000, 3, 8),
        "bomb-bits.png": png_bomb(60000, 60000, 0, 1),
        "bomb-text.png": png_bomb(8, 8, 2, 8, 200_000_000),
        "bomb.ppm": b"P6 7000 7000 255\n",
        "bomb.bmp": b"BM"
        + bytes(12)
        + struct.pack("<IiiHHIIiiII", 40, 7000, 7000, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(99),
    }
    fixed = list((whole | bombs).items())[:number]
    yield from fixed
    names = list(whole)
    for count in range(number - len(fixed)):
        name, other = rng.choice(names), whole[rng.choice(names)]
        data = whole[name]
        if name.endswith(".png") and data.startswith(b"\x89PNG") and rng.random() < 0.5:
            chunks = png_chunks(data)
            at = rng.randrange(len(chunks))
            match rng.randrange(4):
                case 0:
                    chunks[at] = (chunks[at][0], mutated(rng, chunks[at][1] or b"\0", other))
                case 1:
                    chunks.insert(rng.randrange(len(chunks)), chunks[at])
                case 2:
                    del chunks[at]
                case 3:
                    chunks[at] = (rng.choice((b"tRNS", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"PLTE")), chunks[at][1])
            data = png_of(chunks)
        else:
            data = mutated(rng, data, other)
        yield f"{count}-{name}", data


# --- recipes

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 10**30, -(10**30), 1e308, float("inf"), float("-inf"), float("nan"), 1e-320, "",
    " ", "1", "null", "x" * 10_000, "\0", "\u202e\U0001f600", "../../etc/passwd", "/dev/zero", "/dev/stdin", [], {},
    [[]], [None], {"a": {"b": {}}}, [1] * 1000, {"name": "mtkd"}, b"\xff\xfe",
)  # fmt: skip
TEXTS = (
    "!!python/object/apply:os.system ['touch CANARY']",
    "!!python/object/new:subprocess.Popen [['touch', 'CANARY']]",
    "!!python/name:os.system",
    "!!binary x",
    "2001-99-99",
    "2026-01-01T99:99:99Z",
    "9" * 6000,
    "0x" + "f" * 6000,
    "1:" * 500,
    "[" * 3000,
    "{a: " * 3000,
    "- " * 2000,
    "&a [*a]",
    "&a {<<: *a}",
    "*nothing",
    "<<: 1",
    "%YAML 9.9",
    "\t- x",
    "'unended",
    "? [a, b] : c",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!float .inf",
    "!!int .5",
    "!!timestamp 1",
    "~: ~",
    "1: 2",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
)
LAUGHS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else 'ha'] * 9)}]\n" for n in range(12))


def whole_recipes() -> list[dict[str, Any]]:
    """The bundled recipes of every size, some of each."""
    found = []
    for size in SIZES:
        plan = load_plan(size)
        contents = [plan.recipe_content(name, 4) for name in plan.names()]
        found += [content | {"name": "fuzzed"} for content in contents if content][::5]
    return found


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with each of its keys."""
    for key in list(content) if isinstance(content, dict) else range(len(content)):
        yield content, key
        if isinstance(content[key], (dict, list)) and content[key]:
            yield from _places(content[key])


def recipes(rng: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of so many recipe files."""
    whole = whole_recipes()
    texts = [text.replace("CANARY", CANARY) for text in TEXTS]
    keys = sorted({str(key) for recipe in whole for _, key in _places(recipe)})
    yield "laughs.yaml", (LAUGHS + "name: *l11\n").encode()
    yield "laughs-key.yaml", (LAUGHS + "*l11 : 1\n").encode()
    yield "huge.yaml", b"# " + b"x" * 20_000_000
    yield "bytes.yaml", bytes(range(256))
    for count in range(number - 4):
        content = json.loads(json.dumps(rng.choice(whole)))
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            container, key = rng.choice(list(_places(content)))
            match rng.randrange(4):
                case 0:
                    container[key] = copy.deepcopy(rng.choice(ODD_VALUES))  # a later change may be inside of it
                case 1 if isinstance(container, dict):
                    del container[key]
                case 2 if isinstance(container, dict):
                    container[rng.choice((*keys, "extra", "", " name"))] = copy.deepcopy(
                        rng.choice(ODD_VALUES)
                    )  # a later change may be inside of it
                case _:
                    container[key] = [container[key]] if rng.random() < 0.5 else {"of": container[key]}
            if not content:
                break
        text = yaml.dump(content, allow_unicode=True)
        if rng.random() < 0.4:
            lines = text.splitlines()
            at = rng.randrange(len(lines) + 1)
            key = rng.choice(keys)
            odd = rng.choice(texts)
            lines[at:at] = [rng.choice((odd, f"{key}: {odd}", f"  {key}: {odd}"))]
            text = "\n".join(lines)
        data = text.encode("utf-8", "replace")
        yield f"{count}.yaml", mutated(rng, data, data) if rng.random() < 0.3 else data


# --- checkpoints


class Code:
    """Unpickles into a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def _torch_file(content: Any, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def _zipped(
    data: bytes, change: Mapping[str, Callable[[bytes], bytes]], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """A torch file (a zip archive) with the members changed whose names end so."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            content = old.read(name)
            for end, function in change.items():
                content = function(content) if name.endswith(end) else content
            new.writestr(name, content)
    return out.getvalue()


def _safetensors_of(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@cache
def whole_checkpoints() -> dict[str, bytes]:
    """Weights of a small network in every form, a training's checkpoint, a cached output, and files with code."""
    torch.manual_seed(0)
    module = networks.build("edsr_tiny", 2)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    meta = {"format": "mtkd/1", "name": "ada", "network": "edsr_tiny", "scale": "2"}
    optimizer = torch.optim.Adam(module.parameters())
    run = {
        "format": "mtkd-checkpoint/1", "iteration": 3, "seconds": 1.0, "network": state, "method": {},
        "optimizer": optimizer.state_dict(), "recipe": "name: small\n", "images": "0",
    }  # fmt: skip
    array, npy = np.zeros((3, 96, 80), np.float16), io.BytesIO()
    np.save(npy, array)
    wide = torch.zeros(1).expand(200_000, 200_000)
    command = f"touch {CANARY}"
    return {
        "own.safetensors": save(state, meta),
        "plain.safetensors": save(state),
        "params.pth": _torch_file({"params_ema": state}),
        "bare.pt": _torch_file(state),
        "old.pt": _torch_file(state, old=True),
        "latest.pt": _torch_file(run),
        "crop.npy": npy.getvalue(),
        "system.pt": _torch_file(Code(os.system, command)),
        "system-old.pth": _torch_file({"params": Code(os.system, command)}, old=True),
        "eval.pt": _torch_file({"weight": Code(eval, f"__import__('os').system({command!r})")}),
        "bare-pickle.pt": pickle.dumps(Code(os.system, command)),
        "latest-code.pt": _torch_file(run | {"recipe": Code(os.system, command)}),
        "module.pt": _torch_file(Code(torch.nn.Conv2d, 3, 3, 3)),
        "expanded.pt": _torch_file({"head.0.weight": wide, "body.0.weight": wide}),
        "deflated.pt": _zipped(_torch_file({"weight": torch.zeros(50_000_000)}), {}, zipfile.ZIP_DEFLATED),
        "objects.npy": b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}".ljust(117)
        + b"\n" + pickle.dumps([Code(os.system, command)]),
        "long.npy": npy.getvalue().replace(b"(3, 96, 80)", b"(3, 9600, 8000)".ljust(11)),
        "huge.safetensors": _safetensors_of(
            {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, b""
        ),
        "overlap.safetensors": _safetensors_of(
            {k: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for k in "ab"}, bytes(16)
        ),
        "deep.safetensors": _safetensors_of(b'{"a":' * 5000 + b"1" + b"}" * 5000, b""),
        "deep.json": b'{"a":' * 50_000,
        "card.json": json.dumps({"format": "mtkd-run/1", "parameters": 1}).encode(),
    }  # fmt: skip


def checkpoints(rng: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of so many weights files, checkpoints, cached outputs and cards."""
    whole = whole_checkpoints()
    yield from list(whole.items())[:number]
    names = list(whole)
    for count in range(number - len(whole)):
        name = rng.choice(names)
        data, other = whole[name], whole[rng.choice(names)]
        if zipfile.is_zipfile(io.BytesIO(data)) and len(data) < 1_000_000 and rng.random() < 0.6:
            part = rng.choice(("data.pkl", "data.pkl", "/0", "version", "byteorder"))
            data = _zipped(data, {part: partial(mutated, rng, other=other)})
        elif name.endswith(".safetensors") and rng.random() < 0.6:
            length = int.from_bytes(data[:8], "little")
            data = _safetensors_of(mutated(rng, data[8 : 8 + length], other), data[8 + length :])
        else:
            data = mutated(rng, data[:1_000_000], other[:10_000])
        yield f"{count}-{name}", data
