"""A locked test set shows nothing until it is opened, and the record of openings cannot be changed unseen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.locked import (
    REASON,
    Draw,
    close_rows,
    hidden_columns,
    log_opening,
    read_draw,
    read_openings,
    require_record,
    write_draw,
)
from onlm_lab.errors import OnlmError
from onlm_lab.schema import Column

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def patients():
    return pd.DataFrame({
        "patient_id": ["a", "b", "c"], "centre": "X", "age_years": [60.0, 61, 62], "treatment": "lobectomy",
        "pathological_n": ["N0", "N1", "N0"], "onlm": [0.0, 1, 0], "onlm_missing_reason": None, "arm": "surgery",
        "os_days": [900.0, 300, 700], "os_event": [0.0, 1, 0], "grade": [2.0, 3, 1], "biopsy_grade": [1.0, 1, 2],
        "undeclared": ["x", "y", "z"], "part": ["development", "locked", "development"], "role": "labelled",
    })  # fmt: skip


def own(name, timing):
    return Column(name=name, table="clinical", type="number", timing=timing)


def test_only_what_is_declared_to_be_known_before_treatment_stays_in_sight(patients):
    extra = [own("grade", "post_treatment"), own("biopsy_grade", "pre_treatment")]
    hidden = hidden_columns(patients, extra_columns=extra)
    assert hidden == [
        "treatment", "pathological_n", "onlm", "onlm_missing_reason", "os_days", "os_event", "grade", "undeclared"
    ]  # fmt: skip
    assert "grade" not in hidden_columns(patients, extra_columns=extra, keep=["grade"])


def test_a_closed_row_is_blank_and_says_why_and_the_others_are_untouched(patients):
    hidden = hidden_columns(patients)
    closed = close_rows(patients, locked=patients["part"] == "locked", hidden=hidden)
    assert closed.loc[1, [name for name in hidden if name != "onlm_missing_reason"]].isna().all()
    assert closed.loc[1, "onlm_missing_reason"] == REASON and closed.loc[1, "age_years"] == 61
    pd.testing.assert_frame_equal(closed.iloc[[0, 2]], patients.iloc[[0, 2]])
    assert patients.loc[1, "onlm"] == 1, "the argument is not changed"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "openings.csv"
    for number in range(3):
        opened = log_opening(
            path, purpose=f"look, no. {number}\n twice", by='A "B" C', run_id=f"run-{number}", n_patients=40,
            predictions_sha256="p" * 64, split_sha256="s" * 64, now=NOW,
        )  # fmt: skip
        assert opened.number == number + 1
    return path


def test_each_opening_is_a_line_that_carries_the_digest_of_the_line_before(log):
    found = read_openings(log)
    assert [o.number for o in found] == [1, 2, 3] and found[0].purpose == "look, no. 0 twice"
    assert found[0].time_utc == "2026-03-01T12:00:00Z" and found[0].by == 'A "B" C'
    assert [o.previous_sha256 for o in found] == ["", found[0].sha256, found[1].sha256]
    assert read_openings(log.parent / "none.csv") == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace("no. 0", "no. 9"), *lines[2:]], 2),
        (lambda lines: [lines[0], lines[1], lines[2].replace(",40,", ",41,"), lines[3]], 3),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [*lines[:3], lines[2], lines[3]], 4),
        (lambda lines: [*lines[:3], lines[3][:40]], 4),
        (lambda lines: ["a,b\n", *lines[1:]], 1),
        (lambda lines: lines[1:], 1),
    ],
)
def test_a_record_that_was_changed_is_refused_with_its_line(log, change, line):
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(change(lines)), encoding="utf-8")
    with pytest.raises(OnlmError, match=rf"openings.csv: line {line} is not as it was written"):
        read_openings(log)
    with pytest.raises(OnlmError, match="is not as it was written"):
        log_opening(log, purpose="x", run_id="r", n_patients=1, predictions_sha256="", split_sha256="")


def test_lines_cut_off_the_end_are_missed_by_the_runs_that_remember_them(log):
    remembered = [o.to_dict() for o in read_openings(log)]
    require_record(read_openings(log), remembered=remembered)
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:2]), encoding="utf-8")
    with pytest.raises(OnlmError, match=r"opening 2, 3 is remembered by a run and is no longer in the record"):
        require_record(read_openings(log), remembered=remembered)


def test_an_opening_without_a_purpose_is_refused_and_leaves_no_line(tmp_path):
    with pytest.raises(OnlmError, match="opened for a purpose; it is empty"):
        log_opening(tmp_path / "o.csv", purpose=" \n", run_id="r", n_patients=1, predictions_sha256="", split_sha256="")
    assert not (tmp_path / "o.csv").exists()


def test_a_record_that_is_no_text_of_ours_is_refused_in_a_sentence(log):
    for strange in (b"\xff\xfe\x00n", b"", log.read_bytes().replace(b"look", b"l\xe4ok")):
        log.write_bytes(strange)
        with pytest.raises(OnlmError, match="is not as it was written"):
            read_openings(log)


def test_of_many_who_open_at_once_each_has_a_line(tmp_path):
    def open_(number):
        return log_opening(
            tmp_path / "openings.csv", purpose=f"no. {number}", run_id="r", n_patients=1, predictions_sha256="",
            split_sha256="",
        ).number  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(open_, range(24)))
    found = read_openings(tmp_path / "openings.csv")
    assert sorted(numbers) == list(range(1, 25)) and {o.purpose for o in found} == {f"no. {k}" for k in range(24)}


def test_who_was_drawn_comes_back_from_its_file_and_an_edited_one_is_refused(tmp_path):
    path = tmp_path / "locked.json"
    assert read_draw(path) is None
    draw = Draw(0.2, 7, ("NA", "Ä 1"), ("007",))
    write_draw(path, draw)
    assert read_draw(path) == draw and draw.drawn == {"NA": True, "Ä 1": True, "007": False}
    text = path.read_text(encoding="utf-8")
    for strange in (text.replace('"007"', '"008"'), text[:40], "[]", text.replace("0.2", "0.3"), "{}"):
        path.write_text(strange, encoding="utf-8")
        with pytest.raises(OnlmError, match=r"locked.json is not as it was written"):
            read_draw(path)


def test_closing_nobody_changes_nothing(patients):
    closed = close_rows(patients, locked=pd.Series(np.zeros(3, dtype=bool)), hidden=hidden_columns(patients))
    pd.testing.assert_frame_equal(closed, patients)
