"""One bad patient, a lost process or a damaged file never stops the others, and nothing tells a name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import made_ct
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from made_balls import FEW, annotations, bytes_of, contour_of, copy, make_study, prepare, scan_of

from onlm_lab import cluster, patches, plan, preparation
from onlm_lab.errors import OnlmError, told
from onlm_lab.schema import write_table
from onlm_lab.study import load_study

NAME = "Zhuravlyova"
ENDED = "the process that read the CT was ended by the system"


def usable(prepared):
    return prepared.set_index("patient_id")["usable"].to_dict()


def cache_of(folder):
    return preparation.cache_folder(load_study(folder))


# --- files ----------------------------------------------------------------------------------------------------------


def _no_groups(_):
    data = made_ct.segmentation({"GTV": np.ones((16, 20, 20), bool)}, scan_of(0))
    data.SharedFunctionalGroupsSequence = []
    return data


def _no_position(_):
    data = made_ct.segmentation({"GTV": np.ones((16, 20, 20), bool)}, scan_of(0))
    data.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence = []
    return data


def _name_of_another_type(_):
    data = made_ct.rtstruct({"GTV": contour_of(0, 6)}, frame="1.2.3.1")
    data.PatientName = f"{NAME}^Helena"
    return data


def _region_named_after_the_patient(_):
    return made_ct.rtstruct({f"GTV {NAME}": [], "other": contour_of(0, 6)}, frame="1.2.3.1")


@pytest.mark.parametrize(
    "mask", [_no_groups, _no_position, _name_of_another_type, _region_named_after_the_patient], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("named", [True, False])
def test_a_mask_that_cannot_be_understood_is_its_patients_reason(tmp_path, capfd, mask, named):
    folder = make_study(tmp_path / "s", 3)
    for path in (folder / "ct" / "P000").iterdir():  # the CT knows the name, the mask may not
        data = made_ct_read(path)
        data.PatientName = f"{NAME}^Helena"
        data.save_as(path)
    made_ct.write(folder / "masks", [mask(None)], ["P000.dcm"])
    if mask is _name_of_another_type:
        path = folder / "masks" / "P000.dcm"
        content = path.read_bytes()
        place = content.index(b"\x10\x00\x10\x00PN")
        path.write_bytes(content[: place + 4] + b"FD" + content[place + 6 :])
    if not named:
        write_table(annotations(folder).drop(columns="series_path"), folder / "annotations.csv")
    prepared = prepare(folder)
    assert prepared["usable"].iloc[0] == 0
    if named:
        assert prepared["usable"].tolist() == [0, 1, 1]
    said = prepared.to_csv() + "".join(capfd.readouterr())
    assert "zhuravl" not in said.lower() and "helena" not in said.lower()


def made_ct_read(path):
    import pydicom

    return pydicom.dcmread(path)


def test_a_path_that_the_system_refuses_is_its_patients_reason(tmp_path):
    folder = make_study(tmp_path / "s", 3)
    table = annotations(folder)
    table.loc[0, "mask_path"] = "masks/" + "x" * 300 + ".dcm"
    table.loc[1, "series_path"] = "ct/" + "x" * 300
    write_table(table, folder / "annotations.csv")
    prepared = prepare(folder)
    assert prepared["usable"].tolist() == [0, 0, 1]
    assert all("cannot be read: File name too long" in reason for reason in prepared["reason"][:2])


def test_a_corrected_mask_whose_voxels_lie_in_a_file_of_their_own_is_cut_again(tmp_path):
    folder = make_study(tmp_path / "s", 1)

    def draw(radius):
        z, y, x = np.indices((16, 20, 20))
        ball = (x * 1.5 - 15) ** 2 + (y * 1.5 - 15) ** 2 + (z * 2 - 16) ** 2 < radius**2
        image = sitk.GetImageFromArray(ball.astype(np.uint8))
        image.SetSpacing((1.5, 1.5, 2.0))
        image.SetOrigin((-15, -15, -15))
        sitk.WriteImage(image, str(folder / "masks" / "mask.mhd"))

    table = annotations(folder)
    table["mask_path"] = "masks/mask.mhd"
    write_table(table, folder / "annotations.csv")
    draw(6)
    first = prepare(folder)["ct_volume_ml"][0]
    draw(9)
    assert prepare(folder)["ct_volume_ml"][0] > 2 * first


def test_a_ct_outside_the_ct_folder_that_changed_means_that_there_is_something_to_prepare(tmp_path):
    folder = make_study(tmp_path / "s", 2)
    (folder / "ct" / "P001").rename(folder / "elsewhere")
    table = annotations(folder)
    table.loc[1, "series_path"] = "elsewhere"
    write_table(table, folder / "annotations.csv")
    study = load_study(folder)
    before = plan.annotated_digest(study)
    assert plan.annotated_digest(study) == before
    path = folder / "elsewhere" / "003"
    path.write_bytes(path.read_bytes() + b"\0\0")
    assert plan.annotated_digest(study) != before


# --- what nobody foresaw --------------------------------------------------------------------------------------------


def failing_for(monkeypatch, patient, error):
    cut = preparation._cut

    def fail(task):
        if task.scan.patient_id == patient:
            raise error
        cut(task)

    monkeypatch.setattr(preparation, "_cut", fail)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (np.linalg.LinAlgError(f"{NAME} is singular"), "did not foresee (LinAlgError at test_one_bad_patient.py"),
        (KeyError(NAME), "did not foresee (KeyError"),
        (MemoryError(), "Memory ran out. Let fewer processes work at once (--workers 1)."),
        (PermissionError(errno.EACCES, "Permission denied", NAME), "could not be opened or read: Permission denied."),
    ],
)
def test_what_nobody_foresaw_is_one_patients_reason_without_its_text(few, tmp_path, monkeypatch, error, words):
    again = copy(few[0], tmp_path / "again")
    failing_for(monkeypatch, "P002", error)
    prepared = prepare(again)
    assert usable(prepared) == {f"P{k:03d}": int(k != 2) for k in range(FEW)}
    detail = prepared.set_index("patient_id").loc["P002", "detail"]
    assert words.split(" at ")[0] in detail and NAME not in prepared.to_csv()


def test_a_full_disk_stops_the_work(few, tmp_path, monkeypatch):
    again = copy(few[0], tmp_path / "again")
    failing_for(monkeypatch, "P002", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        prepare(again)


def test_an_error_is_told_with_its_place_in_this_program_and_not_with_its_text():
    try:
        patches.PatchSpec(size_mm=NAME)
    except TypeError as error:
        said = told(error)
    assert NAME not in said and "spec.py:" in said


# --- processes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_process_that_the_system_ends_costs_its_patient_alone(few, tmp_path, monkeypatch, workers):
    folder, first = few
    again = copy(folder, tmp_path / "again")
    one = preparation.prepare_one

    def killed(task):
        if task.scan.patient_id == "P002":
            os.kill(os.getpid(), signal.SIGKILL)
        return one(task)

    killed.__module__, killed.__qualname__ = "onlm_lab.preparation", "prepare_one"
    monkeypatch.setattr(preparation, "prepare_one", killed)
    prepared = prepare(again, workers=workers)
    assert usable(prepared) == {f"P{k:03d}": int(k != 2) for k in range(FEW)}
    assert prepared.set_index("patient_id").loc["P002", "reason"] == ENDED
    monkeypatch.setattr(preparation, "prepare_one", one)
    pd.testing.assert_frame_equal(prepare(again), first)


# --- a cluster ------------------------------------------------------------------------------------------------------


@pytest.mark.waits
def test_workers_that_do_not_see_the_study_or_have_other_code_are_refused(few, tmp_path, monkeypatch, scheduler):
    again = copy(few[0], tmp_path / "again")
    real = cluster.fitness
    monkeypatch.setattr(patches, "SPEC_FILE", "nowhere.json")
    with pytest.raises(OnlmError, match="2 of 2 workers do not see the study's folder"):
        prepare(again, address=scheduler)
    monkeypatch.undo()
    called = []

    def other(shared):
        called.append(shared)
        return ("another digest", True)

    other.__module__, other.__qualname__ = real.__module__, real.__qualname__
    monkeypatch.setattr(cluster, "fitness", other)
    with pytest.raises(OnlmError, match="2 of 2 workers have another version of onlm_lab"):
        prepare(again, address=scheduler)
    assert called


def ends_its_worker(task):
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


@pytest.mark.waits
def test_a_task_that_ends_every_worker_is_lost_alone(tmp_path):
    pytest.importorskip("distributed", reason='no dask: pip install "onlm_lab[cluster]"')
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),  # of 3: each costs the start of a worker
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as local,
    ):
        shared = tmp_path / "shared"
        shared.touch()
        found = list(
            cluster.mapped(
                ends_its_worker, range(6), address=local.scheduler_address, what="task", lost=lambda t: f"lost {t}",
                shared=shared,
            )
        )  # fmt: skip
    assert sorted(map(str, found)) == ["0", "1", "3", "4", "5", "lost 2"]


def test_a_suspect_s_result_is_here_before_the_next_suspect_begins(monkeypatch):
    """Else the next one, if it ends the worker that holds the result, has the innocent done again beside it."""
    pytest.importorskip("distributed", reason='no dask: pip install "onlm_lab[cluster]"')
    from distributed.scheduler import KilledWorker

    told, begun = [], []

    class Future:
        def __init__(self, task):
            self.task, self.first = task, task not in begun
            begun.append(task)
            told.append(("begun", task))

        def result(self):
            told.append(("fetched", self.task))
            if self.first or self.task == 2:
                raise KilledWorker(str(self.task), None, 3)
            return self.task

        def release(self):
            told.append(("released", self.task))

    monkeypatch.setattr(cluster, "_begin", lambda client, work, task: Future(task))
    monkeypatch.setattr(cluster, "_finished", lambda client, futures: futures[:1])
    found = cluster._from_workers(None, None, (1, 2, 3), ahead=3, what="task", lost=lambda task: f"lost {task}")
    assert list(found) == [1, "lost 2", 3]
    alone = told[-9:]
    assert alone == [(what, task) for task in (1, 2, 3) for what in ("begun", "fetched", "released")]


def test_every_task_of_many_is_done_once(tmp_path, scheduler):
    shared = tmp_path / "shared"
    shared.touch()
    found = list(cluster.mapped(same, range(50), address=scheduler, what="task", lost=str, shared=shared))
    assert sorted(found) == list(range(50))


def same(task):
    return task


@pytest.mark.waits
def test_a_cluster_without_a_worker_left_is_given_up(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason='no dask: pip install "onlm_lab[cluster]"')
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "CHECK_S", 0.5)
    monkeypatch.setattr(cluster, "ALONE_S", 1)
    shared = tmp_path / "shared"
    shared.touch()
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as local:
        work = cluster.mapped(
            slow, range(3), address=local.scheduler_address, what="task", lost=str, shared=shared
        )  # fmt: skip
        assert next(work) == 0
        local.scale(0)
        with pytest.raises(OnlmError, match="has lost its last worker"):
            list(work)


def slow(task):
    import time

    time.sleep(0.2 if task == 0 else 30)
    return task


# --- a damaged cache ------------------------------------------------------------------------------------------------


def files_of(folder, pattern):
    return sorted(cache_of(folder).glob(pattern))


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("patches/P001*[0-9a-f].npy", lambda b: b[:-1000] + bytes(x ^ 1 for x in b[-1000:])),
        ("patches/P001*-mask.npy", lambda b: b""),
        ("patches/P001*.png", lambda b: b[: len(b) // 2]),
        ("rows/P001*.json", lambda b: b""),
        ("rows/P001*.json", lambda b: b"[]"),
        ("rows/P001*.json", lambda b: b"\0" * len(b)),
        ("rows/P001*.json", lambda b: b[: len(b) // 2]),
    ],
)
def test_a_damaged_file_of_a_row_is_seen_and_made_again(few, tmp_path, pattern, damage):
    folder, first = few
    again = copy(folder, tmp_path / "again", keep_work=True)
    (path,) = files_of(again, pattern)
    path.write_bytes(damage(path.read_bytes()))
    if pattern.endswith("[0-9a-f].npy"):
        with pytest.raises(OnlmError, match="patch of patient P001 is lost or damaged"):
            patches.open_cache(cache_of(again)).load("P001")
    pd.testing.assert_frame_equal(prepare(again), first)
    assert bytes_of(again) == bytes_of(folder)


def test_a_lost_folder_a_half_file_and_a_lost_patch_of_nobody_are_mended(few, tmp_path):
    folder, first = few
    again = copy(folder, tmp_path / "again", keep_work=True)
    half = cache_of(again) / "patches" / ".P001-x.npy.99999.tmp"
    half.write_bytes(b"half")
    files_of(again, "patches/P005*.npy")[0].unlink()
    table = annotations(again).iloc[:5]  # P005 is no longer wanted
    prepared = preparation.prepare_images(load_study(again), patient_ids=table["patient_id"], annotations=table)
    assert prepared["usable"].tolist() == [1] * 5 and not half.exists()
    assert len(patches.open_cache(cache_of(again)).patient_ids) == 5
    shutil.rmtree(cache_of(again) / "patches")
    pd.testing.assert_frame_equal(prepare(again), first)


def test_a_damaged_spec_is_a_sentence(few, tmp_path):
    again = copy(few[0], tmp_path / "again", keep_work=True)
    (cache_of(again) / "spec.json").write_bytes(b"")
    with pytest.raises(OnlmError, match=r"/spec\.json' is damaged\. Delete the folder 'cache-"):
        prepare(again)
    assert json.loads((cache_of(few[0]) / "spec.json").read_text())


def test_an_error_of_the_program_is_one_sentence_and_the_whole_only_where_asked_for(tmp_path):
    code = (
        "import sys; from onlm_lab import cli\n"
        "def fail(words): raise KeyError('Zhuravlyova')\n"
        "cli.CALLS['dictionary'] = fail; sys.exit(cli.main(['dictionary']))"
    )
    run = [sys.executable, "-c", code]
    env = {name: value for name, value in os.environ.items() if name != "ONLM_DEBUG"}
    short = subprocess.run(run, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert short.returncode == 1 and "did not foresee (KeyError" in short.stderr and NAME not in short.stderr
    whole = subprocess.run(run, capture_output=True, text=True, env={**env, "ONLM_DEBUG": "1"}, cwd=tmp_path)
    assert "Traceback" in whole.stderr and whole.returncode == 1
