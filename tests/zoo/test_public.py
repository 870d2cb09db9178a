"""Published weights: where they lie, fetched from a local server or brought by hand, believed by their hash alone."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtkd import networks, zoo
from mtkd.downloads import PIECE
from mtkd.errors import UserError
from mtkd.experiments.plan import load_plan
from mtkd.experiments.published import published as papers
from mtkd.zoo import imports, public, published
from mtkd.zoo.checkpoints import read_state
from tests.conftest import Run
from tests.servers import HASTY, cut, serving, status
from tests.training.conftest import write_model
from tests.zoo.test_imports import original_edsr, original_rcan, saved, state_of

State = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    for name in ("MTKD_ZOO", "MTKD_MIRROR", "MTKD_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say that a model's file has this hash (or none)."""

    def call(name: str, scale: int, sha256: str | None) -> None:
        entry = published.known()[name]
        file = entry.files[scale].model_copy(update={"sha256": sha256, "vouched": "others" if sha256 else ""})
        changed = entry.model_copy(update={"files": {**entry.files, scale: file}})
        known = {**published.known(), name: changed}
        monkeypatch.setattr(published, "known", lambda: known)

    return call


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lightweight(tmp_path: Path, scale: int = 2) -> tuple[Path, State]:
    """A file in the form of SwinIR's, under its published name."""
    state = state_of("swinir_lightweight", scale)
    buffer = {"layers.0.residual_group.blocks.1.attn_mask": torch.zeros(64, 64, 64)}
    name = published.entry("swinir_lightweight").files[scale].file_name
    return saved(tmp_path / name, {"params": state | buffer}), state


def test_what_is_known() -> None:
    assert published.names() == ["edsr", "edsr_baseline", "rcan", "swinir", "swinir_df2k", "swinir_lightweight"]
    for name in published.names():
        entry = published.entry(name)
        assert set(entry.files) == set(entry.published) == {2, 3, 4}
        for scale, file in entry.files.items():
            assert set(entry.published[scale]) == {"Set5", "Set14", "BSD100", "Urban100"}
            if file.url is None:
                assert name == "rcan" and entry.by_hand
                continue
            assert file.url.startswith("https://")
            assert f"x{scale}" in file.file_name
            digits = re.search(r"-([0-9a-f]{8})\.pt$", file.file_name)
            if digits:  # what the publisher itself says of the hash
                assert file.sha256 is not None and file.sha256.startswith(digits[1]) and file.vouched == "name"
    unknown = [(n, s) for n in published.names() for s, f in published.entry(n).files.items() if f.url and not f.sha256]
    assert unknown == [("swinir_lightweight", 3)]
    with pytest.raises(UserError, match="unknown published model 'sweenir'; did you mean 'swinir'"):
        published.entry("sweenir")


@pytest.mark.parametrize(
    ("name", "table", "row"),
    [("rcan", "table2", "full"), ("edsr", "table3", "full"), ("swinir_lightweight", "table4", "scratch")],
)
def test_numbers_are_those_that_the_paper_cites(name: str, table: str, row: str) -> None:
    for scale, sets in published.entry(name).published.items():
        for set_name, pair in sets.items():
            assert papers().cell(table, scale, row, set_name) == pytest.approx(pair)


def test_swinir_trained_on_div2k_is_the_papers_teacher() -> None:
    """Table 4's "Full"; the plan at paper size takes teachers by these names."""
    plan = load_plan("paper")
    assert {plan.teacher_name(a) for a in ("edsr", "rcan", "swinir")} <= set(published.names())
    for scale, sets in published.entry("swinir").published.items():
        for set_name, pair in sets.items():
            assert papers().cell("table4", scale, "full", set_name) == pytest.approx(pair)
    assert published.entry("swinir_df2k").published[4]["Urban100"][0] == 27.45


# --- fetching


def test_fetched_once(tmp_path: Path, home: Path, publish: Callable[..., None]) -> None:
    file, state = lightweight(tmp_path)
    publish("swinir_lightweight", 2, sha(file))
    source = published.entry("swinir_lightweight").files[2]
    path = "/" + (source.url or "").removeprefix("https://")
    with serving(files={path: file.read_bytes()}) as server:
        server.faults[path] = [cut(100_000), status(500)]
        found = public.fetch("swinir_lightweight", 2, mirror=server.url, patience=HASTY)
        assert found.new and server.served[path] < file.stat().st_size + PIECE
        again = public.fetch("swinir_lightweight", 2, mirror=server.url, patience=HASTY)
        assert not again.new and again.model.path == found.model.path and len(server.requests) == 3
    assert found.model.path == home / "models" / "swinir_lightweight_x2.safetensors"
    kept = read_state(found.model.path)
    assert kept.keys() == state.keys() and all(torch.equal(kept[key], state[key]) for key in state)
    card = found.model.card
    assert card["source"]["sha256"] == sha(file) and card["public"]["address"] == source.url
    assert card["public"]["published"]["Set5"] == [38.14, 0.9611] and card["public"]["trained_on"] == "DIV2K"
    assert card["public"]["licence"].startswith("Apache-2.0")
    assert not list((home / "downloads").iterdir())
    assert zoo.load("swinir_lightweight", 2)(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)


