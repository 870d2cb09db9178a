"""The catalogue: files are read once, again where they change, and what a model is its header and card say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.zoo import Catalogue, model
from mtkd.zoo.checkpoints import save_weights
from mtkd.zoo.headers import Header


def write(path: Path, name: str, network: str = "edsr_tiny", **card: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, networks.build(network, 2), Header(name, network, 2))
    if card:
        path.with_suffix(".json").write_text(json.dumps(card))
    return path


def names(catalogue: Catalogue) -> list[str]:
    return [found.name for found in catalogue.models()]


def test_a_folder_that_changes_is_seen_and_nothing_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = model.read_header
    catalogue = Catalogue([tmp_path])
    write(tmp_path / "a_x2.safetensors", "a")
    assert names(catalogue) == ["a"]  # and the bundled ones are known
    monkeypatch.setattr(model, "read_header", lambda path: (reads.append(path.name), real(path))[1])
    path = write(tmp_path / "a_x2.safetensors", "a")
    write(tmp_path / "b_x2.safetensors", "b")
    for _ in range(2):
        assert names(catalogue) == ["a", "b"]
    assert sorted(reads) == ["a_x2.safetensors", "b_x2.safetensors"]
    write(tmp_path / "c_x2.safetensors", "c")
    assert names(catalogue) == ["a", "b", "c"]
    write(path, "a", "rcan_tiny")
    assert catalogue.find("a", 2).network == "rcan_tiny"
    path.write_text("not weights")
    assert names(catalogue) == ["b", "c"] and list(catalogue.unreadable) == [path]
    with pytest.raises(UserError, match="not a readable safetensors file"):
        catalogue.find("a", 2)
    with pytest.raises(UserError, match="not a readable safetensors file"):
        Catalogue([tmp_path], strict=[tmp_path]).models()
    path.unlink()
    assert names(catalogue) == ["b", "c"] and not catalogue.unreadable
    assert reads.count("b_x2.safetensors") == 1


def test_the_bundled_folder_is_read_again_where_a_file_is_added_or_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a_x2.safetensors", "a")
    monkeypatch.setattr(zoo.catalogue, "BUNDLED", tmp_path)
    catalogue = Catalogue([tmp_path])
    assert names(catalogue) == ["a"] and catalogue.find("a", 2).bundled
    with monkeypatch.context() as no_reading:
        no_reading.setattr(model, "_signature", lambda path: pytest.fail(f"{path} looked at again"))
        assert names(catalogue) == ["a"]
    write(tmp_path / "b_x2.safetensors", "b")
    assert names(catalogue) == ["a", "b"]
    replaced = write(tmp_path / "later" / "a_x2.safetensors", "a", "rcan_tiny")
    replaced.rename(tmp_path / "a_x2.safetensors")
    assert catalogue.find("a", 2).network == "rcan_tiny"


def test_a_card_that_changes_is_read_again(tmp_path: Path) -> None:
    path, catalogue = write(tmp_path / "a_x2.safetensors", "a", method="kd"), Catalogue([tmp_path])
    assert catalogue.find("a", 2).method == "kd"
    path.with_suffix(".json").write_text('{"method": "scratch"}')
    assert catalogue.find("a", 2).method == "scratch"


def test_header_and_card_say_what_a_model_is(tmp_path: Path) -> None:
    """The file's name and the model's name say something else."""
    write(tmp_path / "edsr_mini-mtkd_x4.safetensors", "rcan_tiny-at", method="kd", role="teacher", iterations=9)
    write(tmp_path / "snapshots" / "other.safetensors", "way@5", iterations=7, ends_as="rcan_tiny-at")
    (found,) = Catalogue([tmp_path]).models()
    assert (found.name, found.network, found.method, found.scale, found.role) == (
        "rcan_tiny-at", "edsr_tiny", "kd", 2, "teacher",
    )  # fmt: skip
    assert list(found.snapshots()) == [7] and found.step is None and found.snapshots()[7].ends_as == "rcan_tiny-at"


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"]])
def test_listing_models_imports_no_torch(arguments: list[str], tmp_path: Path) -> None:
    """Bundled ones, and a run of the user's whose network is that of a bundled one."""
    write(tmp_path / "models" / "mine_x2.safetensors", "mine", role="student", parameters=7)
    code = (
        "import sys; from mtkd.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "MTKD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "rcan_tiny-mtkd" in done.stdout and "mine" in done.stdout and done.stderr.strip() == "False"
