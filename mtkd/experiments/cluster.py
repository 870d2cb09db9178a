"""The graph on Ray: many processes, GPUs and computers, which share the folder of runs (a network file system).

Ray starts each task when its inputs are done and resources are free, and starts it again when its worker died; a
training then goes on from its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd.errors import UserError
from mtkd.experiments.matrix import Task
from mtkd.experiments.runner import Announce, Outcome, Place, attempt
from mtkd.training.checkpoint import Busy
from mtkd.training.progress import Silent

PATIENCE = 5.0
"""Seconds between checks of a task that another process works on."""


def _on_worker(task: Task, place: Place, folder: str, variables: Mapping[str, str], *needs: Outcome) -> Outcome:
    os.environ.update(variables)
    os.chdir(folder)  # the one of the command: paths may be relative to it
    if stopped := [outcome for outcome in needs if outcome.state != "done"]:
        return Outcome(task.key, "skipped", f"{task}: needs {stopped[0].key}, which did not finish")

    while True:
        try:
            return attempt(task, place, lambda task: Silent())  # metrics.jsonl and `mtkd matrix status` tell progress
        except Busy:  # a process that Ray did not start
            time.sleep(PATIENCE)


def _check_address(address: str | None) -> None:
    """Ray itself waits for a cluster for very long."""
    host, sign, port = (address or "").removeprefix("ray://").rpartition(":")
    if not sign:
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--ray-address {address}: no response ({error})") from error


def run_on_ray(
    tasks: Mapping[str, Task],
    place: Place,
    announce: Announce,
    gpus: float | None = None,
    retries: int = 3,
    address: str | None = None,
) -> list[Outcome]:
    """Do all tasks on Ray.

    Args:
        gpus: of each task; None: one where the cluster has any, else none. A fraction lets small runs share one.
        retries: how often a task is started again after its worker died.
        address: of a running cluster ("auto"); None starts Ray on this computer.

    Raises:
        UserError: Ray is not installed, or cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # by default Ray's workers give way to every other process
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "Ray is not installed: pip install 'mtkd[cluster]', or leave out --ray to run in this process"
        ) from error
    _check_address(address)
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"--ray-address {address}: cannot join a Ray cluster ({' '.join(str(error).split())})"
        ) from error
    try:
        if gpus is None:
            resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
            gpus = 1.0 if resources.get("GPU", 0) >= 1 else 0.0
        variables = {key: value for key, value in os.environ.items() if key.startswith("MTKD_")}
        remote = ray.remote(_on_worker)
        pending: dict[Any, str] = {}
        results: dict[str, Any] = {}
        for key, task in tasks.items():
            options = {"num_cpus": place.threads, "num_gpus": gpus, "max_retries": retries, "name": key}
            needs = [results[need] for need in task.needs if need in results]
            results[key] = remote.options(**options).remote(task, place, str(Path.cwd()), variables, *needs)
            pending[results[key]] = key
        outcomes = []
        while pending:
            (ready,), _ = ray.wait(list(pending), num_returns=1)
            key = pending.pop(ready)
            try:
                outcome: Outcome = ray.get(ready)
            except ray.exceptions.RayError as error:  # the worker died too often, or that of an input did
                outcome = Outcome(key, "failed", f"{tasks[key]}: {type(error).__name__}: {str(error).splitlines()[0]}")
            outcomes.append(outcome)
            announce(outcome, len(outcomes), len(tasks))
        return outcomes
    finally:
        ray.shutdown()
