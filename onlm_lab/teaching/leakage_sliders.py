"""Lesson 4's figures and sliders: what the teams handed in, and three leaks to move. MADE-UP DATA."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.results import Roc
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.leakage import (
    BROUGHT,
    CHOSEN,
    HANDED_IN,
    MOST_FEATURES,
    N_KEPT,
    N_NEW,
    NEW,
    TEAMS,
    chosen_thresholds,
    with_picked_features,
    with_shared_patients,
)
from onlm_lab.teaching.sliders import Slider


def teams_in_words() -> Styler:
    """How the five teams describe their work, as a table to read."""
    left = [{"selector": "th", "props": "text-align: left; white-space: nowrap"}]
    table = pd.DataFrame({"In their own words": TEAMS})
    return table.style.set_properties(**{"text-align": "left"}).set_table_styles(left)


def plot_scores(table: pd.DataFrame, *, revealed: bool = True) -> go.Figure:
    """A forest of the teams' AUCs as handed in, and beside them those in new patients.

    Args:
        table: what `scores` returned.
        revealed: whether the new patients are shown.
    """
    series = [HANDED_IN, NEW] if revealed else [HANDED_IN]
    lines = []
    for team, rows in table.groupby("team", sort=False):
        row = rows.set_index("where")
        points = [Point(*(float(row.loc[s, c]) for c in ("auc", "low", "high")),
                        f"{row.loc[s, 'auc']:.2f} ({row.loc[s, 'low']:.2f} to {row.loc[s, 'high']:.2f})")
                  for s in series]  # fmt: skip
        lines.append(Line(theme.safe(str(team)), points))
    figure = theme.blank(
        title="Five teams, five AUCs: which would you believe?" if not revealed else "What became of the five AUCs?",
        subtitle="95 % intervals" + (f"; new: {N_NEW:,} patients, as they are before surgery" if revealed else ""),
        height=150 + 44 * len(lines), mark=theme.MADE_UP,
    )  # fmt: skip
    figure.add_vline(x=0.5, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    draw_forest(figure, lines, series=series, right=150)
    figure.update_xaxes(title_text="AUC (0.5: no better than chance)", range=[0.35, 1.02])
    return figure.update_layout(margin={"b": 84 if revealed else 52})


def explore_shared(*, seed: int = 1) -> Explorer:
    """A slider for the share of test patients who also taught the forest."""

    def draw(share: float) -> Drawn:
        rocs = [analysis.roc(rows) for rows in with_shared_patients(share, seed=seed)]
        test, new = (one.auc.value for one in rocs)
        said = (
            f"{theme.percent(share)} of the test patients also taught the model by another CT: AUC {test:.2f} on the "
            f"test patients, {new:.2f} on new ones."
        )
        return Drawn(figures.plot_roc(rocs, mark=theme.MADE_UP), said, _areas(rocs))

    share = Slider("share", "Test patients who also taught the model", 0, 1, 0.1, 0, unit="%")
    return Explorer(draw, controls=[share], name="shared_patients")


def explore_picking() -> Explorer:
    """Sliders for how many features there are to pick from, and for another draw of chance."""

    def draw(n_features: float, seed: float) -> Drawn:
        rocs = [analysis.roc(rows) for rows in with_picked_features(int(n_features), seed=int(seed))]
        before, within = (one.auc.value for one in rocs)
        said = (
            f"Ten of {n_features:.0f} features without meaning: AUC {before:.2f} where they were picked before the "
            f"split, {within:.2f} where each fold picked its own. The truth is 0.50."
        )
        return Drawn(figures.plot_roc(rocs, mark=theme.MADE_UP), said, _areas(rocs))

    controls = [Slider("n_features", "Features to pick ten from", N_KEPT, MOST_FEATURES, 10, N_KEPT),
                Slider("seed", "Another 120 patients", 1, 20, 1, 1)]  # fmt: skip
    return Explorer(draw, controls=controls, name="picked_features")


def explore_thresholds(*, seed: int = 1) -> Explorer:
    """A slider for the size of the test set on which a threshold is chosen and judged."""

    def draw(n_tested: float) -> Drawn:
        table = chosen_thresholds(int(n_tested), seed=seed)
        both = table[table["measure"] == "sensitivity + specificity"].set_index("threshold")["value"]
        own, brought = (both[name] for name in (CHOSEN, BROUGHT))
        said = (
            f"In test sets of {n_tested:.0f} patients sensitivity and specificity add up to {100 * own:.0f} % where "
            f"the threshold was chosen on them, to {100 * brought:.0f} % where it was brought: "
            f"{100 * (own - brought):.0f} points are chance, and would not come again."
        )
        return Drawn(plot_thresholds(table, n_tested=int(n_tested)), said, table)

    size = Slider("n_tested", "Patients in the test set", 30, 600, 10, 60)
    return Explorer(draw, controls=[size], name="threshold_on_test_rows")


def plot_thresholds(table: pd.DataFrame, *, n_tested: int) -> go.Figure:
    """Sensitivity and specificity at both thresholds: means, and where 95 % of the test sets lie."""
    lines = []
    for measure, rows in table.groupby("measure", sort=False):
        if measure == "sensitivity + specificity":
            continue
        row = rows.set_index("threshold")
        given = [[float(row.loc[name, c]) for c in ("value", "low", "high")] for name in (CHOSEN, BROUGHT)]
        points = [Point(*three, theme.percent(three[0])) for three in given]
        lines.append(Line(str(measure).capitalize(), points))
    figure = theme.blank(
        title="What does a threshold promise, and what does it keep?", height=280, mark=theme.MADE_UP,
        subtitle=f"means of 100 test sets of {n_tested:,} patients; line: where 95 % of them lie",
    )  # fmt: skip
    draw_forest(figure, lines, series=[CHOSEN, BROUGHT], right=80)
    figure.update_xaxes(title_text="Sensitivity, specificity (%)", tickformat=".0%", range=[0.2, 1.02])
    return figure.update_layout(margin={"b": 84})


def _areas(rocs: list[Roc]) -> pd.DataFrame:
    """The AUC of each, for the table behind the curves."""
    lines = [[one.model_id, one.auc.value, one.auc.low, one.auc.high, one.n] for one in rocs]
    return pd.DataFrame(lines, columns=["tested", "auc", "low", "high", "n"])
