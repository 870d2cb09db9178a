"""What every network costs and gives: parameters, multiply-adds, memory, time, PSNR, SSIM, FLIP; who is on the front.

Costs belong to a network (of its size, with its teachers), quality to weights: each is measured once and kept, ours in
``measured/efficiency.json``, those of this computer in ``MTKD_HOME/efficiency.json``, which lie over ours.
"""

from __future__ import annotations

import csv
import ctypes
import gc
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.experiments.records import MEASURED
from mtkd.files import write_json
from mtkd.home import home

SIDE = 256
"""LR pixels a side of the image that costs are measured on."""
SET = "Set5"
"""The benchmark set of PSNR, SSIM (Y, the paper's protocol) and FLIP (RGB, cut by the scale)."""
SECONDS, ROUNDS = 4.0, 5
"""The least of up to this many rounds is taken, within this time."""
COSTS = ("parameters", "multiply_adds", "memory", "milliseconds")
QUALITY = ("psnr", "ssim", "flip")
Row = dict[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """What is measured: by network and by weights, and under which conditions."""

    costs: Mapping[str, Mapping[str, Any]]
    quality: Mapping[str, Mapping[str, Any]]
    conditions: Mapping[str, Any]


def shipped() -> Kept:
    """What the project measured."""
    return _read(MEASURED / "efficiency.json")


def own() -> Kept:
    """What was measured on this computer."""
    return _read(home() / "efficiency.json")


def _read(path: Path) -> Kept:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Kept(content["costs"], content["quality"], content["conditions"])
    except FileNotFoundError:
        return Kept({}, {}, {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable record of efficiency ({error}); move it away") from error


def table(scale: int, ours: Kept | None = None, mine: Kept | None = None) -> list[Row]:
    """A row for every model of a scale and every network without one, from what is measured; the least time first.

    ``where`` says whose computer the costs are of: "shipped", "here", or "" where nothing is measured. Costs of an
    aggregator are with its teachers. Models whose quality was not measured have that of their cards.
    """
    ours, mine = ours or shipped(), mine or own()
    rows = []
    for model, key, digest in _listed(scale):
        cost = mine.costs.get(key) or ours.costs.get(key) or {}
        quality: Mapping[str, Any] = mine.quality.get(digest) or ours.quality.get(digest) or {}
        if not quality and digest and (of_card := _of_card(model, scale)):
            quality = of_card
        where = "here" if key in mine.costs else "shipped" if key in ours.costs else ""
        row = {"model": model, "scale": scale, **{name: cost.get(name) for name in COSTS}}
        rows.append(row | {name: quality.get(name) for name in QUALITY} | {"where": where})
    ordered = sorted(rows, key=lambda row: (row["milliseconds"] is None, row["milliseconds"] or 0, row["model"]))
    best = front(ordered)
    return [row | {"front": row["model"] in best} for row in ordered]


def front(rows: Sequence[Row], cost: str = "milliseconds", quality: str = "psnr") -> list[str]:
    """The models that no other beats: none is as cheap and better, or cheaper and as good. The cheapest first."""
    sign = -1 if quality == "flip" else 1
    known = [row for row in rows if row[cost] is not None and row[quality] is not None]
    chosen: list[str] = []
    best = None
    for row in sorted(known, key=lambda row: (row[cost], -sign * row[quality])):
        if best is None or sign * row[quality] > best:
            best = sign * row[quality]
            chosen.append(row["model"])
    return chosen


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as a table of numbers; empty where nothing is measured."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["model", "scale", *COSTS, *QUALITY, "front", "where"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def conditions(rows: Sequence[Mapping[str, Any]], ours: Kept | None = None, mine: Kept | None = None) -> list[str]:
    """Under which the numbers of the rows were measured, a sentence for each computer."""
    kept = {"shipped": ours or shipped(), "here": mine or own()}
    titles = {"shipped": "Measured by the project", "here": "Measured here"}
    said = []
    for where, of in kept.items():
        known = of.conditions
        if known and any(row["where"] == where for row in rows):
            loads = [cost["load"] for cost in of.costs.values() if "load" in cost]
            load = f" beside other programs (load {min(loads):g} to {max(loads):g})" if loads else ""
            computer = f"{known['date']}, {known['device']}, PyTorch {known['torch']}"
            said.append(f"{titles[where]}, {computer}: {known['clock']}, {known['image']}{load}; {known['quality']}.")
    return said


# --- measuring


def measure(
    scale: int,
    names: Sequence[str],
    images: Sequence[Any],
    device: Any,
    kept: Kept,
    progress: Progress = lambda name: None,
    anew: bool = False,
) -> Kept:
    """What is measured with what is missing of these models and networks; ``anew``: all of it.

    Args:
        images: of :data:`SET`; none where it is not here: quality then stays unknown.

    Raises:
        UserError: FLIP is not installed (extra ``flip``).
    """
    costs, quality = ({} if anew else dict(part) for part in (kept.costs, kept.quality))
    for model, key, digest in _listed(scale):
        if model not in names or (key in costs and (digest in quality or not digest or not images)):
            continue
        progress(model)
        network = _loaded(model, scale)
        if key not in costs:
            costs[key] = cost_of(network, scale, device)
        if digest and images and digest not in quality:
            quality[digest] = {"model": model, "scale": scale, **quality_of(network, images, scale)}
    return Kept(costs, quality, _conditions(device))


def keep(kept: Kept, path: Path | None = None) -> None:
    """Write what is measured, for this computer by default."""
    content = {"conditions": dict(kept.conditions), "costs": dict(kept.costs), "quality": dict(kept.quality)}
    write_json(path or home() / "efficiency.json", content)


def cost_of(network: Any, scale: int, device: Any) -> Row:
    """Parameters, multiply-adds, MiB and milliseconds of a network on an LR image of 256 x 256 pixels.

    What training alone needs is folded away. On a CPU one thread computes: its time (of the processor, which other
    programs do not lengthen), and by how much the process grows (on Linux). On a GPU the time and what is allocated.
    """
    import torch

    from mtkd.zoo.costs import multiply_adds

    network = networks.folded(network).eval().to(device)
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.inference_mode(), _one_thread(device):
        seconds: list[float] = []

        def run() -> None:
            seconds.append(_time(lambda: network(image), device))

        memory = _growth(run) if device.type == "cpu" else _allocated(run, device)
        while len(seconds) < ROUNDS and sum(seconds) < SECONDS:
            run()
    load = {"load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    return {
        "parameters": networks.parameter_count(network),
        "multiply_adds": multiply_adds(network, scale, scale * SIDE, scale * SIDE),
        "memory": memory and round(memory / 2**20, 1),
        "milliseconds": round(1000 * min(seconds), 2),
        "rounds": len(seconds),
        **load,
    }


def quality_of(network: Any, images: Sequence[Any], scale: int) -> Row:
    """Means over the images: PSNR and SSIM of the paper's protocol, FLIP of colours."""
    import torch

    from mtkd.images import to_tensor
    from mtkd.metrics import Protocol, channel
    from mtkd.metrics import measure as measured

    rows = []
    network = network.cpu().eval()
    with torch.inference_mode():
        for image in images:
            lr, hr = image.read()
            sr = network(to_tensor(lr))
            values = measured(sr, hr, scale, ("psnr", "ssim"))
            rows.append(values | measured(sr, hr, scale, ("flip",), Protocol(channel("rgb"))))
    means = {name: round(sum(row[name] for row in rows) / len(rows), 5) for name in QUALITY}
    return {"set": SET, "images": len(rows), **means}


def _listed(scale: int) -> Iterator[tuple[str, str, str]]:
    """Baselines, models, and networks without a model: name, key of the costs, hash of the weights or empty."""
    for name in networks.baselines():
        yield name, f"{name} x{scale}", name
    built = set()
    for model in zoo.models(scale):
        built.add(model.network)
        yield model.name, _key(model), _digest(model)
    for name, spec in networks.specs().items():
        if spec.weights and spec.inputs == "lr" and scale in spec.scales and name not in built:
            yield name, f"{name} x{scale}", ""


def _key(model: Any) -> str:
    """What the costs of a model depend on, in words."""
    options = dict(model.header.options)
    teachers = "".join(f" + {teacher}" for teacher in model.header.teachers)
    return f"{model.network} x{model.scale}{f' {json.dumps(options, sort_keys=True)}' if options else ''}{teachers}"


def _digest(model: Any) -> str:
    """Of a file of weights, and of those of an aggregator's teachers."""
    from mtkd.files import data_hash

    paths = [model.path, *(zoo.find(name, model.scale).path for name in model.header.teachers)]
    return data_hash(paths)


def _of_card(name: str, scale: int) -> Mapping[str, Any] | None:
    with suppress(UserError):
        return next((row for row in zoo.find(name, scale).card.get("benchmarks", ()) if row["set"] == SET), None)
    return None


def _loaded(name: str, scale: int) -> Any:
    """A model, or a network without weights that were trained."""
    try:
        return zoo.load(name, scale)
    except UserError:
        if name not in networks.specs():
            raise
        return networks.build(name, scale)


@contextmanager
def _one_thread(device: Any) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _time(run: Callable[[], object], device: Any) -> float:
    import torch

    if device.type == "cpu":
        began = time.thread_time()
        run()
        return time.thread_time() - began
    torch.cuda.synchronize(device)
    began = time.perf_counter()
    run()
    torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _allocated(run: Callable[[], object], device: Any) -> int:
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    run()
    return int(torch.cuda.max_memory_allocated(device))


def _growth(run: Callable[[], object]) -> int | None:
    """Bytes by which the process grows at most; None where the system does not say."""
    gc.collect()
    try:
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)  # memory that was freed, but not given back
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    except OSError:
        run()
        return None


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(name)


def _conditions(device: Any) -> dict[str, str]:
    import torch

    cpu = device.type == "cpu"
    return {
        "date": date.today().isoformat(),
        "device": _processor() if cpu else torch.cuda.get_device_name(device),
        "clock": "time of one thread, the least of up to 5 rounds" if cpu else "the least of up to 5 rounds",
        "image": f"LR of {SIDE} x {SIDE}",
        "quality": f"PSNR and SSIM on Y, FLIP on RGB, of {SET}",
        "torch": str(torch.__version__),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
