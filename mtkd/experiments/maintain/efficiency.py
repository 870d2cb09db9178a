"""The efficiency of all networks that the project ships.

``python -m mtkd.experiments.maintain.efficiency [SCALE ...]`` measures what is not recorded yet (``--anew``: all), the
cheapest first, each kept as soon as it is measured; MTKD_DATA names the folder with the benchmark images.
"""

from __future__ import annotations

import argparse

import torch

from mtkd import zoo
from mtkd.data.benchmarks import benchmark
from mtkd.experiments import efficiency
from mtkd.experiments.records import MEASURED
from mtkd.home import data_folder
from mtkd.zoo.costs import multiply_adds


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(prog="python -m mtkd.experiments.maintain.efficiency")
    parser.add_argument("scales", type=int, nargs="*", default=[4])
    parser.add_argument("--anew", action="store_true")
    chosen = parser.parse_args()
    kept = efficiency.Kept({}, {}, {}) if chosen.anew else efficiency.shipped()
    for scale in chosen.scales:
        images = benchmark(data_folder(), efficiency.SET, scale)
        bundled = {model.name for model in zoo.models(scale) if model.bundled}
        known = {model.name for model in zoo.models(scale)}
        rows = efficiency.table(scale, kept, efficiency.Kept({}, {}, {}))
        names = [row["model"] for row in rows if row["model"] in bundled or row["model"] not in known]
        for name in sorted(names, key=lambda name: multiply_adds(name, scale)):
            kept = efficiency.measure(scale, [name], images, torch.device("cpu"), kept, print)
            efficiency.keep(kept, MEASURED / "efficiency.json")


if __name__ == "__main__":
    main()
