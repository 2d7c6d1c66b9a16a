"""readings.csv and its plan: appended and never changed, in the reader's own order, nothing shown too early."""

import json
import multiprocessing
import os
import stat
import time
from datetime import UTC, datetime

import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis, reading_plan, readings
from onlm_lab.errors import OnlmError
from onlm_lab.reading_plan import next_case, plan_reading, read_plan, reader_rows, risks
from onlm_lab.readings import Reading, paired_readings, read_readings, reader_code, record

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def _reading(**change):
    plain = {"reader_id": "R01", "patient_id": "P0001", "model_id": "fused", "session": 1, "order": 1, "step": "alone",
             "estimate": 0.37, "seconds": 41.26}  # fmt: skip
    return Reading(**plain | change)


def _after(**change):
    return _reading(**{"step": "with_model", "estimate": 0.25, "seconds": 8.0, "risk_shown": 0.124} | change)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("made") / "run", n_surgery=120, n_sbrt=20)


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", n_surgery=120, n_sbrt=20)


def test_what_is_recorded_is_read_back_and_holds_nothing_of_the_patient_but_the_id(tmp_path):
    record(tmp_path, _reading(), now=NOW)
    record(tmp_path, _after(), now=NOW)
    table, notes = read_readings(tmp_path)
    assert notes == () and table["number"].tolist() == [1, 2]
    assert table["estimate"].tolist() == [0.37, 0.25] and table["seconds"].tolist() == [41.3, 8.0]
    assert table["risk_shown"].isna().tolist() == [True, False]
    assert set(table["time_utc"]) == {"2026-11-28T09:30:00Z"}
    assert set(table.columns) == set(readings.FIELDS) - {"seal"}


def test_rows_are_appended_and_what_was_written_stays_byte_for_byte(tmp_path):
    path = tmp_path / readings.FILE
    before = b""
    for k in range(4):
        record(tmp_path, _reading(patient_id=f"P{k}", order=k + 1), now=NOW)
        now = path.read_bytes()
        assert now.startswith(before) and len(now) > len(before)
        before = now


def test_the_row_is_on_the_disk_before_record_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.fstat(file).st_size), real(file)))
    record(tmp_path, _reading())
    assert synced[-1] == (tmp_path / readings.FILE).stat().st_size


def test_a_second_estimate_of_a_step_is_refused_and_a_correction_does_not_replace_the_first(tmp_path):
    record(tmp_path, _reading())
    with pytest.raises(OnlmError, match="has one of this reader already"):
        record(tmp_path, _reading(estimate=0.9))
    with pytest.raises(OnlmError, match="a note that says why"):
        record(tmp_path, _reading(estimate=0.9), correction=True)
    record(tmp_path, _reading(estimate=0.9, note="slip of the hand"), correction=True)
    record(tmp_path, _after())
    table, _ = read_readings(tmp_path)
    both = paired_readings(table)
    assert len(table) == 3 and len(both) == 1
    assert both.loc[0, ["estimate_alone", "estimate_with_model", "risk_shown"]].tolist() == [0.37, 0.25, 0.124]
    assert both.loc[0, "n_corrections"] == 1
    with pytest.raises(OnlmError, match="Nothing to correct"):
        record(tmp_path, _reading(patient_id="P9", note="none there"), correction=True)


def test_the_estimate_with_the_model_comes_after_the_own_one_and_never_before(tmp_path):
    with pytest.raises(OnlmError, match="own estimate comes before"):
        record(tmp_path, _after())
    record(tmp_path, _reading())
    record(tmp_path, _reading(reader_id="R02"))
    record(tmp_path, _after())
    assert read_readings(tmp_path).table["reader_id"].tolist() == ["R01", "R02", "R01"]


@pytest.mark.parametrize("cut", [1, 2, 9, 30, 60])
def test_a_line_cut_by_a_kill_is_told_not_counted_and_stays_in_the_file(tmp_path, cut):
    path = tmp_path / readings.FILE
    record(tmp_path, _reading())
    whole = path.read_bytes()
    record(tmp_path, _reading(patient_id="P0002", order=2))
    path.write_bytes(path.read_bytes()[:-cut])
    table, notes = read_readings(tmp_path)
    if cut == 1:  # all but the line's end: nothing is lost
        assert len(table) == 2 and notes == ()
        return
    assert len(table) == 1 and len(notes) == 1 and "line 3 was cut off" in notes[0]
    damaged = path.read_bytes()
    record(tmp_path, _reading(patient_id="P0002", order=2, estimate=0.5))
    assert path.read_bytes().startswith(damaged + b"\n") and damaged.startswith(whole)
    table, notes = read_readings(tmp_path)
    assert table["estimate"].tolist() == [0.37, 0.5] and len(notes) == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [lines[0], lines[1].replace("0.37", "0.73"), *lines[2:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
    ],
    ids=["changed", "removed", "swapped", "doubled"],
)
def test_a_row_that_was_changed_removed_or_put_in_is_refused(tmp_path, edit):
    path = tmp_path / readings.FILE
    for k in range(3):
        record(tmp_path, _reading(patient_id=f"P{k}", order=k + 1))
    path.write_text("\n".join(edit(path.read_text().split("\n"))))
    for call in (lambda: read_readings(tmp_path), lambda: record(tmp_path, _reading(patient_id="P7"))):
        with pytest.raises(OnlmError, match="no longer fits its seal"):
            call()


