"""Where a user's own models, runs and public data are kept."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """The folder named by ``MTKD_HOME``, else the system's place for a user's data; it need not exist.

    ``models`` in it holds models that were brought from elsewhere, ``runs`` the runs started in the explorer, ``data``
    the public data that was fetched.
    """
    named = os.environ.get("MTKD_HOME")
    return Path(named).expanduser().absolute() if named else user_data_path("mtkd", appauthor=False)


def runs_folder(plan: str | None = None) -> Path:
    """Where runs are kept: those that the explorer starts, and in a folder of its name those of a plan."""
    return home() / "runs" / plan if plan else home() / "runs"


def data_folder(given: Path | None = None) -> Path:
    """Where image sets lie: ``given``, else the folder named by ``MTKD_DATA``, else ``data`` in :func:`home`."""
    named = os.environ.get("MTKD_DATA")
    return given or (Path(named).expanduser() if named else home() / "data")


def found_data(given: Path | None = None) -> Path | None:
    """:func:`data_folder`; None where nobody named one and nothing was fetched."""
    folder = data_folder(given)
    return folder if given or os.environ.get("MTKD_DATA") or folder.is_dir() else None
