"""Kills trainings at random moments, resumes them, and compares their ends with that of one left alone.

``python -m tests.benchmarks.crash --kills 100 --write`` makes ``results/crash.md``. A killed process is one that was
forked with everything imported: it runs ``mtkd train`` and gets SIGKILL after a random time, or before or during a
random file operation (opening, renaming, removing in its folders), so that every phase is met.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mtkd.files import UNFINISHED, remove_unfinished
from mtkd.training.checkpoint import read_recipe
from mtkd.zoo.checkpoints import read_state
from tests.training.conftest import AGGREGATE, DISTILL, write_images, write_model, write_recipe

RESULTS = Path(__file__).parent / "results" / "crash.md"
PHASES = {
    ".npy": "teacher cache",
    "recipe.yaml": "beginning",
    "latest.pt": "checkpoint",
    "metrics.jsonl": "metrics",
    "tfevents": "metrics",
    "samples": "sample",
    "snapshots": "snapshot",
    "model.safetensors": "end",
    "card.json": "end",
    "finished.json": "end",
    "status.json": "status",
}
"""Phases by what the name of a file holds that they write."""
MANNERS = ("time", "before", "during")
"""Killed at a random time; when a file operation is about to begin; a fraction of a millisecond later."""
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod"}
SMALL = {
    "iterations": 12,
    "checkpoint_every": 2,
    "validate_every": 4,
    "snapshots": [5],
    "schedule": {"kind": "cosine", "warmup": 3},
    "ema": 0.9,
}
KINDS = {"aggregate": {**AGGREGATE, "batch": 1}, "distill": {**DISTILL, "network": "edsr_mini"}}
"""Of edsr_mini a checkpoint has 6 MB: long enough in the writing to be hit."""


def _live(recipe: str, run: str, cache: str, log: str, zoo: str, at: int, events: Any) -> None:
    """``mtkd train`` in this process; it kills itself at file operation ``at`` (0: never), and sends their phases."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ |= {"MTKD_HOME": os.devnull, "MTKD_ZOO": zoo}
    torch.set_num_threads(1)
    count = 0

    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in FILE_EVENTS:
            return
        name = next((a for a in map(str, arguments) if a.startswith((run, cache))), None)
        if name is None:
            return
        count += 1
        events.send(next((phase for part, phase in PHASES.items() if part in name), "between"))
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(seen)
    from mtkd.cli.main import main

    sys.argv = ["mtkd", "train", recipe, "--out", run, "--cache", cache, "--resume"]
    main()


@dataclass
class Life:
    """One process: how it ended, and what it did."""

    code: int
    phases: list[str]
    seconds: float
    """From its first file operation to its end."""