def test_a_file_with_other_names_is_refused(tmp_path):
    (tmp_path / readings.FILE).write_text("reader,patient\nR01,P1\n")
    with pytest.raises(OnlmError, match="does not begin with the names"):
        read_readings(tmp_path)


def _many(folder, reader, n):
    for k in range(n):
        record(folder, _reading(reader_id=reader, patient_id=f"P{k}", order=k + 1))


def test_readers_who_save_at_once_lose_nothing(tmp_path):
    start = multiprocessing.get_context("spawn")
    work = [start.Process(target=_many, args=(tmp_path, f"R0{j}", 15)) for j in range(3)]
    for process in work:
        process.start()
    for process in work:
        process.join(60)
        assert process.exitcode == 0
    table, notes = read_readings(tmp_path)
    assert notes == () and table["number"].tolist() == list(range(1, 46))
    assert (table["reader_id"].value_counts() == 15).all()


def test_a_reader_whose_process_is_killed_leaves_a_table_that_is_read_and_goes_on(tmp_path):
    start = multiprocessing.get_context("spawn")
    path = tmp_path / readings.FILE
    for j in range(3):
        work = start.Process(target=_many, args=(tmp_path, f"R0{j}", 100_000))
        work.start()
        until = time.monotonic() + 180
        while not (path.exists() and f",R0{j},P9," in path.read_text()):
            assert time.monotonic() < until and work.is_alive()
            time.sleep(0.01)
        work.kill()
        work.join(60)
    before = read_readings(tmp_path).table
    assert set(before["reader_id"]) == {"R00", "R01", "R02"}
    record(tmp_path, _reading(reader_id="R09"))
    assert len(read_readings(tmp_path).table) == len(before) + 1


def test_a_folder_that_cannot_be_written_is_a_sentence_and_nothing_is_recorded(tmp_path, monkeypatch):
    record(tmp_path, _reading())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OnlmError, match="was not saved: No space left"):
        record(tmp_path, _reading(patient_id="P0002"))
    monkeypatch.undo()
    assert len(read_readings(tmp_path).table) == 1
    assert stat.S_ISREG((tmp_path / readings.FILE).stat().st_mode)


@pytest.mark.parametrize("code", ["R01", "r1", " RAD12 ", "7", "AB-3"])
def test_codes_are_taken_in_capitals(code):
    assert reader_code(code) == code.strip().upper()


