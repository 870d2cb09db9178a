"""Measured results: tables, plots, ablations and training curves."""
