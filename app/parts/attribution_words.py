"""The words of the Attribution view: how far an answer is, what it says, and what its numbers mean."""

from __future__ import annotations

import html
import time

ABOUT = """**Which input pixels made this detail?** The local attribution map (LAM, Sec. 5.3.1, Fig. 4 of the paper)
unblurs the input step by step and adds up what each pixel does for the detail in a window of the result. The inputs of
the combined teacher are its teachers' images, so its map says which teacher's pixels were used. Select a place in the
result to move the window.

**Causal effect map**: replaces one patch of the LR image by its blur (or mean) and runs the network again. Red: with
the patch as it is, the window has more detail (or a better PSNR); blue: less. No gradient, so a check of LAM.

**Deletion area**: the marked pixels are blurred, the most marked first; how soon does the window change? 1: at once;
random pixels say what chance gives. **Insertion area**: the same, from the blurred image back to the sharp one.
**Side by side**: maps of the compared models that see the LR image, one colour scale.

Of a photo, the part that the window depends on is used. For networks that average over the whole image (RCAN) the
averages are those of 256 × 256 LR pixels around the window: an approximation. `mtkd explain --whole` uses all of it.

**Share**: part of all attribution, sizes without signs. **Signed share**: part of the change in detail from blurred to
sharp; the parts add up to 1, but for the completeness error. **Shapley**: the exact value of having an input sharp
instead of blurred, averaged over all orders, as a part of the change. **DI** (diffusion index): how spread the used
pixels are, 100 for all alike; it depends on the size of the map, so compare equal sizes alone. **Path**: LAM's goes
over images of less and less blur; the straight one mixes the blurred image with the sharp one (integrated gradients).
Windows at the image's edge also see the opposite edge through the combined teacher: its windows shift cyclically."""


def said(text: str, *helps: str) -> str:
    """An answer in words, and what helps to read it."""
    return f'<p role="status">{html.escape(text)}</p>' + "".join(
        f'<p class="help">{html.escape(one)}</p>' for one in helps
    )


def progress(text: str, done: int = 0, of: int = 0, began: float = 0) -> str:
    """What runs, how far it is, and how long it will take."""
    if not done:
        return f"<p>{text}.</p><progress></progress>"
    left = (time.monotonic() - began) / done * (of - done)
    when = f"about {left:.0f} s left" if done < of else "measuring the map"  # its deletion and insertion curves
    return (
        f'<p>{text}: step {done} of {of}, {when}.</p><progress value="{done}" max="{of}" aria-label="Steps"></progress>'
    )
