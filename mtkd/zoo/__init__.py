"""Trained models: the bundled zoo, and models that the user trained, imported or fetched."""

from mtkd.zoo.catalogue import Catalogue, best_student, find, load, models
from mtkd.zoo.model import Model

__all__ = ["Catalogue", "Model", "best_student", "find", "load", "models"]
