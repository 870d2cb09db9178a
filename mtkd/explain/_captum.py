"""What is used of Captum, imported without a window; where it is not installed, a line that says what to do."""

from __future__ import annotations

import os

from mtkd.errors import UserError

os.environ.setdefault("MPLBACKEND", "Agg")  # captum imports pyplot

try:
    from captum.attr import GradientAttribution, Saliency, ShapleyValues
    from captum.log import log_usage
except ImportError as error:
    raise UserError(f"attribution needs the extra 'explain': pip install 'mtkd[explain]' ({error})") from error

__all__ = ["GradientAttribution", "Saliency", "ShapleyValues", "log_usage"]
