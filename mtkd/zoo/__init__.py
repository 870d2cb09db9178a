"""Trained models: the bundled mini zoo, and those that a user trained or brought."""

from mtkd.zoo.catalogue import Catalogue, find, load, models
from mtkd.zoo.model import Model

__all__ = ["Catalogue", "Model", "find", "load", "models"]
