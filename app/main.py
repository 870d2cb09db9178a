"""The explorer's page: builds it from its tabs and serves it, offline."""

from __future__ import annotations

import importlib
import ipaddress
import os
import pkgutil
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")  # it counts all of them anew after each
os.environ.setdefault("MPLBACKEND", "agg")  # Gradio sets it around each call, also while a thread imports pyplot

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mtkd import plugins, zoo
from mtkd.data.examples import PICTURES
from mtkd.errors import UserError
from mtkd.explore import default_models
from mtkd.explore.comparison.outputs import loaded
from mtkd.explore.evidence.summary import answers
from mtkd.zoo.costs import multiply_adds

from . import tabs as tab_package
from .parts import address, picture, plan_choice, tour
from .server.ending import told_to_end
from .server.guard import LARGEST_FILE, Doors, fetch_nothing
from .server.outside import Behind, Outside
from .server.queue import WAITING, limit_waiting
from .server.session_files import SESSIONS, Pictures
from .state import Shared, Tab

_ASSETS = Path(__file__).parent / "assets"
_TITLE = "MTKD explorer"
_FOOTER = "<style>@media (max-width: 700px) { footer .divider { display: none !important; } }</style>"
"""Gradio hides what its dot stands after, on a phone; the footer is outside of what our style sheets reach."""
_SUBTITLE = "Multi-teacher knowledge distillation (MTKD): how a small super-resolution network learns from large ones."


def build(pictures: Pictures, trusted: bool = True) -> gr.Blocks:
    """The page: one tab a file in ``tabs``; ``trusted`` as in :class:`~mtkd_app.state.Shared`."""
    page = gr.Blocks(title=_TITLE, fill_width=True, analytics_enabled=False)
    with page:
        gr.HTML('<a class="skip" href="#tabs">Skip to the content</a>', apply_default_css=False, elem_id="skip")
        with gr.Row(elem_id="head"):
            gr.Markdown(f"# {_TITLE}\n{_SUBTITLE}", elem_id="title")
            start = gr.Button("Take the tour", size="sm", elem_id="tour-start", scale=0, min_width=130)
        if files := plugins.loaded():
            gr.Markdown(f"Plugins: {'; '.join(map(_declares, files))}.", elem_id="plugins", elem_classes="help")
        tabs = gr.Tabs(selected="compare", elem_id="tabs", render=False)
        shared = Shared.create(page, tabs, pictures, trusted)  # not among the tabs: Gradio counts them by place
        stops = tour.layout(shared, start)
        shared.bar = picture.layout(shared)
        tabs.render()
        with tabs:
            for title, views in _by_tab(_declared_tabs()):
                _build_tab(shared, title, views)
        picture.connect(shared.bar)
        address.connect(shared, stops)
        page.unload(_closing(pictures))
    _last_choice_counts(page)
    return page


def _by_tab(declared: Sequence[tuple[str, Tab]]) -> Iterator[tuple[str, list[tuple[str, Tab]]]]:
    """The title of each tab with what it holds: itself, or its views."""
    titles = dict.fromkeys(tab.within or tab.title for _, tab in declared)
    for title in titles:
        yield title, [(name, tab) for name, tab in declared if (tab.within or tab.title) == title]


def _build_tab(shared: Shared, title: str, views: Sequence[tuple[str, Tab]]) -> None:
    (first, tab), *others = views
    if not others and tab.within is None:
        with gr.Tab(title, id=first) as opened:
            tab.build(shared, opened)
        return
    group = title.lower().replace(" ", "-")
    with gr.Tab(title, id=group), gr.Tabs(selected=first, elem_id=group, elem_classes="views") as row:
        shared.views[group] = row, [name for name, _ in views]
        for name, view in views:
            with gr.Tab(view.title, id=name) as opened:
                view.build(shared, opened)


def _declares(plugin: plugins.Plugin) -> str:
    """A plugin's file and what it declares, "mine.py (network small_net, metric mae)"; without its folder."""
    return f"{plugin.path.name} ({', '.join(' '.join(pair) for pair in plugin.declares) or 'declares nothing'})"


def _declared_tabs() -> list[tuple[str, Tab]]:
    """The tabs that the modules of ``tabs/`` declare as ``TAB``, by their ids, in the page's order."""
    names = [module.name for module in pkgutil.iter_modules(tab_package.__path__)]
    declared = [(name, importlib.import_module(f"{tab_package.__name__}.{name}").TAB) for name in names]
    return sorted(declared, key=lambda entry: (entry[1].order, entry[0]))


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
    """Gradio's default with the system's fonts (nothing is fetched from elsewhere) and colours of enough contrast."""
    base = gr.themes.Default(
        primary_hue="teal",
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
    )
    return base.set(
        body_text_color_subdued="#5b6472",
        body_text_color_subdued_dark="#a9b1be",
        block_info_text_color="#5b6472",
        block_info_text_color_dark="#a9b1be",
        block_label_text_color="#4b5563",
        block_title_text_color="#4b5563",
        input_placeholder_color="#6b7280",
        color_accent="#0f766e",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#0f766e",
        button_primary_text_color="#ffffff",
    )


