"""What the aggregator computes on its way from N images to one, tensor by tensor (Sec. 3.1, Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.networks.aggregator import DCTSwinLayer, KnowledgeAggregator, MixerLayer


@dataclass(frozen=True, eq=False)
class Windows:
    """The first layer of the first block, whose windows are not shifted: tokens ``(nW, w*w, C)``, windows row by row.

    Attributes:
        before: the layer's input, LN(x) in windows: what the DCT gets.
        frequencies: its DCT, the attention's input; None in a layer without DCT (v3 and v4 of Table 5).
        mixed: what the attention (or the Mixer's token MLP) makes of them.
        added: IDCT of ``mixed``, which the layer adds to x.
        size: w, the side of a window.
        rows, columns: how many windows there are.
        mixing: "DCT", "attention" or "mixer".
    """

    before: Tensor
    frequencies: Tensor | None
    mixed: Tensor
    added: Tensor
    size: int
    rows: int
    columns: int
    mixing: str


@dataclass(frozen=True, eq=False)
class Trace:
    """The tensors of one forward pass, with the paper's names.

    Attributes:
        concatenated: the N images side by side on the channels, less DIV2K's mean, padded to whole windows,
            ``(1, 3N, sH, sW)``.
        unshuffled: the same numbers, ``(1, 3N*s*s, H, W)``.
        shallow: F_s, ``(1, C, H, W)``.
        blocks: F_d^1 ... F_d^B, ``(1, C, H, W)`` each.
        deep: F_d, ``(1, C, H, W)``.
        merged: F_s + F_d, what the upsampler gets.
        image: I_MT, ``(1, 3, sH, sW)``, not clamped, without the padding.
    """

    concatenated: Tensor
    unshuffled: Tensor
    shallow: Tensor
    windows: Windows
    blocks: tuple[Tensor, ...]
    deep: Tensor
    merged: Tensor
    image: Tensor


@torch.inference_mode()
def trace(aggregator: KnowledgeAggregator, images: Sequence[Tensor]) -> Trace:
    """Run the aggregator on its teachers' images (1, 3, sH, sW) and keep what its modules hand on.

    Hooks are put on a copy: other threads may run the same aggregator at the same time.

    Raises:
        ValueError: not as many images as teachers.
    """
    aggregator = deepcopy(aggregator)
    seen: dict[str, Tensor] = {}

    def keep(module: nn.Module, output: str | None = None, entry: str | None = None) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], result: Any) -> None:
            seen.update({entry: inputs[0]} if entry else {})
            seen.update({output: result} if output else {})

        module.register_forward_hook(hook)

    keep(aggregator.conv_first, output="shallow", entry="unshuffled")
    for number, block in enumerate(aggregator.body):
        keep(block, output=f"block {number}")
    keep(aggregator.conv_after_body, output="deep")
    keep(aggregator.upsample, entry="merged")
    layer = aggregator.body[0].layers[0]  # type: ignore[index]
    assert isinstance(layer, (DCTSwinLayer, MixerLayer))
    keep(layer.norm1, output="before")
    keep(layer.attn if isinstance(layer, DCTSwinLayer) else layer.token_mlp, output="mixed", entry="entry")
    image = aggregator(images)
    return Trace(
        concatenated=F.pixel_shuffle(seen["unshuffled"], aggregator.scale),
        unshuffled=seen["unshuffled"],
        shallow=seen["shallow"],
        windows=_windows(layer, seen, aggregator.window),
        blocks=tuple(seen[f"block {number}"] for number in range(len(aggregator.body))),
        deep=seen["deep"],
        merged=seen["merged"],
        image=image,
    )


def _windows(layer: DCTSwinLayer | MixerLayer, seen: dict[str, Tensor], size: int) -> Windows:
    rows, columns = (side // size for side in seen["shallow"].shape[2:])
    before, mixed = seen["before"], seen["mixed"]
    if isinstance(layer, MixerLayer):
        mixed = mixed.transpose(1, 2)
        return Windows(before, None, mixed, mixed, size, rows, columns, "mixer")
    if layer.dct is None:
        return Windows(before, None, mixed, mixed, size, rows, columns, "attention")
    return Windows(before, seen["entry"], mixed, layer.dct.T @ mixed, size, rows, columns, "DCT")
