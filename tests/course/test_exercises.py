"""Every exercise: wrong answers of each kind are refused, right ones are right in every form."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mtkd.course import Grade, check, grade, progress
from mtkd.course.exercises import exercises
from mtkd.course.exercises.lesson_01 import reading
from mtkd.course.exercises.lesson_02 import edsr_parameters
from mtkd.course.grade.kinds import Code, Number, Object, Word
from mtkd.course.grade.verdict import nearness
from mtkd.errors import UserError
from mtkd.networks import parameter_count, specs
from mtkd.resize import imresize

NUMBERS = [one for one in exercises().values() if isinstance(one, Number)]
FUNCTIONS = [one for one in exercises().values() if isinstance(one, Code)]
OTHERS = {one.id for one in exercises().values()} - {one.id for one in [*NUMBERS, *FUNCTIONS]}


def named(exercise):
    return exercise.id


@pytest.mark.parametrize("exercise", exercises().values(), ids=named)
def test_an_exercise_is_declared_whole(exercise):
    assert 1 <= exercise.difficulty <= 3 and 1 <= exercise.minutes <= 20
    assert exercise.title and exercise.hint and not exercise.title.endswith(".")
    assert grade(exercise.id, ...) == Grade(False, False, "not answered")
    for wrong in (None, object(), {}):
        told = grade(exercise.id, wrong)
        assert not told.right and not told.close and told.verdict == "not yet"


@pytest.mark.parametrize("exercise", NUMBERS, ids=named)
def test_numbers(exercise):
    expected = exercise.expected()
    right = [float(expected), np.float64(expected), torch.tensor(expected, dtype=torch.float64)]
    right.append(Fraction(expected))
    if not exercise.whole:
        right += [float(f"{expected:.1e}"), float(f"{expected:.2e}"), np.array([expected])]
    for answer in right:
        assert grade(exercise.id, answer).right, answer
    wrong = [-expected, 2 * expected, expected / 10, str(expected), [expected, 1], True, math.nan, math.inf]
    wrong += [expected + 1, expected - 1] if expected < 20 or exercise.whole else []
    for answer in wrong:
        told = grade(exercise.id, answer)
        assert not told.right, answer
        assert told.close is False or abs(answer / expected - 1) < 0.05
    for hint, mistake in exercise.mistakes.items():
        assert grade(exercise.id, mistake()).message == f"not yet: {hint}"


class Changed:
    """A student's function with the results of the right one, changed."""

    def __init__(self, exercise, change):
        self.exercise, self.change = exercise, change

    def __call__(self, *arguments):
        return self._changed(self.exercise.solution(*arguments))

    def _changed(self, value):
        return tuple(map(self._changed, value)) if isinstance(value, tuple) else self.change(value)


def as_numpy(value):
    return value.detach().double().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=named)
def test_functions(exercise):
    assert grade(exercise.id, exercise.solution) == Grade(True, False, "right")
    right = [lambda x: x, as_numpy, lambda x: as_numpy(x).tolist(), torch.as_tensor]
    for change in right:
        assert grade(exercise.id, Changed(exercise, change)).right, change
    near = grade(exercise.id, Changed(exercise, lambda x: x * (1 + 2e-3)))
    assert near.verdict == ("not yet" if exercise.exact else "close")
    wrong = [lambda x: -x, lambda x: 2 * x, lambda x: x + 1, lambda x: "text", lambda x: None, lambda x: {}]
    for change in wrong:
        told = grade(exercise.id, Changed(exercise, change))
        assert told.verdict == "not yet", (change, told)
    assert grade(exercise.id, Changed(exercise, lambda x: ...)).verdict == "not answered" or isinstance(
        exercise.solution(*exercise.inputs()[0]), tuple
    )
    assert "takes" in grade(exercise.id, lambda: 0).message
    assert grade(exercise.id, 3.0).message == "not yet: a function is asked for, this is of type float"
    for hint, mistake in exercise.mistakes.items():
        assert grade(exercise.id, mistake).message == f"not yet: {hint}"


def test_a_result_of_another_shape_is_told():
    assert "(1, 32, 2, 2), it should be (1, 8, 2, 3)" in grade("03.1", lambda x, s: torch.zeros(1, 32, 2, 2)).message
    assert "4 values" in grade("04.1", lambda *bands: bands[:3]).message


def test_words_and_objects():
    assert {one.id for one in exercises().values() if isinstance(one, (Word, Object))} == OTHERS
    for answer in ("HH1", "hh", " HH1 "):
        assert grade("04.2", answer).right
    for answer in ("LL1", "LH1", "HL1", "HH2", 3, None, torch.tensor(1)):
        assert grade("04.2", answer).verdict == "not yet"
    assert "detail band" in grade("04.2", "LL1").message and "none of the names" in grade("04.2", "HH2").message

    from mtkd.course.lessons import lesson

    recipe = lesson("edsr_tiny-mtkd", 30, ["method.options.alpha=1"])
    assert grade("07.4", recipe).right
    assert grade("07.4", lesson("edsr_tiny-mtkd", 30, ["method.options.alpha=1.0"])).right
    assert grade("07.4", recipe.model_copy()).right
    wrong = {
        "alpha is 0.1": lesson("edsr_tiny-mtkd", 30),
        "alpha is -1": recipe.model_copy(
            update={"method": recipe.method.model_copy(update={"options": {**recipe.method.options, "alpha": -1}})}
        ),
        "31 steps": lesson("edsr_tiny-mtkd", 31, ["method.options.alpha=1"]),
        "rcan_tiny-mtkd": lesson("rcan_tiny-mtkd", 30, ["method.options.alpha=1"]),
        "other than alpha": lesson("edsr_tiny-mtkd", 30, ["method.options.alpha=1", "method.options.levels=2"]),
        "a recipe is asked for": "alpha=1",
    }
    for words, answer in wrong.items():
        assert words in grade("07.4", answer).message


