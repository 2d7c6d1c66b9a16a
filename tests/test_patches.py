"""The cache gives back what was cut, survives being killed, and never mixes two specs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from onlm_lab.errors import OnlmError
from onlm_lab.patches import PatchSpec, create_cache, has_row, open_cache, pack, row_key, write_patch

SPEC = PatchSpec(size_mm=8.0, spacing_mm=2.0)
KEY = {
    "series_uid": "1.2",
    "files_digest": "f",
    "centre_mm": (1.0, 2.0, 3.0),
    "mask_digest": "m",
    "reader_version": "1",
}
NASTY = ["../../x", "007", "7", "NA", "na", "王小明", "a/b\\c", "", ".", "P 1;rm", "x" * 300, "con", "é", "e\u0301"]


def patch(seed=0):
    return np.random.default_rng(seed).uniform(-1000, 400, SPEC.shape).astype(np.float32)


def filled(folder, patients=("B", "A", "C")):
    create_cache(folder, spec=SPEC)
    for k, patient in enumerate(patients):
        write_patch(
            folder, patient_id=patient, patch=patch(k), key=f"key{k}", facts={"volume_ml": 1.5 + k, "note": None}
        )
    return folder


def test_a_spec_has_the_voxels_of_its_size_and_a_digest_of_its_own():
    assert SPEC.shape == (4, 4, 4) and PatchSpec(60, 1).shape == (60, 60, 60)
    assert PatchSpec(60, 1).digest == PatchSpec(60.0, 1.0).digest
    assert len({spec.digest for spec in (SPEC, PatchSpec(8, 1), PatchSpec(10, 2), PatchSpec(8, 2, outside_hu=0))}) == 4


@pytest.mark.parametrize("options", [{"size_mm": 0.0}, {"spacing_mm": -1.0}, {"size_mm": 1.0, "spacing_mm": 2.0}])
def test_an_impossible_spec_is_refused(options):
    with pytest.raises(OnlmError, match="needs 0 < spacing_mm <= size_mm"):
        PatchSpec(**options)


def test_only_the_known_interpolation_is_taken():
    with pytest.raises(OnlmError, match="interpolation is 'cubic'"):
        PatchSpec(interpolation="cubic")


@pytest.mark.parametrize(
    "change",
    [
        {"series_uid": "1.3"},
        {"files_digest": "g"},
        {"centre_mm": (1.0, 2.0, 3.0000001)},
        {"mask_digest": "n"},
        {"reader_version": "2"},
    ],
)
def test_a_row_key_changes_with_everything_that_the_patch_was_made_from(change):
    assert row_key(SPEC, **KEY) == row_key(SPEC, **{**KEY, "centre_mm": np.array([1, 2, 3])})
    assert row_key(SPEC, **KEY) != row_key(SPEC, **{**KEY, **change})
    assert row_key(SPEC, **KEY) != row_key(PatchSpec(8, 1), **KEY)


def test_a_patch_comes_back_to_the_whole_hu_with_its_facts(tmp_path):
    cache = open_cache(filled(tmp_path / "cache"), spec=SPEC)
    assert cache.patient_ids == ("A", "B", "C")
    np.testing.assert_array_equal(cache.load("B"), np.rint(patch(0)))
    assert cache.load("B").dtype == np.float32
    assert cache.facts.to_dict("list") == {
        "patient_id": ["A", "B", "C"],
        "volume_ml": [2.5, 1.5, 3.5],
        "note": [None] * 3,
    }
    np.testing.assert_array_equal(cache.array(["C", "A"]), np.rint([patch(2), patch(1)]))
    assert cache.array().shape == (3, 4, 4, 4) and cache.array().dtype == np.int16


def test_any_patient_id_has_a_file_of_its_own_inside_the_cache(tmp_path):
    folder = filled(tmp_path / "cache", NASTY)
    cache = open_cache(folder)
    assert set(cache.patient_ids) == set(NASTY)
    for k, patient in enumerate(NASTY):
        np.testing.assert_array_equal(cache.load(patient), np.rint(patch(k)))
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    names = [path.name.lower() for path in (folder / "patches").iterdir()]
    assert len(set(names)) == len(NASTY) and all(len(name) < 80 for name in names)


def test_a_row_is_there_only_for_the_key_that_it_was_made_from(tmp_path):
    folder = filled(tmp_path / "cache")
    assert has_row(folder, patient_id="A", key="key1")
    assert not has_row(folder, patient_id="A", key="key0") and not has_row(folder, patient_id="Z", key="key1")
    (file,) = (folder / "patches").glob("A-*")
    file.write_bytes(file.read_bytes()[:-1])
    assert not has_row(folder, patient_id="A", key="key1")


def test_a_corrected_contour_replaces_its_row_and_leaves_nothing_behind(tmp_path):
    folder = filled(tmp_path / "cache")
    before = {path.name for path in (folder / "patches").iterdir()}
    write_patch(folder, patient_id="A", patch=patch(9), key="other", facts={})
    after = {path.name for path in (folder / "patches").iterdir()}
    assert len(after) == 3 and len(before & after) == 2
    np.testing.assert_array_equal(open_cache(folder).load("A"), np.rint(patch(9)))


def test_a_cache_of_another_spec_is_refused_and_both_are_named(tmp_path):
    folder = filled(tmp_path / "cache")
    words = (
        r"'cache' holds patches of another spec: size_mm 8\.0 there, 60\.0 wanted, spacing_mm 2\.0 there, 1\.0 wanted"
    )
    for refuse in (create_cache, open_cache):
        with pytest.raises(OnlmError, match=words):
            refuse(folder, spec=PatchSpec(size_mm=60.0, spacing_mm=1.0))
    with pytest.raises(OnlmError, match=r"has shape \(2, 2, 2\); the spec wants \(4, 4, 4\)"):
        write_patch(folder, patient_id="A", patch=np.zeros((2, 2, 2)), key="k", facts={})
    with pytest.raises(OnlmError, match="'nowhere' is not a cache"):
        open_cache(tmp_path / "nowhere")


def test_a_missing_patient_and_a_lost_file_each_get_their_sentence(tmp_path):
    folder = filled(tmp_path / "cache")
    cache = open_cache(folder)
    with pytest.raises(OnlmError, match="Patient Z has no patch among the 3 of 'cache'"):
        cache.load("Z")
    (file,) = (folder / "patches").glob("A-*")
    file.write_bytes(b"no array")
    with pytest.raises(OnlmError, match=r"patch of patient A is lost or damaged\. Prepare"):
        cache.load("A")
    file.unlink()
    with pytest.raises(OnlmError, match=r"lost the patches of 1 of 3 patients \(A\)"):
        open_cache(folder)


def test_the_digest_follows_the_content_and_not_the_order_of_writing(tmp_path):
    one = open_cache(filled(tmp_path / "one")).digest
    other = create_cache(tmp_path / "two", spec=SPEC)
    for k in (2, 0, 1):
        write_patch(other, patient_id="BAC"[k], patch=patch(k), key="another", facts={})
    assert open_cache(other).digest == one
    write_patch(other, patient_id="A", patch=patch(1) + 2, key="another", facts={})
    assert open_cache(other).digest != one


def test_a_pack_gives_the_same_array_and_is_left_alone_once_the_cache_changed(tmp_path):
    folder = filled(tmp_path / "cache")
    cache = open_cache(folder)
    loose = cache.array(["C", "B"])
    pack(cache)
    assert isinstance(cache.array(), np.memmap)
    np.testing.assert_array_equal(cache.array(["C", "B"]), loose)
    write_patch(folder, patient_id="C", patch=patch(7), key="new", facts={})
    np.testing.assert_array_equal(open_cache(folder).array(["C"])[0], np.rint(patch(7)))


WRITER = """
import sys, numpy as np
from onlm_lab.patches import PatchSpec, create_cache, has_row, write_patch
spec = PatchSpec(size_mm=64.0, spacing_mm=1.0)
folder = create_cache(sys.argv[1], spec=spec)
for k in range(40):
    if k == 30:
        sys.stdin.readline()  # of the first start nobody lets it go on: a slow test is never too late to kill it
    if not has_row(folder, patient_id=str(k), key=f"k{k}"):
        print("cut", k, flush=True)
        patch = np.random.default_rng(k).integers(-1000, 400, spec.shape).astype(np.float32)
        write_patch(folder, patient_id=str(k), patch=patch, key=f"k{k}", facts={"k": k})
