"""Where a user's models, runs and public data are stored."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """The folder named by ``MTKD_HOME``, else the system's folder for user data. It need not exist.

    It holds imported models in ``models``, runs in ``runs`` and fetched image sets in ``data``.
    """
    named = os.environ.get("MTKD_HOME")
    return Path(named).expanduser().absolute() if named else user_data_path("mtkd", appauthor=False)


def runs_folder(plan: str | None = None) -> Path:
    """The folder of the runs of ``plan``; without a plan, of single trainings."""
    return home() / "runs" / plan if plan else home() / "runs"


def run_folder(name: str, scale: int) -> Path:
    """The folder of the run that trains a model of this name and scale."""
    return runs_folder() / f"{name}_x{scale}"


def data_folder(given: Path | None = None) -> Path:
    """The folder of image sets: ``given``, else the one named by ``MTKD_DATA``, else ``data`` in :func:`home`."""
    named = os.environ.get("MTKD_DATA")
    return given or (Path(named).expanduser() if named else home() / "data")


def found_data(given: Path | None = None) -> Path | None:
    """:func:`data_folder`, or None if none is named and nothing has been fetched."""
    folder = data_folder(given)
    return folder if given or os.environ.get("MTKD_DATA") or folder.is_dir() else None