def test_what_is_rounded_is_right_and_what_is_near_is_close():
    assert nearness(0.023, 0.02276).right and nearness(0.0228, 0.02276).right
    assert nearness(0.022, 0.02276).close and nearness(0.02, 0.02276).close
    assert nearness(0.03, 0.02276) is None and nearness(-0.02276, 0.02276) is None
    assert nearness(0.2, 0.1773).close and nearness(0.18, 0.1773).right


def test_the_oracles_agree_with_the_library():
    impulses = torch.eye(64, dtype=torch.float64)[:, :, None].expand(64, 64, 64)
    for s in (2, 4):
        matrix = imresize(impulses, 1 / s)[:, :, 0].T
        np.testing.assert_allclose(reading(7, s, 64), matrix[7], atol=1e-12)
    for name, channels, blocks in (("edsr_baseline", 64, 16), ("edsr", 256, 32)):
        assert edsr_parameters(channels, blocks) == parameter_count(specs()[name].build(scale=4))


# the six that build the core, as a student may write them


def unshuffle(x, s):
    n, c, height, width = x.shape
    phases = [x[:, :, i::s, j::s] for i in range(s) for j in range(s)]
    return torch.stack(phases, 2).reshape(n, c * s * s, height // s, width // s)


def dct_attention(x, w_q, w_k, w_v):
    n = torch.arange(8.0)
    d = torch.cos(math.pi * (2 * n + 1) * n[:, None] / 16) / 2
    d[0] = math.sqrt(1 / 8)
    spectrum = torch.einsum("ui,vj,ijc->uvc", d, d, x).reshape(64, -1)
    q, k, v = spectrum @ w_q.T, spectrum @ w_k.T, spectrum @ w_v.T
    mixed = (q @ k.T / math.sqrt(x.shape[-1])).softmax(-1) @ v
    return torch.einsum("ui,vj,uvc->ijc", d, d, mixed.reshape(8, 8, -1))


def wavelet_loss(student, mt, levels):
    low, total = student - mt, 0
    for _ in range(levels):
        a, b = low[..., 0::2, 0::2], low[..., 0::2, 1::2]
        c, d = low[..., 1::2, 0::2], low[..., 1::2, 1::2]
        total += sum((band / 2).abs().mean() for band in (a + b - c - d, a - b + c - d, a - b - c + d))
        low = (a + b + c + d) / 2
    return (total + low.abs().mean()) / (3 * levels + 1)


def train_step(student, optimizer, lr, gt, mt, alpha):
    optimizer.zero_grad()
    image = student(lr)
    loss = alpha * F.l1_loss(image, gt) + wavelet_loss(image, mt, 1)
    loss.backward()
    optimizer.step()
    return loss


def lam(objective, path, x, steps):
    total = 0
    for k in range(steps):
        point, slope = path(x, (k + 0.5) / steps)
        point.requires_grad_()
        objective(point).sum().backward()
        total = total + point.grad * slope / steps
    return total


def shapley(none, a, b, both):
    first = (a - none + both - b) / (2 * (both - none))
    return [first, 1 - first]


CORE = {
    "03.1": unshuffle,
    "03.4": dct_attention,
    "04.3": wavelet_loss,
    "05.4": train_step,
    "08.2": lam,
    "08.4": shapley,
}


@pytest.mark.parametrize("name", CORE)
def test_the_core_can_be_written_in_another_way(name):
    assert grade(name, CORE[name]) == Grade(True, False, "right")


def test_a_loss_that_moves_the_teacher_or_forgets_the_step_is_refused():
    def no_return(*arguments):
        train_step(*arguments)

    assert "None" in grade("05.4", no_return).message
    assert grade("05.4", lambda *arguments: ...).verdict == "not answered"


def test_check_prints_and_progress_counts(capsys):
    check("04.2", "HH")
    check("04.4", 0.0571)
    check("04.4", 0.056)
    check("04.1", ...)
    check("04.5", 3)
    progress("04")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Exercise 04.2 (●○○, 2 min): right"
    assert [line.partition("): ")[2] for line in lines[1:4]] == ["right", "close: more digits", "not answered"]
    assert lines[4].endswith("not yet: a function is asked for, this is of type int")
    assert lines[5] == (
        "Lesson 04: □■□□□ 1 of 5 right (04.1 not answered; 04.3 not answered; 04.4 close; 04.5 not yet)"
    )
    with pytest.raises(UserError, match=r"no exercise '04\.9'"):
        check("04.9", 1)
    with pytest.raises(UserError, match="'09' has no exercises"):
        progress("09")
