"""The two-level wavelet loss with a weight per group of bands and a schedule: variant v9, beyond the paper."""

from __future__ import annotations

from torch import Tensor

from mtkd.errors import UserError
from mtkd.losses.wavelet import WaveletLoss
from mtkd.plugins import loss


@loss("weighted_wavelet", title="Weighted two-level wavelet loss (reconstruction)")
class WeightedWaveletLoss(WaveletLoss):
    """f(t) * sum over bands of g * mean |DWT_band(student) - DWT_band(target)| / sum of g, two levels.

    A reconstruction of the distillation loss of DTKD (Park and Song, Electronics 15(10), 1986, 2026): its summary has
    two levels, weights that emphasise middle frequencies, and a weight of the whole that grows during training. Its
    numbers were not to be had. Assumed: three groups, the weights below, Haar, division by their sum (so that equal
    weights are Eq. 3 at K = 2), and a growth f(t) from ``start`` to 1, linear over the share ``ramp`` of the training.

    Args:
        low: weight of LL2.
        middle: weight of LH2, HL2 and HH2.
        high: weight of LH1, HL1 and HH1.
        start: f at the beginning.
        ramp: the share of the training after which f is 1; 0: from the beginning.
        wavelet: any orthogonal or biorthogonal wavelet of PyWavelets.

    Raises:
        UserError: a negative weight, none at all, shares outside of 0 to 1, or as :class:`WaveletLoss`.
    """

    def __init__(
        self,
        low: float = 1.0,
        middle: float = 2.0,
        high: float = 1.0,
        start: float = 0.1,
        ramp: float = 0.5,
        wavelet: str = "haar",
    ) -> None:
        super().__init__(2, wavelet, "sum")
        if min(low, middle, high) < 0 or not low + middle + high:
            raise UserError(f"weights of bands must be 0 or more, not all 0: {low:g}, {middle:g}, {high:g}")
        if not (0 <= start <= 1 and 0 <= ramp <= 1):
            raise UserError(f"start and ramp are shares, 0 to 1, not {start:g} and {ramp:g}")
        total = low + 3 * middle + 3 * high
        details = {"2": middle / total, "1": high / total}
        self._weights = {"LL2": low / total}
        self._weights |= {f"{kind}{level}": weight for level, weight in details.items() for kind in ("LH", "HL", "HH")}
        self.start, self.ramp, self.factor = start, ramp, 1.0

    def advance(self, done: float) -> None:
        """Set f(t) for the share of the training that is done; 1 where nobody says it, as in the wavelet view."""
        self.factor = 1.0 if done >= self.ramp else self.start + (1 - self.start) * done / self.ramp

    def bands(self, student_image: Tensor, target_image: Tensor) -> dict[str, Tensor]:
        terms = super().bands(student_image, target_image)
        return {name: self.factor * self._weights[name] * term for name, term in terms.items()}
