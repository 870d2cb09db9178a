"""Public image sets: fetched from a local server, whole folders at a time; archives unpacked safely."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtkd.data import sources
from mtkd.data.archives import unpack
from mtkd.data.examples import EXAMPLES
from mtkd.data.sources import Source, fetch, missing, presence, source
from mtkd.errors import UserError
from mtkd.images import find_images, write_image
from tests.conftest import Run
from tests.servers import HASTY, Server, cut, serving, status


def png(tmp_path: Path, number: int) -> bytes:
    """A small image file; no two alike."""
    path = tmp_path / "one.png"
    write_image(path, EXAMPLES[number % len(EXAMPLES)].read()[number : number + 24, 40:64])
    content = path.read_bytes()
    path.unlink()
    return content


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("MTKD_MIRROR", raising=False)
    monkeypatch.delenv("MTKD_DATA", raising=False)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[tuple[Source, Server]]:
    """A set of four files in two folders, and the server that has it."""
    contents = {f"Tiny/image_SRF_{s}/img_001_SRF_{s}_{k}.png": png(tmp_path, s) for s in (2, 4) for k in ("HR", "LR")}
    with serving(files={f"/base/{path}": content for path, content in contents.items()}) as server:
        files = tuple((path, len(content), sha(content)) for path, content in contents.items())
        yield Source(name="tiny", title="Tiny", order=1, base_url=f"{server.url}/base/", files=files), server


def get(one: Source, root: Path, only: str = "*", keep: bool = False) -> int:
    left = missing(one.remotes(root, only), keep)
    fetch(left, lambda count: None, keep=keep, patience=HASTY)
    return len(left)


def test_the_manifests() -> None:
    counts = {name: len(one.files) for name, one in sources.sources().items()}
    ours = {"bsd100": 600, "bsds400": 400, "div2k": 8, "set14": 84, "set5": 30, "urban100": 400}
    assert ours.items() <= counts.items()
    for one in map(source, ours):
        assert one.base_url.startswith("https://") and one.base_url.endswith("/")
        assert all(size > 0 and len(digest) == 64 for _, size, digest in one.files)
        places = [one.place(Path("data"), path) for path, _, _ in one.files]
        assert len(set(places)) == len(places)
    assert source("bsds400").place(Path("d"), "train/100075.jpg") == Path("d/train/BSDS400/100075.jpg")
    assert not any("SRF_3" in path for path, _, _ in source("urban100").files)
    with pytest.raises(UserError, match="unknown image set 'sett5'; did you mean 'set5'"):
        source("sett5")


def test_fetched_once(tiny: tuple[Source, Server], tmp_path: Path) -> None:
    one, server = tiny
    assert presence(one, tmp_path).files == 0
    assert get(one, tmp_path) == 4
    assert presence(one, tmp_path).complete
    assert sorted(p.name for p in (tmp_path / "benchmarks" / "Tiny").iterdir()) == ["image_SRF_2", "image_SRF_4"]
    assert get(one, tmp_path) == 0 and len(server.requests) == 4
    (tmp_path / "benchmarks/Tiny/image_SRF_2/img_001_SRF_2_LR.png").unlink()
    assert get(one, tmp_path) == 1 and presence(one, tmp_path).complete and len(server.requests) == 5


def test_half_a_folder_is_never_seen(tiny: tuple[Source, Server], tmp_path: Path) -> None:
    one, server = tiny
    broken = "/base/Tiny/image_SRF_4/img_001_SRF_4_LR.png"
    server.faults[broken] = [status(404)]
    with pytest.raises(UserError, match="img_001_SRF_4_LR.png: the server answers 404"):
        get(one, tmp_path)
    there = tmp_path / "benchmarks" / "Tiny"
    assert (there / "image_SRF_2").is_dir() and not (there / "image_SRF_4").exists()
    assert get(one, tmp_path) == 2 and (there / "image_SRF_4").is_dir()
    asked = [path for path, _ in server.requests]
    assert {path: asked.count(path) for path in asked if path != broken} == dict.fromkeys(
        [p for p in server.files if p != broken], 1
    )


def test_two_processes_at_once(tiny: tuple[Source, Server], tmp_path: Path) -> None:
    one, server = tiny
    server.pace = 0.02
    threads = [threading.Thread(target=get, args=(one, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 4 and presence(one, tmp_path).complete


def test_only_some(tiny: tuple[Source, Server], tmp_path: Path) -> None:
    one, _ = tiny
    assert get(one, tmp_path, "*SRF_4*") == 2 and presence(one, tmp_path).files == 2
    with pytest.raises(
        UserError, match=r"--only \*x4\*: no file of tiny matches; give a pattern for paths such as Tiny/image_SRF"
    ):
        one.remotes(tmp_path, "*x4*")


def test_another_file_of_that_name(tiny: tuple[Source, Server], tmp_path: Path) -> None:
    one, server = tiny
    mine = tmp_path / "benchmarks/Tiny/image_SRF_2/img_001_SRF_2_HR.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my own")
    with pytest.raises(UserError, match=r"img_001_SRF_2_HR.png: differs from the public file"):
        get(one, tmp_path)
    assert mine.read_bytes() == b"my own" and server.requests == []


# --- archives


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def div(tmp_path: Path) -> Iterator[tuple[Source, Server, dict[str, bytes]]]:
    """Archives as DIV2K's."""
    images = {f"{n:04d}": png(tmp_path, n) for n in range(1, 5)}
    contents = {
        "D_train_HR.zip": zipped({f"D_train_HR/{n}.png": c for n, c in images.items()}),
        "D_train_LR_bicubic_X2.zip": zipped({f"D_train_LR_bicubic/X2/{n}x2.png": c for n, c in images.items()}),
        "D_train_LR_bicubic_X4.zip": zipped({f"D_train_LR_bicubic/X4/{n}x4.png": c for n, c in images.items()}),
    }
    with serving(files={f"/{name}": content for name, content in contents.items()}) as server:
        files = tuple((name, len(content), sha(content)) for name, content in contents.items())
        images = dict.fromkeys(contents, 4)
        one = Source(
            name="d", title="D", kind="training", order=1, base_url=f"{server.url}/", folder="DIV2K", files=files,
            images=images,
        )  # fmt: skip
        yield one, server, contents


