"""Plans: what to train and compare (networks, variants, tables), read from ``plans/*.yaml``.

A plan file ``extends`` another one; a user's file extends a bundled one in the same way and adds variants and tables.
Every run becomes a :class:`~mtkd.training.recipe.Recipe`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from mtkd import networks, plugins
from mtkd.config import Strict, assign, explain, read_yaml, to_yaml
from mtkd.errors import UserError, unknown_name
from mtkd.files import write_text
from mtkd.home import runs_folder
from mtkd.methods.mtkd import MTKD
from mtkd.metrics import DEFAULT, chosen
from mtkd.plugins import LOSSES
from mtkd.training.recipe import Data, Recipe, parse

PLAN_FILE = "plan.yaml"
"""Of a user's plan, in the folder of its runs."""
PLANS = Path(__file__).parent / "plans"
SIZES = ("mini", "small", "paper")
DECIDED = {
    "seed": "choose seeds with --seeds",
    "scale": "choose scales with --scales",
    **dict.fromkeys(
        ("name", "stage", "network", "method", "teachers"),
        "the plan decides this for each run; write a plan file that extends it, and give its name with --size",
    ),
}
"""Keys of a recipe that ``--set`` cannot change for all runs of a plan, and what to do instead."""
Scale = Literal[2, 3, 4]


class Aggregator(Strict):
    """One aggregator of Stage 1: its teachers, in order, and the suffix of its network ("_v3")."""

    teachers: tuple[str, ...] = Field(min_length=1)
    network: str = ""
    title: str = ""
    note: str = ""
    """What its network differs in, in a few words."""


class Training(Strict):
    """How a student is trained: method, networks to learn from, other keys of the recipe."""

    teachers: tuple[str, ...] | None = None
    method: dict[str, Any] = Field({})
    recipe: dict[str, Any] = Field({})


class Variant(Training):
    """One way to train a student; ``like`` names another variant that it modifies."""

    title: str = ""
    """Without one: that of the variant which it is like, and its note."""
    note: str = ""
    """What it differs in, in a few words."""
    like: str | None = None
    for_: dict[str, Training] = Field({}, alias="for")
    """Changes for one architecture, "rcan", or for one architecture and scale, "rcan x3"."""


