"""The cohort page: who is in and who was left out, who they are, and what is known of them."""

from __future__ import annotations

import html
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import pandas as pd

from onlm_lab import cohort as cohorts
from onlm_lab.app import controls, linked, opening, sharing, shell
from onlm_lab.app.cohort_state import CohortState
from onlm_lab.app.limit_slider import limit_sliders, range_of, values_to_try
from onlm_lab.app.tabs import tabbed
from onlm_lab.cohort import Cohort, Screening, splits
from onlm_lab.cohort.parts import parted
from onlm_lab.cohort.rules import limits_of, require_rules
from onlm_lab.cohort.summary import TABLE_ONE
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.flow import rule_text
from onlm_lab.panels import described, known, left_out
from onlm_lab.panels.cohort import LIMITS, flow_panel, what_if_panel
from onlm_lab.panels.panel import Panel
from onlm_lab.runs import Run
from onlm_lab.served import lists_patients
from onlm_lab.study import Study

PAGE = "Cohort"
TABS = ("Who is in", "Who they are", "What is known")
LONGEST = 60  # letters of a rule in a list


class View(NamedTuple):
    """What the page reads and what the user chose. Of locked patients nothing shows that became known afterwards."""

    study: Study
    cohort: Cohort  # labels of locked patients blank
    screening: Screening
    patients: pd.DataFrame  # locked rows closed, with `part`
    closed: str
    state: CohortState

    @property
    def mark(self) -> str:
        return theme.MADE_UP if self.study.made_up else ""

    @property
    def eligible(self) -> pd.DataFrame:
        return self.patients[(self.screening.status["status"] == "eligible").to_numpy()].reset_index(drop=True)

    @property
    def kept(self) -> pd.DataFrame:
        """The patients that are described."""
        found = self.patients if self.state.people == "everyone" else self.eligible
        if found.empty:
            raise OnlmError(
                f"None of the {len(self.patients):,} patients is eligible by {self.screening.protocol}. Choose "
                "everyone in the files to describe them."
            )
        return found

    @property
    def limits(self) -> dict[str, float]:
        """The limits that a rule of the protocol reads, with their values."""
        rules = require_rules(self.study.protocol, extra_columns=self.cohort.extra_columns)
        read = {name for rule in rules for name in rule.limits}
        return {name: value for name, value in limits_of(self.study.protocol).items() if name in read}