def test_archives_are_unpacked_and_removed(div: tuple[Source, Server, dict], tmp_path: Path) -> None:
    one, server, _ = div
    server.faults["/D_train_HR.zip"] = [cut(1000)]
    assert get(one, tmp_path, "*HR*") == 1 and presence(one, tmp_path).files == 1
    assert [path.name for path in (tmp_path / "DIV2K").iterdir()] == ["D_train_HR"]
    assert get(one, tmp_path) == 2 and presence(one, tmp_path).complete
    assert [p.name for p in find_images(tmp_path / "DIV2K/D_train_LR_bicubic/X4")] == [f"000{n}x4.png" for n in "1234"]
    assert get(one, tmp_path) == 0
    assert len(server.requests) == 4 and not list(tmp_path.rglob(".*"))
    (tmp_path / "DIV2K/D_train_HR/0002.png").unlink()
    assert not presence(one, tmp_path).complete
    before = len(server.requests)
    with pytest.raises(UserError, match=r"D_train_HR: exists, but is not the content of D_train_HR.zip; move it away"):
        get(one, tmp_path)
    assert len(server.requests) == before


def test_archives_are_kept_if_wanted_and_may_be_brought(div: tuple[Source, Server, dict], tmp_path: Path) -> None:
    one, server, contents = div
    (tmp_path / "DIV2K").mkdir()
    brought = tmp_path / "DIV2K" / "D_train_HR.zip"
    brought.write_bytes(contents[brought.name])
    assert get(one, tmp_path, "*HR*", keep=True) == 1 and server.requests == []
    assert brought.exists() and (tmp_path / "DIV2K/D_train_HR/0004.png").exists()
    assert get(one, tmp_path, "*HR*", keep=True) == 0
    assert get(one, tmp_path, "*HR*") == 1 and not brought.exists()


def test_folders_brought_by_hand_are_left_alone(tmp_path: Path) -> None:
    one = source("div2k")
    folder = tmp_path / "DIV2K" / "DIV2K_valid_LR_bicubic" / "X3"
    folder.mkdir(parents=True)
    for number in range(801, 901):
        (folder / f"{number:04d}x3.png").touch()
    assert presence(one, tmp_path).files == 1
    assert missing(one.remotes(tmp_path, "DIV2K_valid_LR_bicubic_X3.zip")) == []


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png", "c:/evil.png"])
def test_nothing_leaves_the_folder(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "in" / "a.zip"
    archive.parent.mkdir()
    archive.write_bytes(zipped({"a/good.png": png(tmp_path, 1), name: png(tmp_path, 2)}))
    with pytest.raises(UserError, match=r"a\.zip: not unpacked, since '.*evil.png' would lie outside"):
        unpack(archive, "a", archive.parent / "a")
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    archive, info = tmp_path / "a.zip", zipfile.ZipInfo("a/link.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(info, "/etc/hostname")
    with pytest.raises(UserError, match="refused"):
        unpack(archive, "a", archive.parent / "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", r"damaged archive .*; remove it, then fetch it again"),
        (zipped({"b/1.png": b"image"}), "contains no folder a"),
    ],
)
def test_bad_archives(content: bytes, message: str, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    with pytest.raises(UserError, match=message):
        unpack(archive, "a", archive.parent / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_flipped_bit_in_an_archive(tmp_path: Path) -> None:
    content = bytearray(zipped({"a/1.png": png(tmp_path, 1)}))
    content[120] ^= 1
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    with pytest.raises(UserError, match="damaged archive .Bad CRC-32"):
        unpack(archive, "a", archive.parent / "a")
    assert not (tmp_path / "a").exists()


def test_unpacking_that_was_killed_begins_anew(div: tuple[Source, Server, dict], tmp_path: Path) -> None:
    one, _, _ = div
    half = tmp_path / "DIV2K" / ".D_train_HR.unpacking" / "D_train_HR"
    half.mkdir(parents=True)
    (half / "0001.png").write_bytes(b"half an im")
    assert get(one, tmp_path, "*HR*") == 1 and presence(one, tmp_path).files == 1
    assert (tmp_path / "DIV2K/D_train_HR/0001.png").read_bytes() == png(tmp_path, 1)
    assert [path.name for path in (tmp_path / "DIV2K").iterdir()] == ["D_train_HR"]


def test_an_archive_that_would_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"a/1.png": bytes(5000)}))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match=r"a\.zip: no space left: 5,000 bytes needed, 1,000 free; free some space"):
        unpack(archive, "a", archive.parent / "a")


