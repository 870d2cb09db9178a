"""Where a user's own models and runs are kept."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """The folder named by ``MTKD_HOME``, else the system's place for a user's data; it need not exist.

    ``models`` in it holds models that were brought from elsewhere, ``runs`` the runs started in the explorer.
    """
    named = os.environ.get("MTKD_HOME")
    return Path(named).expanduser().absolute() if named else user_data_path("mtkd", appauthor=False)
