"""Pages for JupyterLab and Voilà: one widget a page, from a run, a run's folder or a study's folder.

    from onlm_lab import app
    app.performance("my_study")
    app.outcomes("my_study")
    app.cohort("my_study")
    app.cases("my_study")
    app.training("my_study")
    app.reading("my_study")

Inside a served dashboard the run is the one being served: `app.performance()`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onlm_lab.app.cases_page import cases as cases
    from onlm_lab.app.cohort_page import cohort as cohort
    from onlm_lab.app.outcomes_page import outcomes as outcomes
    from onlm_lab.app.patient_page import patient as patient
    from onlm_lab.app.performance_page import performance as performance
    from onlm_lab.app.reading_page import reading as reading
    from onlm_lab.app.start_page import start as start
    from onlm_lab.app.training_page import training as training

_HOME = {
    "cases": "cases_page",
    "cohort": "cohort_page",
    "outcomes": "outcomes_page",
    "patient": "patient_page",
    "performance": "performance_page",
    "reading": "reading_page",
    "start": "start_page",
    "training": "training_page",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
