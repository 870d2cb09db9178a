"""A comparison as a file: the viewer, its pictures and numbers in one HTML page that needs no server."""

from mtkd.explore.report.document import Report

__all__ = ["Report"]
