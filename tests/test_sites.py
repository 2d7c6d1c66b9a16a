"""Where the first recurrence was found: counts by predicted group, as pandas counts them."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from onlm_lab.report.grouping import Grouping
from onlm_lab.report.sites import site_blocks, site_counts

SITES = ["local", "regional", "distant", "regional;distant", "unknown", None]


def patients(sites: list[str | None], *, recurred: list[float] | None = None) -> pd.DataFrame:
    n = len(sites)
    return pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(n)], "model_id": "fused", "repeat": 0, "split": "oof", "fold": 0,
        "arm": "surgery", "onlm": 0.0, "risk": [i / n for i in range(n)], "threshold": 0.5,
        "predicted_positive": [float(i / n >= 0.5) for i in range(n)], "recurred": recurred or [1.0] * n,
        "recurrence_site": sites,
    })  # fmt: skip


def blocks(rows: pd.DataFrame, *, grouping: Grouping):
    return site_blocks(SimpleNamespace(rows=rows, primary="fused"), arm="surgery", grouping=grouping)


def test_a_patient_with_two_sites_counts_in_both_and_no_site_is_unknown():
    counts = site_counts(patients(SITES))
    assert counts.to_dict() == {
        "n": 6, "n_recurred": 6, "n_several": 1, "local": 1, "regional": 2, "distant": 2, "unknown": 2,
    }  # fmt: skip


def test_who_did_not_recur_has_no_site_and_who_is_unknown_is_no_denominator():
    rows = patients(["local", "distant", None, None], recurred=[1.0, 0.0, 0.0, float("nan")])
    shown, said = blocks(rows, grouping=Grouping(0.5, "low", "high"))
    assert shown.columns == ("First recurrence", "low risk", "high risk", "all")
    assert shown.rows == (
        ("any", "1 of 2 (50\u00a0%)", "0 of 1 (0\u00a0%)", "1 of 3 (33\u00a0%)"),
        ("\u2003local", "1 of 2 (50\u00a0%)", "0 of 1 (0\u00a0%)", "1 of 3 (33\u00a0%)"),
        ("\u2003regional (nodes)", "0 of 2 (0\u00a0%)", "0 of 1 (0\u00a0%)", "0 of 3 (0\u00a0%)"),
        ("\u2003distant", "0 of 2 (0\u00a0%)", "0 of 1 (0\u00a0%)", "0 of 3 (0\u00a0%)"),
    )
    assert "no test is made" in said.text and "more than one site" not in said.text


def test_without_groups_all_patients_stand_in_one_column_and_several_sites_are_said():
    shown, said = blocks(patients(SITES), grouping=Grouping(None, "", "", possible=False))
    assert shown.columns == ("First recurrence", "all") and shown.rows[-1] == (
        "\u2003site unknown",
        "2 of 6 (33\u00a0%)",
    )
    assert "1 had more than one site and count in each row." in said.text


def test_without_the_sites_or_without_a_recurrence_there_is_no_table():
    rows = patients(SITES)
    grouping = Grouping(0.5, "low", "high")
    assert blocks(rows.drop(columns="recurrence_site"), grouping=grouping) == []
    assert blocks(rows.assign(recurred=0.0), grouping=grouping) == []
