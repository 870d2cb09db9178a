"""``mtkd matrix``: the experiments of the paper as one graph of runs; ``mtkd agreement``: what merging can gain."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import print_json, print_table, progress_bar
from mtkd.errors import UserError, unknown_name
from mtkd.home import found_data, runs_folder

ACTIONS = ("status", "report")
ASSUMED_TFLOPS = 20
"""What a GPU is taken to sustain where nobody says; an assumption, not measured."""


def matrix(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Tables to train and measure (table2 table3 table4 table5 controls aggregators, or all); or status or "
            "report, then tables (default: all).",
        ),
    ],
    size: Annotated[str, typer.Option(help="mini, small, paper, or a plan file that extends one.")] = "mini",
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas [default: the plan's].")] = "",
    scales: Annotated[str, typer.Option(help="Scales, separated by commas [default: the plan's].")] = "",
    only: Annotated[str, typer.Option(help="Rows alone, separated by commas: scratch,kd,v*")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder of runs [default: runs/PLAN in MTKD_HOME].")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of benchmark sets [default: MTKD_DATA, else what was fetched].")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value for every recipe; repeatable.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Train also what the zoo or the bundled records hold.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the graph and its cost; train nothing.")] = False,
    tflops: Annotated[
        float | None,
        typer.Option(
            help="--dry-run: for a device that sustains so many TFLOP/s [default: this one, timed].", min=0.001
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of one task.", min=1)] = 1,
    ray: Annotated[bool, typer.Option("--ray", help="On Ray: many tasks at once (extra 'cluster').")] = False,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster (auto) [default: Ray is started here].")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(help="GPUs of one task on Ray; a fraction shares [default: 1 where there is one].")
    ] = None,
    retries: Annotated[int, typer.Option(help="How often Ray restarts a task whose worker died.", min=0)] = 3,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="report: folder for report.md and report.json.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train and measure the paper's tables and ablations, each run once; report them beside the paper's numbers.

    A run is identified by its recipe, its images and its teachers; what is finished is never done again, and the
    same command goes on after a stop. Several processes may work in one folder. Models of the zoo whose cards say
    that they are the same run are taken from there, and what the bundled records tell of a run is not measured again.
    """
    from mtkd.experiments import records
    from mtkd.experiments.cost import Estimator
    from mtkd.experiments.plan import keep_plan, load_plan
    from mtkd.experiments.runner import Place
    from mtkd.training.dataset import hr_folder

    action, tables = (names[0], names[1:]) if names[0] in ACTIONS else ("run", names)
    plan = load_plan(size, set_ or [])
    chosen = _tables(tables, list(plan.tables), action)
    wanted_scales = _numbers("--scales", scales) or list(plan.scales)
    if unknown := [s for s in wanted_scales if s not in (2, 3, 4)]:
        raise UserError(f"--scales {unknown[0]}: give 2, 3 or 4")
    wanted_seeds = _numbers("--seeds", seeds) or list(plan.seeds)
    folder = out or runs_folder(Path(size).stem)
    patterns = [part.strip() for part in only.split(",") if part.strip()]
    if action == "report":
        _report(plan, chosen, _numbers("--scales", scales), folder, Path(size).stem, output, json_)
        return

    bundled = None if anew else records.shipped(Path(size).stem)
    recorded = records.read(bundled).sets if bundled else {}
    place = Place(folder, found_data(data), plan.images(), threads, anew, recorded, plan.measured)
    graph, known = _graph(plan, chosen, wanted_scales, wanted_seeds, patterns, folder)
    tasks = graph.tasks()
    if action == "status" or dry_run:
        _show(graph, tasks, place, known, dry_run, tflops, json_)
        return
    if missing := graph.missing():
        raise UserError(
            f"the graph needs {missing[0].name} x{missing[0].scale}, which it does not train: "
            f"{missing[0].missing}. Bring its weights (mtkd models fetch, MTKD_ZOO), or choose other rows with --only"
        )
    hr_folder(plan.images())
    Estimator(graph.runs, None, place.device).check()
    keep_plan(size, folder)
    _run(plan, tasks, place, ray, ray_address, gpus, retries, json_)
    if not json_:
        again = ["mtkd", "matrix", "report", *chosen, "--size", size, "--out", str(folder)]
        again += ["--scales", scales] if scales else []
        again += [word for assignment in set_ or [] for word in ("--set", assignment)]
        print(f"report: {shlex.join(again)}")


