"""Several users at once, one of them with a large image: ``tests/benchmarks/load.py`` in small."""

from __future__ import annotations

import psutil
import pytest

from tests.app.conftest import served
from tests.benchmarks.load import run


@pytest.mark.slow
def test_everyone_gets_the_own_answer_and_a_large_image_stops_nobody(tmp_path):
    with served(MTKD_HOME=str(tmp_path)) as (address, process):
        report = run(address, psutil.Process(process.pid), users=3, seconds=12)
    assert report.problems == []
    assert len(report.alone) >= 3 and len(report.beside) >= 6 and report.large
    assert max(report.beside) < min(report.large) / 2, report.markdown()
    assert report.growth < 600  # it is too short to tell growth from warming up
