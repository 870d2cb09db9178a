"""How much memory there is: what would need more is refused in advance, with an estimate."""

from __future__ import annotations

from pathlib import Path

import psutil  # type: ignore[import-untyped]

from mtkd.errors import UserError

GROUPS = (  # of a container: its limit, what it uses
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int:
    """Bytes that this process may still take: of the computer, or of the container that it runs in."""
    free = int(psutil.virtual_memory().available)
    for limit, used in GROUPS:
        try:
            free = min(free, max(0, int(Path(limit).read_text()) - int(Path(used).read_text())))
        except (OSError, ValueError):  # no container, or one without a limit ("max")
            continue
    return free


def size_text(size: float) -> str:
    """Bytes for people: "1.5 GiB"."""
    if size >= 1 << 43:
        return f"{size / (1 << 40):,.0f} TiB"
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"


def check_memory(needed: int, what: str, instead: str) -> None:
    """
    Raises:
        UserError: ``what`` needs more memory than there is; ``instead`` is what to do.
    """
    if needed > (free := free_memory()):
        raise UserError(f"{what} need about {size_text(needed)} of memory, and {size_text(free)} are free; {instead}")