@dataclass
class Harness:
    """Trainings of one recipe that are killed."""

    folder: Path
    recipe: Path
    rng: random.Random
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By phase and manner."""
    ends: int = 0
    """Trainings that were killed at least once and came to the end of the one that was not."""

    def __post_init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["mtkd.cli", "mtkd.training.loop", "mtkd.experiments.plan", __name__])
        self.reference = self.folder / "reference"
        self.alone = self._life("reference")
        assert self.alone.code == 0, (self.folder / "reference.log").read_text()

    def _life(self, name: str, at: int = 0, during: int = 0, after: float | None = None) -> Life:
        """One process, killed before a file operation, or when this process hears of it, or so many seconds after the
        first one, or not at all."""
        receiver, sender = self.context.Pipe(duplex=False)
        paths = [
            self.recipe,
            self.folder / name,
            self.folder / f"{name}-cache",
            self.folder / f"{name}.log",
            self.folder / "zoo",
        ]
        process = self.context.Process(target=_live, args=(*map(str, paths), at, sender))
        process.start()
        sender.close()
        phases, began, deadline = [], time.monotonic(), None
        while True:
            if deadline is not None and time.monotonic() > deadline and process.is_alive():
                process.kill()
                deadline = None
            if not receiver.poll(0.002):
                continue
            try:
                phases.append(receiver.recv())
            except EOFError:
                break
            if len(phases) == during:
                process.kill()
            if len(phases) == 1:
                began = time.monotonic()
                deadline = None if after is None else began + after
        process.join(60)
        assert process.exitcode is not None, "a training hangs"
        return Life(process.exitcode, phases, time.monotonic() - began)

    def run(self, kills: int) -> None:
        """Kill so often, in as many trainings as that takes; the last one is brought to its end as well."""
        for number in range(1, 10_000):
            name = f"run{number}"
            before = self.kills.total()
            while self._once_more(name, killing=self.kills.total() < kills):
                self._check_whole(name)
            self._compare(name)
            self.ends += self.kills.total() > before
            for path in (self.folder / name, self.folder / f"{name}-cache"):
                shutil.rmtree(path)
            if self.kills.total() >= kills:
                return

    def _once_more(self, name: str, killing: bool) -> bool:
        """One more process; whether it was killed."""
        manner = self.rng.choice(MANNERS) if killing else "none"
        at, during = (self._operation() if manner == one else 0 for one in ("before", "during"))
        after = self.rng.uniform(0, self.alone.seconds) if manner == "time" else None
        life = self._life(name, at, during, after)
        said = (self.folder / f"{name}.log").read_text()
        assert "Traceback" not in said, said
        if life.code == -signal.SIGKILL:
            self.kills[life.phases[-1], manner] += 1
            return True
        assert life.code == 0, said
        return False

    def _operation(self) -> int:
        """The number of a file operation of a random phase: each phase is as likely, however few it has."""
        phase = self.rng.choice(sorted(set(self.alone.phases)))
        return self.rng.choice([at for at, found in enumerate(self.alone.phases, 1) if found == phase])

    def _check_whole(self, name: str) -> None:
        """After a kill: whatever has its final name is whole; of the metrics at most the last line is cut."""
        run = self.folder / name
        for path in self._files(run):
            if path.name == "recipe.yaml":
                read_recipe(run)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".pt":
                torch.load(path, weights_only=True)
            elif path.suffix == ".safetensors":
                read_state(path)
            elif path.name == "metrics.jsonl":
                for line in path.read_text().split("\n")[:-1]:
                    json.loads(line)
            elif path.suffix == ".png":
                assert path.read_bytes() == (self.reference / path.relative_to(run)).read_bytes(), path
        cache, expected = self.folder / f"{name}-cache", self.folder / "reference-cache"
        for path in self._files(cache):
            assert path.read_bytes() == (expected / path.relative_to(cache)).read_bytes(), path

    def _compare(self, name: str) -> None:
        """A finished training is the one that was left alone, byte for byte; nothing is left over."""
        run = self.folder / name
        left = [path.name for path in run.rglob(f"*{UNFINISHED}")]
        assert not left, left
        remove_unfinished(self.folder / f"{name}-cache")  # a shared folder: the next training does it, an hour later
        for one, other in ((run, self.reference), (self.folder / f"{name}-cache", self.folder / "reference-cache")):
            ours, theirs = ({p.relative_to(top): p for p in self._files(top)} for top in (one, other))
            assert ours.keys() == theirs.keys()
            for key, path in ours.items():
                assert _content(path) == _content(theirs[key]), path

    @staticmethod
    def _files(top: Path) -> Iterator[Path]:
        """All files but hidden ones and TensorBoard's, of which each process has one."""
        for path in sorted(top.rglob("*")):
            if path.is_file() and not path.name.startswith(".") and "tfevents" not in path.name:
                yield path


def _content(path: Path) -> Any:
    """What must be equal in a file: all but times and speeds."""
    if path.name == "metrics.jsonl":
        return [{k: v for k, v in json.loads(line).items() if k != "it/s"} for line in path.read_text().splitlines()]
    if path.name == "status.json":
        return {key: json.loads(path.read_text())[key] for key in ("state", "note", "iteration", "psnr", "plugins")}
    if path.name == "card.json":
        return json.loads(path.read_text()) | {"seconds": 0}
    if path.name == "latest.pt":
        return _plain(torch.load(path, weights_only=True) | {"seconds": 0})
    return path.read_bytes()


def _plain(value: Any) -> Any:
    """Nested containers with tensors as their bytes: they compare by ``==``."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def harness(folder: Path, kind: str, seed: int) -> Harness:
    """A harness with images, teachers and a recipe of one kind."""
    zoo = folder / "zoo"
    write_model(zoo, "ada", "edsr_tiny", 1)
    write_model(zoo, "bob", "edsr_tiny", 2)
    write_model(zoo, "merged", "aggregator_mini", 3, teachers=("bob", "ada"))
    images = write_images(folder / "images")
    recipe = write_recipe(folder / "recipe.yaml", images, **{**SMALL, **KINDS[kind]})
    return Harness(folder, recipe, random.Random(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    lines = [
        f"{options.kills} kills (SIGKILL) of `mtkd train`, each followed by `--resume`; every training ended with the "
        "weights, checkpoint, metrics, samples, snapshots and cached outputs of one that was left alone, byte for "
        "byte (but for times), and left no other file.",
        "",
        "| stage | in the phase | at a random time | before a file operation | during or after it |",
        "|---|---|--:|--:|--:|",
    ]
    ends = 0
    for number, kind in enumerate(KINDS):
        with tempfile.TemporaryDirectory() as folder:
            attack = harness(Path(folder), kind, options.seed + number)
            share = options.kills // len(KINDS) + (number < options.kills % len(KINDS))
            attack.run(share)
        ends += attack.ends
        for phase in sorted({phase for phase, _ in attack.kills}):
            numbers = " | ".join(str(attack.kills[phase, manner]) for manner in MANNERS)
            lines.append(f"| {kind} | {phase} | {numbers} |")
    lines += ["", f"{ends} trainings. CPU, one thread. Made by `python -m tests.benchmarks.crash --write`."]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        RESULTS.write_text("# Kills survived\n\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
