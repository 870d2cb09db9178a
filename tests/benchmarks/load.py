"""Many users of one explorer at once: answers, latency, memory.

``python -m tests.benchmarks.load [--users 20] [--seconds 300] [--write]`` starts ``mtkd demo``, lets every user compare
images of its own, one after the other, and checks each picture that comes back; from a quarter of the time on one more
user has a 4K result computed, again and again. Ends with 1 where an answer was wrong or missing, or memory grew by more
than :data:`BOUND`. Figures: ``tests/benchmarks/results/load.md``.
"""

from __future__ import annotations

import argparse
import http.client
import io
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from PIL import Image

from mtkd.explore.comparison.outputs import Outputs
from mtkd.images import to_uint8
from tests.app.conftest import served
from tests.app.plain import as_file, ask, call, event, png, send

BOUND = 400
"""MB by which the server's memory may grow from the second quarter of the time to the last one."""
LOW = "upscale"
MODELS = ["bicubic", "edsr_tiny-mtkd"]
SIDE, LARGE = (48, 64), (540, 960)
"""Height and width of the LR images; times 4, the latter is 4K."""
RESULTS = Path(__file__).parent / "results" / "load.md"


@dataclass
class Report:
    """What a run measured: seconds of each answer, alone and beside the 4K user; memory in MB by seconds."""

    users: int
    seconds: float
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)

    def most(self, start: float, stop: float) -> float:
        """The most memory between two parts of the time."""
        return max((mb for at, mb in self.memory if start <= at / self.seconds <= stop), default=0)

    @property
    def growth(self) -> float:
        return self.most(0.75, 2) - self.most(0.25, 0.5)

    def holds(self) -> bool:
        return not self.problems and self.growth <= BOUND

    def markdown(self) -> str:
        rows = {
            f"{self.users} users": self.alone,
            f"{self.users} users beside one with 4K": self.beside,
            "the user with 4K": self.large,
        }
        lines = ["| who | answers | median | 95 % | slowest |", "|---|--:|--:|--:|--:|"]
        for name, times in rows.items():
            if times:
                half, most = np.percentile(times, [50, 95])
                lines.append(f"| {name} | {len(times)} | {half:.2f} s | {most:.2f} s | {max(times):.2f} s |")
        return "\n".join([
            *lines, "",
            f"Over {self.seconds:.0f} s; wrong or missing answers: {len(self.problems)}. An answer: upload, comparison "
            f"of {' and '.join(MODELS)} x4 on {SIDE[1]} x {SIDE[0]} pixels not sent before, all pictures fetched.", "",
            f"Memory of the server (RSS): {self.most(0.25, 0.5):.0f} MB at most in the second quarter of the time, "
            f"{self.most(0.75, 2):.0f} MB in the last: {self.growth:+.0f} MB; allowed: {BOUND} MB.",
        ])  # fmt: skip


def own_image(user: int, number: int, side: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng((user, number)).integers(0, 256, (*side, 3), dtype=np.uint8)


def compare(address: str, number: int, image: np.ndarray, session: str) -> tuple[float, dict[str, np.ndarray]]:
    """One user's question: the seconds until all pictures are there, and the pictures."""
    began = time.perf_counter()
    sent = send(address, "own.png", png(image))
    inputs = [as_file(sent), LOW, 4, MODELS, *[None] * 6]
    success, output = call(address, number, inputs, session)
    if not success:
        raise RuntimeError(str(output))
    panes = next(one["panes"] for one in output["data"] if isinstance(one, dict) and "panes" in one)
    files = {pane["name"]: ask(address, "GET", f"/{pane['layers']['image']}")[1] for pane in panes}
    seconds = time.perf_counter() - began
    return seconds, {name: np.asarray(Image.open(io.BytesIO(file))) for name, file in files.items()}


def wrong(image: np.ndarray, pictures: dict[str, np.ndarray], outputs: Outputs | None) -> str:
    """Which pictures of an image are wrong, or nothing; without ``outputs`` the LR image alone is looked at."""
    expected = {"LR": image.repeat(4, 0).repeat(4, 1)}
    expected |= {name: to_uint8(outputs(name, image, 4).sr) for name in MODELS} if outputs else {}
    if set(pictures) != {"LR", *MODELS}:
        return f"pictures {sorted(pictures)}"
    return ", ".join(name for name in expected if not np.array_equal(pictures[name], expected[name]))


def run(address: str, server: psutil.Process, users: int, seconds: float) -> Report:
    """Let the users ask for so many seconds."""
    report, number, began = Report(users, seconds), event(address, "compare"), time.monotonic()
    expected = Outputs(limit=1)
    checking = threading.Lock()

    def elapsed() -> float:
        return time.monotonic() - began

    def user(who: int, side: tuple[int, int], start: float) -> None:
        session, count = f"user{who}", 0
        page = http.client.HTTPConnection(urlsplit(address).netloc)
        page.request("GET", f"/gradio_api/heartbeat/{session}")
        time.sleep(max(0, start - elapsed()))
        while elapsed() < seconds:
            image, asked = own_image(who, count, side), elapsed()
            try:
                took, pictures = compare(address, number, image, session)
                with checking:
                    fault = wrong(image, pictures, expected if side == SIDE else None)
                if fault:
                    report.problems.append(f"{session}, image {count}: {fault}")
            except Exception as error:
                report.problems.append(f"{session}, image {count}: {error!r}")
                time.sleep(1)
            else:
                times = report.large if side == LARGE else report.alone if asked + took < seconds / 4 else report.beside
                times.append(took)
            count += 1
        page.close()

    threads = [threading.Thread(target=user, args=(who, SIDE, 0), daemon=True) for who in range(users)]
    threads.append(threading.Thread(target=user, args=(users, LARGE, seconds / 4), daemon=True))
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        report.memory.append((elapsed(), server.memory_info().rss / 1e6))
        time.sleep(0.5)
    return report


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} beside the others")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, served(MTKD_HOME=home) as (address, process):
        report = run(address, psutil.Process(process.pid), asked.users, asked.seconds)
    text = report.markdown()
    print(text, *report.problems[:20], sep="\n")
    if asked.write:
        made = "Made by `python -m tests.benchmarks.load --write`; users and server shared two cores."
        RESULTS.write_text(f"# Many users at once\n\n{text}\n\n{made}\n", encoding="utf-8")
    raise SystemExit(0 if report.holds() else 1)


if __name__ == "__main__":
    main()
