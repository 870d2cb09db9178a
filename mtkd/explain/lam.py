"""Local attribution maps (Gu and Dong, 2021; the paper's Sec. 5.3.1 and Fig. 4): the method and its options.

How much did each input pixel do for the detail in a window of the SR image? The detail F is the gradient magnitude
there; the input is unblurred along a path, and the gradient of F is integrated along it
(:class:`~mtkd.explain.LocalAttributionMap`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from mtkd.errors import UserError
from mtkd.explain.answer import Attributions
from mtkd.explain.blur import PATHS, BlurPath
from mtkd.explain.question import Question
from mtkd.plugins import attribution
from mtkd.plugins.specs import Progress

Rule = Literal["midpoint", "gauss-legendre"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True)
class LamOptions:
    """The options of :func:`lam`; teachers' HR images are blurred ``scale`` times as wide."""

    path: Literal["blur", "straight"] = field(
        default="blur", metadata={"label": "Path", "help": "blur: less and less blur; straight: integrated gradients"}
    )
    sigma: float = field(
        default=1.2,
        metadata={
            "label": "Blur σ, LR pixels",
            "help": "of the image that the path starts from",
            "maximum": 100,
            "usual": (0.2, 4),
        },
    )
    steps: int = field(
        default=50,
        metadata={"label": "Steps", "help": "of the path", "minimum": 1, "usual": (5, 500)},
    )
    rule: Rule = field(default="midpoint", metadata={"label": "Rule", "help": "how the integral is taken"})
    compat: Literal["official"] | None = field(
        default=None,
        metadata={"label": "Compatibility", "help": "official: finite differences, as the published code"},
    )

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise UserError(f"sigma {self.sigma:g}: give more than 0, at most 100")

    @property
    def context(self) -> int:
        """LR pixels that the blur of a pixel draws on."""
        return BlurPath.for_hr(1, self.sigma).radius

    def walk(self, question: Question) -> BlurPath:
        """The path from the blurred images of a question to the images."""
        return PATHS[self.path].for_hr(question.input_scale, self.sigma)


@attribution("lam", options=LamOptions, title="Local attribution map (LAM)")
def lam(question: Question, options: LamOptions, progress: Progress) -> Attributions:
    """LAM of all inputs, unblurred together; with the blurred images as baselines its attributions are complete.

    Raises:
        UserError: a rule beside "official", or a window outside of the SR image.
    """
    from mtkd.explain._lam import LocalAttributionMap

    path = options.walk(question)
    attributions = LocalAttributionMap(question.objective).attribute(
        question.images, path, options.steps, options.rule, options.compat, progress=progress
    )
    details = {"sigma": path.sigma, "radius": path.radius}
    return Attributions(attributions, tuple(path.start(image) for image in question.images), details)
