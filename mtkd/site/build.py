"""Builds the static explorer: pages, runtime, models as ONNX, example pictures."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mtkd import __version__, networks, zoo
from mtkd.data.examples import PICTURES
from mtkd.errors import Unwritable, UserError
from mtkd.explore.comparison.choices import BICUBIC, default_models, model_choices, presets
from mtkd.explore.report.document import module
from mtkd.explore.viewer import plain, script, style
from mtkd.export import export
from mtkd.export.graph import inside
from mtkd.infer import overlap_of, window_of
from mtkd.methods.mtkd import MTKD
from mtkd.networks.aggregator import with_teachers
from mtkd.site.findings import findings
from mtkd.site.runtime import copy_runtime, runtime

MARK = "mtkd-site.json"
"""Lies in every site that is built here: such a folder may be built anew."""
_SCRIPTS = ("app", "engine", "worker", "backends", "resize", "wavelets", "framework", "isolate")
PAGES = ("index.html", "site.css", *(f"{name}.js" for name in _SCRIPTS))


def build(
    folder: Path,
    models: Sequence[str] = (),
    scale: int = 4,
    given: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Build the site into ``folder``, whole or not at all.

    Args:
        models: names of the catalogue; by default those of the preset "All methods" and the aggregator's teachers.
        given: a folder with onnxruntime-web, in place of the one from npm.
        progress: called with what is written, how many parts are done, of how many.

    Raises:
        UserError: the folder holds something else, an unknown model, one that cannot be exported, or no runtime.
        Unwritable: the disk is full, or the folder cannot be written to.
    """
    _check_place(folder)
    names = _names(models, scale)
    source = runtime(given)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", dir=folder.parent))
    except OSError as error:
        raise Unwritable(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        _write(work, names, scale, source, progress or (lambda *_: None))
        old = work.with_name(f"{work.name}.old")
        if folder.exists():
            folder.rename(old)
        work.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        folder.chmod(0o755)
    except OSError as error:
        raise Unwritable(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _check_place(folder: Path) -> None:
    if folder.is_file():
        raise UserError(f"{folder}: a file; give the name of a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise UserError(f"{folder}: holds something else; choose an empty or a new folder")


def _names(models: Sequence[str], scale: int) -> list[str]:
    """Names of the models of the site, without bicubic, which needs no file."""
    if not models:
        groups = model_choices(scale)
        teachers = [name for title in ("Teachers",) for _, name in groups.get(title, [])]
        bundled = {model.name for model in zoo.models(scale) if model.bundled}
        chosen = [*presets(scale)["All methods"], *default_models(scale), *teachers]
        models = [name for name in chosen if name in bundled]
    for name in models:
        if name not in networks.baselines():
            zoo.find(name, scale)
    return [name for name in dict.fromkeys(models) if name not in networks.baselines()]


def _write(
    work: Path, names: Sequence[str], scale: int, source: Path, progress: Callable[[str, int, int], None]
) -> None:
    page = resources.files("mtkd.site").joinpath("page")
    for name in PAGES:
        (work / name).write_text(page.joinpath(name).read_text(encoding="utf-8"), encoding="utf-8")
    (work / "viewer.js").write_text(script(), encoding="utf-8")
    (work / "viewer.css").write_text(style(), encoding="utf-8")
    (work / "metrics.js").write_text(f"{plain('places')}\n{module('metrics.js')}", encoding="utf-8")
    webgpu = copy_runtime(source, work / "runtime")
    (work / "models").mkdir()
    (work / "pictures").mkdir()
    known = []
    for number, name in enumerate(names):
        progress(name, number, len(names))
        known.append(_model(work, name, scale))
    pictures = []
    for picture in PICTURES:
        shutil.copyfile(picture.path, work / "pictures" / picture.path.name)
        view = picture.view()
        pictures.append({"title": picture.title, "file": f"pictures/{picture.path.name}", "view": view})
    here = {BICUBIC, *names}
    content = {
        "version": __version__,
        "scale": scale,
        "webgpu": webgpu,
        "alpha": MTKD(("MT",)).alpha,
        "models": [_baseline(), *known],
        "usual": [name for name in default_models(scale) if name in here] or [BICUBIC, *names[:2]],
        "pictures": pictures,
        "findings": findings(work / "findings", scale),
    }
    (work / MARK).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _baseline() -> dict[str, Any]:
    return {"name": BICUBIC, "title": networks.specs()[BICUBIC].title, "role": "interpolation", "file": None}


def _model(work: Path, name: str, scale: int) -> dict[str, Any]:
    """Write a model, and say what the page must know of it."""
    path = work / "models" / f"{name}.onnx"
    export(name, scale, path, inside=True)
    network, model = zoo.load(name, scale), zoo.find(name, scale)
    merged = with_teachers(network)
    parts = [network] if merged is None else [merged.aggregator, *merged.teachers]
    return {
        "name": name,
        "title": model.title,
        "role": model.role,
        "method": model.method,
        "file": f"models/{path.name}",
        "bytes": path.stat().st_size,
        "parameters": networks.parameter_count(network),
        "overlap": max(overlap_of(part) for part in parts),
        "window": max(window_of(part) for part in parts),
        "inside": inside(network),
        "teachers": [zoo.find(teacher, scale).title for teacher in model.header.teachers],
    }