def agreement(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL...", help="Two models or more [default: the size's three teachers]."),
    ] = None,
    beside: Annotated[
        str, typer.Option("--beside", help="Models to compare with, separated by commas [default: the aggregator].")
    ] = "",
    size: Annotated[str, typer.Option(help="mini, small, paper, or a plan file that extends one.")] = "mini",
    scale: Annotated[int, typer.Option(help="2, 3 or 4.")] = 4,
    sets: Annotated[
        str,
        typer.Option(
            help="Sets, separated by commas; 'held out' are the size's held-out training images "
            "[default: held out,Set5,Set14]."
        ),
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Folder of benchmark sets [default: MTKD_DATA, else what was fetched].")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How alike the errors of models are, and what merging their images can gain: predicted, and measured."""
    from mtkd import zoo
    from mtkd.data.sources import default_sets
    from mtkd.experiments.maintain.agreement import agreement as between
    from mtkd.experiments.plan import load_plan
    from mtkd.experiments.runner import HELD_OUT, images_of

    if scale not in (2, 3, 4):
        raise UserError(f"--scale {scale}: give 2, 3 or 4")
    plan = load_plan(size)
    chosen = names or [plan.teacher_name(family) for family in plan.teachers]
    others = [part.strip() for part in beside.split(",") if part.strip()]
    if names is None and not beside:
        others = [plan.model_name("MT")]
    networks = {name: zoo.load(name, scale) for name in dict.fromkeys([*chosen, *others])}
    wanted = [part.strip() for part in sets.split(",") if part.strip()] or [HELD_OUT, *default_sets()]
    of_set = {name: images_of(name, scale, found_data(data), plan.images()) for name in wanted}
    rows = []
    with progress_bar("agreement", sum(map(len, of_set.values()))) as advance:
        for set_name, images in of_set.items():
            taught, compared = ({name: networks[name] for name in group} for group in (dict.fromkeys(chosen), others))
            found = between(taught, images, scale, compared, progress=lambda done, of: advance())
            rows.append({"set": set_name, "scale": scale, **found.row()})
    if json_:
        print_json(rows)
        return
    for row in rows:
        print(f"{row['set']}, {row['images']} images, x{scale} ({row['protocol']})")
        cells = [
            [name, f"{row['psnr'][name]:.3f}", *(f"{r:.4f}" for r in row["correlation"][i]), f"{row['weights'][i]:.3f}"]
            for i, name in enumerate(row["models"])
        ]
        print_table(("model", "PSNR", *row["models"], "best weight"), cells)
        gains = ", ".join(f"{name} {value:+.3f}" for name, value in row["gains"].items())
        print(f"mean correlation of residuals {row['mean_correlation']:.4f}; over the best model, dB: {gains}\n")


def _damaged(problem: str) -> None:
    print(f"mtkd: left out: {problem}", file=sys.stderr)


def _tables(names: Sequence[str], known: Sequence[str], action: str) -> list[str]:
    if (not names and action != "run") or list(names) == ["all"]:
        return list(known)
    for name in names:
        if name in (*ACTIONS, "all"):
            raise UserError(f"'{name}' stands alone before the tables: mtkd matrix {name} ...")
        if name not in known:
            raise unknown_name("table", name, [*known, "all", *ACTIONS])
    return list(names)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UserError(f"{option} {text}: give whole numbers, separated by commas") from None


def _graph(
    plan: Any,
    tables: Sequence[str],
    scales: Sequence[int],
    seeds: Sequence[int],
    only: Sequence[str],
    out: Path,
) -> tuple[Any, Any]:
    from mtkd.experiments import records
    from mtkd.experiments.matrix import Matrix, images_by_scale

    known = records.read(records.rebuild(out, _damaged)) if any(out.glob("*/run.json")) else None
    graph = Matrix(plan, images_by_scale(plan.images(), known.images if known else lambda scale: ()))
    for table in tables:
        graph.add(table, scales, seeds, only)
    if not graph.rows:
        raise UserError(
            f"--only {','.join(only)} --scales {','.join(map(str, scales))}: no such row in {', '.join(tables)}"
        )
    return graph, known


def _show(graph: Any, tasks: Any, place: Any, records: Any, with_cost: bool, tflops: float | None, json_: bool) -> None:
    from mtkd.experiments.cost import Estimator
    from mtkd.experiments.overview import overview, totals

    speed = None if tflops is None else tflops * 1e12
    rows = overview(tasks, place, Estimator(graph.runs, records, place.device, speed) if with_cost else None)
    total = totals(rows)
    if json_:
        print_json({"tasks": [row.row() for row in rows], **total})
        return
    cells = []
    for row in rows:
        progress = f"{row.iteration or 0:,} / {row.iterations:,}" if row.iterations else ""
        cost = "" if row.seconds is None else f"{row.flops:.1e} {_hours(row.seconds)}{'' if row.measured else ' *'}"
        seed = "" if row.seed is None else str(row.seed)
        cells.append([row.kind, row.model, f"x{row.scale}", seed, row.state, progress, cost or row.note])
    cost_title = "FLOPs, time left" if with_cost else ""
    print_table(("task", "model", "scale", "seed", "state", "steps", cost_title), cells)
    print(", ".join(f"{count} {state}" for state, count in total["states"].items()))
    if not with_cost:
        return
    left = f"left: {total['flops']:.1e} floating-point operations, about {total['hours']:.1f} hours"
    if tflops is not None:
        print(f"{left} on one device that sustains {tflops:g} TFLOP/s")
        return
    print(
        f"{left} on one {place.device.type}{' thread' if place.device.type == 'cpu' else ''} "
        f"({total['measured_hours']:.1f} of them from finished runs; * from operations and a timed step)"
    )
    if place.device.type == "cpu":
        hours = total["flops"] / (ASSUMED_TFLOPS * 1e12) / 3600
        print(f"on a GPU that sustains {ASSUMED_TFLOPS} TFLOP/s: {hours:.1f} hours (--tflops for yours)")


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 60 else f"{seconds:.0f} s"


def _run(
    plan: Any,
    tasks: Any,
    place: Any,
    ray: bool,
    ray_address: str | None,
    gpus: float | None,
    retries: int,
    json_: bool,
) -> None:
    from mtkd.experiments import records
    from mtkd.experiments.matrix import Task
    from mtkd.experiments.runner import Outcome, needed, recorded, run_here
    from mtkd.training.progress import Silent, TrainingProgress
    from mtkd.training.stop import Interrupted

    left = needed(tasks, place)

    def announce(outcome: Outcome, ended: int, of: int) -> None:
        text = outcome.message or f"{left[outcome.key]} ({outcome.seconds:.0f} s)"
        print(f"[{ended}/{of}] {outcome.state}: {text}", file=sys.stderr if json_ else sys.stdout, flush=True)

    try:
        if ray or ray_address:
            from mtkd.experiments.cluster import run_on_ray

            outcomes = run_on_ray(left, place, announce, gpus, retries, ray_address)
        else:

            def waits(count: int) -> None:
                print(f"waiting for other processes: {count} tasks", file=sys.stderr, flush=True)

            def reporter(task: Task) -> Any:
                return Silent() if json_ else TrainingProgress(str(task.run))

            outcomes = run_here(left, place, reporter, announce, waits)
    except (Interrupted, KeyboardInterrupt) as stopped:
        why = str(stopped) or "stopped"
        where = "the last checkpoints" if ray or ray_address else "there"
        print(f"{why}. The same command goes on from {where}.", file=sys.stderr)
        raise SystemExit(130) from None
    path = records.rebuild(place.out, _damaged)
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    if json_:
        rows = [
            {"task": o.key, "state": o.state, "message": o.message, "seconds": round(o.seconds, 1)} for o in outcomes
        ]
        print_json({"outcomes": rows, "records": str(path)})
    else:
        told = sum(recorded(task, place) for task in tasks.values())
        of_old = (
            f"; {told} measurements are in the bundled records (--anew trains and measures them here)" if told else ""
        )
        print(f"{len(tasks) - len(failed)} of {len(tasks)} tasks done{of_old}; records in {path}")
    if failed:
        raise SystemExit(1)


def _report(
    plan: Any,
    tables: Sequence[str],
    scales: Sequence[int],
    out: Path,
    size: str,
    output: Path | None,
    json_: bool,
) -> None:
    from mtkd.experiments import records
    from mtkd.experiments.tables import markdown, report
    from mtkd.files import write_text

    if any(out.glob("*/run.json")):
        records.rebuild(out, _damaged)
    content = report(plan, records.available(out, size), tables, scales or None)
    if not any(row["measured"] and row["steps"] for table in content["tables"] for row in table["rows"]):
        print(
            "mtkd: no row of these tables was measured with this plan, these --set and these --scales", file=sys.stderr
        )
    text, data = markdown(content, size), json.dumps(content, indent=1) + "\n"
    if output is None:
        print(data if json_ else text, end="")
        return
    for name, written in (("report.md", text), ("report.json", data)):
        write_text(output / name, written)
        print(output / name)