def launch(
    host: str | None = None,
    port: int | None = None,
    browser: bool = False,
    share: bool = False,
    trust: bool | None = None,
    outside: Outside = Outside(),  # noqa: B008  (immutable)
) -> None:
    """Serve the page until interrupted or terminated.

    Args:
        host: defaults to ``GRADIO_SERVER_NAME``, else 127.0.0.1.
        port: defaults to ``GRADIO_SERVER_PORT``, else the first free one from 7860.
        share: also on the internet, through Gradio's tunnel.
        trust: whoever reaches the page may train, bring checkpoints and read folders; by default where only this
            computer, or a proxy on it, reaches the page.
        outside: how a proxy opens it.

    Raises:
        UserError: the port is taken, or the host is no address of this machine.
    """
    host, port = _place(host, port)
    _check_free(host, port)
    fetch_nothing()
    local = _is_loopback(host) and not share
    trusted = local if trust is None else trust
    with told_to_end() as ended, _warming_up(ended), Pictures() as pictures:
        page = build(pictures, trusted).queue(max_size=WAITING, default_concurrency_limit=4, api_open=False)
        limit_waiting(page)
        doors = Middleware(Doors, pictures=pictures, also=lambda: _public(page), framed=not trusted, outside=outside)
        only = [_only_called(host, outside)] if local else []
        page.launch(
            server_name=host,
            server_port=port,
            inbrowser=browser,
            share=share,
            quiet=True,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            state_session_capacity=SESSIONS,
            max_file_size=LARGEST_FILE,
            allowed_paths=sorted({str(picture.path.parent) for picture in PICTURES}),
            footer_links=["api", "settings"],
            theme=theme(),
            i18n=gr.I18n(en={"common.complete": "Done"}),  # Gradio asks for it where it has it under another name
            head=_FOOTER,
            css_paths=sorted(_ASSETS.glob("*.css")),
            js=(_ASSETS / "address.js").read_text(encoding="utf-8"),
            root_path=outside.root or None,
            app_kwargs={"middleware": [*only, Middleware(Behind, outside=outside), doors]},
            prevent_thread_lock=True,
        )
        pictures.watch(lambda name: page.state_holder.session_data.pop(name, None))
        print(_who(page, host, local, trusted, outside), flush=True)
        _wait(page, ended)
        page.close(verbose=False)


@contextmanager
def _warming_up(ended: threading.Event) -> Iterator[None]:
    """Load what the first comparison needs meanwhile; a process that ends while PyTorch computes may stand still."""
    warming = threading.Thread(target=_warm_up, args=(ended,), daemon=True)
    warming.start()
    yield
    warming.join(10)


def _wait(page: gr.Blocks, ended: threading.Event) -> None:
    while page.is_running and not ended.wait(0.5):
        pass


def _who(page: gr.Blocks, host: str, local: bool, trusted: bool, outside: Outside) -> str:
    """Who can reach the page, and what they may do there."""
    public = cast("str | None", page.share_url)  # Gradio declares None alone
    if public:
        reach = f"{public}: everybody on the internet who has this address"
    elif local:
        proxy = f"{', and whoever a proxy lets through to ' + ', '.join(outside.hosts)}" if outside.hosts else ""
        reach = f"{page.local_url}: this computer alone{proxy}"
    else:
        everywhere = host in ("0.0.0.0", "::", "")
        reach = f"{page.local_url}: everybody who reaches {'this computer' if everywhere else host} through a network"
    others = not local or bool(outside.hosts)
    may = "on (they act as you, on your files)" if trusted and others else "on" if trusted else "off (--trust)"
    return f"The explorer is at {reach}. Train and folders: {may}. Ctrl-C ends it."


def _public(page: gr.Blocks) -> str | None:
    """Host of the public link, once there is one."""
    return urlsplit(page.share_url).netloc if page.share_url else None


def _closing(pictures: Pictures) -> Any:
    def closing(request: gr.Request) -> None:
        pictures.close(request.session_hash)

    return closing


def _only_called(host: str, outside: Outside) -> Middleware:
    """Answers to this computer's names alone, and those of a proxy. A page elsewhere whose name was turned to this
    address (DNS rebinding) would read folders and start trainings otherwise."""
    ipv6 = "["  # all that Starlette looks at of an address such as [::1]:7860
    return Middleware(TrustedHostMiddleware, allowed_hosts=[host, "localhost", "127.0.0.1", ipv6, *outside.names])


def _warm_up(ended: threading.Event) -> None:
    """Load what the first comparison needs while the page is on its way to the browser, then check the claims."""
    with suppress(UserError, gr.Error):  # the page tells it
        scale = max((model.scale for model in zoo.models()), default=4)
        for name in default_models(scale):
            if ended.is_set():
                return
            loaded(name, scale)
            multiply_adds(name, scale)
        answers(plan_choice.results(plan_choice.PLAN))


def _place(host: str | None, port: int | None) -> tuple[str, int | None]:
    """Where to listen: as given, else as the environment says."""
    if port is None and (text := os.environ.get("GRADIO_SERVER_PORT")):
        if not text.isdigit():
            raise UserError(f"GRADIO_SERVER_PORT={text}: not a number")
        port = int(text)
    return host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1", port


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
