"""The worst place of an image, against a search in numpy."""

from __future__ import annotations

import pytest

from mtkd.explore.draw import colours
from tests.explore.viewer.page import HEIGHT, IMAGES, WIDTH

PANES = [
    {"name": "truth", "title": "Ground truth", "layers": {"image": "/noise.png"}},
    {"name": "far", "title": "Student alone", "layers": {"image": "/far.png"}},
    {"name": "near", "title": "With MTKD", "layers": {"image": "/near.png"}},
]


def losses(name: str, against: str | None) -> dict[tuple[int, int], float]:
    """Mean squared luma error of every square of 64 by its place, less that of the other image."""
    errors = {one: colours.luma_error(IMAGES[one], IMAGES["noise"]) ** 2 for one in (name, against) if one}
    difference = errors[name] - (errors[against] if against else 0)
    places = ((top, left) for top in range(0, HEIGHT - 63, 32) for left in range(0, WIDTH - 63, 32))
    return {(top, left): difference[top : top + 64, left : left + 64].mean() for top, left in places}


@pytest.fixture
def form(open_viewer):
    viewer = open_viewer(PANES, reference="truth", baseline="far")
    viewer.page.get_by_role("button", name="Draw a region").click()
    return viewer


def search(viewer, of=None, against=None) -> tuple[int, int]:
    part = viewer.page.locator(".mv-worst")
    for label, value in (("Image", of), ("Compared with", against)):
        if value is not None:
            part.get_by_label(label, exact=True).select_option(value)
    part.get_by_role("button").click()
    viewer.page.locator(".mv-popover").wait_for(state="hidden")
    viewer.settle()
    top, left, height, width = viewer.view["region"]
    assert (height, width) == (64, 64)
    return top, left


def test_the_usual_pair_is_asked_about(form):
    """The student with distillation against the one alone: where it loses most, not where it wins."""
    part = form.page.locator(".mv-worst")
    assert part.get_by_label("Image", exact=True).input_value() == "near"
    assert part.get_by_label("Compared with", exact=True).input_value() == "far"


@pytest.mark.parametrize("against", [None, "near"])
def test_the_place_is_the_worst_and_is_seen(form, against):
    lost = losses("far", against)
    place = search(form, "far", against or "")
    assert place == max(lost, key=lost.get)
    view = form.view
    zoom = min(HEIGHT, WIDTH) / 64 / 2
    assert view["zoom"] == pytest.approx(zoom)
    assert (view["cy"], view["cx"]) == pytest.approx(((place[0] + 32) / HEIGHT, (place[1] + 32) / WIDTH))
    said = form.page.locator(".mv-live").inner_text()
    assert said.startswith("Place 1 of ") and ("less than With MTKD" in said) is bool(against)


def test_the_next_place_lies_apart(form):
    first = search(form, "far", "")
    form.page.get_by_role("button", name="Draw a region").click()
    second = search(form)
    assert form.page.locator(".mv-live").inner_text().startswith("Place 2 of ")
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) >= 64
    form.page.evaluate("(panes) => viewer.update(panes, {reference: 'truth'})", PANES[::2])
    form.page.get_by_role("button", name="Draw a region").click()
    assert form.page.locator(".mv-worst button").inner_text() == "Show worst place"  # others: the first again


def test_an_image_that_loses_nowhere_is_said(open_viewer):
    panes = [*PANES, {"name": "equal", "title": "Equal", "layers": {"image": "/noise.png"}}]
    viewer = open_viewer(panes, reference="truth")
    viewer.page.get_by_role("button", name="Draw a region").click()
    part = viewer.page.locator(".mv-worst")
    part.get_by_label("Image", exact=True).select_option("equal")
    part.get_by_role("button").click()
    said = part.get_by_role("status")
    viewer.page.wait_for_function("() => document.querySelector('.mv-worst [role=status]').textContent")
    assert said.inner_text() == "It is nowhere farther from the ground truth than Student alone."
    assert viewer.view["region"] is None


def test_without_ground_truth_there_is_no_worst_place(open_viewer):
    viewer = open_viewer(PANES[1:], baseline="far")
    viewer.page.get_by_role("button", name="Draw a region").click()
    assert not viewer.page.locator(".mv-worst").is_visible()
