"""The losses of the wavelet view: that of the full method, those of the ablations, and all others declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from mtkd.errors import unknown_name
from mtkd.experiments.plan import Plan, load_plan
from mtkd.methods.base import default_options
from mtkd.methods.mtkd import MTKD
from mtkd.plugins import LOSSES


@dataclass(frozen=True)
class LossVariant:
    """One distillation loss: ``name`` is the variant of the plan that uses it, e.g. "v7", or the name of the loss."""

    name: str
    title: str
    loss: str
    options: Mapping[str, Any]

    def build(self, levels: int = 1, wavelet: str = "haar") -> nn.Module:
        """Build the loss, ``(B, 3, H, W)`` twice -> scalar; ``levels`` and ``wavelet`` are used if it has these
        options."""
        build = LOSSES[self.loss].build
        chosen = {k: v for k, v in {"levels": levels, "wavelet": wavelet}.items() if k in default_options(build)}
        with LOSSES.blaming(self.loss):
            return build(**{**self.options, **chosen})


def losses(plan: Plan | None = None) -> dict[str, LossVariant]:
    """The losses by name: "wavelet", the full method's; "v5", "v6", "v7" of Table 5; then every other declared one.

    Variants come from tables with ``losses: true``; variants that differ only in levels and wavelet are merged.
    """
    plan = plan or load_plan("mini")
    full, _ = MTKD.choose({})
    entries = {_key(full, {}): LossVariant(full, LOSSES[full].title, full, {})}
    for label in (label for table in plan.tables.values() if table.losses for label in table.variants):
        variant = plan.variant(label)
        if variant.method.get("name") == "mtkd":
            loss, options = MTKD.choose(variant.method.get("options", {}))
            entries.setdefault(_key(loss, options), LossVariant(label, plan.title(label), loss, options))
    for name, spec in LOSSES.items():
        if all(variant.loss != name for variant in entries.values()):
            entries[_key(name, {})] = LossVariant(name, spec.title, name, {})
    return {variant.name: variant for variant in entries.values()}


def loss_of(name: str, levels: int = 1, wavelet: str = "haar") -> nn.Module:
    """One of :func:`losses`, built.

    Raises:
        UserError: unknown loss or wavelet, or no level.
    """
    known = losses()
    if name not in known:
        raise unknown_name("loss", name, known)
    return known[name].build(levels, wavelet)


def _key(loss: str, options: Mapping[str, Any]) -> str:
    """A key that is equal for losses that differ only in levels and wavelet."""
    all_options = {**default_options(LOSSES[loss].build), **options}
    return repr((loss, sorted((k, v) for k, v in all_options.items() if k not in ("levels", "wavelet"))))
