"""``mtkd matrix``: the experiments of the paper as one graph of runs; ``mtkd agreement``: similarity of errors."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd.cli.console import DataFolder, Json, Scale, check_scale, print_json, print_table, progress_bar, torch_device
from mtkd.errors import UserError, unknown_name
from mtkd.home import found_data, runs_folder
from mtkd.numbers import signed

ACTIONS = ("status", "report")
EFFICIENCY = "efficiency"
ASSUMED_TFLOPS = 20
"""Throughput of a GPU that the cost estimate assumes by default; not measured."""

Size = Annotated[str, typer.Option(help="Plan: mini, small, paper, or a plan file that extends one of them.")]


def matrix(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[status|report] TABLE",
            help="Tables to train and measure: table2 table3 table4 table5 controls aggregators, or all. With status "
            "or report first, show the state of the runs or write the report; of all tables if none is given. "
            "efficiency: what each network costs and gives.",
        ),
    ],
    size: Size = "mini",
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas [default: those of the plan].")] = "",
    scales: Annotated[str, typer.Option(help="Scales, separated by commas [default: those of the plan].")] = "",
    only: Annotated[
        str, typer.Option(help="Only these rows, separated by commas; v* selects all that begin with v.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Folder of runs [default: MTKD_HOME/runs/PLAN].")] = None,
    data: DataFolder = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value in every recipe; repeatable."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Train runs again even if the zoo or the bundled records hold them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the graph and its cost without training.")] = False,
    seeds_needed: Annotated[
        bool, typer.Option("--seeds-needed", help="With status: print the seeds that each comparison still needs.")
    ] = False,
    tflops: Annotated[
        float | None,
        typer.Option(
            help="With --dry-run: TFLOP/s that the target device sustains [default: measured here].", min=0.001
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads per task.", min=1)] = 1,
    ray: Annotated[bool, typer.Option("--ray", help="Run tasks in parallel on Ray (extra 'cluster').")] = False,
    ray_address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster, or auto [default: start Ray here].")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(help="GPUs per task on Ray; a fraction shares one [default: 1 if there is a GPU].")
    ] = None,
    retries: Annotated[int, typer.Option(help="Times that Ray restarts a task whose worker died.", min=0)] = 3,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="With report: folder for report.md and report.json.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="With report: tables, figures and pictures as one HTML file."),
    ] = None,
    csv_: Annotated[bool, typer.Option("--csv", help="With efficiency: print a CSV table.")] = False,
    json_: Json = False,
) -> None:
    """Train and measure the tables and ablations of the paper.

    Each run is trained once; the report shows the measured numbers beside those of the paper. A run is identified by
    its recipe, images and teachers. Finished runs are not repeated: the same command continues after a stop, and
    several processes can share a folder. Runs whose models are in the zoo, and measurements in the bundled records,
    are taken from there unless --anew is given.
    """
    from mtkd.experiments import records, titles
    from mtkd.experiments.cost import Estimator
    from mtkd.experiments.plan import keep_plan, load_plan
    from mtkd.experiments.runner import Place
    from mtkd.training.dataset import hr_folder

    if names[0] == EFFICIENCY or csv_:
        if names != [EFFICIENCY]:
            raise UserError(f"{EFFICIENCY} is a table of its own: mtkd matrix {EFFICIENCY} [--csv]")
        _efficiency(_numbers("--scales", scales) or [4], _parts(only), anew, data, csv_, json_)
        return
    action, tables = (names[0], names[1:]) if names[0] in ACTIONS else ("run", names)
    plan = load_plan(size, set_ or [])
    chosen = _tables(tables, list(plan.tables), action)
    chosen_scales = _numbers("--scales", scales) or list(plan.scales)
    if unknown := [s for s in chosen_scales if s not in (2, 3, 4)]:
        raise UserError(f"--scales {unknown[0]}: give 2, 3 or 4")
    chosen_seeds = _numbers("--seeds", seeds) or list(plan.seeds)
    folder = out or runs_folder(Path(size).stem)
    patterns = _parts(only)
    if html is not None and action != "report":
        raise UserError("--html needs report before it: mtkd matrix report --html FILE")
    if action == "report":
        _report(plan, chosen, _numbers("--scales", scales), folder, Path(size).stem, output, html, json_)
        return

    if seeds_needed:
        if action != "status":
            raise UserError("--seeds-needed needs status before it: mtkd matrix status --seeds-needed")
        _seeds_needed(plan, chosen, _numbers("--scales", scales), folder, Path(size).stem, json_)
        return

    bundled = None if anew else records.shipped(Path(size).stem)
    recorded = records.read(bundled).sets if bundled else {}
    place = Place(folder, found_data(data), plan.images(), threads, anew, recorded, plan.measured)
    graph, local_records = _graph(plan, chosen, chosen_scales, chosen_seeds, patterns, folder)
    tasks = graph.tasks()
    if action == "status" or dry_run:
        _show(graph, tasks, place, local_records, dry_run, tflops, json_)
        return
    if missing := graph.missing():
        raise UserError(
            f"{missing[0].name} x{missing[0].scale} is needed, but this plan does not train it: "
            f"{missing[0].missing}. Add its weights (mtkd models fetch, MTKD_ZOO), or select other rows with --only"
        )
    hr_folder(plan.images())
    Estimator(graph.runs, None, place.device).check()
    keep_plan(size, folder)
    titles.write(plan, folder)
    _run(plan, tasks, place, ray, ray_address, gpus, retries, json_)
    if not json_:
        again = ["mtkd", "matrix", "report", *chosen, "--size", size, "--out", str(folder)]
        again += ["--scales", scales] if scales else []
        again += [word for assignment in set_ or [] for word in ("--set", assignment)]
        print(f"report: {shlex.join(again)}")


def agreement(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Two or more models [default: the teachers of the plan]."),
    ] = None,
    beside: Annotated[
        str, typer.Option("--beside", help="Models to compare with, separated by commas [default: the aggregator].")
    ] = "",
    size: Size = "mini",
    scale: Scale = 4,
    sets: Annotated[
        str,
        typer.Option(
            help="Benchmark sets, separated by commas; 'held out': the held-out training images of the plan "
            "[default: held out,Set5,Set14]."
        ),
    ] = "",
    data: DataFolder = None,
    json_: Json = False,
) -> None:
    """Measure how similar the errors of models are.

    The lower the correlation of their errors, the more a merge of their images can gain. Prints the predicted and the
    measured gain.
    """
    from mtkd import zoo
    from mtkd.data.sources import default_sets
    from mtkd.experiments.maintain.agreement import agreement as between
    from mtkd.experiments.plan import load_plan
    from mtkd.experiments.runner import HELD_OUT, images_of

    check_scale(scale)
    plan = load_plan(size)
    chosen = names or [plan.teacher_name(family) for family in plan.teachers]
    others = [part.strip() for part in beside.split(",") if part.strip()]
    if names is None and not beside:
        others = [plan.model_name("MT")]
    networks = {name: zoo.load(name, scale) for name in dict.fromkeys([*chosen, *others])}
    set_names = [part.strip() for part in sets.split(",") if part.strip()] or [HELD_OUT, *default_sets()]
    of_set = {name: images_of(name, scale, found_data(data), plan.images()) for name in set_names}
    rows = []
    with progress_bar("agreement", sum(map(len, of_set.values()))) as advance:
        for set_name, images in of_set.items():
            models, compared = ({name: networks[name] for name in group} for group in (dict.fromkeys(chosen), others))
            result = between(models, images, scale, compared, progress=lambda done, of: advance())
            rows.append({"set": set_name, "scale": scale, **result.row()})
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
        gains = ", ".join(f"{name} {signed(value, '+.3f')}" for name, value in row["gains"].items())
        print(f"mean correlation of errors: {row['mean_correlation']:.4f}; gain over the best model (dB): {gains}\n")


def _efficiency(
    scales: Sequence[int], patterns: Sequence[str], anew: bool, data: Path | None, csv_: bool, json_: bool
) -> None:
    """The rows of all models and networks; those of the user that nobody has measured are measured first."""
    from mtkd.experiments import efficiency

    rows = []
    for scale in scales:
        check_scale(scale)
        of_scale = efficiency.table(scale)
        chosen = [row for row in of_scale if not patterns or any(fnmatch(row["model"], part) for part in patterns)]
        if not chosen:
            raise UserError(f"--only {','.join(patterns)}: no such model at scale {scale}; see `mtkd models`")
        names = [row["model"] for row in chosen if anew or not row["where"]]
        if names:
            _measure_efficiency(scale, names, data, anew)
        wanted = {row["model"] for row in chosen}
        rows += [row for row in efficiency.table(scale) if row["model"] in wanted]
    if json_:
        print_json({"rows": rows, "conditions": efficiency.conditions(rows)})
    elif csv_:
        print(efficiency.as_csv(rows), end="")
    else:
        _print_efficiency(rows)


def _measure_efficiency(scale: int, names: Sequence[str], data: Path | None, anew: bool) -> None:
    """Measure here, and keep."""
    from mtkd.data.benchmarks import benchmark
    from mtkd.experiments import efficiency

    root = found_data(data)
    images = []
    if root is None:
        print(f"mtkd: without {efficiency.SET} (--data) quality is not measured", file=sys.stderr)
    else:
        images = benchmark(root, efficiency.SET, scale)
    device = torch_device("cpu")
    kept = efficiency.own()
    for name in names:
        kept = efficiency.measure(
            scale, [name], images, device, kept, lambda n: print(f"measuring {n}", file=sys.stderr), anew
        )
        efficiency.keep(kept)


def _print_efficiency(rows: Sequence[Mapping[str, Any]]) -> None:
    from mtkd.experiments import efficiency

    def number(value: float | None, form: str, unit: float = 1) -> str:
        return "" if value is None else f"{value / unit:{form}}"

    cells = [
        [row["model"], f"x{row['scale']}", number(row["parameters"], ",.0f"), number(row["multiply_adds"], ".2f", 1e9),
         number(row["memory"], ",.0f"), number(row["milliseconds"], ",.0f"), number(row["psnr"], ".3f"),
         number(row["ssim"], ".4f"), number(row["flip"], ".4f"), "*" if row["front"] else "",
         "here" if row["where"] == "here" else ""]
        for row in rows
    ]  # fmt: skip
    print_table(
        ("model", "scale", "parameters", "G multiply-adds", "MiB", "ms", "PSNR", "SSIM", "FLIP", "front", "measured"),
        cells,
    )
    print("*: no other model is as fast and better (milliseconds and PSNR)")
    print("\n".join(efficiency.conditions(rows)))


def _parts(option: str) -> list[str]:
    return [part.strip() for part in option.split(",") if part.strip()]


def _warn_skipped(problem: str) -> None:
    print(f"mtkd: skipped: {problem}", file=sys.stderr)


def _tables(names: Sequence[str], known: Sequence[str], action: str) -> list[str]:
    if (not names and action != "run") or list(names) == ["all"]:
        return list(known)
    for name in names:
        if name in (*ACTIONS, "all"):
            raise UserError(f"'{name}' among the tables: put it first, as in `mtkd matrix {name} TABLE`")
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

    local = records.read(records.rebuild(out, _warn_skipped)) if any(out.glob("*/run.json")) else None
    graph = Matrix(plan, images_by_scale(plan.images(), local.images if local else lambda scale: ()))
    for table in tables:
        graph.add(table, scales, seeds, only)
    if not graph.rows:
        raise UserError(
            f"--only {','.join(only)} --scales {','.join(map(str, scales))}: no such row in {', '.join(tables)}; "
            "run `mtkd matrix status` to see the rows"
        )
    return graph, local


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
    remaining = f"remaining: {total['flops']:.1e} floating-point operations, about {total['hours']:.1f} hours"
    if tflops is not None:
        print(f"{remaining} on one device that sustains {tflops:g} TFLOP/s")
        return
    print(
        f"{remaining} on one {place.device.type}{' thread' if place.device.type == 'cpu' else ''} "
        f"({total['measured_hours']:.1f} hours estimated from finished runs; *: from operations and a timed step)"
    )
    if place.device.type == "cpu":
        hours = total["flops"] / (ASSUMED_TFLOPS * 1e12) / 3600
        print(f"on a GPU that sustains {ASSUMED_TFLOPS} TFLOP/s: {hours:.1f} hours (set yours with --tflops)")


def _seeds_needed(plan: Any, tables: Sequence[str], scales: Sequence[int], out: Path, size: str, json_: bool) -> None:
    """The comparisons that the claims need: what they say by now, and how many seeds they take."""
    from mtkd.experiments import records
    from mtkd.experiments.claims import amount
    from mtkd.experiments.statistics import FIRST_LOOK
    from mtkd.experiments.tables import report

    if any(out.glob("*/run.json")):
        records.rebuild(out, _warn_skipped)
    content = report(plan, records.available(out, size), tables, scales or None)
    needs = [c for claim in content["claims"] for c in claim.get("comparisons", ()) if c["table"] in tables]
    if json_:
        print_json(needs)
        return
    rows = []
    for row in needs:
        spread = f"{row['first_spread']:.4f}" if row["measured"] >= FIRST_LOOK else ""
        fixed = f"{row['fixed']} (fixed)" if row["fixed"] else str(row["planned"] or "")
        rows.append([row["comparison"], str(row["measured"]), spread, amount(row, count=False), row["verdict"], fixed,
                     str(row["needed"] or "")])  # fmt: skip
    print_table(
        ("comparison", "seeds", "spread of the first 3", "difference", "verdict", "second look", "needed"), rows
    )
    new = {row["comparison"]: row["planned"] for row in needs if row["planned"] and not row["fixed"]}
    if new:
        from mtkd.config import to_yaml

        print("to fix the second looks, in the plan file:")
        print(to_yaml({"second_look": {date.today().isoformat(): new}}), end="")


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

    pending = needed(tasks, place)

    def announce(outcome: Outcome, ended: int, of: int) -> None:
        text = outcome.message or f"{pending[outcome.key]} ({outcome.seconds:.0f} s)"
        print(f"[{ended}/{of}] {outcome.state}: {text}", file=sys.stderr if json_ else sys.stdout, flush=True)

    try:
        if ray or ray_address:
            from mtkd.experiments.cluster import run_on_ray

            outcomes = run_on_ray(pending, place, announce, gpus, retries, ray_address)
        else:

            def waits(count: int) -> None:
                print(f"waiting for {count} tasks of other processes", file=sys.stderr, flush=True)

            def reporter(task: Task) -> Any:
                return Silent() if json_ else TrainingProgress(str(task.run))

            outcomes = run_here(pending, place, reporter, announce, waits)
    except (Interrupted, KeyboardInterrupt) as stopped:
        why = str(stopped) or "stopped"
        where = " from the last checkpoints" if ray or ray_address else ""
        print(f"{why}. Run the same command again to continue{where}.", file=sys.stderr)
        raise SystemExit(130) from None
    path = records.rebuild(place.out, _warn_skipped)
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    if json_:
        rows = [
            {"task": o.key, "state": o.state, "message": o.message, "seconds": round(o.seconds, 1)} for o in outcomes
        ]
        print_json({"outcomes": rows, "records": str(path)})
    else:
        bundled = sum(recorded(task, place) for task in tasks.values())
        note = f"; {bundled} measurements come from the bundled records (--anew repeats them here)" if bundled else ""
        print(f"{len(tasks) - len(failed)} of {len(tasks)} tasks done{note}; records: {path}")
    if failed:
        raise SystemExit(1)


def _report(
    plan: Any,
    tables: Sequence[str],
    scales: Sequence[int],
    out: Path,
    size: str,
    output: Path | None,
    html: Path | None,
    json_: bool,
) -> None:
    from mtkd.experiments import records
    from mtkd.experiments.tables import markdown, report
    from mtkd.files import write_text

    if any(out.glob("*/run.json")):
        records.rebuild(out, _warn_skipped)
    content = report(plan, records.available(out, size), tables, scales or None)
    if not any(row["measured"] and row["steps"] for table in content["tables"] for row in table["rows"]):
        print("mtkd: no row of these tables has been measured with this plan, --set and --scales", file=sys.stderr)
    text, data = markdown(content, size), json.dumps(content, indent=1) + "\n"
    if html is not None:
        _page(content, size, html, [out] if out.is_dir() else [])
        if output is None:
            return
    if output is None:
        print(data if json_ else text, end="")
        return
    for name, written in (("report.md", text), ("report.json", data)):
        write_text(output / name, written)
        print(output / name)


def _page(content: Any, size: str, path: Path, sources: Sequence[Path]) -> None:
    try:
        from mtkd.explore.report.experiment import write
    except ImportError as error:
        raise UserError(f"--html needs the extra 'app': pip install 'mtkd[app]' ({error})") from error

    with progress_bar("pictures", 1, lines=True) as advance:
        written = write(content, size, path, sources, lambda done, of: advance(done / of))
    files = written.rglob("*") if written.is_dir() else [written]
    print(f"{written} ({sum(file.stat().st_size for file in files if file.is_file()) / 1e6:.1f} MB)")
