"""The outcome card: one page on what became of each predicted group, which a clinician reads in a minute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from onlm_lab import analysis
from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.panel import notes_of
from onlm_lab.panels.patients import ARMS, GROUP, SMALLEST_GROUP, threshold_words
from onlm_lab.panels.phrases import ADJUVANT, NO_LABEL, OBSERVATIONAL
from onlm_lab.results import Estimate, OutcomeCard

if TYPE_CHECKING:
    from jinja2 import Template

MOST_GROUPS = 4  # columns that fit on a page


class State(NamedTuple):
    """What can come first, in words and as a sign that a black-and-white printer keeps."""

    words: str
    shape: str
    colour: str


STATES = {
    "event_free": State("alive, no recurrence", "circle", "#9fb6c9"),
    "regional": State("recurrence in the nodes first", "triangle", "#D55E00"),
    "other_recurrence": State("recurrence elsewhere first", "square", "#E69F00"),
    "recurrence": State("recurrence", "triangle", "#D55E00"),
    "death": State("died without recurrence", "cross", theme.INK),
}


class Card(NamedTuple):
    """The card as HTML, its numbers as a table, and the sentence that says it.

    Attributes:
        name: short, for file names.
        html: self-contained and escaped; prints on one page.
        table: endpoint, group, n, events, value and interval at the horizon; offered as CSV.
        sentence: the card in one sentence.
        notes: what a reader must know.
        source: the results behind it, for panels.shared, which draws them anew with less; never shown.
    """

    name: str
    html: str
    table: pd.DataFrame
    sentence: str
    notes: tuple[str, ...] = ()
    source: object = None

    def _repr_html_(self) -> str:
        return self.html


def outcome_card(
    rows: pd.DataFrame | Followed, *, model: str, arm: str, threshold: float | None = None, horizon_days: float = 1095,
    endpoints: Sequence[str] = ("os", "rfs", "recurrence", "regional"), mark: str = "", cut: str = "",
) -> Card:  # fmt: skip
    """The card of one arm by predicted group.

    Args:
        rows: all rows of a run, or what is known of them.
        model: whose risks.
        arm: "surgery" or "sbrt".
        threshold: high risk if risk >= threshold; None: each row's own.
        horizon_days: the day at which outcomes are read.
        endpoints: which, in their order.
        mark: words beside the title.
        cut: how the groups were cut, in words; empty: by the threshold.
    """
    patients = Followed.of(rows).grouped(model=model, arm=arm, threshold=threshold)
    found = analysis.outcome_card(patients, by=GROUP, horizon_days=horizon_days, endpoints=endpoints)
    who = f"{ARMS.get(arm, arm)} arm, groups by {model}: {cut or threshold_words(patients.frame, threshold=threshold)}"
    return card_of(
        found, name=f"outcome_card_{arm}", who=who, said=ADJUVANT if arm == "surgery" else NO_LABEL, mark=mark
    )


def quantile_card(
    rows: pd.DataFrame | Followed, *, model: str, arm: str, n: int = 4, horizon_days: float = 1095,
    endpoints: Sequence[str] = ("os", "rfs", "recurrence", "regional"), mark: str = "",
) -> Card:  # fmt: skip
    """The card of one arm by quarters (or other quantiles) of the risk; arguments as `outcome_card`."""
    patients = Followed.of(rows).by_quantile(model=model, arm=arm, n=n)
    found = analysis.outcome_card(patients, by="risk_group", horizon_days=horizon_days, endpoints=endpoints)
    cuts = ", ".join(theme.percent(c, digits=1) for c in patients.frame.attrs["risk_group"]["cut_points"])
    who = f"{ARMS.get(arm, arm)} arm, quantiles of {model}: cut at {cuts} in these very patients"
    return card_of(
        found, name=f"outcome_card_{arm}_quantiles", who=who, said=ADJUVANT if arm == "surgery" else NO_LABEL, mark=mark
    )


def pathology_card(
    rows: pd.DataFrame | Followed, *, model: str, threshold: float | None = None, horizon_days: float = 1095,
    endpoints: Sequence[str] = ("os", "rfs", "recurrence", "regional"), mark: str = "",
) -> Card:  # fmt: skip
    """The card of operated patients by predicted group and pathological N; arguments as `outcome_card`."""
    patients = Followed.of(rows).by_pathology(model=model, threshold=threshold)
    found = analysis.outcome_card(patients, by="risk_group", horizon_days=horizon_days, endpoints=endpoints)
    who = f"surgery arm, groups by {model} and pathological N: {threshold_words(patients.frame, threshold=threshold)}"
    return card_of(found, name="outcome_card_pathology", who=who, said=ADJUVANT, mark=mark)


def card_of(found: OutcomeCard, *, name: str = "outcome_card", who: str = "", said: str = "", mark: str = "") -> Card:
    """The card of any groups.

    Args:
        found: the numbers.
        name: for file names.
        who: which patients, and how they were grouped.
        said: what the reader must know about them.
        mark: words beside the title.
    """
    names = [str(g) for g in found.groups["group"]]
    read: dict[str, dict[str, dict]] = {}
    for row in found.table.to_dict("records"):
        read.setdefault(row["endpoint"], {})[str(row["group"])] = row
    last, against = names[-1], {str(r["endpoint"]): r for r in found.comparison.to_dict("records")
                                if str(r["group"]) == names[-1]}  # fmt: skip
    sizes = dict(zip(names, found.groups["n"], strict=True))
    when = theme.years(found.horizon_days)
    notes = tuple(re.sub(r"^no patient with \w+ = (.+)$", r"no patient is '\1'", n) for n in notes_of(found))
    html = _page(
        title=f"What became of the patients by {when}?",
        subtitle="; ".join(p for p in (who, f"{found.n:,} patients") if p),
        groups=[_group(found, g, style) for g, style in theme.styles_of(names).items()],
        lead=f"Of 100 such patients, within {when}:", when=f"By {when}",
        compared=f"{names[-1]} against {names[0]}" if len(names) > 1 else "",
        rows=[_row(e, by, names, ratio=_ratio(against.get(e), sizes, last)) for e, by in read.items()],
        foot=" ".join([
            "Brackets: 95 % interval. HR: hazard ratio; sHR: subdistribution hazard ratio, where other events compete; "
            "P: log-rank or Gray.", said, *(f"{n}." for n in notes), OBSERVATIONAL,
        ]),
        mark=mark,
    )  # fmt: skip
    return Card(name, html, found.table, _sentence(read, names, when), notes)


def plain_card(
    *,
    by: str,
    groups: Sequence[tuple[str, str, str]],
    rows: Sequence[tuple[str, Sequence[str]]],
    foot: str,
    mark: str = "",
) -> str:
    """The page of a card that has no pictures and no ratios, as HTML.

    Args:
        by: the day at which outcomes are read, in words.
        groups: name, colour and what is said of each.
        rows: what is told, and a cell a group.
        foot: what stands below.
        mark: words beside the title.
    """
    columns = [{"name": name, "colour": colour, "said": said, "people": "", "counts": (), "alt": "", "instead": ""}
               for name, colour, said in groups]  # fmt: skip
    title = f"What became of the patients by {by}?" if by else "What became of the patients?"
    return _page(
        title=title, subtitle="", groups=columns, lead="", when="", compared="",
        rows=[{"name": name, "cells": cells, "ratio": ""} for name, cells in rows], foot=foot, mark=mark,
    )  # fmt: skip


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(files("onlm_lab.panels").joinpath("outcome_card.html").read_text(encoding="utf-8"))


def _page(**said: object) -> str:
    return _template().render(
        font=theme.FONT, colours={"ink": theme.INK, "quiet": theme.QUIET, "grid": theme.GRID}, **said
    )


def _group(found: OutcomeCard, name: str, style: theme.Style) -> dict[str, object]:
    """One group's column: its size, its hundred patients."""
    row = found.groups[found.groups["group"].astype(str) == name].iloc[0]
    long = row["followup_days"]
    followed = "not reached" if pd.isna(long) else f"{long / 365.25:.1f} years"
    hundred = found.hundred[found.hundred["group"].astype(str) == name]
    n = int(row["n"])
    said = {"name": name, "colour": style.colour, "said": f"{n:,} patients; median follow-up {followed}"}
    if n < SMALLEST_GROUP or hundred.empty or hundred["count"].isna().any():
        why = f"fewer than {SMALLEST_GROUP} patients" if n < SMALLEST_GROUP else "not followed that long"
        return said | {"people": "", "counts": (), "alt": "", "instead": f"Not drawn: {why}."}
    counts = [(STATES[s], int(c)) for s, c in zip(hundred["state"], hundred["count"], strict=True)]
    alt = "Of 100 such patients: " + ", ".join(f"{c} {s.words}" for s, c in counts)
    people = [s for s, c in reversed(counts) for _ in range(c)]
    drawn = "".join(_sign(s, 5 + 10 * (i % 10), 5 + 10 * (i // 10)) for i, s in enumerate(people))
    signs = [(_sign(s, 4, 4), c, s.words) for s, c in counts]
    return said | {"people": drawn, "counts": signs, "alt": alt, "instead": ""}


def _sign(state: State, x: int, y: int) -> str:
    """A state as a sign of an SVG picture around a point."""
    if state.shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="3.1" fill="{state.colour}"/>\n'
    if state.shape == "triangle":
        return f'<path d="M{x} {y - 3.8}l3.7 6.9h-7.4z" fill="{state.colour}"/>\n'
    if state.shape == "square":
        return f'<rect x="{x - 3}" y="{y - 3}" width="6" height="6" fill="{state.colour}"/>\n'
    return f'<path d="M{x - 3} {y - 3}l6 6m0 -6l-6 6" stroke="{state.colour}" stroke-width="1.9" fill="none"/>'


def _row(endpoint: str, by: dict[str, dict], names: list[str], *, ratio: str) -> dict[str, object]:
    return {
        "name": endpoint_words(endpoint).capitalize(), "cells": [_cell(by.get(n)) for n in names],
        "ratio": ratio,
    }  # fmt: skip


def _cell(row: dict[str, object] | None) -> str:
    if row is None or row["n"] < SMALLEST_GROUP:
        return "too few patients"
    if pd.isna(row["value"]):
        return "not followed that long"
    return theme.with_interval(Estimate(row["value"], row["low"], row["high"]), as_percent=True)


def _ratio(row: dict | None, sizes: dict[str, int], group: str) -> str:
    """The last group against the first; a dash where there is no ratio."""
    if row is None or min(sizes[group], sizes[str(row["against"])]) < SMALLEST_GROUP:
        return "–"
    short = "HR" if row["kind"] == "hazard ratio" else "sHR"
    test = theme.p_value(row["p_value"])
    if pd.isna(row["hr"]):
        return f"no ratio (too few events{'; ' + test if test else ''})"
    value = theme.with_interval(Estimate(row["hr"], row["low"], row["high"]))
    return f"{short} {value}" + (f", {test}" if test else "")


def _sentence(read: dict[str, dict[str, dict]], names: list[str], when: str) -> str:
    parts = []
    for endpoint, by in read.items():
        values = ", ".join(f"{n} {_cell(by.get(n))}" for n in names)
        parts.append(f"{endpoint_words(endpoint)} {values}")
    return f"By {when}: {'; '.join(parts)}."
