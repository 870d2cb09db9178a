"""Training methods: what is learned from whom. One file a method; the loop knows none of them.

A method says which frozen networks' outputs it needs and turns a batch into named loss terms, already weighted:
their sum is the total. It knows no optimiser. Each is declared with :func:`mtkd.plugins.method`.
"""

from mtkd.methods.base import (
    Method,
    TeacherMethod,
    Terms,
    changed_options,
    compares_features,
    create,
    runs_teacher,
)

__all__ = ["Method", "TeacherMethod", "Terms", "changed_options", "compares_features", "create", "runs_teacher"]
