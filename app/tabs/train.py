"""The Train tab: start a training as a process of its own, watch it, stop it, go on, look at what it made."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mtkd.errors import UserError
from mtkd.explore.evidence.curves import training_figure
from mtkd.home import home
from mtkd.images import read_image
from mtkd.training import jobs
from mtkd.training.devices import devices

from ..parts.training_form import SIZES, STAGES, TRIAL, held_out, prefilled, recipes, resolve, usual
from ..parts.training_view import label, status
from ..state import Shared, errors_shown, model_choices, remaining_choices, scale_choices

_OFF = (
    "Training starts programs on the explorer's computer, so it is on only where that serves itself alone: "
    "`mtkd demo` without `--host` or `--share` (or with `--trust`, where all who come may do so)."
)
_HELP = (
    "A training is a process of its own. It goes on when this page or the explorer is closed, and is found again here."
)
_LOG_LINES = 40
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}
_COMPARE = "() => { document.querySelector('#go')?.click(); window.scrollTo(0, 0); }"


def build(shared: Shared, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; where others may come, it only says why it is off."""
    if not shared.trusted:
        gr.Markdown(_OFF)
        return
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=400, elem_id="train-form"):
            form, device, start = _form()
        with gr.Column(scale=1, min_width=560):
            _runs(shared, tab, form, device, start)
    _api()


def _form() -> tuple[list[Any], gr.Dropdown, gr.Button]:
    """The form, connected within itself; returns the inputs of ``resolve``, the device and the button."""
    size, _, _ = TRIAL["recipe"].partition("/")
    stage = gr.Radio(STAGES, value="student", label="Stage", elem_id="train-stage")
    sizes = gr.Radio(SIZES, value=size, label="Size", elem_id="train-size")
    recipe = gr.Dropdown(
        recipes(size, "student"), value=TRIAL["recipe"], label="Recipe", elem_id="train-recipe",
        allow_custom_value=True,  # Gradio refuses a recipe that was chosen just before its list was changed
    )  # fmt: skip
    with gr.Row():
        scale = gr.Dropdown(scale_choices((2, 3, 4)), value=TRIAL["scale"], label="Scale", min_width=100)
        device = gr.Dropdown(devices(), label="Device", elem_id="train-device", min_width=100)
    data = gr.Textbox(
        TRIAL["data"], label="Folder of training images (HR)", elem_id="train-data",
        placeholder="empty: five bundled examples, enough to try it",
    )  # fmt: skip
    name = gr.Textbox(TRIAL["name"], label="Name of the new model", elem_id="train-name")
    number: dict[str, Any] = {"precision": 0, "min_width": 100}
    with gr.Row():
        steps = gr.Number(TRIAL["steps"], label="Steps", minimum=1, elem_id="train-steps", **number)
        batch = gr.Number(TRIAL["batch"], label="Batch", minimum=1, **number)
        patch = gr.Number(TRIAL["patch"], label="LR patch", minimum=8, **number)
    with gr.Row():
        rate = gr.Number(TRIAL["rate"], label="Learning rate", minimum=0, step=0.0001, min_width=100)
        seed = gr.Number(TRIAL["seed"], label="Seed", minimum=0, **number)
        kept = gr.Number(TRIAL["held_out"], label="Held out", minimum=1, **number)
    problem = gr.Markdown(elem_id="train-problem")
    start = gr.Button("Start", variant="primary", elem_id="train-start")
    trial = gr.Button("Fill in the half-minute trial", size="sm", elem_id="train-trial")
    with gr.Accordion("More, and the recipe that this makes", open=False):
        more = gr.Textbox(
            "", label="Other keys of the recipe, one key=value a line", lines=2, elem_id="train-more",
            placeholder="ema=0.99\nmethod.options.alpha=0.3",
        )  # fmt: skip
        fields = {"recipe": recipe, "scale": scale, "name": name, "data": data, "held_out": kept, "steps": steps,
                  "batch": batch, "patch": patch, "rate": rate, "seed": seed, "more": more}  # fmt: skip
        form = list(fields.values())
        resolved = gr.Code(
            resolve(*(field.value for field in form)).dump(), language="yaml", label="Recipe", interactive=False,
            elem_id="train-resolved", max_lines=24,
        )  # fmt: skip
    gr.Markdown(_HELP, elem_classes="help")

    def choose(size: str, stage: str, now: str | None) -> Any:
        choices = recipes(size, stage)
        return gr.Dropdown(choices, value=usual(choices, now))

    def fill(recipe: str | None, scale: int, data: str) -> dict[Any, Any]:
        try:
            return {fields[key]: value for key, value in prefilled(recipe, scale, data).items()} if recipe else {}
        except UserError:  # a name that was typed: `show` tells what is wrong with it
            return {}

    def fill_trial() -> dict[Any, Any]:
        return {
            **{fields[key]: value for key, value in TRIAL.items()},
            stage: "student",
            sizes: size,
            recipe: gr.Dropdown(recipes(size, "student"), value=TRIAL["recipe"]),
        }

    def show(*values: Any) -> tuple[Any, str]:
        """The recipe in full, or what is wrong with the form."""
        try:
            return gr.Code(resolve(*values).dump(), visible=True), ""
        except UserError as error:
            return gr.Code(visible=False), f"Not yet: {error}"

    chosen = gr.on([sizes.input, stage.input], choose, [sizes, stage, recipe], recipe, **_QUIET)
    chosen.then(fill, [recipe, scale, data], form, **_QUIET)
    gr.on([recipe.input, scale.input], fill, [recipe, scale, data], form, **_QUIET)
    trial.click(fill_trial, None, [*form, stage, sizes], **_QUIET)
    data.change(held_out, data, kept, **_QUIET)
    gr.on([field.change for field in form], show, form, [resolved, problem], **_QUIET)
    return form, device, start


