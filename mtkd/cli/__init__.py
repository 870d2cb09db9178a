"""The command line: one command a file."""

from mtkd.cli.main import main

__all__ = ["main"]
