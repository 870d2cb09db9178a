"""Starting the explorer: ports, hosts, and no lossy pictures."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import gradio as gr
from mtkd_app.files import Pictures
from mtkd_app.main import build

from tests.app.conftest import free_port, wait_until_it_answers


def demo(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mtkd.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )


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
