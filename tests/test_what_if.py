"""What a moved limit would bring: counted against a screening of its own, and drawn as counted."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab import cli, figures
from onlm_lab.cohort import build_cohort, patients_gained, screen, what_if
from onlm_lab.errors import OnlmError
from onlm_lab.panels.cohort import what_if_panel
from onlm_lab.study import OwnRule, Protocol

RULES = ("adult", "performance_status", "consent")


def cohort(n=40):
    rows = [
        {
            "patient_id": f"P{i:02}", "centre": "AB"[i % 2], "age_years": 10.0 + 2 * i,
            "kps": (50.0, 60.0, 70.0, 90.0, float("nan"))[i % 5], "consent": "no" if i % 7 == 0 else "yes",
            "treatment": (None if i == 6 else "sbrt") if i % 3 == 0 else "lobectomy",
            "pathological_n": None if i % 3 == 0 else ("N1" if i % 4 == 1 else "N0"), "clinical_n": "N0",
            "nodes_examined": None if i % 3 == 0 else 8.0, "clinical_m": "M0", "neoadjuvant": 0.0,
        }
        for i in range(n)
    ]  # fmt: skip
    frame = pd.DataFrame(rows).astype({"nodes_examined": float})
    return build_cohort(frame, source="test")


def eligible(protocol, **limits):
    from dataclasses import replace

    status = screen(cohort(), replace(protocol, **limits)).status
    return set(status.loc[status["status"] == "eligible", "patient_id"])


PROTOCOL = Protocol(rules=RULES)


@pytest.mark.parametrize("value", [50.0, 60.0, 70.0, 80.0, 95.0])
def test_the_counts_are_those_of_a_screening_with_the_limit_moved(value):
    found = what_if(cohort(), PROTOCOL, limit="min_kps", values=[value])
    now, then = eligible(PROTOCOL), eligible(PROTOCOL, min_kps=value)
    row = found.table.loc[0]
    assert (found.n_now, found.current, found.n) == (len(now), 70.0, 40)
    assert [row["n_eligible"], row["n_more"]] == [len(then), len(then) - len(now)]
    assert [row["n_gained"], row["n_lost"]] == [len(then - now), len(now - then)]
    people = found.patients
    assert set(people.loc[people["change"] == "gained", "patient_id"]) == then - now
    assert set(people.loc[people["change"] == "lost", "patient_id"]) == now - then
    assert row[["n_eligible", "n_excluded", "n_undetermined"]].sum() == 40
    assert row[["n_surgery", "n_sbrt", "n_no_arm"]].sum() == row["n_eligible"]
    others = eligible(Protocol(rules=("adult", "consent")))
    alone = len(others - now)
    assert found.notes == (f"moves the rule: KPS at least 70; who meet every other rule and not this: {alone}",)


def test_the_gained_are_told_by_arm_and_label():
    patients = cohort().patients.set_index("patient_id")
    gained = eligible(PROTOCOL, min_kps=50.0) - eligible(PROTOCOL)
    who = patients.loc[sorted(gained)]
    row = what_if(cohort(), PROTOCOL, limit="min_kps", values=[50]).table.loc[0]
    assert row["gained_surgery"] == (who["arm"] == "surgery").sum() > 0
    assert row["gained_sbrt"] == (who["arm"] == "sbrt").sum() > 0
    assert row["gained_no_arm"] == who["arm"].isna().sum() == 1
    assert (
        row["gained_labelled"] == who["onlm"].notna().sum() and row["gained_positive"] == (who["onlm"] == 1).sum() > 0
    )
    table = patients_gained(cohort(), PROTOCOL, limit="min_kps", value=50.0)
    assert table["patient_id"].tolist() == sorted(gained) and list(table) == ["patient_id", "arm", "onlm"]


def test_a_stricter_limit_loses_and_the_present_one_changes_nothing():
    found = what_if(cohort(), PROTOCOL, limit="min_age_years", values=[30, 18, 30])
    assert found.table["value"].tolist() == [30.0, 18.0]
    assert found.table["n_more"].tolist()[1] == 0 > found.table["n_more"].tolist()[0]


def test_centres_sum_to_all():
    found = what_if(cohort(), PROTOCOL, limit="min_kps", values=[50, 80], by="centre").table
    for _, part in found.groupby("value"):
        parts = part.set_index("centre").drop(columns="value")
        assert parts.index.tolist() == ["all", "A", "B"]
        assert (parts.loc[["A", "B"]].sum() == parts.loc["all"]).all()


def test_a_limit_of_the_studys_own_moves_its_rule():
    own = OwnRule("young", "Younger than {oldest}", "age_years < oldest")
    protocol = Protocol(rules=("consent",), own=(own,), limits={"oldest": 40.0, "idle": 1.0})
    found = what_if(cohort(), protocol, limit="oldest", values=[60.0])
    assert found.rules == ("young",) and found.table.loc[0, "n_more"] > 0
    with pytest.raises(OnlmError, match=r"'idle' is a limit of the protocol, but none of its 2 rules reads it.*oldest"):
        what_if(cohort(), protocol, limit="idle", values=[1])


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"limit": "min_kp"}, "'min_kp' is not a limit of the protocol; did you mean 'min_kps'\\?"),
        ({"values": []}, "no value of min_kps to try; wanted at least one"),
        ({"values": ["many"]}, "'many' is no value of min_kps; wanted a number"),
        ({"values": [float("inf")]}, "inf is no value of min_kps"),
        ({"values": 50}, "values of min_kps is 50; wanted a list of numbers"),
        ({"by": "arm"}, "by is 'arm'; wanted 'centre' or nothing"),
    ],
)
def test_a_question_that_cannot_be_answered_is_said(change, wanted):
    with pytest.raises(OnlmError, match=wanted):
        what_if(cohort(), PROTOCOL, **{"limit": "min_kps", "values": [50.0]} | change)


@pytest.mark.parametrize(
    ("stack", "columns"),
    [("arm", ("n_surgery", "n_sbrt")), ("label", ("n_positive", None, None))],
)
def test_the_figure_draws_the_counts(stack, columns):
    found = what_if(cohort(), Protocol(rules=("adult",)), limit="min_age_years", values=[60, 18, 40], by="centre")
    figure = figures.plot_what_if(found.table, limit=found.limit, current=found.current, stack=stack)
    rows = found.table[found.table["centre"] == "all"].sort_values("value")
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert all(list(bar.x) == ["18 (now)", "40", "60"] for bar in bars)
    for bar, column in zip(bars, columns, strict=False):
        assert column is None or list(bar.y) == rows[column].tolist()
    assert [sum(bar.y[i] for bar in bars) for i in range(3)] == rows["n_eligible"].tolist()
    assert list(figure.data[-1].text) == ["±0", *(f"{n:+,}".replace("-", "−") for n in rows["n_more"].iloc[1:])]
    assert figure.layout.barmode == "stack" and "adult" not in figure.layout.title.text


def test_the_figure_of_one_centre_and_what_it_refuses():
    found = what_if(cohort(), PROTOCOL, limit="min_kps", values=[50], by="centre")
    figure = figures.plot_what_if(found.table, limit="min_kps", current=70.0, centre="B")
    wanted = found.table.set_index("centre").loc["B", "n_surgery"]
    assert list(figure.data[0].y) == [wanted] and ", B" in figure.layout.title.subtitle.text
    for more, message in (({"centre": "C"}, "no centre is called 'C'"), ({"stack": "sex"}, "stack is 'sex'")):
        with pytest.raises(OnlmError, match=message):
            figures.plot_what_if(found.table, limit="min_kps", current=70.0, **more)
    with pytest.raises(OnlmError, match="the table is not by centre"):
        figures.plot_what_if(found.table.drop(columns="centre"), limit="min_kps", current=70.0, centre="B")


def test_the_panel_says_what_the_best_value_brings():
    found = what_if(cohort(), PROTOCOL, limit="min_kps", values=[50, 60])
    panel = what_if_panel(found, mark="MADE-UP DATA")
    row = found.table.loc[0]
    assert f"{found.n_now} of 40 patients are eligible. At 50 there would be {row['n_more']:.0f} more" in panel.sentence
    assert "SBRT, 1 not known;" in panel.sentence
    assert panel.notes == found.notes and "KPS at least" in panel.notes[0]


def test_the_command_prints_the_table_and_writes_who(tmp_path, capsys):
    frame = cohort().patients[["patient_id", "centre", "age_years", "kps", "consent", "treatment"]]
    frame.to_csv(tmp_path / "clinical.csv", index=False)
    (tmp_path / "study.toml").write_text(
        '[data]\nfollowup = ""\nct = ""\nannotations = ""\n[protocol]\n'
        'rules = ["adult", "performance_status", "consent"]\n',
        encoding="utf-8",
    )
    out = tmp_path / "table.csv"
    assert cli.main(["what-if", str(tmp_path), "min_kps", "50", "90", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    now, then = eligible(PROTOCOL), eligible(PROTOCOL, min_kps=50.0)
    assert f"{len(now)} of 40 patients are eligible with min_kps at 70." in printed and f"{len(then)}" in printed
    people = pd.read_csv(tmp_path / "table_patients.csv")
    assert set(people.loc[people["value"] == 50.0, "patient_id"]) == then - now
    assert pd.read_csv(out)["n_more"].tolist()[0] == len(then - now)
    assert cli.main(["what-if", str(tmp_path), "min_age", "20"]) == 2
    assert "did you mean 'min_age_years'?" in capsys.readouterr().err
