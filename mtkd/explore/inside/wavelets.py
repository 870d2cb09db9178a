"""Two pictures of a comparison as the distillation losses see them: subbands, maps, shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtkd.errors import unknown_name
from mtkd.explain.subbands import Subband, energies_over, loss_by_band, loss_map, subbands
from mtkd.explore.comparison.core import LR, TRUTH, Comparison, SaveImage
from mtkd.explore.comparison.outputs import Tiles, outputs
from mtkd.explore.draw import colours
from mtkd.explore.inside.losses import loss_of, losses
from mtkd.explore.viewer import Pane
from mtkd.images import UInt8Image, chw, to_uint8
from mtkd.plugins import LOSSES

_PANES = {"whole image": "Whole image", "where the loss comes from": "Loss by pixel"}
_KINDS = {"LL": "blurred", "LH": "horizontal edges", "HL": "vertical edges", "HH": "diagonals"}


def choices(comparison: Comparison) -> dict[str, str]:
    """The pictures of a comparison except LR: their titles by name."""
    return {name: title for name, title in comparison.titles().items() if name != LR}


def picture(comparison: Comparison, name: str, tiles: Tiles | None = None) -> Tensor:
    """One picture (3, H, W) in [0, 1]: the output of a model, neither clamped nor rounded, or an image from its file.

    Args:
        tiles: progress callback for a network that has to run.

    Raises:
        UserError: the comparison has no such picture.
    """
    known = choices(comparison)
    if name not in known:
        raise unknown_name("picture", name, known)
    if name != TRUTH and comparison[name].role != "elsewhere":
        return torch.clone(outputs(name, comparison.lr_image, comparison.scale, tiles).sr[0])
    image = comparison.hr_image if name == TRUTH else comparison[name].image
    assert image is not None
    return chw(image).float() / 255


@dataclass(frozen=True)
class Pair:
    """Two pictures of a comparison, a wavelet of K levels, and a loss."""

    comparison: Comparison
    first: str
    second: str
    levels: int = 1
    wavelet: str = "haar"
    loss: str = "wavelet"
    tiles: Tiles | None = None
    """See :func:`picture`."""

    @cached_property
    def images(self) -> tuple[Tensor, Tensor]:
        first, second = (picture(self.comparison, name, self.tiles) for name in (self.first, self.second))
        return first, second

    @cached_property
    def bands(self) -> list[Subband]:
        """See :func:`mtkd.explain.subbands.subbands`."""
        return subbands(*self.images, self.levels, self.wavelet)

    def total(self, loss: str) -> float:
        """The value of a loss of :func:`~mtkd.explore.inside.losses.losses` between the two pictures."""
        first, second = self.images
        return float(loss_of(loss, self.levels, self.wavelet)(first[None], second[None]))

    def by_band(self) -> dict[str, dict[str, float]]:
        """For each loss, the contribution of every band of the difference; they add up to the loss."""
        shares = {}
        for name, variant in losses().items():
            with LOSSES.blaming(variant.loss):
                loss = variant.build(self.levels, self.wavelet)
                shares[name] = loss_by_band(*self.images, loss, self.levels, self.wavelet)
        return shares

    def map(self) -> Tensor:
        """The map of the chosen loss, (H, W); its sum is the loss."""
        return loss_map(*self.images, loss_of(self.loss, self.levels, self.wavelet))

    def table(self) -> list[dict[str, float | str]]:
        """One row per band: ``contribution`` to the wavelet loss (Eq. 3) and ``share``; the last row is the sum."""
        total = sum(band.contribution for band in self.bands)
        rows: list[dict[str, float | str]] = [
            {
                "band": band.name,
                "what": _KINDS[band.name[:2]],
                "mean |difference|": float(band.difference.abs().mean()),
                "contribution": band.contribution,
                "share": band.contribution / total if total else 0.0,
            }
            for band in self.bands
        ]
        return [*rows, {"band": "sum", "what": "", "mean |difference|": "", "contribution": total, "share": 1.0}]

    def ranges(self) -> tuple[float, float]:
        """Levels (of 255) of full colour for detail bands and differences: the 99.5th percentile, at least 1."""
        details = torch.cat([t.abs().flatten() for b in self.bands if b.name[:2] != "LL" for t in (b.first, b.second)])
        differences = torch.cat([band.difference.abs().flatten() for band in self.bands])
        return tuple(max(1.0, 255 * float(_quantile(values))) for values in (details, differences))  # type: ignore[return-value]

    def panes(self, save: SaveImage) -> list[Pane]:
        """Image, map of the loss, and bands, each scaled to the size of the image (nearest), for the viewer.

        Layers: the first picture, the second one, their difference.
        """
        first, second = self.images
        full, full_difference = self.ranges()
        titles = choices(self.comparison)
        layers = (titles[self.first], titles[self.second], "difference")

        def pane(name: str, caption: str, images: Sequence[UInt8Image]) -> Pane:
            addresses = {layer: save(f"{name} {k}", image) for k, (layer, image) in enumerate(zip(layers, images))}  # noqa: B905
            return {"name": name, "title": _PANES.get(name, name), "caption": caption, "layers": addresses}

        whole = [to_uint8(first), to_uint8(second), _signed(first - second, full_difference)]
        one = self.map()
        peak = float(_quantile(one.abs().flatten())) or 1.0
        drawn = colours.diverging(one.double().numpy() / peak)
        panes = [
            pane("whole image", f"{first.shape[2]} × {first.shape[1]}", whole),
            pane("where the loss comes from", f"adds up to {self.total(self.loss):.5f}", [drawn] * 3),
        ]
        total = sum(band.contribution for band in self.bands)
        for band in self.bands:
            low = band.name.startswith("LL")
            images = [to_uint8(one / 2**band.level) if low else _signed(one, full) for one in (band.first, band.second)]
            images.append(_signed(band.difference, full_difference))
            share = band.contribution / total if total else 0
            caption = f"{_KINDS[band.name[:2]]} · {band.contribution:.5f} ({share:.0%})"
            panes.append(pane(band.name, caption, [enlarged(i, band.level, first) for i in images]))
        return panes


def all_kept(comparison: Comparison) -> bool:
    """Whether the outputs of all models fit into the cache; those of large images may have to be computed again."""
    size = 3 * 4 * comparison.pixels  # bytes, float32
    return size * sum(result.role != "elsewhere" for result in comparison.results) <= outputs.limit


def energy_table(
    comparison: Comparison, levels: int, wavelet: str, names: Sequence[str] | None = None, tiles: Tiles | None = None
) -> tuple[str, dict[str, dict[str, float]]]:
    """Energy of each band of every picture, in dB over the reference: its name, then model -> band -> dB.

    The reference is the ground truth, else the first picture. Negative: the picture has less energy in the band.

    Args:
        names: pictures to include; all by default.
        tiles: see :func:`picture`.
    """
    names = names or list(choices(comparison))
    reference = TRUTH if comparison.hr_image is not None else names[0]
    truth = picture(comparison, reference, tiles)
    others = [name for name in names if name != reference]
    return reference, {name: energies_over(picture(comparison, name, tiles), truth, levels, wavelet) for name in others}


def _quantile(values: Tensor) -> Tensor:
    # torch.quantile refuses more than 16 million values
    step = max(1, values.numel() // 4_000_000)
    return torch.quantile(values[::step], 0.995)


def _signed(values: Tensor, full: float) -> UInt8Image:
    return colours.diverging(values.mean(0).double().numpy() * 255 / full)


def enlarged(image: UInt8Image, level: int, like: Tensor) -> UInt8Image:
    """The picture of a band, scaled to the pixels of ``like`` that it came from; the margins of longer wavelets are
    cropped evenly."""
    factor = 2**level
    big = image.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = like.shape[-2:]
    top, left = (big.shape[0] - height) // 2, (big.shape[1] - width) // 2
    return np.ascontiguousarray(big[top : top + height, left : left + width])