@pytest.mark.parametrize(
    "name", ["Müller", "mueller", "anna.k@hospital.org", "Dr Wang", "Wang1970x", "R01 Wang", "", "R"]
)
def test_what_looks_like_a_name_is_refused_and_not_repeated(name):
    with pytest.raises(OnlmError, match="known by a code") as refused:
        reader_code(name)
    assert len(name) < 2 or name not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"estimate": 37}, "from 0 to 1, got 37"),
        ({"estimate": float("nan")}, "from 0 to 1"),
        ({"seconds": -1}, "0 or more"),
        ({"risk_shown": 0.2}, "belongs to the step with_model"),
        ({"step": "later"}, "must be alone or with_model"),
        ({"session": 0}, "count from 1"),
        ({"patient_id": "P1\nP2"}, "line break"),
        ({"note": "x" * 201}, "200 letters"),
        ({"reader_id": "r01"}, "as reader_code gives it"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_written(tmp_path, change, said):
    with pytest.raises(OnlmError, match=said):
        record(tmp_path, _reading(**change))
    assert not (tmp_path / readings.FILE).exists()


def test_the_plan_draws_labelled_patients_and_gives_each_reader_an_order_of_his_own(run):
    plan = plan_reading(run, readers=["R01", "r02"], n_positive=12, n_negative=20)
    first, second = plan.orders["R01"], plan.orders["R02"]
    assert sorted(first) == sorted(second) and first != second and len(first) == 32
    label = run.patients.set_index("patient_id")["onlm"]
    assert label[first].sum() == 12 and label[first].notna().all()
    assert plan.model_id == run.study.primary_model and plan.second_estimate
    assert read_plan(run) == plan


def test_the_same_seed_gives_the_same_cases_and_orders_and_another_seed_others(run):
    asked = {"readers": ["R01"], "n_positive": 12, "n_negative": 20}
    found = []
    for seed in (5, 5, 6):
        found.append(plan_reading(run, seed=seed, **asked).orders["R01"])
        (run.folder / reading_plan.FILE).unlink()
    assert found[0] == found[1] != found[2]


def test_a_study_is_planned_once_and_a_reader_can_be_added(run):
    plan = plan_reading(run, readers=["R01"], n_positive=5, n_negative=5)
    with pytest.raises(OnlmError, match="planned once"):
        plan_reading(run, readers=["R01"])
    more = reading_plan.add_reader(run, reader="r09")
    assert more.orders["R01"] == plan.orders["R01"] and sorted(more.orders["R09"]) == sorted(plan.orders["R01"])
    assert read_plan(run) == more
    with pytest.raises(OnlmError, match="R09 is there already"):
        reading_plan.add_reader(run, reader="R09")


def test_a_plan_that_was_changed_or_whose_predictions_were_is_refused(run):
    with pytest.raises(OnlmError, match="No reader study is planned"):
        read_plan(run)
    plan_reading(run, readers=["R01"], n_positive=5, n_negative=5)
    path = run.folder / reading_plan.FILE
    kept = path.read_text()
    path.write_text(kept.replace('"second_estimate": true', '"second_estimate": false'))
    with pytest.raises(OnlmError, match="not as it was written"):
        read_plan(run)
    path.write_text("{}")
    with pytest.raises(OnlmError, match="not as it was written"):
        read_plan(run)
    path.write_text(kept)
    predictions = run.folder / "predictions.csv"
    predictions.write_text(predictions.read_text().replace("fused", "fuzed"))
    with pytest.raises(OnlmError, match="have changed since"):
        read_plan(run)


def test_readers_see_only_what_was_known_before_treatment(made, tmp_path):
    for columns, said in ((["onlm"], "onlm is not known before"), (["os_days"], "os_days"), (["centre"], "centre"),
                          (["shoe"], "no column shoe")):  # fmt: skip
        with pytest.raises(OnlmError, match=said):
            plan_reading(made, readers=["R01"], columns=columns)
    with pytest.raises(OnlmError, match="no model 'shoe'"):
        plan_reading(made, readers=["R01"], model="shoe")
    with pytest.raises(OnlmError, match="4000 N\\+ patients cannot be drawn"):
        plan_reading(made, readers=["R01"], n_positive=4000)
    with pytest.raises(OnlmError, match="twice"):
        plan_reading(made, readers=["R01", "r01"])
    assert not (made.folder / reading_plan.FILE).exists()


def test_a_reader_goes_on_where_he_stopped(run):
    plan = plan_reading(run, readers=["R01", "R02"], n_positive=3, n_negative=3)
    first, second = plan.orders["R01"][:2]

    def turn(reader="R01"):
        return next_case(plan, read_readings(run.folder).table, reader=reader)

    assert turn() == (first, 1, "alone")
    record(run.folder, _reading(patient_id=first))
    assert turn() == (first, 1, "with_model") and turn("R02").order == 1
    record(run.folder, _after(patient_id=first))
    assert turn() == (second, 2, "alone")
    for order, patient in enumerate(plan.orders["R01"][1:], start=2):
        record(run.folder, _reading(patient_id=patient, order=order))
        record(run.folder, _after(patient_id=patient, order=order))
    assert turn() is None
    with pytest.raises(OnlmError, match="not on the list"):
        turn("R77")


def test_without_a_second_estimate_the_next_case_follows_the_first_estimate(run):
    plan = plan_reading(run, readers=["R01"], n_positive=3, n_negative=3, second_estimate=False)
    record(run.folder, _reading(patient_id=plan.orders["R01"][0]))
    assert next_case(plan, read_readings(run.folder).table, reader="R01").order == 2


def test_the_rows_of_the_analysis_carry_label_risk_and_estimates(run):
    plan = plan_reading(run, readers=["R01", "R02"], n_positive=8, n_negative=8)
    label = run.patients.set_index("patient_id")["onlm"]
    shown = risks(run, plan=plan)
    assert set(shown) == set(plan.orders["R01"])
    for reader, patients in plan.orders.items():
        for order, patient in enumerate(patients, start=1):
            own = 0.2 + 0.5 * label[patient] * (order % 3 > 0)
            record(run.folder, _reading(reader_id=reader, patient_id=patient, order=order, estimate=own))
            helped = {"estimate": (own + label[patient]) / 2, "risk_shown": shown[patient].risk}
            record(run.folder, _after(reader_id=reader, patient_id=patient, order=order, **helped))
    rows, found = reader_rows(run)
    assert len(rows) == 32 and found.notes == ()
    assert (rows["risk_shown"] - rows["risk"]).abs().max() == 0
    got = analysis.compare_readers(rows, threshold=plan.threshold)
    assert got.n == 16 and got.n_events == 8 and got.difference.value > 0
    predictions = run.predictions
    one = predictions[(predictions["model_id"] == plan.model_id) & (predictions["split"] == plan.split)]
    assert pd.Series({k: v.risk for k, v in shown.items()}).sort_index().tolist() == pytest.approx(
        one.set_index("patient_id")["risk"].reindex(sorted(shown)).tolist()
    )


def test_the_plan_says_nothing_of_labels_or_risks(run):
    plan_reading(run, readers=["R01"], n_positive=5, n_negative=9)
    said = json.loads((run.folder / reading_plan.FILE).read_text())
    assert set(said) == {"model_id", "split", "orders", "columns", "threshold", "second_estimate", "seed", "sha256",
                         "predictions_sha256", "time_utc"}  # fmt: skip
    assert "onlm" not in said["columns"] and len(said["columns"]) > 0
