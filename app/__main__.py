"""``python -m app``: the same as ``mtkd demo``."""

from mtkd.cli.main import main

if __name__ == "__main__":
    import sys

    sys.argv.insert(1, "demo")
    main()
