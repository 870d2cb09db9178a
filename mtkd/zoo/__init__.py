"""Trained models: the bundled mini zoo, and those that a user trained or brought."""

from mtkd.zoo.catalog import Model, find, load, models

__all__ = ["Model", "find", "load", "models"]
