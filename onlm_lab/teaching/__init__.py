"""Lessons for clinicians and students: predict, run, move a slider, check. MADE-UP DATA only; no torch.

    from onlm_lab import teaching
    lesson = teaching.Lesson("auc")
    lesson.predict("recalibrated")             before the cell runs
    lesson.reveal("recalibrated", truth=0.81)  what was predicted beside what came out
    lesson.check("meaning")                    a self-check that knows wrong answers and says why

Answers stay beside the notebook, in answers/<lesson>.json; nothing is sent anywhere.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from onlm_lab.teaching.judging import judge as judge
    from onlm_lab.teaching.lesson import Lesson as Lesson
    from onlm_lab.teaching.question import read_questions as read_questions


class Listed(NamedTuple):
    """A lesson as it is listed: its name, its title, how long it takes, and its notebook."""

    name: str
    title: str
    minutes: int
    notebook: str


LESSONS = (
    Listed("auc", "AUC and what it does not say", 25, "01_auc"),
    Listed("calibration", "Calibration: does 20 % mean 20 in 100?", 25, "02_calibration"),
    Listed("thresholds", "Thresholds and net benefit", 30, "03_thresholds"),
    Listed("leakage", "Leakage: find the planted leak", 25, "04_leakage"),
    Listed("competing", "Competing risks, and why SBRT has no label", 25, "05_competing_risks"),
    Listed("immortal", "Immortal time", 25, "06_immortal_time"),
    Listed("fishing", "Subgroup fishing: twenty null subgroups", 20, "07_subgroup_fishing"),
)

_HOME = {"Lesson": "lesson", "judge": "judging", "read_questions": "question"}

__all__ = ["LESSONS", "Lesson", "Listed", "judge", "read_questions"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
