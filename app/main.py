"""The explorer's page: builds it from its tabs and serves it, offline."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.explore import default_models
from mtkd.explore.costs import multiply_adds
from mtkd.explore.outputs import loaded

from .files import Pictures
from .shared import Shared
from .tabs import ablations, attribution, compare, framework, own, results, train, wavelets

_ASSETS = Path(__file__).parent / "assets"
_TITLE = "MTKD explorer"


_TABS = {
    "framework": ("The framework", framework),
    "compare": ("Compare", compare),
    "wavelets": ("Wavelets", wavelets),
    "attribution": ("Attribution", attribution),
    "ablations": ("Ablations", ablations),
    "results": ("Results", results),
    "train": ("Train", train),
    "own": ("Bring your own", own),
}


def build(pictures: Pictures, local: bool = True) -> gr.Blocks:
    """The page: one tab a file in ``tabs``; ``local`` as in :class:`~mtkd_app.shared.Shared`."""
    with gr.Blocks(title=_TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown(
            f"# {_TITLE}\nSeveral large super-resolution networks teach a small one: compare teachers, "
            "the aggregator that merges them (MT), and students, pixel by pixel.",
            elem_id="title",
        )
        tabs = gr.Tabs(selected="compare")
        shared = Shared.create(page, tabs, pictures, local)  # not among the tabs: Gradio counts them by place
        with tabs:
            for name, (title, tab) in _TABS.items():
                with gr.Tab(title, id=name) as opened:
                    tab.build(shared, opened)
    _last_choice_counts(page)
    return page


def _last_choice_counts(page: gr.Blocks) -> None:
    """Have choices be answered that are made while the one before is: Gradio leaves them out unless told otherwise.

    Where an event carries data of its own (a click in a viewer) each is answered in turn, since Gradio repeats the
    first one's data in place of the last one's; of others the last.
    """
    for event in page.fns.values():
        names = {name for _, name in event.targets}
        if names & {"input", "select"}:
            event.trigger_mode = "multiple" if event.collects_event_data else "always_last"
        elif event.trigger_after is not None and page.fns[event.trigger_after].trigger_mode != "once":
            event.trigger_mode = "always_last"


def theme() -> gr.themes.Base:
    """Gradio's default with the system's fonts: nothing is fetched from elsewhere."""
    return gr.themes.Default(
        primary_hue="teal",
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
    )


def launch(host: str | None = None, port: int | None = None, browser: bool = False) -> None:
    """Serve the page until interrupted.

    ``host`` and ``port`` default to ``GRADIO_SERVER_NAME`` (else 127.0.0.1) and ``GRADIO_SERVER_PORT`` (else the
    first free port from 7860).

    Raises:
        UserError: the port is taken, or the host is no address of this machine.
    """
    host = host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    if port is None and (text := os.environ.get("GRADIO_SERVER_PORT")):
        if not text.isdigit():
            raise UserError(f"GRADIO_SERVER_PORT={text}: not a number")
        port = int(text)
    _check_free(host, port)
    threading.Thread(target=_warm_up, daemon=True).start()
    local = _is_loopback(host)
    with Pictures() as pictures:
        page = build(pictures, local).queue(max_size=32, default_concurrency_limit=1)
        page.launch(
            server_name=host,
            server_port=port,
            inbrowser=browser,
            share=False,
            ssr_mode=False,
            allowed_paths=[str(pictures.folder)],
            max_file_size="64mb",
            footer_links=["api", "settings"],
            theme=theme(),
            css_paths=sorted(_ASSETS.glob("*.css")),
            app_kwargs={"middleware": [_only_called(host)]} if local else None,
        )


def _only_called(host: str) -> Middleware:
    """Answers to this computer's names alone. A page elsewhere whose name was turned to this address (DNS rebinding)
    would read folders and start trainings otherwise."""
    ipv6 = "["  # all that Starlette looks at of an address such as [::1]:7860
    return Middleware(TrustedHostMiddleware, allowed_hosts=[host, "localhost", "127.0.0.1", ipv6])


def _warm_up() -> None:
    """Load what the first comparison needs while the page is on its way to the browser."""
    with suppress(UserError):  # the comparison tells it
        scale = max((model.scale for model in zoo.models()), default=4)
        for name in default_models(scale):
            loaded(name, scale)
            multiply_adds(name, scale)


def _is_loopback(host: str) -> bool:
    return all(ipaddress.ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))


def _check_free(host: str, port: int | None) -> None:
    if port is not None and not 0 < port < 65536:
        raise UserError(f"--port {port}: give a number from 1 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        where = f"{host}:{port}" if port else host
        raise UserError(f"cannot listen on {where} ({error.strerror}); choose another --host or --port") from error