def test_another_file_at_the_address(tmp_path: Path, home: Path, publish: Callable[..., None]) -> None:
    file, _ = lightweight(tmp_path)
    publish("swinir_lightweight", 2, "0" * 64)
    path = "/" + (published.entry("swinir_lightweight").files[2].url or "").removeprefix("https://")
    with serving(files={path: file.read_bytes()}) as server:
        with pytest.raises(UserError, match="does not match the known hash: expected 0{64} but got"):
            public.fetch("swinir_lightweight", 2, mirror=server.url, patience=HASTY)
        assert not list(home.rglob("*.safetensors"))
        found = public.fetch("swinir_lightweight", 2, sha256=sha(file), mirror=server.url, patience=HASTY)
        assert found.new


def test_a_file_whose_hash_nobody_knows(tmp_path: Path, home: Path, publish: Callable[..., None]) -> None:
    """It is taken, and its hash told; --sha256 then holds others to it."""
    publish("swinir_lightweight", 2, None)
    file, state = lightweight(tmp_path)
    path = "/" + (published.entry("swinir_lightweight").files[2].url or "").removeprefix("https://")
    with serving(files={path: file.read_bytes()}) as server:
        found = public.fetch("swinir_lightweight", 2, mirror=server.url, patience=HASTY)
    assert any(sha(file) in note and "--sha256" in note for note in found.notes)
    assert found.model.card["source"]["sha256"] == sha(file)
    imports.remove("swinir_lightweight", 2)
    other = saved(tmp_path / "other.pth", {"params": {key: value + 1 for key, value in state.items()}})
    with pytest.raises(UserError, match=rf"its SHA-256 is {sha(other)}, {sha(file)} was expected"):
        public.fetch("swinir_lightweight", 2, other, sha(file))
    assert public.fetch("swinir_lightweight", 2, file, sha(file)).new


def test_offline(publish: Callable[..., None]) -> None:
    with serving() as gone:
        pass
    with pytest.raises(UserError, match=r"cannot be reached; is this computer offline\?"):
        public.fetch("edsr_baseline", 4, mirror=gone.url, patience=HASTY)


# --- by hand


def test_rcan_is_brought_by_hand(tmp_path: Path, home: Path) -> None:
    with pytest.raises(UserError, match=r"Open https://drive\.google\.com/.* mtkd models fetch rcan --scale 3 --file"):
        public.fetch("rcan", 3)
    torch.manual_seed(0)
    file = saved(tmp_path / "RCAN_BIX3.pt", original_rcan(3, blocks=20))
    archive = tmp_path / "models_ECCV2018RCAN.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.write(file, "models_ECCV2018RCAN/RCAN_BIX3.pt")
    found = public.fetch("rcan", 3, archive)
    assert found.model.name == "rcan" and found.model.card["source"]["sha256"] == sha(file)
    assert not list((home / "downloads").iterdir()) and file.exists() and archive.exists()
    with pytest.raises(UserError, match=r"models_ECCV2018RCAN.zip: contains no RCAN_BIX2.pt"):
        public.fetch("rcan", 2, archive)


