"""The graph on Ray: the same weights and the same report as in one process, also when a worker is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mtkd.cli.main import main
from mtkd.experiments import records
from mtkd.experiments.plan import Plan
from mtkd.experiments.tables import report
from tests.training.test_resume import _environment

pytest.importorskip("ray", reason="Ray is the optional extra 'cluster'")


def killed_worker(driver: psutil.Process, out: Path) -> str:
    """Kill the Ray worker that trains an aggregator, once it has saved a checkpoint; returns its name."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        begun = [p.parent for p in out.glob("aggregator_mini_*/metrics.jsonl") if len(p.read_text().splitlines()) > 4]
        if begun and not (begun[0] / "finished.json").exists():
            for process in driver.children(recursive=True):
                try:
                    title = " ".join(process.cmdline())
                    if title.startswith("ray::train-aggregator_mini_"):
                        process.send_signal(signal.SIGKILL)
                        return title.strip()
                except psutil.NoSuchProcess:
                    continue
        time.sleep(0.01)
    raise AssertionError("no worker was seen training the aggregator")


@pytest.mark.sweep
def test_ray_with_a_killed_worker_ends_as_one_process_does(
    plan_file: Path, tiny: Plan, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    command = [
        sys.executable,
        "-m",
        "mtkd.cli",
        "matrix",
        "trial",
        "--size",
        str(plan_file),
        "--out",
        str(out),
        "--ray",
    ]
    environment = {key: value for key, value in _environment().items() if key != "MTKD_DATA"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        killed = killed_worker(psutil.Process(driver.pid), out)
        printed, _ = driver.communicate(timeout=450)
    assert driver.returncode == 0, printed
    assert "] failed" not in printed and "] skipped" not in printed
    assert "will be retried" in printed  # Ray's word on the worker that died
    assert killed.split("::")[1].removeprefix("train-") in {path.name for path in out.iterdir()}

    weights = sorted(path.relative_to(finished) for path in finished.glob("*/model.safetensors"))
    assert len(weights) == 10 and weights == sorted(path.relative_to(out) for path in out.glob("*/model.safetensors"))
    for path in weights:
        assert (out / path).read_bytes() == (finished / path).read_bytes(), path
    contents = []
    for folder in (finished, out):
        content = report(tiny, records.read(records.rebuild(folder)), ["trial"], [2])
        for row in content["tables"][0]["rows"]:
            row.pop("seconds")
        contents.append(json.dumps(content))
    assert contents[0] == contents[1]


def test_ray_that_is_not_installed_is_told_in_one_line(
    plan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # what Python has for a module that cannot be imported
    arguments = ["matrix", "trial", "--size", str(plan_file), "--out", str(tmp_path), "--ray"]
    monkeypatch.setattr(sys, "argv", ["mtkd", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "Ray is not installed: pip install 'mtkd[cluster]'" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/model.safetensors"))
