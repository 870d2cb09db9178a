"""What the app and the notebooks show, computed once for both: no Gradio here, Jupyter only in the widget."""

from mtkd.explore.comparison.core import Comparison, Result, compare, default_models

__all__ = ["Comparison", "Result", "compare", "default_models"]