def _runs(shared: Shared, tab: gr.Tab, form: list[Any], device: gr.Dropdown, start: gr.Button) -> None:
    """The list of runs and the chosen one, connected."""
    nothing = gr.Markdown("No run yet. **Start** begins the one that the form describes.", elem_id="train-nothing")
    pick = gr.Radio([], label="Runs, newest first", visible=False, elem_id="train-runs")
    with gr.Column(visible=False) as detail:
        told_state = gr.HTML(elem_id="train-state")
        with gr.Row(elem_id="train-buttons"):
            stop = gr.Button("Stop", elem_id="train-stop", size="sm")
            resume = gr.Button("Resume", elem_id="train-resume", size="sm")
            show = gr.Button("Open in Compare", variant="primary", elem_id="train-open", size="sm")
            delete = gr.Button("Delete", elem_id="train-delete", size="sm")
        with gr.Row(visible=False, elem_id="train-confirm") as confirm:
            gr.Markdown(f"Its folder goes to `{home() / 'deleted'}`, from where it can be taken back.")
            yes = gr.Button("Delete it", variant="stop", size="sm", elem_id="train-yes")
            no = gr.Button("Keep it", size="sm")
        plot = gr.Plot(show_label=False, elem_id="train-plot", container=False)
        sample = gr.Image(
            format="png", interactive=False, label="Newest sample of a held-out image", visible=False, height=270,
            buttons=["download", "fullscreen"], elem_id="train-sample",
        )  # fmt: skip
        with gr.Accordion("What the process says", open=False):
            log = gr.Textbox(show_label=False, lines=8, max_lines=16, interactive=False, elem_id="train-log")
        with gr.Accordion("Its recipe", open=False):
            recipe = gr.Code(language="yaml", show_label=False, interactive=False)
    timer = gr.Timer(1.5, active=False)
    seen = gr.State({})

    def view(chosen: str | None, seen: dict[str, Any], tick: bool = False) -> dict[Any, Any]:
        """All that differs from what the page shows, ``seen``."""
        runs = jobs.runs()
        active = [run for run in runs if run.active]
        run = next((run for run in runs if run.name == chosen), next(iter([*active, *runs]), None))
        now: dict[str, Any] = {"runs": [(label(r), r.name) for r in runs], "chosen": run and run.name}
        changed: dict[Any, Any] = {} if tick and active else {timer: gr.Timer(active=bool(active))}
        if now["chosen"] not in (chosen, None) or now["chosen"] != seen.get("chosen"):
            changed[pick] = gr.Radio(now["runs"], value=now["chosen"], visible=bool(runs))
        elif now["runs"] != seen.get("runs"):
            changed[pick] = gr.Radio(now["runs"], visible=bool(runs))
        if run is None:
            return {**changed, nothing: gr.Markdown(visible=True), detail: gr.Column(visible=False), seen_state: now}
        return {**changed, **show_run(run, seen, now), seen_state: now}

    def show_run(run: jobs.Run, seen: dict[str, Any], now: dict[str, Any]) -> dict[Any, Any]:
        other = seen.get("chosen") != run.name
        changed: dict[Any, Any] = {told_state: status(run)}
        now |= {"state": run.state, "rows": len(jobs.measured(run.folder).rows), "log": jobs.log(run.folder)}
        picture = jobs.newest_sample(run.folder)
        now["sample"] = picture and (str(picture), picture.stat().st_mtime)
        if other or now["state"] != seen.get("state"):
            changed |= {
                nothing: gr.Markdown(visible=False),
                detail: gr.Column(visible=True),
                confirm: gr.Row(visible=False),
                stop: gr.Button(interactive=run.active),
                resume: gr.Button(interactive=run.state in ("stopped", "failed")),
                show: gr.Button(interactive=run.state == "finished"),
                delete: gr.Button(interactive=not run.active),
                recipe: run.recipe.dump() if run.recipe else "",
            }
        if other or now["rows"] != seen.get("rows"):
            numbers = jobs.measured(run.folder)
            figure = training_figure(numbers.curves(), numbers.parts(), run.iterations) if now["rows"] else None
            changed[plot] = gr.Plot(figure, visible=figure is not None)
        if other or now["sample"] != seen.get("sample"):
            text = f"Held-out image after step {int(picture.stem):,}: LR, output, ground truth" if picture else ""
            path = str(shared.pictures.group("sample").write("sample", read_image(picture))) if picture else None
            changed[sample] = gr.Image(path, label=text, visible=picture is not None)
        if other or now["log"] != seen.get("log"):
            changed[log] = "\n".join(now["log"][-_LOG_LINES:])
        return changed

    def begin(seen: dict[str, Any], device: str, *values: Any) -> dict[Any, Any]:
        with errors_shown():
            run = jobs.start(resolve(*values), device)
        return view(run.name, seen)

    def act(name: str, seen: dict[str, Any], action: Any) -> dict[Any, Any]:
        with errors_shown():
            action(name)
        return view(name, seen)

    def halt(name: str, seen: dict[str, Any]) -> dict[Any, Any]:
        changed = act(name, seen, jobs.stop)
        gr.Info("It saves after the step that it is at, and ends.", duration=4)
        return changed

    def open_compare(name: str, now: int, checked: list[str]) -> list[Any]:
        with errors_shown():
            made = jobs.find(name).recipe
        same = made.scale == now
        group = remaining_choices(now, [*checked, made.name]) if same else model_choices(made.scale, (made.name,))
        return [gr.Radio(value=made.scale), gr.CheckboxGroup(**group), gr.Tabs(selected="compare")]

    def remaining(now: int, checked: list[str]) -> Any:
        """The models without that of a run that was deleted."""
        return gr.CheckboxGroup(**remaining_choices(now, checked))

    def leave(event: gr.SelectData) -> Any:
        return gr.skip() if event.value == tab.label else gr.Timer(active=False)

    seen_state = seen
    state = [pick, seen]
    shown = [
        nothing,
        pick,
        detail,
        told_state,
        stop,
        resume,
        show,
        delete,
        confirm,
        plot,
        sample,
        log,
        recipe,
        timer,
        seen,
    ]
    start.click(begin, [seen, device, *form], shown, show_progress_on=[start], **_PRIVATE)
    gr.on([tab.select, pick.input], view, state, shown, **_QUIET)
    timer.tick(lambda chosen, seen: view(chosen, seen, tick=True), state, shown, **_QUIET)
    shared.tabs.select(leave, None, timer, **_QUIET)
    stop.click(halt, state, shown, **_QUIET)
    resume.click(lambda name, seen: act(name, seen, jobs.resume), state, shown, show_progress_on=[resume], **_PRIVATE)
    delete.click(lambda: gr.Row(visible=True), None, confirm, **_QUIET)
    no.click(lambda: gr.Row(visible=False), None, confirm, **_QUIET)
    deleted = yes.click(lambda name, seen: act(name, seen, jobs.delete), state, shown, **_QUIET)
    compared = [shared.scale, shared.models]
    deleted.success(remaining, compared, shared.models, **_QUIET)
    opened = show.click(open_compare, [pick, *compared], [*compared, shared.tabs], **_PRIVATE)
    opened.success(None, js=_COMPARE)


