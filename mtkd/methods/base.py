"""The interface of training methods, and their creation from a name and options."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from mtkd.config import short_repr
from mtkd.data.patches import Batch
from mtkd.errors import UserError, unknown_name
from mtkd.plugins import METHODS, MethodSpec


class Terms(dict[str, Tensor]):
    """Weighted scalar terms of a loss by name; the total loss is their sum.

    Attributes:
        parts: components of a term by name (the subbands of L_dis), without gradient, for the log.
    """

    def __init__(self, terms: Mapping[str, Tensor], parts: Mapping[str, Mapping[str, Tensor]] | None = None) -> None:
        super().__init__(terms)
        self.parts = {
            term: {part: t.detach() for part, t in made_of.items()} for term, made_of in (parts or {}).items()
        }

    def total(self) -> Tensor:
        """The total loss, a scalar."""
        return torch.stack(list(self.values())).sum()


class Method(nn.Module, ABC):
    """A training method. Its parameters, if any (projections), are trained together with the network.

    Attributes:
        outputs: names of the frozen networks whose outputs the batch must contain.
        needs_teacher: the method runs the teacher itself (features, other inputs); cached outputs do not suffice.
        compares_features: the method compares feature points of teacher and student.
        weights: options that do not change the amount of computation (weights of terms, probabilities).
        teacher_passes: number of forward passes of the teacher per call of :meth:`loss`, in whole batches.
    """

    needs_teacher: ClassVar[bool] = False
    compares_features: ClassVar[bool] = False
    weights: ClassVar[tuple[str, ...]] = ()
    outputs: tuple[str, ...] = ()
    teacher_passes: int = 0

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Weighted scalar terms by name; the total loss is their sum. Return :class:`Terms` if terms have parts."""

    def advance(self, done: float) -> None:
        """Told before each step which share of the training is done, 0 to below 1: for what grows or fades."""

    def check(self, side: int) -> None:
        """Check, before training, whether the method can be trained; ``side`` is the side length of the HR patches.

        Raises:
            UserError: an option cannot be used, or a plugin that it names fails.
        """

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Default values of the options; ``options`` are those given in the recipe."""
        return default_options(cls)


class TeacherMethod(Method):
    """A method that runs one frozen teacher.

    The teacher is not a submodule: it is neither trained nor saved with the method.

    Raises:
        UserError: teacher or student has no feature points, or their numbers differ (feature methods).
    """

    needs_teacher = True
    teacher_passes = 1

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        if self.compares_features:
            require_features(student, teacher, type(self).__name__.lower())
        self._frozen = (teacher,)

    @property
    def teacher(self) -> Any:
        return self._frozen[0]

    @torch.no_grad()
    def look(self, image: Tensor) -> Tensor:
        """The teacher's output, without gradient: (N, 3, h, w) -> (N, 3, sh, sw)."""
        output: Tensor = self.teacher(image)
        return output


def bare(network: nn.Module) -> Any:
    """The network inside of what a compilation or several processes wrap around it."""
    for name in ("module", "_orig_mod"):
        network = getattr(network, name, network)
    return network


def require_features(student: nn.Module, teacher: nn.Module, method: str) -> None:
    """Check that both networks declare the same number of feature points.

    Raises:
        UserError: one has none, or the numbers differ.
    """
    counts = [int(getattr(network, "feature_count", 0)) for network in (student, teacher)]
    for role, network, count in zip(("student", "teacher"), (student, teacher), counts, strict=True):
        if not count:
            raise UserError(
                f"method {method} compares features, and the {role} ({type(network).__name__}) declares none; "
                "use a network declared with features=, or a method that learns from outputs (kd, dukd, mtkd)"
            )
    if counts[0] != counts[1]:
        raise UserError(
            f"method {method}: student and teacher declare {counts[0]} and {counts[1]} feature points; use equally many"
        )


