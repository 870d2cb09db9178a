"""What the app and the notebooks show. No Gradio here; Jupyter only in the widget."""

from mtkd.explore.comparison.choices import default_models
from mtkd.explore.comparison.core import Comparison, Result, compare

__all__ = ["Comparison", "Result", "compare", "default_models"]
