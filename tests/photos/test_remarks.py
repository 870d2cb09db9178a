"""XMP and IPTC are kept as far as they stay true of a result; nothing turns a picture twice."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import tifffile
from PIL import Image, ImageOps, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

from mtkd.images import image_size, read_picture, write_picture
from tests.photos.pictures import noise, save
from tests.photos.test_metadata import result

pytestmark = pytest.mark.sweep

RESULTS = [".png", ".jpg", ".webp", ".avif", ".tif"]
SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
}
BAG = "<rdf:Bag><rdf:li>{}</rdf:li><rdf:li>sea &amp; sand</rdf:li></rdf:Bag>"
ALT = "<rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li></rdf:Alt>"
STAY = [  # attributes, elements
    ('xmp:CreateDate="2024-02-29T23:59:59+01:00" xmp:Rating="5"', f"<dc:rights>{ALT.format('© Ada')}</dc:rights>"),
    ('photoshop:City="København" tiff:Make="Canon"', f"<dc:subject>{BAG.format('boat')}</dc:subject>"),
    ("", f"<dc:title>{ALT.format('漢字')}</dc:title>" + "<xmp:CreatorTool>Camera 3</xmp:CreatorTool>"),
    ('exif:ExposureTime="1/200"', "<tiff:Artist>Bob</tiff:Artist>"),
    ('Iptc4xmpCore:Location="Pier 3"', ""),
]
GO = [
    ('tiff:Orientation="6" hdrgm:Version="1.0"', "<xmp:Thumbnails>AAAA</xmp:Thumbnails>"),
    ('exif:PixelXDimension="7"', "<tiff:Orientation>3</tiff:Orientation>"),
    ('photoshop:ICCProfile="Display P3"', "<GPano:ProjectionType>equirectangular</GPano:ProjectionType>"),
    ('dc:format="image/jpeg" tiff:ImageWidth="7"', ""),
    ('tiff:Orientation="8"', "<tiff:BitsPerSample>8</tiff:BitsPerSample>"),
]
DATASETS = {(2, 5): b"A boat", (2, 25): b"harbour", (2, 80): b"Ada", (2, 116): "© Ada".encode(), (1, 90): b"\x1b%G"}
PREVIEW = {(2, 202): b"\xff\xd8" + bytes(50)}


def packet(number: int, extra: bool = True) -> bytes:
    names = " ".join(f'xmlns:{key}="{value}"' for key, value in SPACES.items())
    pairs = [STAY[number], *([GO[number]] if extra else [])]
    attributes, elements = (" ".join(pair[i] for pair in pairs) for i in (0, 1))
    body = f'<rdf:Description rdf:about="" {names} {attributes}>{elements}</rdf:Description>'
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="{SPACES["rdf"]}">{body}</rdf:RDF></x:xmpmeta>{" " * 200}<?xpacket end="w"?>'
    ).encode()


def iim(datasets: dict[tuple[int, int], bytes]) -> bytes:
    return b"".join(struct.pack(">BBBH", 28, *key, len(text)) + text for key, text in datasets.items())


def resources(data: bytes) -> bytes:
    other = b"8BIM" + struct.pack(">HBcI", 1034, 1, b"a", 3) + b"res\0"
    return other + b"8BIM" + struct.pack(">HHI", 1028, 0, len(data)) + data + bytes(len(data) % 2)


def described(path: Path, xmp: bytes, data: bytes) -> Path:
    image = Image.fromarray(noise(5, 7))
    if path.suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        block = resources(data)
        info.add_text("Raw profile type iptc", f"\niptc\n{len(block):8d}\n{block.hex()}\n", zip=True)
        image.save(path, pnginfo=info)
    elif path.suffix == ".tif":
        even = data + bytes(-len(data) % 4)
        longs = [(33723, 4, len(even) // 4, struct.unpack(f"<{len(even) // 4}I", even), True)]
        tifffile.imwrite(path, noise(5, 7), extratags=[(700, 1, len(xmp), xmp, True), *longs], photometric="rgb")
    elif path.suffix == ".jpg":
        block = b"Photoshop 3.0\0" + resources(data)
        image.save(path, xmp=xmp, extra=b"\xff\xed" + struct.pack(">H", len(block) + 2) + block)
    else:
        image.save(path, xmp=xmp)
    return path


def properties(image: Image.Image) -> Any:
    return image.getxmp()["xmpmeta"]["RDF"]["Description"]


@pytest.mark.parametrize("suffix", RESULTS)
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_xmp(source: str, suffix: str, tmp_path: Path) -> None:
    number = (RESULTS.index(source) + RESULTS.index(suffix)) % len(STAY)
    image = result(described(tmp_path / f"x{source}", packet(number), b""), suffix)
    save(tmp_path / "oracle.jpg", noise(), xmp=packet(number, extra=False))
    with Image.open(tmp_path / "oracle.jpg") as oracle:
        assert properties(image) == properties(oracle)
    assert ImageOps.exif_transpose(image).size == image.size and image.getexif().get(274, 1) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".tif"])
def test_iptc(source: str, suffix: str, tmp_path: Path) -> None:
    image = result(described(tmp_path / f"x{source}", packet(0), iim(DATASETS | PREVIEW)), suffix)
    if suffix == ".png":
        data = bytes.fromhex("".join(image.text["Raw profile type iptc"].split()[2:]))  # type: ignore[attr-defined]
        described(tmp_path / "y.jpg", b"", data[data.index(b"\x1c") :])
        image = Image.open(tmp_path / "y.jpg")
    assert IptcImagePlugin.getiptcinfo(image) == DATASETS  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", RESULTS)
def test_stripped(suffix: str, tmp_path: Path) -> None:
    path = described(tmp_path / "x.jpg", packet(1), iim(DATASETS))
    image = result(path, suffix, keep_metadata=False)
    assert "xmp" not in image.info and not IptcImagePlugin.getiptcinfo(image)  # type: ignore[arg-type]
    content = (tmp_path / f"result{suffix}").read_bytes()
    assert all(word not in content for word in (b"Canon", b"boat", b"Ada", b"xpacket"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_orientation_of_xmp_is_applied_once(suffix: str, orientation: int, tmp_path: Path) -> None:
    flat = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{SPACES["rdf"]}"><rdf:Description xmlns:tiff='
    xmp = f'{flat}"{SPACES["tiff"]}" tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'.encode()
    exif = Image.Exif()
    exif[274] = orientation
    read = {}
    for name, tags in (("xmp", None), ("both", exif)):
        path = described(tmp_path / f"{name}{suffix}", xmp, b"")
        if tags is not None:
            remarks = PngInfo()
            remarks.add_itxt("XML:com.adobe.xmp", xmp.decode())
            save(path, noise(5, 7), exif=tags, xmp=xmp, pnginfo=remarks)
        read[name] = read_picture(path)
        upright = (5, 7) if orientation > 4 else (7, 5)
        assert read[name].size == image_size(path) == upright
        write_picture(tmp_path / "again.png", read[name])
        assert (read_picture(tmp_path / "again.png").colour == read[name].colour).all()


DAMAGE = [
    b"<x:xmpmeta", b"\0" * 50, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "ünï".encode("utf-16"), b"<a/>" * 3,
    packet(0, extra=False)[:-300], b"<x>" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(DAMAGE)))
def test_damaged_remarks_are_left_out(number: int, tmp_path: Path) -> None:
    path = described(tmp_path / "x.webp", DAMAGE[number], b"")
    picture = read_picture(path)
    assert picture.size == (7, 5) and not picture.metadata.xmp
    path = described(tmp_path / "x.jpg", b"", iim(DATASETS)[: 5 + 3 * number])
    kept = read_picture(path).metadata.iptc
    assert iim(DATASETS).startswith(kept)


def test_a_packet_that_jpeg_has_no_room_for(tmp_path: Path) -> None:
    long = packet(0).replace("© Ada".encode(), b"A" * 70_000)
    picture = read_picture(described(tmp_path / "x.webp", long, b""))
    for name in ("y.jpg", "y.tif"):
        write_picture(tmp_path / name, picture)
    assert len(read_picture(tmp_path / "y.tif").metadata.xmp) > 70_000
    assert not read_picture(tmp_path / "y.jpg").metadata.xmp
