"""The intermediate tensors of the aggregator, from N images to one (Sec. 3.1, Fig. 1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd.networks.aggregator import DCTSwinLayer, KnowledgeAggregator, MixerLayer


@dataclass(frozen=True, eq=False)
class Windows:
    """The first layer of the first block, whose windows are not shifted: tokens ``(nW, w*w, C)``, windows row by row.

    Attributes:
        before: input of the DCT: LN(x) in windows.
        frequencies: its DCT, the input of the attention; None without DCT (v3 and v4 of Table 5).
        mixed: output of the attention (or of the Mixer's token MLP).
        added: IDCT of ``mixed``, which the layer adds to x.
        size: w, the side length of a window.
        rows, columns: number of windows.
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
        concatenated: the N images stacked along the channels, minus the mean of DIV2K, padded to whole windows, ``(1,
            3N, sH, sW)``.
        unshuffled: the same values, ``(1, 3N*s*s, H, W)``.
        shallow: F_s, ``(1, C, H, W)``.
        blocks: F_d^1 ... F_d^B, ``(1, C, H, W)`` each.
        deep: F_d, ``(1, C, H, W)``.
        merged: F_s + F_d, the input of the upsampler.
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
    """Run the aggregator on its teachers' images (1, 3, sH, sW) and record intermediate tensors.

    Hooks are set on a copy, since other threads may run the same aggregator.

    Raises:
        ValueError: not as many images as teachers.
    """
    aggregator = deepcopy(aggregator)
    parts: defaultdict[str, list[Tensor]] = defaultdict(list)  # a layer sees the windows in groups

    def keep(module: nn.Module, output: str | None = None, entry: str | None = None) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
            if entry:
                parts[entry].append(inputs[0])
            if output:
                parts[output].append(result)

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
    values = {name: torch.cat(seen) for name, seen in parts.items()}
    return Trace(
        concatenated=F.pixel_shuffle(values["unshuffled"], aggregator.scale),
        unshuffled=values["unshuffled"],
        shallow=values["shallow"],
        windows=_windows(layer, values, aggregator.window),
        blocks=tuple(values[f"block {number}"] for number in range(len(aggregator.body))),
        deep=values["deep"],
        merged=values["merged"],
        image=image,
    )


def _windows(layer: DCTSwinLayer | MixerLayer, values: dict[str, Tensor], size: int) -> Windows:
    rows, columns = (side // size for side in values["shallow"].shape[2:])
    before, mixed = values["before"], values["mixed"]
    if isinstance(layer, MixerLayer):
        mixed = mixed.transpose(1, 2)
        return Windows(before, None, mixed, mixed, size, rows, columns, "mixer")
    if layer.dct is None:
        return Windows(before, None, mixed, mixed, size, rows, columns, "attention")
    return Windows(before, values["entry"], mixed, layer.dct.T @ mixed, size, rows, columns, "DCT")
