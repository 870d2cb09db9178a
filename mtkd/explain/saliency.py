"""Saliency (Simonyan et al. 2014): |dF / d input|, the slope of F at the image itself, in one pass of the network."""

from __future__ import annotations

from torch import Tensor

from mtkd.explain.question import Question
from mtkd.plugins import attribution
from mtkd.plugins.specs import NoOptions, Progress


@attribution("saliency", title="Saliency")
def saliency(question: Question, options: NoOptions, progress: Progress) -> tuple[Tensor, ...]:
    """:func:`gradient_sizes`: slopes, no parts of F, so that nothing adds up to F."""
    return gradient_sizes(question)


def gradient_sizes(question: Question) -> tuple[Tensor, ...]:
    """|dF / d image| of each input, (3, H, W): also a first look before a path is walked.

    Raises:
        UserError: the window leaves the SR image.
    """
    from mtkd.explain._captum import Saliency

    images = tuple(image.clone().requires_grad_() for image in question.images)
    return tuple(size[0].cpu() for size in Saliency(question.objective).attribute(images))
