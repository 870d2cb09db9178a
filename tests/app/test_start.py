"""Starting the explorer: ports, hosts, and no lossy pictures."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import gradio as gr
import pytest
from gradio import networking
from mtkd_app.main import build, launch
from mtkd_app.server.outside import Outside
from mtkd_app.server.session_files import Pictures

from tests.app.conftest import free_port, wait_until_it_answers


def demo(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mtkd.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.sweep
def test_host_and_port_from_gradios_variables():
    port = free_port()
    process = demo(GRADIO_SERVER_PORT=str(port), GRADIO_SERVER_NAME="127.0.0.1")
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/", process)
    finally:
        process.terminate()
        process.wait(20)


def test_taken_port_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = demo("--port", str(taken.getsockname()[1]))
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.strip().count("\n") == 0
    assert "cannot listen" in output and "--port" in output


def test_a_page_under_another_name_is_not_answered(address):
    """As after DNS rebinding: a page elsewhere must neither start trainings nor read folders here."""
    port = urlsplit(address).port
    for host, expected in (("evil.example", 400), ("localhost", 200), ("127.0.0.1", 200)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/config", headers={"Host": f"{host}:{port}"})
        assert connection.getresponse().status == expected, host
        connection.close()


def test_every_picture_component_is_lossless():
    """Gradio's default for pictures is lossy WebP, and here pixels are judged."""
    with Pictures() as pictures:
        components = build(pictures).blocks.values()
        shown = [c for c in components if isinstance(c, (gr.Image, gr.ImageSlider, gr.Gallery))]
        assert len(shown) >= 3
        assert {c.format for c in shown} == {"png"}


@pytest.mark.parametrize(
    ("options", "trains", "told"),
    [
        ({}, True, "this computer alone"),
        ({"trust": True}, True, "this computer alone"),
        ({"host": "0.0.0.0"}, False, "everybody who reaches this computer through a network"),
        ({"host": "0.0.0.0", "trust": True}, True, "they act as you"),
        ({"share": True}, False, "everybody on the internet who has this address"),
        ({"share": True, "trust": True}, True, "they act as you"),
        ({"trust": False}, False, "this computer alone"),
        ({"outside": Outside("/mtkd", ("hub.example.edu",))}, True, "whoever a proxy lets through to hub.example.edu"),
    ],
)
def test_who_may_come_is_told_and_strangers_only_look(options, trains, told, monkeypatch, capsys):
    """Served in this process, with a tunnel that leads nowhere."""
    monkeypatch.setattr(networking, "setup_tunnel", lambda **_: "http://abc.tunnel.example")
    seen = {}

    def look(page: gr.Blocks, _: object) -> None:
        names = {one.api_name for one in page.fns.values()}
        seen["trains"] = {"train_start", "add_checkpoint", "scan_folder"} <= names
        seen["some"] = bool({"train_start", "add_checkpoint", "scan_folder"} & names)
        for host in ("abc.tunnel.example", f"127.0.0.1:{page.server_port}"):
            connection = http.client.HTTPConnection("127.0.0.1", page.server_port, timeout=30)
            headers = {"Host": host, "Origin": f"{'https' if 'abc' in host else 'http'}://{host}"}
            connection.request("GET", "/config", headers=headers)
            answer = connection.getresponse()
            seen[host[:3]] = answer.status, answer.headers["content-security-policy"]
            connection.close()

    monkeypatch.setattr("mtkd_app.main._wait", look)
    launch(**options, port=free_port())
    out = capsys.readouterr().out
    assert seen["trains"] == seen["some"] == trains
    assert told in out and out.count("The explorer is at") == 1
    assert ("off (--trust)" in out) == (not trains)
    public = bool({"host", "share"} & options.keys())
    assert seen["127"] == (200, "frame-ancestors 'self'" if trains else None)
    assert seen["abc"][0] == (200 if public else 400)
    if "share" in options:
        assert "https://abc.tunnel.example" in out
