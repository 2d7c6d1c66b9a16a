"""Lesson 6: a treatment that begins late and does nothing. MADE-UP DATA; the true hazard ratio is 1.

Survival knows nothing of the treatment here. Who is to be treated must first live, free of recurrence, until the day on
which treatment begins: Anderson, Cain and Gelber 1983, doi:10.1200/JCO.1983.1.11.710; Suissa 2008,
doi:10.1093/aje/kwm324.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.results import LandmarkEffect
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.sliders import Slider

MEAN_FREE_DAYS = 900.0  # free of recurrence, on average, whatever the treatment
PLANNED_FRACTION = 0.6
N_PATIENTS, N_SHOWN = 600, 24
LANDMARK_DAYS = 180.0
COURSE_DAYS = 120
NOT_PLANNED, TOO_LATE = "not planned", "planned, but the event came first: counts as untreated"
WAITING, TREATED = "waiting for treatment", "treated"


def draw_patients(n: int = N_PATIENTS, *, waiting_days: float, seed: int) -> pd.DataFrame:
    """Made-up patients found N+ at surgery; some are to have adjuvant treatment, which changes nothing.

    Args:
        n: how many.
        waiting_days: from surgery to treatment, on average; patients vary. 0: on the day of surgery.
        seed: of the chance. The same patients live equally long whatever the waiting time.

    Returns:
        patient_id, rfs_days, rfs_event, planned (0/1, known at surgery), adjuvant (0/1, was it ever given),
        adjuvant_start_days.
    """
    chance = np.random.default_rng([6, seed])
    free = np.ceil(chance.exponential(MEAN_FREE_DAYS, n))
    seen_until = np.ceil(chance.uniform(3 * 365.25, 6 * 365.25, n))
    planned = chance.uniform(size=n) < PLANNED_FRACTION
    start = np.floor(chance.gamma(4, 0.25, n) * waiting_days)
    last = np.minimum(free, seen_until)
    given = planned & (start < last)
    return pd.DataFrame({
        "patient_id": [f"P{k:04d}" for k in range(1, n + 1)], "rfs_days": last,
        "rfs_event": (free <= seen_until).astype(int), "planned": planned.astype(int), "adjuvant": given.astype(int),
        "adjuvant_start_days": np.where(given, start, np.nan),
    })  # fmt: skip


def effect(rows: pd.DataFrame, *, days: Sequence[float] = (LANDMARK_DAYS,)) -> LandmarkEffect:
    """The hazard ratio of treatment counted from surgery, which is wrong, and from landmarks."""
    return analysis.compare_landmarks(rows, endpoint="rfs", days=list(days))


def naive_ratio(rows: pd.DataFrame) -> float:
    """The hazard ratio of the treated against the others, counted from surgery."""
    return float(effect(rows).table["hr"].iloc[0])


def plot_effect(found: LandmarkEffect) -> go.Figure:
    """The forest of both, on an axis that stays where it is while the sliders move."""
    figure = figures.plot_landmark(found, who="found N+ at surgery", mark=theme.MADE_UP)
    return figure.update_xaxes(range=[np.log10(0.3), np.log10(2.5)], tickvals=[0.3, 0.5, 0.7, 1, 1.5, 2])


def say_effect(found: LandmarkEffect) -> str:
    """The first landmark beside the naive number, in a sentence."""
    naive, fair = (found.table.iloc[k] for k in (0, 1))
    clear = "clearly below 1" if naive["high"] < 1 else "clearly above 1" if naive["low"] > 1 else "not clearly off 1"
    covers = "covers" if fair["low"] <= 1 <= fair["high"] else "does not cover"
    return (
        f"Counted from surgery: {naive['hr']:.2f}, {clear}. Counted from day {fair['day']:.0f}: {fair['hr']:.2f} "
        f"({fair['low']:.2f} to {fair['high']:.2f}), which {covers} 1, the truth. Of {found.n} patients "
        f"{int(fair['n_left_out'])} had relapsed, died or left before that day, and {int(fair['n_later'])} were "
        "treated after it and count as not treated."
    )


def explore_waiting(*, seed: int) -> Explorer:
    """Sliders for the waiting time and for the day of the landmark."""

    def draw(waiting_days: float, day: float) -> Drawn:
        found = effect(draw_patients(waiting_days=waiting_days, seed=seed), days=[day])
        return Drawn(plot_effect(found), say_effect(found), found.table)

    controls = [Slider("waiting_days", "Days from surgery to treatment, on average", 0, 300, 10, 0, unit="days"),
                Slider("day", "Day of the landmark", 30, 540, 30, LANDMARK_DAYS, unit="days")]  # fmt: skip
    return Explorer(draw, controls=controls, name="immortal_time")


def early_events(rows: pd.DataFrame, *, by_day: float) -> dict[str, int]:
    """Who relapsed or died by a day: n_events, and n_treated, how many of them had begun treatment."""
    early = rows[(rows["rfs_event"] == 1) & (rows["rfs_days"] <= by_day)]
    return {"n_events": len(early), "n_treated": int(early["adjuvant"].sum())}


def ways_of_counting(rows: pd.DataFrame, *, day: float = LANDMARK_DAYS) -> pd.DataFrame:
    """Five ways of comparing the same patients, some wrong: way, hr, low, high, n, right.

    Args:
        rows: of `draw_patients`.
        day: of the landmark.
    """
    from_start = rows.assign(rfs_days=rows["rfs_days"] - rows["adjuvant_start_days"].fillna(0))
    completed = (rows["rfs_days"] >= rows["adjuvant_start_days"] + COURSE_DAYS).astype(int)
    ways = [
        ("treated or not, counted from surgery", rows, "adjuvant", False),
        ("treated from their treatment on, the others from surgery", from_start, "adjuvant", False),
        (f"treated is who completed {COURSE_DAYS} days of treatment", rows.assign(completed=completed), "completed",
         False),
        ("planned or not, known at surgery", rows, "planned", True),
        (f"landmark: everybody from day {day:g}",
         analysis.landmark(rows, day=day, endpoints=["rfs"]).rows, "adjuvant", True),
    ]  # fmt: skip
    lines = []
    for name, own, column, right in ways:
        row = analysis.cox(own, endpoint="rfs", covariates=[column]).table.iloc[0]
        lines.append([name, row["hr"], row["low"], row["high"], len(own), right])
    return pd.DataFrame(lines, columns=["way", "hr", "low", "high", "n", "right"])


def plot_ways(table: pd.DataFrame) -> go.Figure:
    """A line a way of counting, with its hazard ratio."""
    figure = figures.plot_intervals(
        table, of="way", value="hr", low="low", high="high", line=1.0, mark=theme.MADE_UP,
        title="Five ways to compare the same patients: which are fair?", axis="Hazard ratio, treated against not",
        subtitle=f"{N_PATIENTS:,} patients found N+; 95 % interval; dotted: the truth, no effect",
    )  # fmt: skip
    return figure


def plot_waiting(rows: pd.DataFrame, *, until_days: float = 730.0) -> go.Figure:
    """A bar a patient from surgery on: waiting, treated, or never treated; a cross where recurrence or death came.

    Args:
        rows: of `draw_patients`; the first 24 are drawn, the treated above.
        until_days: where the axis ends.
    """
    few = rows.head(N_SHOWN).sort_values(["adjuvant", "planned", "rfs_days"], kind="stable", ignore_index=True)
    start = few["adjuvant_start_days"].to_numpy(float)
    last = np.minimum(few["rfs_days"].to_numpy(float), until_days)
    given, planned = (few[c].to_numpy() == 1 for c in ("adjuvant", "planned"))
    waited = np.where(given, np.minimum(start, last), 0)
    layout = theme.layout_of(
        title="Who can die before treatment begins?", mark=theme.MADE_UP, height=490,
        subtitle=f"{len(few)} of {len(rows):,} patients from the day of surgery; a cross: recurrence or death",
    )  # fmt: skip
    bars = (
        (WAITING, waited, 0, theme.STYLES[1], "/"),
        (TREATED, np.where(given, last - waited, 0), waited, theme.STYLES[2], ""),
        (TOO_LATE, np.where(planned & ~given, last, 0), 0, theme.STYLES[3], "x"),
        (NOT_PLANNED, np.where(planned, 0, last), 0, theme.STYLES[0], ""),
    )
    data = [{
        "type": "bar", "orientation": "h", "y": list(range(len(few))), "x": length, "base": base, "name": name,
        "marker": {"color": style.colour, "pattern": {"shape": pattern}}, "width": 0.66,
        "hovertemplate": f"{name}: %{{x:.0f}} days<extra></extra>",
    } for name, length, base, style, pattern in bars]  # fmt: skip
    over = (few["rfs_event"].to_numpy() == 1) & (few["rfs_days"].to_numpy(float) <= until_days)
    data.append({
        "type": "scatter", "mode": "markers", "x": last[over], "y": np.flatnonzero(over), "name": "recurrence or death",
        "marker": {"symbol": "x", "size": 8, "color": theme.INK}, "hovertemplate": "day %{x:.0f}<extra></extra>",
    })  # fmt: skip
    layout["barmode"], layout["margin"] = "overlay", layout["margin"] | {"b": 104}
    layout["xaxis"] = theme.axis_of(title="Days since surgery", range=[0, 1.02 * until_days])
    layout["yaxis"] = theme.axis_of(title="Patients", showticklabels=False, ticks="", range=[-0.8, len(few) - 0.2])
    return go.Figure(data=data, layout=layout)
