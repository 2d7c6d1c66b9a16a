"""Flags: appended, never changed, by a code, and what is open after some were settled."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime

import pytest
from made_run import NASTY

from onlm_lab.errors import OnlmError
from onlm_lab.flags import FILE, LONGEST_NOTE, add_flag, open_flags, read_flags


def test_a_flag_is_read_back_as_it_was_said_whatever_the_id_and_the_note_hold(tmp_path):
    when = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    add_flag(tmp_path, NASTY, kind="other", reader_id="r01", note='odd, "very" odd; =1+1', now=when)
    (row,) = read_flags(tmp_path).table.to_dict("records")
    assert row == {"patient_id": NASTY, "kind": "other", "note": 'odd, "very" odd; =1+1', "reader_id": "R01",
                   "time_utc": "2026-03-04T05:06:07Z"}  # fmt: skip


def test_rows_are_appended_and_what_is_there_stays_to_the_byte(tmp_path):
    add_flag(tmp_path, "P1", kind="wrong_series", reader_id="R01")
    before = (tmp_path / FILE).read_bytes()
    add_flag(tmp_path, "P2", kind="doubtful_label", reader_id="R02")
    assert (tmp_path / FILE).read_bytes().startswith(before)
    assert read_flags(tmp_path).table["patient_id"].tolist() == ["P1", "P2"]


def test_a_settled_patient_is_open_again_only_when_it_is_flagged_anew(tmp_path):
    for patient, kind in (("P1", "wrong_series"), ("P1", "wrong_contour"), ("P2", "doubtful_label"), ("P1", "settled")):
        add_flag(tmp_path, patient, kind=kind, reader_id="R01")
    assert open_flags(read_flags(tmp_path).table) == {"P2": ("doubtful_label",)}
    add_flag(tmp_path, "P1", kind="wrong_contour", reader_id="R01")
    assert open_flags(read_flags(tmp_path).table) == {"P1": ("wrong_contour",), "P2": ("doubtful_label",)}


@pytest.mark.parametrize(("change", "words"), [
    ({"reader_id": "Dr Miller"}, "A reader is known by a code"), ({"kind": "ugly"}, "is one of wrong_contour"),
    ({"note": "x" * (LONGEST_NOTE + 1)}, "at most 200 letters"), ({"note": "a\nb"}, "one line"),
    ({"kind": "other", "note": " "}, "say in the note"), ({"patient_id": ""}, "no patient is chosen"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence_and_nothing_is_written(tmp_path, change, words):
    said = {"patient_id": "P1", "kind": "wrong_series", "reader_id": "R01", "note": ""} | change
    with pytest.raises(OnlmError, match=words):
        add_flag(tmp_path, said.pop("patient_id"), **said)
    assert not (tmp_path / FILE).exists()


def test_a_line_cut_off_is_left_out_and_told_and_the_next_stands_on_a_line_of_its_own(tmp_path):
    add_flag(tmp_path, "P1", kind="wrong_series", reader_id="R01")
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(b"P2,wrong_contour,half a no")
    add_flag(tmp_path, "P3", kind="wrong_series", reader_id="R01")
    found = read_flags(tmp_path)
    assert found.table["patient_id"].tolist() == ["P1", "P3"] and "1 line is not whole" in found.notes[0]


def test_another_file_of_that_name_is_refused(tmp_path):
    (tmp_path / FILE).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(OnlmError, match="Put the original file back"):
        read_flags(tmp_path)


def _flag_ten(folder, reader):
    for i in range(10):
        add_flag(folder, f"P{i}", kind="wrong_series", reader_id=reader)


def test_two_processes_at_once_lose_no_flag(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_flag_ten, args=(tmp_path, reader)) for reader in ("R01", "R02")]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    table = read_flags(tmp_path).table
    assert len(table) == 20 and table["reader_id"].value_counts().tolist() == [10, 10]
