"""Views as links and files: what goes out comes back, what is none is told."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import numpy as np
import pytest

from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore.comparison.saved import SavedView, from_json, from_query

VIEW = {
    "scale": 3,
    "models": ["bicubic", "rcan_tiny-mtkd@150"],
    "zoom": 2.5,
    "cx": 0.25,
    "cy": 0.75,
    "layer": "signed error",
    "focus": "bicubic",
    "region": (1, 2, 30, 40),
}


def test_a_link_names_the_example_and_comes_back():
    view = SavedView(**SavedView.picture("coffee", example("coffee").read()), **VIEW)
    assert view.example == "coffee" and view.png is None
    query = view.query()
    assert "models=bicubic,rcan_tiny-mtkd@150" in query and "region=1,2,30,40" in query
    assert from_query(dict(parse_qsl(query))) == view


def test_a_view_of_before_there_were_modes_is_one_of_flicker():
    view = from_query({"focus": "bicubic"})
    assert view.mode == "flicker" and view.place()["mode"] == "flicker"
    assert from_query(dict(parse_qsl(view.query()))) == view
    assert from_json('{"format": 1, "focus": "bicubic"}').mode == "flicker"


@pytest.mark.parametrize("names", [("ground truth", "rcan_tiny-mtkd"), ("a,b", "50%2C")])
def test_a_link_names_the_two_of_swipe(names):
    view = SavedView(mode="swipe", pair=names)
    query = view.query()
    assert from_query(dict(parse_qsl(query))) == view
    assert from_query(dict(parse_qsl(query))).place()["pair"] == list(names)


def test_the_largest_zoom_of_the_viewer_is_one():
    """64 screen pixels a pixel, of a picture 16,000 pixels wide that fits into 100."""
    assert from_query({"zoom": "10240"}).zoom == 10_240


def test_defaults_make_an_empty_link():
    assert SavedView(example="astronaut").query() == "example=astronaut"
    assert from_query({"__theme": "dark"}) is None


def test_a_file_carries_the_pixels():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    view = SavedView(**SavedView.picture(None, image), ground_truth=False)
    assert view.example is None and "png" not in view.query()
    again = from_json(view.json())
    assert again == view
    assert np.array_equal(again.image(), image)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"scale": "5"}, "scale"),
        ({"zoom": "wide"}, "zoom"),
        ({"region": "1,2,3"}, "region"),
        ({"region": "a,b,c,d"}, "region"),
        ({"layer": "nope"}, "layer"),
        ({"mode": "blink"}, "mode"),
        ({"pair": "bicubic"}, "pair"),
        ({"example": "astronaut2"}, "did you mean 'astronaut'"),
    ],
)
def test_a_wrong_link_is_told(query, message):
    with pytest.raises(UserError, match=f"the link.*{message}"):
        from_query(query)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "no JSON"),
        ("[1]", "format"),
        ('{"format": 2}', "format 2.*Update mtkd"),
        ('{"format": 1, "colour": 1}', "colour"),
        (json.dumps({"format": 1, "png": "%%%"}), "damaged"),
        (json.dumps({"format": 1, "png": "é"}), "damaged"),
        (json.dumps({"format": 1, "png": "aGVsbG8="}), "not an image"),
        (json.dumps({"format": 1, "models": ["\ud800"]}), "describes no view"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_wrong_file_is_told(text, message):
    with pytest.raises(UserError, match=message):
        from_json(text).image()
