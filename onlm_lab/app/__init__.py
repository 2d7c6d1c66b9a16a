"""Pages for JupyterLab and Voilà: one widget a page, from a run, a run's folder or a study's folder.

    from onlm_lab import app
    app.performance("my_study")

Inside a served dashboard the run is the one being served: `app.performance()`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onlm_lab.app.performance_page import performance as performance

_HOME = {"performance": "performance_page"}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