def cohort(study_or_run: Study | Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The cohort page as one widget.

    Args:
        study_or_run: a study, its folder or its study.toml; a run or its folder (then the study that it belongs to);
            None: what is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget for JupyterLab and Voilà. A study that is empty or faulty says so in sentences.
    """
    return linked.page(
        study_or_run, name="cohort", resolve=opening.named_study, serve=lambda study, _: study.study, build=_page,
        language=language,
    )  # fmt: skip


def _view(study: Study, *, language: str) -> View:
    data = cohorts.load_cohort(study)
    if not len(data):
        raise OnlmError(f"{study.data.clinical} has no patient: there is nothing to show yet.")
    screening = cohorts.screen(data, study.protocol)
    patients, closed = parted(data.patients, study=study)
    shut = (patients["part"] == splits.LOCKED).to_numpy()
    if shut.any():
        data = replace(data, patients=data.patients.assign(onlm=data.patients["onlm"].mask(shut)))
    view = View(study, data, screening, patients, closed, CohortState(language=language))
    _choose_defaults(view)
    return view


def _choose_defaults(view: View) -> None:
    state, patients, extra = view.state, view.patients, view.cohort.extra_columns
    groups = list(described.groupings(patients, extra_columns=extra).values())
    shown = list(described.shown_columns(patients, extra_columns=extra).values())
    first = view.screening.flow.groupby("rule", sort=False)[["n_excluded", "n_undetermined"]].sum().sum(axis=1)
    limits = view.limits
    with state.hold_trait_notifications():
        state.rule = str(first.idxmax())
        state.limit = "min_kps" if "min_kps" in limits else next(iter(limits), "")
        state.limit_values = dict(limits)
        state.group = groups[0] if groups else ""
        state.columns = tuple(n for n in TABLE_ONE if n in shown)
        state.follow_by = "centre"
        state.reference_by = "treatment"


def _page(study: Study, language: str) -> linked.Built:
    view = _view(study, language=language)
    cards_of = (_in_cards, _described_cards, _known_cards)
    makers = {tab: partial(cards, view) for tab, cards in zip(TABS, cards_of, strict=True)}
    found = tabbed(view.state, makers=makers, sides=_sides(view))
    left = [*found.left, widgets.HTML(_about_html(view))]
    head = shell.header(name=view.study.name, page=PAGE, made_up=view.study.made_up, language=language)
    return linked.Built(
        shell.frame(head=head, left=left, main=[widgets.HTML(_tiles_html(view)), *found.main]), view.state
    )


def _sides(view: View) -> list[tuple[tuple[str, ...], widgets.Widget]]:
    """The left panel: controls with the tabs for which they hold."""
    state, patients, extra = view.state, view.patients, view.cohort.extra_columns
    centres = sorted(map(str, patients["centre"].unique()))
    flow = view.screening.flow.drop_duplicates("rule")
    rules = {
        f"{i}. {_short(state.say(rule_text(r, t)))}": r
        for i, (r, t) in enumerate(zip(flow["rule"], flow["text"], strict=True), 1)
    }
    who = [
        controls.choice(state, name="centre", label="Flow of", options={"All centres": ""} | {c: c for c in centres}),
        controls.choice(state, name="rule", label="Rule, centre by centre", options=rules),
    ]
    limits = view.limits
    if limits and not sharing.is_shared():  # there what moves them is not shown
        who += [
            controls.choice(state, name="limit", label="Limit of the protocol",
                            options={LIMITS.get(n, n): n for n in limits}),
            *limit_sliders(state, limits=limits),
            controls.buttons(state, name="stack", label="Bars divided by", options={"Arm": "arm", "Label": "label"}),
        ]  # fmt: skip
    people = controls.buttons(state, name="people", label="Patients described",
                              options={"Eligible": "eligible", "Everyone in the files": "everyone"})  # fmt: skip
    groups = described.groupings(patients, extra_columns=extra)
    shown = described.shown_columns(patients, extra_columns=extra)
    table = [
        *([controls.choice(state, name="group", label="Table 1 compares", options=groups)] if groups else []),
        controls.several(state, name="columns", label="Table 1 shows", options=shown, rows=min(len(shown), 12)),
    ]
    divided = {"Centre": "centre"} | groups
    surgical = {"Extent of surgery": "treatment"} | {
        k: v for k, v in divided.items() if v not in ("treatment", "arm", "onlm")
    }
    values = [
        controls.buttons(state, name="missing", label="Missing values of",
                         options={"Predictors": "predictors", "Every column": "every"}),
        controls.choice(state, name="follow_by", label="Follow-up by", options=divided),
        controls.choice(state, name="reference_by", label="Reference standard by", options=surgical),
    ]  # fmt: skip
    first, second, third = TABS
    boxes = [((first,), who), ((second, third), [people]), ((second,), table), ((third,), values)]
    return [(names, controls.stack(box)) for names, box in boxes]


def _in_cards(view: View) -> list[shell.Card]:
    state, mark, screening = view.state, view.mark, view.screening
    listed = lists_patients(view.study)

    def tried() -> Panel:
        if not state.limit:
            raise OnlmError("No rule of this protocol reads a limit that could be moved.")
        current, value = limits_of(view.study.protocol)[state.limit], state.limit_values[state.limit]
        values = values_to_try(value, current=current, span=range_of(state.limit, current=current))
        found = cohorts.what_if(view.cohort, view.study.protocol, limit=state.limit, values=values)
        return what_if_panel(found, stack=state.stack, value=value, mark=mark)

    def choose(rule: object) -> None:
        """A box of the flow was clicked on: the patients whom that rule left out."""
        if rule in set(screening.flow["rule"]):
            state.rule = str(rule)
            (cards[-1] if listed else cards[1]).look()

    cards = [
        shell.Card(lambda: flow_panel(screening.flow, centre=state.centre or None, mark=mark), key=state.key("centre"),
                   chosen=choose),
        shell.Card(lambda: left_out.rule_panel(screening.flow, rule=state.rule, mark=mark), key=state.key("rule")),
        shell.Card(tried, key=lambda: (state.limit, state.limit_values.get(state.limit), state.stack)),
        shell.Card(lambda: left_out.undetermined_panel(screening, listed=listed, mark=mark), key=lambda: 0, wide=True,
                   single_patients=listed),
    ]  # fmt: skip
    cards[0].add_class("onlm-tall")  # the others stand beside it
    if listed:
        cards.append(shell.Card(
            lambda: left_out.listed_panel(screening, view.patients, rule=state.rule, mark=mark),
            key=state.key("rule"), wide=True, opened=True, single_patients=True,
        ))  # fmt: skip
    return cards


def _described_cards(view: View) -> list[shell.Card]:
    state, mark = view.state, view.mark

    def table_one() -> Panel:
        if not state.group:
            raise OnlmError("There is nothing to compare: no column divides these patients.")
        return described.baseline_panel(
            view.kept, by=state.group, columns=state.columns, extra_columns=view.cohort.extra_columns, mark=mark
        )

    return [
        shell.Card(table_one, key=state.key("people", "group", "columns"), wide=True, opened=True),
        shell.Card(lambda: described.centres_panel(view.kept, mark=mark), key=state.key("people")),
        shell.Card(lambda: described.accrual_panel(view.kept, mark=mark), key=state.key("people")),
    ]


def _known_cards(view: View) -> list[shell.Card]:
    state, mark = view.state, view.mark

    def missing() -> Panel:
        predictors = view.study.training.predictors if state.missing == "predictors" else None
        return known.missing_panel(view.kept, predictors=predictors, extra_columns=view.cohort.extra_columns, mark=mark)

    return [
        shell.Card(missing, key=state.key("people", "missing"), wide=True),
        shell.Card(lambda: known.follow_up_panel(view.kept, by=state.follow_by, mark=mark),
                   key=state.key("people", "follow_by")),
        shell.Card(lambda: known.reference_panel(view.kept, by=state.reference_by, mark=mark),
                   key=state.key("people", "reference_by")),
        shell.Card(lambda: known.no_label_panel(view.kept, mark=mark), key=state.key("people")),
    ]  # fmt: skip


def _tiles_html(view: View) -> str:
    status = view.screening.status["status"].value_counts()
    n = len(view.patients)
    labelled = view.eligible["onlm"].dropna()
    of = f"of {sharing.count(n)} screened"
    shown = [("Screened", n, f"{view.patients['centre'].nunique()} centres")]
    shown += [(name, int(status.get(name.lower(), 0)), of) for name in ("Eligible", "Excluded", "Undetermined")]
    shown += [("Labelled", len(labelled), f"of {sharing.count(int(status.get('eligible', 0)))} eligible"),
              ("N+", int((labelled == 1).sum()), f"of {sharing.count(len(labelled))} labelled")]  # fmt: skip
    tiles = "".join(
        f"<div class='onlm-tile' data-tile='{name}'><div class='name'>{name}</div>"
        f"<div class='value'>{html.escape(sharing.count(count))}</div><div class='note'>{html.escape(note)}</div></div>"
        for name, count, note in shown
    )
    said = f"Protocol: {view.screening.protocol}."
    return f"<div class='onlm-tiles'>{tiles}</div><p class='onlm-basis'>{html.escape(said)}</p>"


def _about_html(view: View) -> str:
    lines = [f"{n[:1].upper()}{n[1:]}." for n in sharing.messages(view.screening.notes)]
    lines += sharing.messages([view.closed] if view.closed else [])
    if not lists_patients(view.study):
        lines.append("Counts alone: study.toml does not let pages list patients ([study] patient_pages).")
    if view.study.label.surrogate:
        lines.append("Surrogate label: the table has no clinical N; pathological N stands alone.")
    if view.study.study.licence:
        lines.append(view.study.study.licence)
    lines.append("For research. Not a medical device; not for decisions about a patient.")
    return "<div class='onlm-about'>" + "".join(f"<p>{html.escape(line)}</p>" for line in lines) + "</div>"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
