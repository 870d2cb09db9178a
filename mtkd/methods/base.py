"""What every training method offers, and how one is made from its name and options."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from mtkd.data.patches import Batch
from mtkd.errors import UserError, unknown_name
from mtkd.plugins import METHODS, MethodSpec


class Terms(dict[str, Tensor]):
    """Scalar terms of a loss by name, already weighted: the total is their sum.

    Attributes:
        parts: of a term, what it is made of, by name (the subbands of L_dis): without gradient, logged beside it.
    """

    def __init__(self, terms: Mapping[str, Tensor], parts: Mapping[str, Mapping[str, Tensor]] | None = None) -> None:
        super().__init__(terms)
        self.parts = {
            term: {part: t.detach() for part, t in made_of.items()} for term, made_of in (parts or {}).items()
        }

    def total(self) -> Tensor:
        """Their sum, a scalar: what a step makes smaller."""
        return torch.stack(list(self.values())).sum()


class Method(nn.Module, ABC):
    """One way to train a network. Its parameters, if it has any (projections), are trained with the student's.

    Attributes:
        outputs: names of the frozen networks whose outputs the batch must hold.
        needs_teacher: True where the teacher itself is run (features, other inputs), not only its cached output.
        compares_features: True where its and the student's feature points are read.
        weights: options that do not change how much there is to compute: what a term counts, how often it is drawn.
        teacher_passes: how often :meth:`loss` runs the teacher, whole batches.
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
        """Scalar terms by any names, already weighted; the total is their sum. :class:`Terms` where they have parts."""

    def check(self, side: int) -> None:
        """Refuse, before anything is trained, what could not be; ``side`` is that of the HR patches, in pixels.

        Raises:
            UserError: says what is wrong with the method's options or with a plugin that they name.
        """

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """What the method's options are where a recipe does not say; ``options`` are those that it gives."""
        return default_options(cls)


class TeacherMethod(Method):
    """A method that runs its one frozen teacher.

    The teacher is no submodule: it is neither trained nor saved with the method.

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


def require_features(student: nn.Module, teacher: nn.Module, method: str) -> None:
    """Check, before training, that both networks declare feature points, and equally many.

    Raises:
        UserError: one has none, or the numbers differ.
    """
    counts = [int(getattr(network, "feature_count", 0)) for network in (student, teacher)]
    for role, network, count in zip(("student", "teacher"), (student, teacher), counts, strict=True):
        if not count:
            raise UserError(
                f"method {method} compares features, and the {role} ({type(network).__name__}) declares none; "
                "take a network that is declared with features=, or a method that learns from outputs (kd, dukd, mtkd)"
            )
    if counts[0] != counts[1]:
        raise UserError(f"method {method}: student and teacher declare {counts[0]} and {counts[1]} feature points")


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
    """The constructor's parameters that have a default, and that."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def check_options(
    owner: str, cls: Callable[..., Any], options: Mapping[str, Any], also: Iterable[str] = ()
) -> dict[str, Any]:
    """The options that a recipe gives a class, converted to the types that its constructor declares.

    What a constructor takes as ``**options`` goes through unchanged: it passes them on, and checks them itself;
    ``also`` are options that the owner itself has, to be suggested.

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
                raise UserError(f"method.options.{option}: {error.errors()[0]['msg']} (got {value!r})") from error
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
    """Whether a method runs its teacher itself; the others learn from outputs, which can be cached.

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
    """The given options that differ from the method's defaults: what is given, and the default.

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
    """The method ``name``; ``outputs`` names the networks it learns from, in order.

    ``student`` and ``teachers`` (by name) are for methods that run their teacher themselves; ``side`` is that of the
    HR patches, where the method is to be checked for a training.

    Raises:
        UserError: unknown method, an option that it does not have or of the wrong type, networks to learn from
            where there are none to be or the wrong number of them, or a teacher that lacks what the method needs.
    """
    cls = _class(name)
    parameters = inspect.signature(cls).parameters.keys()
    learns = bool({"outputs", "teacher"} & parameters)
    if learns != bool(outputs):
        raise UserError(
            f"method {name} learns from other networks: name them as teachers"
            if learns
            else f"method {name} learns from no other network: leave out teachers"
        )
    given = check_options(f"method {name}", cls, options)
    if "outputs" in parameters:
        given["outputs"] = outputs
    if "teacher" in parameters:
        if len(outputs) != 1:
            raise UserError(f"method {name} learns from one teacher, got {len(outputs)}")
        given |= {"student": student, "teacher": (teachers or {})[outputs[0]]}
    with METHODS.blaming(name):
        try:
            method: Method = cls(**given)
        except TypeError as error:
            if not METHODS.source(name).built_in:
                raise
            raise UserError(f"method {name}: {error}") from error
        if side is not None:
            method.check(side)
    return method
