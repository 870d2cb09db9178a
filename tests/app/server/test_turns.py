"""Turns between computations, and the limits of those that wait."""

from __future__ import annotations

import json
import threading
import time

import gradio as gr
import pytest
from mtkd_app.server.queue import LARGE, LARGE_AT_ONCE, WAITING, WAITING_EACH, Turns, limit_waiting

from mtkd.errors import UserError
from tests.app.conftest import free_port
from tests.app.plain import post


def test_a_long_computation_lets_all_that_wait_go_between():
    turns, order, began = Turns(share=0), [], threading.Barrier(2)

    def long() -> None:
        with turns:
            began.wait()
            for part in range(3):
                while part == 0 and len(turns._waiting) < 2:
                    time.sleep(0.001)
                order.append(f"long {part}")
                turns.pass_on()

    def short(name: str) -> None:
        with turns:
            order.append(name)

    threads = [threading.Thread(target=long)]
    threads[0].start()
    began.wait()
    for name in ("first", "second"):
        threads.append(threading.Thread(target=short, args=[name]))
        threads[-1].start()
        while name not in order and len(turns._waiting) < len(threads) - 1 and "long 0" not in order:
            time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order == ["long 0", "first", "second", "long 1", "long 2"]


def test_one_at_a_time():
    turns, inside, most = Turns(share=0), [], []

    def work() -> None:
        with turns:
            for _ in range(50):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                turns.pass_on()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 400 and max(most) == 1


def test_few_large_images_at_once_and_an_error_frees_its_place():
    turns = Turns()
    for _ in range(LARGE_AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError), turns.for_size(LARGE + 1):
            raise ZeroDivisionError
    for _ in range(LARGE_AT_ONCE):
        turns._large.acquire()
    with pytest.raises(UserError, match="large images are being computed"), turns.for_size(LARGE + 1):
        pass
    with turns.for_size(LARGE):
        pass


def test_no_session_fills_the_queue_and_a_full_one_says_so():
    go_on = threading.Event()
    with gr.Blocks() as page:
        gr.Button().click(lambda: go_on.wait(60) and None, api_name="wait")
    page.queue(max_size=WAITING)
    limit_waiting(page)
    page.launch(server_port=free_port(), prevent_thread_lock=True, quiet=True, ssr_mode=False)
    try:
        number = page.fns[0]._id

        def join(session: str) -> tuple[int, str]:
            body = {"data": [], "fn_index": number, "session_hash": session}
            status, told, _ = post(page.local_url, "/gradio_api/queue/join", body)
            return status, json.loads(told).get("detail", "")

        assert join("a")[0] == 200
        while len(page._queue):
            time.sleep(0.01)  # until it is begun
        assert [join("a")[0] for _ in range(WAITING_EACH)] == [200] * WAITING_EACH
        status, told = join("a")
        assert status == 503 and "wait already" in told
        assert [join(f"user {n}")[0] for n in range(WAITING - WAITING_EACH)] == [200] * (WAITING - WAITING_EACH)
        status, told = join("one more")
        assert status == 503 and told.startswith("Queue is full")
    finally:
        go_on.set()
        page.close(verbose=False)
