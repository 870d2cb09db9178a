"""``mtkd demo``: start the explorer."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mtkd.cli.console import Engine, Metrics, known_engine, metric_names
from mtkd.errors import UserError


def demo(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 lets anyone on your networks open the page "
            "[default: GRADIO_SERVER_NAME, else 127.0.0.1, this computer only]."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port [default: GRADIO_SERVER_PORT, else the first free port from 7860]."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the default browser.")] = False,
    share: Annotated[
        bool,
        typer.Option(
            "--share",
            help="Publish the page through Gradio's tunnel: anyone with the printed address can open it.",
        ),
    ] = False,
    trust: Annotated[
        bool | None,
        typer.Option(
            "--trust/--no-trust",
            help="Allow visitors to train, import checkpoints and read this computer's folders, with your permissions "
            "[default: on where only this computer, or a proxy on it, reaches the page].",
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            help="Behind a proxy: the path, or the whole address, that it gives the page [default: GRADIO_ROOT_PATH]."
        ),
    ] = "",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Behind a proxy: a name that the page is opened under; repeatable."),
    ] = None,
    allow_frame: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="A page that may show this one in a frame (https://NAME); repeatable."),
    ] = None,
    metrics: Metrics = "",
    engine: Engine = "torch",
) -> None:
    """Start the explorer, a page that compares models side by side."""
    try:
        from mtkd_app.main import launch
        from mtkd_app.server.outside import Outside
    except ImportError as error:
        raise UserError(f"the explorer needs the extra 'app': pip install 'mtkd[app]' ({error})") from error
    if metrics:
        from mtkd.metrics import show

        show(metric_names(metrics))
    if engine != "torch":
        from mtkd.explore.comparison.outputs import outputs

        outputs.engine = known_engine(engine)
    root_path = root_path or os.environ.get("GRADIO_ROOT_PATH", "")
    outside = Outside.checked(root_path, allow_host or (), allow_frame or ())
    launch(host=host, port=port, browser=browser, share=share, trust=trust, outside=outside)
    sys.stdout.flush()
    os._exit(0)  # a thread in the midst of a network would end the process as a crash