class Table(Strict):
    """Rows of a comparison: ``models``, and one student with each of ``variants``."""

    title: str
    student: str | None = None
    """One of the plan's students."""
    models: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    scales: tuple[Scale, ...] | None = None
    """The scales of the table; None: all requested scales."""
    tradeoff: bool = True
    """Whether its models appear in the plot of PSNR against cost; not for other training lengths or data."""
    losses: bool = False
    """Whether it compares distillation losses: declared losses that no variant uses are then added."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.variants or "full" in self.models) and not self.student:
            raise UserError(
                f"table '{self.title}' has variants of a student but no student; add its name under 'student'"
            )
        return self


class AtScale(Strict):
    """Changes of recipes at one scale."""

    teachers: dict[str, dict[str, Any]] = Field({})
    aggregator: dict[str, Any] = Field({})
    student: dict[str, Any] = Field({})


class Plan(Strict):
    """A plan: one size with everything that can be trained at it."""

    aggregators: dict[str, Aggregator]
    variants: dict[str, Variant]
    tables: dict[str, Table]
    defaults: dict[str, Any]
    teachers: dict[str, str | dict[str, Any]] = Field(min_length=1)
    """By family: keys of a recipe, or the name of a model in the zoo."""
    best: str
    """The family of the best teacher."""
    aggregator: dict[str, Any]
    students: dict[str, str | dict[str, Any]]
    """By a name of the plan's own: a network, or a recipe's keys. Its "own" teacher is that of its family, else the
    best."""
    student: dict[str, Any]
    """Keys of every student's recipe."""
    at: dict[Literal["x2", "x3", "x4"], AtScale] = Field({})
    scales: tuple[Scale, ...]
    seeds: tuple[int, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = ()
    """Measured on benchmark sets beside PSNR and SSIM, for instance a plugin's."""
    second_look: dict[str, dict[str, int]] = Field({})
    """Seeds of comparisons at their second look, by the day on which they were fixed; see :meth:`fixed_seeds`."""
    overrides: dict[str, Any] = Field({})
    """Keys that override those of every recipe of the plan."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.best not in self.teachers:
            raise unknown_name("teacher under 'best'", self.best, self.teachers)
        parts: list[tuple[str, str | dict[str, Any]]] = [("aggregator", self.aggregator)]
        parts += [(f"teachers.{a}", teacher) for a, teacher in self.teachers.items()]
        parts += [(f"students.{a}", student) for a, student in self.students.items()]
        for key, part in parts:
            if isinstance(part, dict) and "network" not in part:
                raise UserError(f"key '{key}.network' is missing")
        for student in self.students:
            if (network := self.student_network(student)) not in networks.specs():
                raise unknown_name(f"network of student {student}", network, networks.specs())
        families = dict.fromkeys([*self.teachers, *map(self.architecture, self.students)])
        known = [*families, *(f"{family} x{scale}" for family in families for scale in (2, 3, 4))]
        for variant in self.variants.values():
            for key in variant.for_:
                if key not in known:
                    raise unknown_name("family under 'for'", key, known)
        for name, table in self.tables.items():
            if table.student and table.student not in self.students:
                raise unknown_name(f"student of table {name}", table.student, self.students)
            for model in table.models:
                if model not in self.roles() and not model.replace("_", "").replace("-", "").isalnum():
                    raise unknown_name(f"model of table {name}", model, self.roles())
            family = self.architecture(table.student) if table.student else None
            of_variants = [role for variant in table.variants for role in self.variant(variant).teachers or ()]
            for role in (*table.models, *of_variants):
                self.model_name(role, family)
        return self

    def with_declared_losses(self) -> Plan:
        """The plan with an additional variant for every declared loss that no variant uses: MTKD with that loss.

        It is called as the loss, learns from what the first MTKD variant learns from, and stands in the tables that
        compare losses.
        """
        like = next((v for v in self.variants.values() if v.method.get("name") == "mtkd"), None)
        options = [v.method.get("options", {}) for v in self.variants.values()]
        taken = {MTKD.choose(given)[0] for given in options if isinstance(given, dict)}
        names = [name for name in LOSSES if name not in taken and name not in self.variants]
        if like is None or not names:
            return self
        weights = {k: v for k, v in like.method.get("options", {}).items() if k in ("alpha", "weight", "mean")}
        added = {
            name: Variant(
                title=LOSSES[name].title,
                teachers=like.teachers,
                method={"name": "mtkd", "options": weights | {"loss": name}},
                recipe=like.recipe,
            )
            for name in names
        }
        tables = {
            key: table.model_copy(update={"variants": (*table.variants, *added)}) if table.losses else table
            for key, table in self.tables.items()
        }
        return self.model_copy(update={"variants": self.variants | added, "tables": tables})

    @property
    def measured(self) -> tuple[str, ...]:
        """All metrics that are measured on benchmark sets.

        Raises:
            UserError: no such metric.
        """
        return chosen((*DEFAULT, *self.metrics))

    def roles(self) -> list[str]:
        """Names that a table or a variant can use for a network: see ``plans/matrix.yaml``."""
        return [*self.teachers, "own", "best", "full", *self.aggregators]

    def variant(self, name: str) -> Variant:
        """One variant, with ``like`` resolved and without ``for``.

        Raises:
            UserError: unknown (the nearest is suggested), or a cycle of ``like``.
        """
        return Variant.model_validate(self._variant(name))

    def _variant(self, name: str, *keys: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
        """What ``name`` says, over what its ``for`` entries ``keys`` are over, over what it is like."""
        if name not in self.variants:
            raise unknown_name("method or variant", name, self.variants)
        if name in above:
            raise UserError(f"variant '{above[0]}' refers to itself with 'like': {' -> '.join([*above, name])}")
        stated = self.variants[name]
        below = self._variant(stated.like, *keys, above=(*above, name)) if stated.like else {}
        content = merge(below, stated.model_dump(exclude_unset=True, exclude={"like", "for_"}))
        for key in keys:
            if key in stated.for_:
                content = merge(content, stated.for_[key].model_dump(exclude_unset=True))
        return content

    def fixed_seeds(self, comparison: str) -> int | None:
        """The number of seeds that was fixed for a comparison, "MODEL - MODEL x4"; None where none was yet."""
        return next((seeds[comparison] for seeds in self.second_look.values() if comparison in seeds), None)

    def title(self, name: str) -> str:
        """The title of a model or variant in tables."""
        if name == "full":
            return "Teacher"
        if (variant := self.variants.get(name)) and not variant.title and variant.note and variant.like:
            return f"{self.title(variant.like)}, {variant.note}"
        known: Mapping[str, Variant | Aggregator] = {**self.aggregators, **self.variants}
        return (known[name].title if name in known else networks.family_title(name)) or name

    def difference(self, name: str) -> str:
        """What a variant differs in from its training method as it is, in a few words; nothing of that one itself."""
        variant = self.variants[name]
        if variant.note:
            return ", ".join(filter(None, [self.difference(variant.like) if variant.like else "", variant.note]))
        return "" if self.variant(name).method.get("name") == name else self.title(name)

    def teacher_name(self, architecture: str) -> str:
        """The model name of one of the three teachers."""
        teacher = self.teachers[architecture]
        return teacher if isinstance(teacher, str) else str(teacher.get("name", teacher.get("network")))

    def student_network(self, student: str) -> str:
        """The network of one of the students; its models are called ``NETWORK-VARIANT``."""
        content = self.students[student]
        return content if isinstance(content, str) else str(content["network"])

    def architecture(self, student: str) -> str:
        """The family of one of the students, "rcan": that of its "own" teacher, and of what is ``for`` it."""
        return networks.specs()[self.student_network(student)].family

    def aggregator_name(self, role: str) -> str:
        """The model name of an aggregator: that of the size, with the role's suffix."""
        base = str(self.aggregator.get("name", self.aggregator.get("network")))
        return base + role.removeprefix("MT")

    def model_name(self, role: str, architecture: str | None = None) -> str:
        """The name under which the catalogue knows what a plan calls "own", "best", "edsr", "MT", ...

        The "own" teacher of a family that has none is the best one.
        """
        if role == "own" and architecture not in self.teachers:
            role = "best"
        if role in ("own", "full"):
            role = architecture or role
            if role not in self.teachers:
                others = ", ".join([*self.teachers, *self.aggregators])
                raise UserError(f"no teacher of the family '{role}'; give the plan teachers.{role}, or name {others}")
        if role == "best":
            role = self.best
        if role in self.teachers:
            return self.teacher_name(role)
        return self.aggregator_name(role) if role in self.aggregators else role

    def recipe_content(self, name: str, scale: int, seed: int | None = None) -> dict[str, Any] | None:
        """The content of the recipe of a model that this plan trains; None if it trains no such model.

        Students are called ``NETWORK-VARIANT``, e.g. ``rcan_tiny-mtkd``.

        Raises:
            UserError: an unknown variant of one of the students.
        """
        here = self.at.get(f"x{scale}", AtScale())  # type: ignore[call-overload]
        for architecture, teacher in self.teachers.items():
            if isinstance(teacher, dict) and name == self.teacher_name(architecture):
                part: dict[str, Any] = {"name": name, "stage": "pretrain", "method": {"name": "scratch"}}
                own = merge(teacher, here.teachers.get(architecture, {}))
                return self._finished(merge(part, own), scale, seed)
        for role, aggregator in self.aggregators.items():
            if name == self.aggregator_name(role):
                part = {
                    "stage": "aggregate",
                    "method": {"name": "aggregate"},
                    **merge(self.aggregator, here.aggregator),
                }
                part["name"] = name
                part["network"] = self.aggregator["network"] + aggregator.network
                part["teachers"] = [self.model_name(t) for t in aggregator.teachers]
                return self._finished(part, scale, seed)
        for student in self.students:
            network = self.student_network(student)
            if name.startswith(f"{network}-"):
                part = self._student(student, name.removeprefix(f"{network}-"), scale, here.student)
                return self._finished(part, scale, seed)
        return None

    def _student(self, student: str, name: str, scale: int, here: Mapping[str, Any]) -> dict[str, Any]:
        architecture, network = self.architecture(student), self.student_network(student)
        content = Variant.model_validate(self._variant(name, architecture, f"{architecture} x{scale}")).model_dump()
        teachers = [self.model_name(t, architecture) for t in content["teachers"] or ()]
        keys = self.students[student]
        own = merge(self.student, {} if isinstance(keys, str) else keys)
        part = {
            "name": f"{network}-{name}",
            "stage": "distill" if teachers else "pretrain",
            "network": network,
            "method": content["method"],
            "teachers": teachers,
            "seed": self.seeds[0],
        }
        return merge(merge(merge(own, here), part), content["recipe"])

    def _finished(self, part: Mapping[str, Any], scale: int, seed: int | None) -> dict[str, Any]:
        content = merge(merge(self.defaults, part), self.overrides)
        return content | {"scale": scale} | ({} if seed is None else {"seed": seed})

    def recipe(self, name: str, scale: int, seed: int | None = None) -> Recipe | None:
        """:meth:`recipe_content`, checked."""
        content = self.recipe_content(name, scale, seed)
        return None if content is None else parse(content, f"plan: {name} x{scale}")

    def images(self) -> Data:
        """The training images of all runs.

        Raises:
            UserError: ``defaults`` does not describe them correctly.
        """
        try:
            return Data.model_validate(merge(self.defaults, self.overrides).get("data", {}))
        except ValidationError as error:
            raise UserError(explain(error, "plan: defaults.data", Data)) from error

    def trained(self) -> dict[str, str | None]:
        """Every model that this plan can train, and of a student the variant that it is."""
        teachers = [self.teacher_name(a) for a, teacher in self.teachers.items() if isinstance(teacher, dict)]
        aggregators = [self.aggregator_name(role) for role in self.aggregators]
        students = {f"{self.student_network(a)}-{v}": v for a in self.students for v in self.variants}
        return {**dict.fromkeys([*teachers, *aggregators]), **students}

    def names(self) -> list[str]:
        """Every model that this plan can train."""
        return list(self.trained())


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings; values of ``above`` win, mappings in both are merged recursively."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(under, value) if both else value  # type: ignore[arg-type]
    return merged


_bundled = cache(read_yaml)  # what comes with the package does not change


def _read(path: Path) -> dict[str, Any]:
    """A recipe's or a plan's content, without ``plugins``: these files, beside it, are loaded before it is checked.

    A run is identified by what is trained, not by the file that declares it; its card names the plugin.

    Raises:
        UserError: not YAML, ``plugins`` is no list of names, or a plugin that :func:`mtkd.plugins.load` refuses.
    """
    content = deepcopy(_bundled(path)) if path.parent == PLANS else read_yaml(path)
    names = content.pop("plugins", []) if isinstance(content, dict) else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: plugins: give a list of files or modules, e.g. plugins: [my_network.py]")
    plugins.load(names, beside=path.parent, pass_on=True)
    return content


def _content(name: str, reading: tuple[str, ...] = ()) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file():
        path = PLANS / f"{name}.yaml"
    if not path.is_file():
        raise unknown_name("plan (bundled, or a file)", name, SIZES)
    if str(path.resolve()) in reading:
        raise UserError(f"{path}: extends itself")
    content = _read(path)
    if "extends" not in content:
        return content
    below = str(content.pop("extends"))
    beside = path.parent / below  # a file is looked for where the one that names it lies
    return merge(_content(str(beside) if beside.is_file() else below, (*reading, str(path.resolve()))), content)


def available_plans() -> dict[str, str]:
    """The available plans, with the argument of :func:`load_plan`: the bundled ones, then those with the user's
    runs."""
    files = {file.parent.name: str(file) for file in sorted(runs_folder().glob(f"*/{PLAN_FILE}"))}
    return {**{size: size for size in SIZES}, **{name: file for name, file in files.items() if name not in SIZES}}


def keep_plan(name: str, folder: Path) -> None:
    """Write a plan file beside its runs, complete, so that they are found and shown without it; a bundled one is not.

    Raises:
        UserError: no such plan, or the folder cannot be written to.
    """
    if name not in SIZES:
        write_text(folder / PLAN_FILE, to_yaml(_content(name)))


def load_plan(size: str, assignments: Sequence[str] = ()) -> Plan:
    """The plan of a bundled size, "mini", "small" or "paper", or of a user's plan file.

    ``assignments`` are ``key=value`` of every recipe, e.g. ``iterations=100``: they win over all of the plan's.

    Raises:
        UserError: no such size or file, anything in it that is unknown, missing or of the wrong type, or an
            assignment to what the plan decides.
    """
    content = _content(size)
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        assign(overrides, assignment)
    for key in DECIDED.keys() & overrides.keys():
        raise UserError(f"--set {key}=...: {DECIDED[key]}")
    if overrides:
        content["overrides"] = overrides
    try:
        return Plan.model_validate(content).with_declared_losses()
    except ValidationError as error:
        raise UserError(explain(error, f"plan {size}", Plan)) from error


def load_recipe(name: str, assignments: Sequence[str] = ()) -> Recipe:
    """A recipe file, or the recipe of one of :func:`available_plans` by name: ``PLAN/MODEL`` or ``PLAN/MODEL_xSCALE``.

    Raises:
        UserError: no such recipe, not YAML, a plugin that fails, or anything :func:`~mtkd.training.recipe.parse`
            refuses.
    """
    if Path(name).is_file():
        content, source = _read(Path(name)), name
    else:
        content, source = _named(name), name
    for assignment in assignments:
        assign(content, assignment)
    return parse(content, source)


def _named(name: str) -> dict[str, Any]:
    source, _, model = name.partition("/")
    plans = {size: size for size in SIZES}
    if model and source in (available := available_plans()):
        plans[source] = available[source]
        plan = load_plan(plans[source])
        scale = 4
        if model[-3:] in ("_x2", "_x3", "_x4"):
            model, scale = model[:-3], int(model[-1])
        if model in plan.names() and (content := plan.recipe_content(model, scale)) is not None:
            return content
    known = [f"{plan}/{model}" for plan, file in plans.items() for model in load_plan(file).names()]
    raise unknown_name("recipe", name, known)
