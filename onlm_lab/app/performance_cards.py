"""The cards of the performance page, tab by tab; those that are quick to draw stand first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from onlm_lab.app import sharing, shell
from onlm_lab.app.performance_state import PerformanceState
from onlm_lab.figures import theme
from onlm_lab.panels import at_threshold, groups, hazards, only, outcomes, patients, side_by_side, subgroups
from onlm_lab.panels import performance as panels
from onlm_lab.panels.card import Card as PrintedCard
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Moved, Panel
from onlm_lab.study import Study

CENTRE = "centre"


class View(NamedTuple):
    """What a page reads and what the user chose."""

    study: Study
    rows: pd.DataFrame
    state: PerformanceState
    known: dict[tuple[str, str], Judged]  # what was computed so far, by split and by who is left

    @property
    def mark(self) -> str:
        return theme.MADE_UP if self.study.made_up else ""

    @property
    def tested(self) -> Judged:
        """Everybody of the chosen split."""
        return self._judged(only.EVERYBODY)

    @property
    def left(self) -> Judged:
        """Those of the chosen split whom the subgroups are judged in."""
        return self._judged(self.state.only)

    def _judged(self, chosen: str) -> Judged:
        split = self.state.split
        if (split, chosen) not in self.known:
            rows = patients.tested(self.rows, split=split)
            self.known[split, chosen] = Judged(only.only(rows, chosen=chosen, bins=self.bins))
        return self.known[split, chosen]

    @property
    def bins(self) -> Mapping[str, Sequence[float]]:
        return self.study.analysis.bins


def performance_cards(view: View) -> list[shell.Card]:
    """How good is the model, and what does the threshold do?"""
    state, plan, mark = view.state, view.study.analysis, view.mark

    def models() -> list[str]:
        return [state.model, *(m for m in state.compared if m != state.model)]

    def compared() -> object:
        return (state.split, *models())

    def roc() -> Panel:
        return panels.roc_panel(
            view.tested, models=models(), threshold=state.threshold, mark=mark, with_points=sharing.is_shared()
        )

    def points() -> Moved:
        return panels.roc_moved(view.tested, models=models(), threshold=state.threshold)

    def decision() -> Panel:
        return panels.decision_panel(
            view.tested, thresholds=plan.thresholds, models=models(), n_bootstrap=plan.bootstrap,
            threshold=state.threshold if sharing.is_shared() else None, seed=view.study.seed, mark=mark,
        )  # fmt: skip

    def comparison() -> Panel | None:
        if len(models()) < 2:
            return None
        return panels.comparison_panel(view.tested, model=state.model, others=models(), mark=mark)

    def beside() -> PrintedCard:
        return side_by_side.models_card(view.tested, model=state.model, threshold=state.threshold, mark=mark)

    def of_one(panel: object) -> shell.Card:
        def build() -> Panel:
            return panel(view.tested, model=state.model, threshold=state.threshold, mark=mark)  # type: ignore[operator]

        return shell.Card(build, key=state.key("split", "model", "threshold"))

    return [
        of_one(at_threshold.hundred_panel),
        of_one(panels.operating_panel),
        shell.Card(roc, key=compared, moved=points, moved_key=state.key("threshold")),
        shell.Card(decision, key=compared, moved=lambda: at_threshold.decision_moved(state.threshold),
                   moved_key=state.key("threshold")),
        shell.Card(lambda: panels.calibration_panel(view.tested, models=models(), mark=mark), key=compared),
        shell.Card(comparison, key=compared),
        shell.Card(beside, key=state.key("split", "model", "threshold"), wide=True),
    ]  # fmt: skip


def subgroup_cards(view: View) -> list[shell.Card]:
    """In whom does the model work, among everybody or among some?"""
    state = view.state

    def forest() -> Panel:
        judged = view.left
        found = subgroups.subgroup_panel(
            judged, model=state.model, columns=state.columns, bins=view.bins, measure=state.measure,
            threshold=state.threshold, mark=view.mark,
        )  # fmt: skip
        who = only.only_words(judged.rows, chosen=state.only, total=view.tested.rows["patient_id"].nunique())
        source = (*found.source, only.restricted(state.only))
        return found._replace(sentence=f"{who} {found.sentence}", source=source)

    key = state.key("split", "model", "columns", "measure", "threshold", "only")
    return [shell.Card(forest, key=key, wide=True)]


def centre_cards(view: View) -> list[shell.Card]:
    """Does it work in each centre, and what may a new one expect?"""
    state = view.state

    def forest() -> Panel:
        return groups.centres_panel(view.tested, model=state.model, measure=state.centre_measure, mark=view.mark)

    return [shell.Card(forest, key=state.key("split", "model", "centre_measure"), wide=True)]


def fairness_cards(view: View) -> list[shell.Card]:
    """Does it err more in some patients than in others?"""
    state, plan = view.state, view.study.analysis

    def forest() -> Panel:
        return groups.fairness_panel(
            view.tested, model=state.model, columns=state.fair_columns, bins=view.bins, measure=state.fair_measure,
            threshold=state.threshold, n_resamples=plan.bootstrap, seed=view.study.seed, mark=view.mark,
        )  # fmt: skip

    key = state.key("split", "model", "fair_measure", "fair_columns", "threshold")
    return [shell.Card(forest, key=key, wide=True)]


def outcome_cards(view: View) -> list[shell.Card]:
    """What became of the patients, by predicted group?"""
    state, mark = view.state, view.mark
    cards = []
    for arm in patients.arms_of(view.rows):

        def curves(arm: str = arm) -> Panel | None:
            if state.arm not in (arm, "both") or not state.endpoint:
                return None
            return outcomes.outcome_panel(
                view.rows, model=state.model, endpoint=state.endpoint, arm=arm, threshold=state.threshold,
                horizon_days=state.horizon_days, mark=mark,
            )  # fmt: skip

        def ratios(arm: str = arm) -> Panel | None:
            if state.arm not in (arm, "both") or not state.endpoint:
                return None
            return hazards.hazard_panel(view.rows, model=state.model, endpoint=state.endpoint, arm=arm, mark=mark)

        cards.append(shell.Card(curves, key=state.key("model", "endpoint", "arm", "threshold", "horizon_days")))
        cards.append(shell.Card(ratios, key=state.key("model", "endpoint", "arm")))
    return cards[::2] + cards[1::2]
