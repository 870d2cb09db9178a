"""``python -m app``: the same as ``mtkd demo``."""

from mtkd.cli import main

if __name__ == "__main__":
    import sys

    sys.argv.insert(1, "demo")
    main()
