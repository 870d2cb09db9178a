"""Which functions of ours one comparison calls, from the uploaded picture to the panes: their number, by file.

``python tests/benchmarks/functions.py [MODEL ...]``; by default bicubic alone, then the models of a first comparison.
The page is asked as a program asks it, once before counting, so that what is done once a process does not count.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType
from typing import Any

from gradio_client import Client, handle_file

import mtkd
from mtkd.data.examples import EXAMPLES
from mtkd.explore import default_models
from mtkd.images import write_image

OURS = (str(Path(mtkd.__file__).parent), str(Path(mtkd.__file__).parents[1] / "app"))
NAMELESS = ("<module>", "<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")


class Calls:
    """Every named function of ours that was called since :meth:`clear`."""

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()

    def clear(self) -> None:
        self.codes = set()

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS) and code.co_name not in NAMELESS:
            self.codes.add(code)


def main() -> None:
    """Serve the page in a thread, ask it, count."""
    calls = Calls()
    threading.setprofile(calls)
    from mtkd_app.main import launch

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threading.Thread(target=launch, args=("127.0.0.1", port), daemon=True).start()
    client = None
    while client is None:
        try:
            client = Client(f"http://127.0.0.1:{port}/", verbose=False)
        except Exception:  # not up yet
            threading.Event().wait(0.5)
    asked = [["bicubic"], default_models(4)] if len(sys.argv) == 1 else [sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        for models in asked:
            for number in (0, 1):  # another picture: nothing of it is known
                photo = Path(folder) / f"{number}.png"
                write_image(photo, EXAMPLES[number].read()[:128, :160])
                calls.clear()
                client.predict(handle_file(str(photo)), "test", 4, models, None, api_name="/compare")
            by_file = Counter(str(Path(code.co_filename)).split("site-packages/")[-1] for code in calls.codes)
            print(f"{len(calls.codes)} functions in {len(by_file)} files: {', '.join(models)}")
            for name, count in sorted(by_file.items()):
                print(f"  {count:3d} {name}")


if __name__ == "__main__":
    main()