# --- as a command


def command(*arguments: object, **environment: str) -> list[str]:
    return [sys.executable, "-m", "mtkd.cli", *map(str, arguments)]


def test_set5_as_a_command_killed_in_the_middle(data_root: Path, tmp_path: Path) -> None:
    """From the real manifest at a mirror; Ctrl-C, then SIGKILL, then to the end: no whole file comes twice."""
    one = source("set5")
    host = "/" + one.base_url.removeprefix("https://")
    files = {f"{host}{path}": (data_root / "benchmarks" / path).read_bytes() for path, _, _ in one.files}
    environment = {k: v for k, v in os.environ.items() if k != "MTKD_DATA"} | {"MTKD_HOME": str(tmp_path / "home")}
    with serving(files=files, pace=0.15) as server:
        environment["MTKD_MIRROR"] = server.url
        for stop, begun in ((signal.SIGINT, 6), (signal.SIGKILL, 14)):
            first = subprocess.Popen(command("data", "fetch", "set5"), env=environment, stderr=subprocess.PIPE)
            while len(server.requests) < begun:
                assert first.poll() is None
                time.sleep(0.01)
            first.send_signal(stop)
            _, said = first.communicate()
            assert (first.returncode, said) == {
                signal.SIGINT: (130, b"stopped; run the same command again to continue\n"),
                signal.SIGKILL: (-9, b""),
            }[stop]
        folder = tmp_path / "home" / "data" / "benchmarks" / "Set5"
        whole = [path for path in folder.rglob("*.png")]
        server.pace, before = 0, [path for path, _ in server.requests]
        done = subprocess.run(
            command("data", "fetch", "set5", "--json"), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        assert (row["state"], row["official"], row["layout"]) == ("complete", [2, 3, 4], "SelfExSR")
        again = [path for path, _ in server.requests[len(before) :]]
        assert len(again) == 30 - len(whole) and not {p.name for p in whole} & {p.rpartition("/")[2] for p in again}
        assert sorted(p.name for p in folder.iterdir()) == ["image_SRF_2", "image_SRF_3", "image_SRF_4"]
        for path, _, digest in one.files:
            assert sha((folder.parent / path).read_bytes()) == digest


def test_the_command_line(run: Run, refused, monkeypatch: pytest.MonkeyPatch, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one, _ = tiny
    monkeypatch.setattr(sources, "sources", lambda: {"tiny": one})
    root = ("--data", tmp_path / "d")
    assert "unknown image set 'tinny'; did you mean 'tiny'" in refused("data", "fetch", "tinny", *root)
    assert "no file of tiny matches" in refused("data", "fetch", "tiny", "--only", "x", *root)
    outcome = run("data", "fetch", "tiny", *root)
    assert outcome.code == 0 and "tiny: 4 files fetched; complete" in outcome.out
    assert "tiny: nothing to fetch; complete" in run("data", "fetch", "tiny", *root).out
    rows = {row["name"]: row for row in json.loads(run("data", "--json", *root).out)["sets"]}
    assert rows["tiny"]["official"] == [2, 4] and rows["tiny"]["derived"] == [3]
    assert rows["tiny"]["complete"] and rows["tiny"]["folder"] == str(tmp_path / "d" / "benchmarks" / "Tiny")
    listed = run("data", "list", *root)
    assert listed.code == 0 and "x2 x4" in listed.out
    assert run("data", "fetch", "tiny", "--help").code == 0
