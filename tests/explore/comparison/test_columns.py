"""What people read in the table of a comparison; CSV and JSON hold the values as they are."""

from __future__ import annotations

from mtkd.explore.comparison.columns import columns


def test_people_read_words_and_two_digits_of_seconds() -> None:
    of = {column.key: column for column in columns(("psnr", "ssim"))}
    row = {"role": "aggregator", "seconds": 0.04567, "psnr": 30.126, "parameters": 1234567, "over_bicubic": -0.1}
    texts = {key: column.text(row) for key, column in of.items() if key in row}
    assert texts == {
        "role": "combined teacher", "seconds": "0.046", "psnr": "30.13", "parameters": "1,234,567",
        "over_bicubic": "−0.10",
    }  # fmt: skip
    assert of["role"].number(row) == "aggregator" and of["seconds"].number(row) == 0.04567
    assert of["seconds"].text({"seconds": 123.4}) == "120" and of["role"].text({"role": "student"}) == "student"
