"""The losses of the paper and of its ablations, one a file; each is declared with :func:`mtkd.plugins.loss`."""

from mtkd.losses.dct import DCTLoss
from mtkd.losses.l1 import L1Loss
from mtkd.losses.wavelet import WaveletLoss

__all__ = ["DCTLoss", "L1Loss", "WaveletLoss"]
