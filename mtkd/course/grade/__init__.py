"""Is an answer to an exercise right? No state of a notebook is needed: the expected answer is computed here.

>>> from mtkd.course import grade
>>> grade("03.3", 24)
Grade(right=True, close=False, message='right')

A folder of submissions is graded by ``python -m mtkd.course.grade FOLDER``.
"""

from mtkd.course.grade.session import check, grade, progress
from mtkd.course.grade.verdict import Grade

__all__ = ["Grade", "check", "grade", "progress"]
