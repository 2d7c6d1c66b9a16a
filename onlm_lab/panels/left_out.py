"""Who was left out at one rule, and what leaves patients undetermined."""

from __future__ import annotations

import pandas as pd

from onlm_lab import figures
from onlm_lab.cohort import Screening
from onlm_lab.errors import OnlmError
from onlm_lab.panels.cohort import look_up_counts, undetermined_table
from onlm_lab.panels.panel import Panel

SERIES = {"n_excluded": "Excluded", "n_undetermined": "Undetermined"}
MOST_LISTED = 1000
MOST_REASONS = 12


def rule_panel(flow: pd.DataFrame, *, rule: str, mark: str = "") -> Panel:
    """Who left at one rule, centre by centre: counts alone.

    Args:
        flow: Screening.flow.
        rule: its name.
        mark: words laid across the figure.

    Raises:
        OnlmError: the flow has no such rule.
    """
    here = figures.of_centres(flow)
    here = here[here["rule"] == rule]
    if here.empty:
        raise OnlmError(f"The protocol has no rule '{rule}'; it has {', '.join(map(str, flow['rule'].unique()))}.")
    table = here[["centre", "n_in", *SERIES, "n_left"]].sort_values("centre", ignore_index=True)
    text = figures.flow_counts(here)["text"].iloc[0]
    n_in, out, open_ = (int(table[c].sum()) for c in ("n_in", *SERIES))
    subtitle = f"'{text}': {n_in:,} patients reached this rule; {out:,} excluded, {open_:,} undetermined"
    figure = figures.plot_counts(
        table, of="centre", series=SERIES, title="In which centres does this rule leave patients out?",
        subtitle=figures.theme.safe(subtitle), mark=mark,
    )  # fmt: skip
    total = table.drop(columns="centre").sum().astype(int).to_dict()
    table = pd.concat([table, pd.DataFrame([{"centre": "All centres", **total}])], ignore_index=True)
    sentence = (
        f"At '{text}' {out:,} of {n_in:,} patients were excluded and {open_:,} stayed undetermined because a value "
        "that matters is missing. A patient counts once: at the first rule that fails, else at the first left open."
    )
    return Panel("rule_by_centre", figure.layout.title.text, figure, table, sentence)


def listed_panel(screening: Screening, patients: pd.DataFrame, *, rule: str, mark: str = "") -> Panel:
    """The patients who left at one rule, one by one, with what the rule read. For pages that may list patients.

    Raises:
        OnlmError: nobody left there.
    """
    status = screening.status
    who = status.loc[status["first_rule"] == rule, ["patient_id", "status"]]
    if who.empty:
        raise OnlmError("No patient was left out at this rule.")
    read = screening.decisions[screening.decisions["rule"] == rule]
    table = who.merge(read[["patient_id", "value", "reason"]], on="patient_id", how="left", validate="one_to_one")
    table.insert(1, "centre", table["patient_id"].map(patients.set_index("patient_id")["centre"]))
    why = table["reason"].fillna("no reason recorded").str.replace(r"( \(is |; so far ).*", "", regex=True)
    counted = why.value_counts().rename_axis("reason").reset_index(name="n")
    figure = figures.plot_counts(
        counted.head(MOST_REASONS), of="reason", series={"n": "Patients"},
        title="Why were they left out at this rule?", subtitle=f"{len(table):,} patients, by what came first",
        mark=mark,
    )  # fmt: skip
    more = len(table) - MOST_LISTED
    notes = (f"The first {MOST_LISTED:,} are listed; decisions.csv has everybody.",) if more > 0 else ()
    return Panel("patients_left_out", figure.layout.title.text, figure, table.head(MOST_LISTED),
                 f"{len(table):,} patients were left out at this rule.", notes)  # fmt: skip


def undetermined_panel(screening: Screening, *, listed: bool = False, mark: str = "") -> Panel:
    """What is missing in those whose eligibility cannot be told: for how many patients, and for how many it alone.

    Args:
        screening: the screening.
        listed: the table names the patients with what to look up; else it counts.
        mark: words laid across the figure.

    Raises:
        OnlmError: nobody is undetermined.
    """
    open_ = screening.undetermined
    n = open_["patient_id"].nunique()
    if not n:
        raise OnlmError("Nobody is undetermined: every patient could be judged by what is recorded.")
    counts = look_up_counts(open_)
    drawn = counts.assign(with_others=counts["patients"] - counts["alone"])
    figure = figures.plot_counts(
        drawn, of="column", series={"alone": "Missing alone", "with_others": "Missing beside others"},
        title="What would have to be looked up to decide?",
        subtitle=f"{n:,} patients undetermined; one can miss several values", mark=mark,
    )  # fmt: skip
    sentence = f"{n:,} of {len(screening.status):,} patients are undetermined."
    if len(counts):
        top = counts.iloc[0]
        sentence += (
            f" {top['column']} is wanted most: for {int(top['patients']):,}, for {int(top['alone']):,} it alone."
        )
    table = undetermined_table(open_, rules=screening.rules).head(MOST_LISTED) if listed else counts
    notes = ("Undetermined is never taken for a pass. Excluded patients are not counted: they stay excluded.",)
    return Panel("undetermined", figure.layout.title.text, figure, table, sentence, notes)