@pytest.mark.parametrize("damage", ["compressed data", "encrypted"])
def test_an_archive_that_cannot_be_unpacked(damage: str, tmp_path: Path, home: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("RCAN_BIX3.pt", b"weights " * 1000)
    raw = bytearray(archive.read_bytes())
    if damage == "encrypted":  # the flag's bit, in the entry and in the directory
        raw[6] |= 1
        raw[raw.index(b"PK\x01\x02") + 8] |= 1
    else:
        start = 30 + len("RCAN_BIX3.pt")
        raw[start : start + 8] = b"\xff" * 8
    archive.write_bytes(raw)
    with pytest.raises(UserError, match=r"a\.zip: not a readable archive \("):
        public.fetch("rcan", 3, archive)
    assert not list(home.rglob("*.pt"))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "name",
    [
        "edsr_baseline",
        "swinir_lightweight",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("edsr", "rcan", "swinir", "swinir_df2k")),
    ],
)
def test_every_public_form_round_trips(name: str, scale: int, tmp_path: Path, publish: Callable[..., None]) -> None:
    """Random weights in the authors' form, written as files then were: every tensor arrives, none is left over."""
    torch.manual_seed(scale)
    entry = published.entry(name)
    if name.startswith("swinir"):
        original = state_of(entry.network, scale)
        index = {"layers.0.residual_group.blocks.0.attn.relative_position_index": torch.zeros(64, 64).long()}
        file, content = tmp_path / "a.pth", {"params": original | index}
    else:
        make = {"rcan": lambda: original_rcan(scale, blocks=20), "edsr": lambda: original_edsr(scale, 256, 32)}
        original = make.get(name, lambda: original_edsr(scale))()
        file, content = tmp_path / "a.pt", original
    torch.save(content, file, _use_new_zipfile_serialization=False)
    publish(name, scale, sha(file))
    found = public.fetch(name, scale, file)
    assert found.model.header.network == entry.network and found.model.scale == scale
    kept = read_state(found.model.path)
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in networks.build(entry.network, scale).state_dict().items()}
    assert {key: value.shape for key, value in kept.items()} == shapes
    weights = [value for key, value in original.items() if "_mean." not in key]
    sums = sorted(float(value.double().sum()) for value in weights)
    assert sorted(float(value.double().sum()) for value in kept.values()) == pytest.approx(sums, rel=1e-6, abs=1e-9)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch evil",)


def test_bad_files(tmp_path: Path, home: Path, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a checkpoint may be that is none: refused in one sentence, nothing kept, nothing run."""
    monkeypatch.chdir(tmp_path)
    state = state_of("edsr_baseline", 4)
    gone = {key: value for key, value in state.items() if key != "conv_first.bias"}
    files = {
        "conv_first.bias is missing": saved(tmp_path / "missing.pth", gone),
        "conv_extra.weight is unexpected": saved(tmp_path / "more.pth", state | {"conv_extra.weight": torch.zeros(3)}),
        "is not edsr_baseline x4 but edsr_baseline x2": saved(tmp_path / "x2.pth", state_of("edsr_baseline", 2)),
        "refused, no code in it was run": tmp_path / "evil.pth",
        "not a readable weights file": tmp_path / "cut.pth",
        "no such file|cannot be read": tmp_path / "none.pth",
    }
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "cut.pth").write_bytes((tmp_path / "x2.pth").read_bytes()[:100_000])
    publish("edsr_baseline", 4, None)
    for message, file in files.items():
        with pytest.raises(UserError, match=message):
            public.fetch("edsr_baseline", 4, file)
    assert not (tmp_path / "evil").exists() and not list(home.rglob("*.safetensors"))
    publish("edsr_baseline", 4, "0" * 64)
    with pytest.raises(UserError, match="not the published file edsr_baseline_x4-6b446fab.pt"):  # not even opened
        public.fetch("edsr_baseline", 4, tmp_path / "evil.pth")


def test_a_model_of_that_name(tmp_path: Path, home: Path) -> None:
    write_model(home / "models", "edsr", "edsr_tiny", 1, scale=4)
    with pytest.raises(
        UserError, match="edsr_x4.safetensors: a model 'edsr' for scale 4 that is not the published one"
    ):
        public.fetch("edsr", 4)


# --- as commands


def test_the_command_line(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    listed = run("models", "fetch")
    assert listed.code == 0 and "by hand: https://github.com/yulunzhang/RCAN" in listed.out
    rows = json.loads(run("models", "fetch", "--json").out)
    assert len(rows) == 18 and not any(row["here"] for row in rows)
    assert "unknown published model 'edrs'" in refused("models", "fetch", "edrs")
    assert "--scale 8: give 2, 3 or 4" in refused("models", "fetch", "edsr", "--scale", 8)
    assert "give a single NAME" in refused("models", "fetch", "edsr", "rcan", "--file", "x")
    assert "mirror nonsense: give an address" in refused("models", "fetch", "edsr", "--mirror", "nonsense")


def test_fetch_and_check_as_commands(tmp_path: Path, home: Path) -> None:
    """In processes of their own; the hash is unknown (x3)."""
    file, _ = lightweight(tmp_path, 3)
    path = "/" + (published.entry("swinir_lightweight").files[3].url or "").removeprefix("https://")
    fetch = [sys.executable, "-m", "mtkd.cli", "models", "fetch", "swinir_lightweight", "--scale", "3"]
    with serving(files={path: file.read_bytes()}) as server:
        environment = dict(os.environ) | {"MTKD_MIRROR": server.url}
        done = subprocess.run(fetch, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "saved as" in done.stdout and "mtkd benchmark swinir_lightweight --scale 3 --check" in done.stdout
        again = subprocess.run([*fetch, "--json"], env=environment, capture_output=True, text=True, check=False)
        assert json.loads(again.stdout)[0]["new"] is False and len(server.requests) == 1
