"""The explorer asked in plain HTTP, as an attacker or another program would."""

from __future__ import annotations

import http.client
import io
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image


def ask(address: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of one answer; ``path`` goes out as it is, and ``content_type`` as Content-Type."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()


def post(address: str, path: str, content: Any, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """The same with JSON."""
    return ask(address, "POST", path, json.dumps(content), content_type="application/json", **headers)


def form(name: str, content: bytes) -> tuple[bytes, str]:
    """A file as a browser's form sends it: the body and its type."""
    head = f'--mark\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    return head + content + b"\r\n--mark--\r\n", "multipart/form-data; boundary=mark"


def send(address: str, name: str, content: bytes, **headers: str) -> str:
    """Upload a file; its path on the server."""
    body, kind = form(name, content)
    status, told, _ = ask(address, "POST", "/gradio_api/upload", body, content_type=kind, **headers)
    assert status == 200, told
    return json.loads(told)[0]


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def as_file(path: str | Path, **more: Any) -> dict[str, Any]:
    """What stands for a file among an event's inputs."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def config(address: str) -> dict[str, Any]:
    return json.loads(ask(address, "GET", "/config")[1])


def event(address: str, name: str) -> int:
    """The number of an event, private or not, by the name of its function."""
    return next(one["id"] for one in config(address)["dependencies"] if one["api_name"] == name)


def call(
    address: str, number: int, data: list[Any], session: str | None = None, query: str = ""
) -> tuple[bool, dict[str, Any]]:
    """Let an event happen, as the page does: whether it succeeded, and its output."""
    session = session or secrets.token_hex(8)
    body = {"data": data, "fn_index": number, "session_hash": session}
    status, told, _ = post(address, f"/gradio_api/queue/join{query}", body)
    assert status == 200, told
    asked = json.loads(told)["event_id"]
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    try:
        connection.request("GET", f"/gradio_api/queue/data?session_hash={session}")
        for line in connection.getresponse():
            message = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if message.get("msg") == "process_completed" and message["event_id"] == asked:
                return message["success"], message["output"]
    finally:
        connection.close()
    raise AssertionError("no answer")