def _api() -> None:
    """The same for programs, by the names of runs."""

    def train_start(
        recipe: str, scale: int, name: str, steps: int, data: str = "", device: str = "cpu", more: str = ""
    ) -> dict[str, Any]:
        """Start a training: a bundled recipe as SIZE/MODEL, a folder of images (empty: the bundled ones)."""
        with errors_shown():
            fields = prefilled(recipe, scale) | {"name": name, "steps": steps, "data": data, "more": more}
            fields["held_out"] = held_out(data)
            return _told_run(jobs.start(resolve(recipe, scale, **fields), device))

    def train_runs() -> list[dict[str, Any]]:
        """All runs, the one that was started last first."""
        return [_told_run(run) for run in jobs.runs()]

    def train_curves(run: str) -> dict[str, Any]:
        """What a run has measured: per name its steps and values, at most 1000."""
        with errors_shown():
            return {key: list(curve) for key, curve in jobs.measured(jobs.find(run).folder).curves().items()}

    def train_stop(run: str) -> str:
        """Have a run saved and stopped."""
        with errors_shown():
            jobs.stop(run)
        return run

    def train_resume(run: str) -> dict[str, Any]:
        """Go on with a stopped or failed run."""
        with errors_shown():
            return _told_run(jobs.resume(run))

    def train_delete(run: str) -> str:
        """Move a run into the folder `deleted`; returns its place there."""
        with errors_shown():
            return str(jobs.delete(run))

    for function in (train_start, train_runs, train_curves, train_stop, train_resume, train_delete):
        gr.api(function, api_name=function.__name__)


def _told_run(run: jobs.Run) -> dict[str, Any]:
    return {"run": run.name, "state": run.state, "note": run.note, "step": run.iteration, "steps": run.iterations,
            "psnr": run.psnr, "steps_a_second": run.speed, "seconds_left": run.seconds_left}  # fmt: skip
