"""What the cases page reads, computed once while what it depends on stays the same."""

from __future__ import annotations

from typing import Any

import pandas as pd

from onlm_lab import flags, schema
from onlm_lab.app.cases_state import CasesState
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.learning.explained import read_effects
from onlm_lab.learning.placed import map_limits
from onlm_lab.panels import case_list
from onlm_lab.runs import Run
from onlm_lab.schema import Column
from onlm_lab.study import Study

FILTERS = ("model", "threshold", "arm", "split", "error", "column", "level", "order")


class CasesView:
    """A run's tables and the choices behind its page."""

    def __init__(self, run: Run, state: CasesState) -> None:
        self.run, self.state = run, state
        self.study: Study = run.study
        self.rows: pd.DataFrame = run.rows()
        self.patients: pd.DataFrame = run.patients
        self.extra: tuple[Column, ...] = schema.declared(self.study.columns)
        self.mark = theme.MADE_UP if self.study.made_up else ""
        self._of: dict[str, tuple[object, Any]] = {}

    def _once(self, name: str, key: object, make: Any) -> Any:
        there = self._of.get(name)
        if there is None or there[0] != key:
            there = self._of[name] = (key, make())
        return there[1]

    @property
    def flags(self) -> flags.Flags:
        """What was flagged; read anew after each flag from this page."""
        return self._once("flags", self.state.n_flags, lambda: flags.read_flags(self.run.folder))

    @property
    def listed(self) -> pd.DataFrame:
        """A row a patient under the chosen model and threshold."""
        state = self.state

        def make() -> pd.DataFrame:
            found = flags.open_flags(self.flags.table)
            return case_list.listed(self.rows, model=state.model, threshold=state.threshold, flags=found)

        return self._once("listed", (state.model, state.threshold, state.n_flags), make)

    @property
    def picked(self) -> pd.DataFrame:
        """Those that pass the filters, in order."""
        state = self.state
        return self._once("picked", (*self.filters, state.n_flags), lambda: case_list.picked(
            self.listed, arm=state.arm, split=state.split, error=state.error, column=state.column, level=state.level,
            bins=self.study.analysis.bins, order=state.order,
        ))  # fmt: skip

    @property
    def filters(self) -> tuple[object, ...]:
        """What decides who is in the list."""
        return tuple(getattr(self.state, name) for name in FILTERS)

    @property
    def person(self) -> dict[str, Any]:
        """The chosen patient's row of the run's table.

        Raises:
            OnlmError: nobody is chosen.
        """
        found = self.patients[self.patients["patient_id"] == self.state.patient]
        if found.empty:
            raise OnlmError("No patient is chosen.")
        return found.iloc[0].to_dict()

    @property
    def effects(self) -> pd.DataFrame:
        """The chosen patient's rows of effects.csv, of which all are read once.

        Raises:
            OnlmError: the run has not been explained, or not this patient.
        """
        path = self.run.folder / "effects.csv"
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        every = self._once("effects", stamp, lambda: read_effects(self.run))
        places = self._once("places", stamp, lambda: every.groupby("patient_id").indices)
        if self.state.patient not in places:
            raise OnlmError("There are no effects of this patient.")
        return every.iloc[places[self.state.patient]]

    @property
    def limits(self) -> dict[str, float]:
        """One scale for the maps of all patients of the run."""
        return self._once("limits", 0, lambda: map_limits(self.run))
