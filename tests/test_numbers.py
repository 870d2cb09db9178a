"""Numbers as people read them."""

from __future__ import annotations

from mtkd.numbers import interval, signed


def test_a_minus_is_a_minus() -> None:
    assert [signed(-0.05), signed(0.05), signed(-1.5, ".1f"), signed(-0.0312, "+.1%")] == [
        "−0.05",
        "+0.05",
        "−1.5",
        "−3.1%",
    ]
    assert interval((-0.02, 0.16)) == "−0.020 to +0.160"
