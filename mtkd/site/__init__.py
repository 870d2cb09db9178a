"""The static explorer: a folder of files for any web host, in which the networks run in the browser."""

from mtkd.site.build import build

__all__ = ["build"]
