"""The losses of the paper and of its ablations."""

from mtkd.losses.dct import DCTLoss
from mtkd.losses.wavelet import WaveletLoss

__all__ = ["DCTLoss", "WaveletLoss"]
