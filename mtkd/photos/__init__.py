"""People's own pictures: upscaled with all that belongs to them, one by one or many."""

from mtkd.photos.enlarge import Enlarging, enlarged
from mtkd.photos.jobs import Job, Plan, plan
from mtkd.photos.upscaler import Upscaler

__all__ = ["Enlarging", "Job", "Plan", "Upscaler", "enlarged", "plan"]