def _fault(spec: MethodSpec) -> str | None:
    """What is wrong with the declaration of a method."""
    if not (isinstance(spec.build, type) and issubclass(spec.build, Method)):
        return "is no subclass of mtkd.Method; derive the class from it"
    if inspect.isabstract(spec.build):
        return "has no loss; define loss(self, network, batch)"
    return None


METHODS.check = _fault
_GIVEN = {"outputs", "student", "teacher"}


def default_options(cls: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of the constructor that have defaults, with these defaults."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def check_options(
    owner: str, cls: Callable[..., Any], options: Mapping[str, Any], also: Iterable[str] = ()
) -> dict[str, Any]:
    """Convert the options of a recipe to the types that the constructor of a class declares.

    A constructor with ``**options`` receives unknown options unchanged and checks them itself; ``also`` are further
    names to suggest in a message.

    Raises:
        UserError: an option that the class does not have (the nearest is suggested), or of the wrong type.
    """
    types, known = _types(cls), dict(inspect.signature(cls).parameters)
    passes_on = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    named = {n for n, p in known.items() if p.kind is not inspect.Parameter.VAR_KEYWORD} - _GIVEN
    checked = {}
    for option, value in options.items():
        if option in named:
            try:
                checked[option] = TypeAdapter(types.get(option, Any)).validate_python(value)
            except ValidationError as error:
                message = f"{error.errors()[0]['msg']} (got {short_repr(value)})"
                raise UserError(f"method.options.{option}: {message}") from error
        elif passes_on and option not in _GIVEN:
            checked[option] = value
        else:
            raise unknown_name(f"option of {owner}", option, {*named, *also})
    return checked


def _types(cls: Any) -> dict[str, Any]:
    """The types that a constructor declares; none where they name what only a type checker imports."""
    try:
        return get_type_hints(cls.__init__)
    except NameError:
        return {}


def _class(name: str) -> type[Method]:
    return METHODS[name].build


def runs_teacher(name: str) -> bool:
    """Whether a method runs its teacher itself. Other methods learn from outputs, which can be cached.

    Raises:
        UserError: unknown method.
    """
    return _class(name).needs_teacher


def compares_features(name: str) -> bool:
    """Whether a method reads its teacher's feature points.

    Raises:
        UserError: unknown method.
    """
    return _class(name).compares_features


def changed_options(name: str, options: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The options that differ from the method's defaults, as (value, default).

    Raises:
        UserError: unknown method.
    """
    usual = _class(name).defaults(options)
    return {key: (value, usual[key]) for key, value in options.items() if key in usual and value != usual[key]}


def create(
    name: str,
    options: Mapping[str, Any],
    outputs: tuple[str, ...] = (),
    student: nn.Module | None = None,
    teachers: Mapping[str, nn.Module] | None = None,
    side: int | None = None,
) -> Method:
    """Create the method ``name``; ``outputs`` are the names of the networks that it learns from, in order.

    ``student`` and ``teachers`` (by name) are for methods that run their teacher themselves. With ``side``, the side
    length of the HR patches, the method is also checked.

    Raises:
        UserError: unknown method, an unknown option or one of the wrong type, the wrong number of networks to learn
            from, or a teacher without what the method needs.
    """
    cls = _class(name)
    parameters = inspect.signature(cls).parameters.keys()
    learns = bool({"outputs", "teacher"} & parameters)
    if learns != bool(outputs):
        raise UserError(
            f"method {name} learns from other networks; name them under 'teachers'"
            if learns
            else f"method {name} learns from no other network; leave out 'teachers'"
        )
    arguments = check_options(f"method {name}", cls, options)
    if "outputs" in parameters:
        arguments["outputs"] = outputs
    if "teacher" in parameters:
        if len(outputs) != 1:
            raise UserError(f"method {name} learns from one teacher, got {len(outputs)}")
        arguments |= {"student": student, "teacher": (teachers or {})[outputs[0]]}
    with METHODS.blaming(name):
        try:
            method: Method = cls(**arguments)
        except TypeError as error:
            if not METHODS.source(name).built_in:
                raise
            raise UserError(f"method {name}: {error}") from error
        if side is not None:
            method.check(side)
    return method
