"""The losses of the paper, of its ablations and beyond, one a file; each is declared with :func:`mtkd.plugins.loss`."""

from mtkd.losses.dct import DCTLoss
from mtkd.losses.l1 import L1Loss
from mtkd.losses.stationary import StationaryWaveletLoss
from mtkd.losses.wavelet import WaveletLoss
from mtkd.losses.weighted import WeightedWaveletLoss

__all__ = ["DCTLoss", "L1Loss", "StationaryWaveletLoss", "WaveletLoss", "WeightedWaveletLoss"]