"""


def test_a_killed_run_leaves_whole_rows_and_the_next_one_cuts_only_the_rest(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "cache")]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in run.stdout:
        if line.split() == ["cut", "9"]:
            break
    time.sleep(0.003)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    run.stdout.close()
    run.stdin.close()
    done = open_cache(tmp_path / "cache").patient_ids
    assert 9 <= len(done) < 40
    again = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout.split("\n")
    assert len([line for line in again if line]) == 40 - len(done)
    subprocess.run([*command[:3], str(tmp_path / "whole")], input=b"", capture_output=True, check=True)
    assert open_cache(tmp_path / "cache").digest == open_cache(tmp_path / "whole").digest


def test_a_row_is_plain_json_that_anyone_can_read(tmp_path):
    folder = filled(tmp_path / "cache")
    write_patch(
        folder,
        patient_id="D",
        patch=patch(),
        key="k",
        facts={"n": np.int64(3), "x": np.float32(0.5), "ok": np.True_, "kvp": np.nan},
    )
    (row,) = [json.loads(path.read_text()) for path in (folder / "rows").glob("D-*")]
    assert row["facts"] == {"n": 3, "x": 0.5, "ok": True, "kvp": None} and row["patient_id"] == "D"


def test_the_cache_needs_neither_torch_nor_dicom():
    unwanted = "('torch', 'pydicom', 'SimpleITK', 'pandas')"
    code = f"import sys, onlm_lab.patches; print([m for m in {unwanted} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
