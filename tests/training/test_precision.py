"""Where bfloat16 is only emulated, a training says so."""

from __future__ import annotations

import logging
import platform
import re
from pathlib import Path

import pytest

from mtkd.training import devices


@pytest.mark.parametrize(("emulated", "precision"), [(True, "bf16"), (True, "fp32"), (False, "bf16")])
def test_emulated_bfloat16_is_told(emulated: bool, precision: str, monkeypatch, caplog) -> None:
    monkeypatch.setattr(devices, "emulates_bf16", lambda: emulated)
    with caplog.at_level(logging.WARNING, "mtkd"):
        device = devices.accelerator_for(precision, 8).device.type
    told = device == "cpu" and emulated and precision == "bf16"
    assert ("--set precision=fp32" in caplog.text) == told


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="the flags of x86 on Linux are the oracle"
)
def test_a_cpu_without_avx512_emulates_it() -> None:
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert devices.emulates_bf16() == ("avx512bw" not in flags[1].split())
