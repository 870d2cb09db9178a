"""Figures of losses and energies by subband (plotly); they suit light and dark pages."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]

from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.draw.theme import blank
from mtkd.explore.inside.losses import losses

EMPTY = 0.05
"""dB: a bar that is shorter cannot be seen."""


def losses_by_band(by_band: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """The share of every band of the difference in each loss, one bar per loss.

    Args:
        by_band: loss -> band -> part of the loss; see :meth:`mtkd.explore.inside.wavelets.Pair.by_band`.
    """
    figure = blank("share of the loss, %", "", 300)
    known = losses()
    titles = ["<br>".join(textwrap.wrap(known[name].title, 30)) for name in by_band]
    totals = [sum(parts.values()) for parts in by_band.values()]
    for number, band in enumerate(next(iter(by_band.values()))):
        parts = [values[band] for values in by_band.values()]
        shares = [100 * part / total if total else 0 for part, total in zip(parts, totals, strict=True)]
        figure.add_bar(
            x=shares,
            y=titles,
            orientation="h",
            name=band,
            marker={"color": PALETTE[number % len(PALETTE)], "opacity": 1 - 0.35 * (number // len(PALETTE))},
            text=[f"{share:.0f}" if abs(share) >= 4 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont={"color": "#111"},
            textangle=0,
            customdata=list(zip(parts, totals, strict=True)),
            hovertemplate=f"{band}: %{{customdata[0]:.5f}} of %{{customdata[1]:.5f}}<extra>%{{y}}</extra>",
        )
    figure.update_layout(barmode="relative", bargap=0.35, legend={"traceorder": "normal"})
    figure.update_yaxes(autorange="reversed")
    return figure


def energy(table: Mapping[str, Mapping[str, float]], reference: str) -> go.Figure:
    """Energy of every band of each model's image over that of the reference, in dB: grouped bars.

    A band in which no picture differs from the reference, as LL of most, is left out.

    Args:
        table: model -> band -> dB; see :func:`mtkd.explore.inside.wavelets.energy_table`.
    """
    axis = f"energy over that of<br>{_plain(reference)}, dB<br>(below 0 = less detail)"
    every = list(next(iter(table.values()))) if table else []
    bands = [band for band in every if any(abs(values[band]) >= EMPTY for values in table.values())]
    return _bars(table, bands, axis, "+.2f", " dB")


def errors(table: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """The part of every band in each model's wavelet loss to the ground truth: grouped bars.

    Args:
        table: model -> band -> part; see :class:`mtkd.explore.inside.wavelet_sets.Bands`.
    """
    return _bars(table, list(next(iter(table.values()))), "part of the wavelet loss<br>to the ground truth", ".5f")


def _bars(
    table: Mapping[str, Mapping[str, float]], bands: Sequence[str], axis: str, digits: str, unit: str = ""
) -> go.Figure:
    figure = blank("", axis, 340)
    for number, (model, values) in enumerate(table.items()):
        figure.add_bar(
            x=bands,
            y=[values[band] for band in bands],
            name=_plain(model),
            marker={
                "color": PALETTE[number % len(PALETTE)],
                "pattern": {"shape": ("", "/", ".")[number // len(PALETTE) % 3]},
            },
            hovertemplate=f"%{{x}}: %{{y:{digits}}}{unit}<extra>{_plain(model)}</extra>",
        )
    figure.update_layout(bargap=0.25)
    return figure


def along_training(table: Mapping[str, Mapping[int, Mapping[str, float]]]) -> go.Figure:
    """Every band's part of the wavelet loss to the ground truth against the steps: a colour a band, a dash a model.

    Args:
        table: model -> step -> band -> part.
    """
    figure = blank("step", "part of the wavelet loss<br>to the ground truth", 380)
    for dash, (model, by_step) in zip(itertools.cycle(("solid", "dash", "dot", "dashdot")), table.items()):
        for number, band in enumerate(next(iter(by_step.values()))):
            figure.add_scatter(
                x=list(by_step),
                y=[values[band] for values in by_step.values()],
                name=band if len(table) == 1 else f"{band}, {_plain(model)}",
                mode="lines+markers",
                line={"color": PALETTE[number % len(PALETTE)], "dash": dash},
                opacity=1 - 0.5 * (number // len(PALETTE)),
                hovertemplate=f"{band} after %{{x:,}} steps: %{{y:.5f}}<extra>{_plain(model)}</extra>",
            )
    figure.update_xaxes(type="log", dtick=1, tickformat=",")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _plain(text: str) -> str:
    """Plotly reads a few HTML tags in its texts: names of files must not bring any."""
    return text.replace("<", "‹").replace(">", "›")
