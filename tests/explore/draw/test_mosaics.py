"""Pictures of feature maps, against colours and places known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtkd.explore.draw.mosaics import fit, mosaic, reach, signed_log_map, signed_map, signed_mosaic

BLUE, WHITE, RED = (33, 102, 172), (247, 247, 247), (178, 24, 43)


def test_signed_map_is_blue_white_red() -> None:
    picture = signed_map(np.array([[-2.0, 0.0, 2.0, 9.0]], np.float32), 2)
    assert picture.tolist() == [[list(BLUE), list(WHITE), list(RED), list(RED)]]


def test_signed_log_map_shows_small_values() -> None:
    """Full colour at ±full as on the linear scale, but a hundredth of it is already well coloured."""
    values = np.array([[-1.0, 0.0, 1.0, 0.01]])
    picture = signed_log_map(values, 1.0)
    assert picture[0, :3].tolist() == [list(BLUE), list(WHITE), list(RED)]
    third = np.log1p(10) / np.log1p(1000)  # 3 decades: log(1 + 0.01 * 10^3) / log(1 + 10^3)
    assert picture[0, 3].tolist() == signed_map(np.array([[third]]), 1.0)[0, 0].tolist()


def test_mosaic_puts_pictures_row_by_row() -> None:
    sheet = mosaic([np.full((3, 4, 3), value, np.uint8) for value in (10, 20, 30)], columns=2, gap=1)
    assert sheet.shape == (7, 9, 3)
    assert (sheet[:3, :4] == 10).all() and (sheet[:3, 5:] == 20).all() and (sheet[4:, :4] == 30).all()
    assert (sheet[3] == 255).all() and (sheet[:, 4] == 255).all() and (sheet[4:, 5:] == 255).all()


def test_each_map_has_its_own_scale() -> None:
    maps = np.stack([np.full((2, 2), 0.001), np.full((2, 2), -70.0), np.zeros((2, 2))])
    sheet = signed_mosaic(maps, columns=3)
    assert [sheet[0, x].tolist() for x in (0, 4, 8)] == [list(RED), list(BLUE), list(WHITE)]


def test_reach_ignores_outliers_if_asked() -> None:
    values = np.concatenate([np.full(999, -1.0), [1000.0]])
    assert reach(values) == 1000 and reach(values, 99.5) == 1 and reach(np.zeros(4)) == 1


@pytest.mark.parametrize(("side", "factor"), [(100, 1), (101, 2), (250, 3)])
def test_large_pictures_are_reduced_by_a_whole_factor(side: int, factor: int) -> None:
    picture = np.full((40, side, 3), 7, np.uint8)
    small, found = fit(picture, largest=100)
    assert found == factor and max(small.shape[:2]) <= 100 and (small == 7).all()
