"""What the reader study of a run has found: for whoever runs the study, never beside a reader who is still reading."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from onlm_lab import reading_plan, readings
from onlm_lab.app.shell import Card
from onlm_lab.figures import theme
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.readers import readers_panel
from onlm_lab.reading_plan import ReadingPlan
from onlm_lab.runs import Run


def readers_card(run: Run, *, language: str = "en") -> Card:
    """The analysis as a card of a page; `refresh()` takes in what was read since. It says where there is nothing."""

    def panel() -> Panel:
        plan = reading_plan.read_plan(run)
        rows, found = reading_plan.reader_rows(run)
        mark = theme.MADE_UP if run.study.made_up else ""
        told = (*found.notes, *_still_reading(plan, rows))
        return readers_panel(rows, threshold=plan.threshold, told=told, mark=mark)

    def key() -> object:
        return [_stamp(run.folder / name) for name in (readings.FILE, reading_plan.FILE)]

    card = Card(panel, key=key, wide=True, opened=True)
    card.language = language
    card.refresh()
    return card


def _still_reading(plan: ReadingPlan, rows: pd.DataFrame) -> tuple[str, ...]:
    """Who has cases left, and how many are read."""
    wanted = ["estimate_alone", *(["estimate_with_model"] if plan.second_estimate else [])]
    n_read = rows[rows[wanted].notna().all(axis=1)].groupby("reader_id").size()
    left = [
        f"{reader} ({n_read.get(reader, 0)} of {len(cases)} cases)"
        for reader, cases in plan.orders.items() if n_read.get(reader, 0) < len(cases)
    ]  # fmt: skip
    return (f"Still reading: {', '.join(left)}.",) if left else ()


def _stamp(path: Path) -> object:
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
