"""The project's own promises: installation files agree, the wheel works elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from mtkd.data.sources import sources
from mtkd.zoo import published

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_installs_the_same_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip_name, pip = environment["dependencies"]
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert python == f"python={minimum}" and pip_name == "pip"
    assert pip["pip"] == ["-c constraints.txt", "-e .[all]"]


def test_constraints_pin_every_requirement():
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    required = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
    for requirement in required:
        name = re.split(r"[<>=\[]", requirement)[0].lower()
        assert name == "mtkd" or name in pins, f"{name} is not pinned"
    assert pins["torch"] == "2.13.0"


def test_readme_is_a_spaces_front_page():
    """What a host of Gradio apps reads: the version is the pinned one, the file starts the explorer."""
    _, front, _ = (ROOT / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(front)
    assert f"gradio=={told['sdk_version']}" in (ROOT / "constraints.txt").read_text().splitlines()
    assert told["sdk"] == "gradio" and told["python_version"] == PROJECT["requires-python"].removeprefix(">=")
    assert (ROOT / "requirements.txt").read_text().strip() == ".[app]"
    done = subprocess.run(
        [sys.executable, told["app_file"], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("Usage: mtkd demo"), done.stderr


def test_files_in_git_stay_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    sizes = {
        name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name and (ROOT / name).exists()
    }
    assert max(sizes.values()) <= 12 << 20
    assert sum(sizes.values()) <= 50 << 20


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's content, and an empty folder beside it to work in."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    (folder / "empty").mkdir()
    return folder


def run_elsewhere(installed: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MTKD_")}
    environment["PYTHONPATH"] = str(installed / "site")
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_wheel_claims_no_common_import_name(installed):
    top = {path.name for path in (installed / "site").iterdir() if path.suffix != ".dist-info"}
    assert top == {"mtkd", "mtkd_app"}


def test_wheel_upscales_in_an_empty_folder(installed):
    where = run_elsewhere(installed, "-c", "import mtkd; print(mtkd.__file__)")
    assert str(installed / "site") in where.stdout
    picture = installed / "site" / "mtkd" / "data" / "example_images" / "brick.png"
    command = ["-m", "mtkd.cli", "upscale", str(picture), "-o", "big.png", "--model", "edsr_tiny-mtkd", "--scale", "4"]
    done = run_elsewhere(installed, *command)
    assert done.returncode == 0, done.stderr
    assert (installed / "empty" / "big.png").stat().st_size > 10_000


def test_wheel_has_the_plans_and_the_papers_numbers(installed):
    done = run_elsewhere(installed, "-m", "mtkd.cli", "matrix", "table5", "--only", "v5", "--dry-run")
    assert done.returncode == 0 and "rcan_tiny-v5" in done.stdout, done.stderr
    code = "from mtkd.experiments.published import published; print(len(published().claims))"
    assert int(run_elsewhere(installed, "-c", code).stdout) > 5
    assert list((installed / "empty").glob("runs")) == []


def test_wheel_knows_the_public_weights_and_data(installed):
    code = (
        "from mtkd.data.sources import sources; from mtkd.zoo import published; "
        "print(sum(len(s.files) for s in sources().values()), len(published.names()))"
    )
    here = [sum(len(source.files) for source in sources().values()), len(published.names())]
    assert min(here) > 0 and run_elsewhere(installed, "-c", code).stdout.split() == list(map(str, here))


def test_wheel_has_the_explorer(installed):
    done = run_elsewhere(
        installed,
        "-c",
        "from mtkd_app.main import build; from mtkd_app.server.session_files import Pictures; build(Pictures())",
    )
    assert done.returncode == 0, done.stderr
