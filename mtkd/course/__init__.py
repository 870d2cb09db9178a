"""The course: pictures and tables of the notebooks, exercises and their grading."""

from mtkd.course import alt
from mtkd.course.grade import Grade, check, grade, progress

__all__ = ["Grade", "check", "grade", "progress"]

alt.register()
