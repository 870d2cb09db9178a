"""The losses of the paper."""

from mtkd.losses.wavelet import WaveletLoss

__all__ = ["WaveletLoss"]
