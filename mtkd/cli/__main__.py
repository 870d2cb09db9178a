"""``python -m mtkd.cli``: the same as ``mtkd``."""

from mtkd.cli.main import main

main()
