"""Figures of losses and energies by subband (plotly); they suit light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go  # type: ignore[import-untyped]

from mtkd.explore.draw.colours import PALETTE
from mtkd.explore.draw.theme import blank
from mtkd.explore.inside.losses import losses


def losses_by_band(by_band: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """What share of each loss every band of the difference carries, a bar a loss.

    Args:
        by_band: loss -> band -> part of the loss; see :meth:`mtkd.explore.inside.wavelets.Pair.by_band`.
    """
    figure = blank("share of the loss, %", "", 300)
    known = losses()
    titles = [known[name].title for name in by_band]
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

    Args:
        table: model -> band -> dB; see :func:`mtkd.explore.inside.wavelets.energy_table`.
    """
    figure = blank("", f"energy over {reference}'s, dB", 380)
    bands = list(next(iter(table.values()))) if table else []
    for number, (model, values) in enumerate(table.items()):
        figure.add_bar(
            x=bands,
            y=[values[band] for band in bands],
            name=_plain(model),
            marker={
                "color": PALETTE[number % len(PALETTE)],
                "pattern": {"shape": ("", "/", ".")[number // len(PALETTE) % 3]},
            },
            hovertemplate=f"%{{x}}: %{{y:+.2f}} dB<extra>{_plain(model)}</extra>",
        )
    figure.update_layout(bargap=0.25)
    return figure


def _plain(text: str) -> str:
    """Plotly reads a few HTML tags in its texts: names of files must not bring any."""
    return text.replace("<", "‹").replace(">", "›")
