"""Plugins: files of users, loaded once, whole or not at all, with errors that name their line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mtkd import plugins
from mtkd.errors import UserError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch):
    """Nothing that a test loads stays."""
    monkeypatch.setenv("MTKD_PLUGINS", "")
    before = {plugin.name for plugin in plugins.loaded()}
    yield
    plugins.unload([plugin.name for plugin in plugins.loaded() if plugin.name not in before])


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


METRIC = """from mtkd.plugins import metric

@metric("mine", unit="dB", better="lower", digits=1)
def mine(sr_image, hr_image):
    return 1.0
"""


def test_a_file_declares_and_is_loaded_once(tmp_path: Path) -> None:
    path = write(tmp_path, METRIC)
    (plugin,) = plugins.load([path])
    assert plugin.declares == [("metric", "mine")]
    spec = plugins.METRICS["mine"]
    assert (spec.unit, spec.better, spec.digits, spec.title) == ("dB", "lower", 1, "MINE")
    assert str(plugins.METRICS.source("mine")) == f"{path}, line 3"
    assert plugins.load([path]) == [plugin]
    assert plugins.providers(("metric", "mine")) == [plugin]


def test_beside_and_passed_on(tmp_path: Path) -> None:
    path = write(tmp_path, METRIC)
    plugins.load(["mine.py"], beside=tmp_path, pass_on=True)
    assert os.environ["MTKD_PLUGINS"] == str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:\n", "mine.py, line 1: SyntaxError"),
        ("\nimport no_such_module_at_all\n", "mine.py, line 2: ModuleNotFoundError"),
        (METRIC + METRIC, "mine.py, line 8: the metric 'mine' is already declared in"),
    ],
)
def test_a_fault_names_its_line_and_leaves_nothing(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as refused:
        plugins.load([path])
    assert message in str(refused.value)
    assert "mine" not in plugins.METRICS
    assert path not in {plugin.path for plugin in plugins.loaded()}


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        plugins.load([tmp_path / "nothing.py"])
    with pytest.raises(UserError, match="no such file or module"):
        plugins.load(["no_such_module_at_all"])


def test_what_is_typed_into_a_notebook_may_be_declared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that is run again after a change; code of a file stays refused."""
    main = {"__name__": "__main__", "metric": plugins.metric}
    cell = compile("@metric('typed', digits=DIGITS)\ndef typed(sr_image, hr_image): ...", "cell", "exec")
    monkeypatch.setattr(sys.modules["__main__"], "get_ipython", object, raising=False)
    try:
        exec(cell, {**main, "DIGITS": 1})
        exec(cell, {**main, "DIGITS": 2})
        assert plugins.METRICS["typed"].digits == 2
        with pytest.raises(UserError, match="already declared"):
            exec(cell, {**main, "__name__": "somewhere", "DIGITS": 3})
        monkeypatch.delattr(sys.modules["__main__"], "get_ipython")
        with pytest.raises(UserError, match="already declared"):
            exec(cell, {**main, "DIGITS": 3})
        assert plugins.METRICS["typed"].digits == 2
    finally:
        plugins.METRICS.remove("typed")
