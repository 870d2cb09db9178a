"""Exercises of lesson 3: pixel-unshuffle, the first convolution, the DCT, attention between frequencies, averaging."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.fft import dctn, idctn
from torch import Tensor

from mtkd.course.grade.kinds import Code, Number


def random(seed: int, *shape: int) -> Tensor:
    """Normal numbers, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _shuffled_last(x: Tensor, s: int) -> Tensor:
    n, c, height, width = x.shape
    cut = x.view(n, c, height // s, s, width // s, s)
    return cut.permute(0, 3, 5, 1, 2, 4).reshape(n, c * s * s, height // s, width // s)


def _columns_first(x: Tensor, s: int) -> Tensor:
    n, c, height, width = x.shape
    cut = x.view(n, c, height // s, s, width // s, s)
    return cut.permute(0, 1, 5, 3, 2, 4).reshape(n, c * s * s, height // s, width // s)


def _blocks(x: Tensor, s: int) -> Tensor:
    n, c, height, width = x.shape
    cut = x.view(n, c, s, height // s, s, width // s)
    return cut.permute(0, 1, 2, 4, 3, 5).reshape(n, c * s * s, height // s, width // s)


def dct_attention(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, scaled: bool = True) -> Tensor:
    """One head of attention between the frequencies of one window: (8, 8, C) -> (8, 8, C)."""
    size, _, channels = x.shape
    tokens = torch.tensor(dctn(x.double().numpy(), axes=(0, 1), norm="ortho")).reshape(-1, channels)
    q, k, v = (tokens @ w.double().T for w in (w_q, w_k, w_v))
    mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], scale=None if scaled else 1.0)[0]
    return torch.tensor(idctn(mixed.reshape(size, size, channels).numpy(), axes=(0, 1), norm="ortho"))


def _pixel_attention(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    tokens = x.double().reshape(-1, x.shape[-1])
    q, k, v = (tokens @ w.double().T for w in (w_q, w_k, w_v))
    return F.scaled_dot_product_attention(q[None], k[None], v[None])[0].reshape(x.shape)


def _no_inverse(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    return torch.tensor(dctn(dct_attention(x, w_q, w_k, w_v).numpy(), axes=(0, 1), norm="ortho"))


def _columns_only(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    channels = x.shape[-1]
    tokens = torch.tensor(dctn(x.double().numpy(), axes=(0,), norm="ortho")).reshape(-1, channels)
    q, k, v = (tokens @ w.double().T for w in (w_q, w_k, w_v))
    mixed = F.scaled_dot_product_attention(q[None], k[None], v[None])[0].reshape(x.shape)
    return torch.tensor(idctn(mixed.numpy(), axes=(0,), norm="ortho"))


EXERCISES = (
    Code(
        id="03.1",
        title="pixel-unshuffle with reshape and permute",
        difficulty=2,
        minutes=10,
        solution=F.pixel_unshuffle,
        inputs=lambda: ((random(1, 1, 2, 4, 6), 2), (random(2, 2, 3, 8, 12), 4), (random(3, 1, 1, 9, 6), 3)),
        hint="cut H into (H / s, s) and W into (W / s, s), then move the two short axes behind the channels",
        mistakes={
            "the channel comes before the phase in the order of the result": _shuffled_last,
            "rows before columns in the order of the phases": _columns_first,
            "these are s x s blocks of the picture; every s-th pixel is wanted": _blocks,
        },
    ),
    Number(
        id="03.2",
        title="parameters of the first convolution with five teachers",
        difficulty=1,
        minutes=4,
        expected=lambda: 3 * 5 * 4**2 * 24 * 9 + 24,
        whole=True,
        hint="how many maps enter, how many leave, how many places has the kernel, and what is added?",
        mistakes={
            "the biases are missing": lambda: 3 * 5 * 4**2 * 24 * 9,
            "that is three teachers": lambda: 3 * 3 * 4**2 * 24 * 9 + 24,
            "pixel-unshuffle multiplies the channels": lambda: 3 * 5 * 24 * 9 + 24,
            "each image has three colours": lambda: 5 * 4**2 * 24 * 9 + 24,
        },
    ),
    Number(
        id="03.3",
        title="the mean coefficient of a flat window",
        difficulty=1,
        minutes=4,
        expected=lambda: 24.0,
        hint="the first row of D is constant: sqrt(1/8); it is applied twice, to eight values each time",
        mistakes={
            "an orthonormal transform divides": lambda: 64 * 3,
            "that is the mean; the energy of 64 pixels sits in one coefficient": lambda: 3,
            "two directions, not one": lambda: 3 * math.sqrt(8),
        },
    ),
    Code(
        id="03.4",
        title="DCT, attention, inverse DCT",
        difficulty=3,
        minutes=15,
        solution=dct_attention,
        inputs=lambda: tuple(
            (random(seed, 8, 8, c), *(random(seed + n, c, c) for n in (7, 8, 9))) for seed, c in ((1, 4), (2, 6))
        ),
        hint="D X D^T for every channel, softmax(q k^T / sqrt(C)) v over the 64 frequencies, D^T Y D",
        mistakes={
            "that is attention between pixels: where is the DCT?": _pixel_attention,
            "the result is still a spectrum": _no_inverse,
            "the logits are not divided by the root of C": lambda x, q, k, v: dct_attention(x, q, k, v, False),
            "the DCT runs along one direction only": _columns_only,
        },
    ),
    Number(
        id="03.5",
        title="the gain of a mean of three",
        difficulty=1,
        minutes=4,
        expected=lambda: 10 * math.log10(3 / (1 + 2 * 0.94)),
        hint="dB are 10 log10 of the ratio of squared errors",
        mistakes={
            "that is the gain of independent errors": lambda: 10 * math.log10(3),
            "squared errors: 10 log10": lambda: 20 * math.log10(3 / (1 + 2 * 0.94)),
            "that is the ratio; give decibels": lambda: 3 / (1 + 2 * 0.94),
            "n / (1 + (n - 1) r): each of three has two others": lambda: 10 * math.log10(3 / (1 + 3 * 0.94)),
        },
    ),
)
