"""The explorer as a program uses it: every action by its name, through gradio_client."""

from __future__ import annotations

import re

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from mtkd.data.examples import EXAMPLES
from mtkd.explore import compare
from mtkd.explore.comparison.region import Region
from tests.app.pages import MODELS

ACTIONS = {
    "/compare",
    "/figure",
    "/figure_4",
    "/subbands",
    "/explain",
    "/region",
    "/ablations",
    "/training_steps",
    "/framework",
    "/results_table",
    "/results_runs",
    "/results_claims",
    "/train_start",
    "/train_runs",
    "/train_stop",
    "/train_resume",
    "/train_delete",
    "/train_curves",
    "/inspect_checkpoint",
    "/add_checkpoint",
    "/remove_model",
}


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_every_action_has_a_name_and_what_has_none_stays_private(client):
    """A function without a name of ours would be there under one that Gradio numbers."""
    names = set(client.view_api(return_format="dict", print_info=False)["named_endpoints"])
    assert names >= ACTIONS
    assert not [name for name in names - ACTIONS if re.search(r"lambda|_\d+$", name)]


def test_compare_then_ask_further(client):
    """The session keeps the comparison: what follows is about it."""
    viewer, table, *_ = client.predict(handle_file(str(EXAMPLES[0].path)), "test", 4, MODELS, None,
                                       api_name="/compare")  # fmt: skip
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    assert [pane["name"] for pane in viewer["panes"]] == ["ground truth", *MODELS]
    psnr = table["headers"].index("PSNR-Y (dB)")
    assert [row[psnr] for row in table["data"]] == [result.psnr for result in expected.results]
    measured = client.predict("40,50,60,70", api_name="/region")
    region = measured["headers"].index("region PSNR-Y (dB)")
    quality = expected.quality_in(Region(40, 50, 60, 70))
    assert [row[region] for row in measured["data"]] == [quality[result.name]["psnr"] for result in expected.results]
    bands = client.predict("rcan_tiny-mtkd", "aggregator_mini", 1, "haar", "wavelet", api_name="/subbands")
    assert [row[0] for row in bands[2]["data"]] == ["LL1", "LH1", "HL1", "HH1", "sum"]
    told = client.predict("rcan_tiny-mtkd", 16, at="96,120", steps=5, path="straight", api_name="/explain")
    assert "Completeness error" in told[1] and "window 16 × 16 at row 88, column 112" in told[1]
    ablations = client.predict("table5", "MTKD", ["mtkd", "v7"], api_name="/ablations")
    assert [pane["name"] for pane in ablations[0]["panes"]] == ["rcan_tiny-mtkd", "rcan_tiny-v7", "ground truth"]
    steps = client.predict(["rcan_tiny-kd"], 150, api_name="/training_steps")
    assert "150" in steps[0]


def test_a_mistake_is_an_error_for_the_program_too(client):
    with pytest.raises(AppError, match="unknown picture 'nobody'"):
        client.predict("nobody", "aggregator_mini", 1, "haar", "wavelet", api_name="/subbands")
    with pytest.raises(AppError, match="is no region"):
        client.predict("1,2,x", api_name="/region")
    with pytest.raises(AppError, match="unknown run 'nobody'"):
        client.predict("nobody", api_name="/train_stop")
