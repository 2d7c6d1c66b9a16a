"""A search through hundreds of thousands of files can be killed, goes on where it was, and keeps nobody's name."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time

import made_ct
import numpy as np
import pandas as pd
import pydicom
import pytest
from made_ct import Scan
from pydicom.fileset import FileSet

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, index_series, read_series
from onlm_lab.imaging import searching as searching_module
from onlm_lab.imaging.searching import list_files, read_headers

SMALL = Scan(shape=(6, 4, 4))


def many(folder, n_series=5):
    for k in range(n_series):
        made_ct.write_scan(folder / f"p{k}" / "scan", SMALL.but(series=f"series {k}"))
    (folder / "notes.txt").write_text("text")
    return folder


def spoil(path):
    """Other bytes, of the same length and the same time of change: whoever opens the file again will notice."""
    state = path.stat()
    path.write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_what_was_read_is_not_opened_again(tmp_path):
    folder = many(tmp_path / "ct")
    first = find_series(folder, store=tmp_path / "store")
    for file in list_files(folder):
        spoil(folder / file)
    again = find_series(folder, store=tmp_path / "store")
    assert again.equals(first) and again.attrs == first.attrs == {**first.attrs, "n_files": 31, "n_not_dicom": 1}
    assert find_series(folder).empty  # without the store they are opened


def test_a_changed_and_a_new_file_are_read_and_a_lost_one_is_forgotten(tmp_path):
    folder = many(tmp_path / "ct")
    find_series(folder, store=tmp_path / "store")
    made_ct.write_scan(folder / "p0" / "scan", SMALL.but(series="another"))
    made_ct.write_scan(folder / "new", SMALL.but(series="new"))
    for path in (folder / "p4" / "scan").iterdir():
        path.unlink()
    found = find_series(folder, store=tmp_path / "store")
    assert found.equals(find_series(folder)) and len(found) == 5
    (part,) = (tmp_path / "store").iterdir()  # one part, of what is there now
    assert len(gzip.decompress(part.read_bytes())) > 0


def test_a_damaged_part_is_read_again_and_not_trusted(tmp_path):
    folder = many(tmp_path / "ct")
    first = find_series(folder, store=tmp_path / "store")
    (part,) = (tmp_path / "store").iterdir()
    part.write_bytes(part.read_bytes()[:-30])
    assert find_series(folder, store=tmp_path / "store").equals(first)


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path):
    folder = many(tmp_path / "ct", n_series=1)
    path = folder / "p0" / "scan" / "003"
    whole, state = path.read_bytes(), path.stat()
    path.write_bytes(b"\0" * len(whole))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert find_series(folder, store=tmp_path / "store").attrs["n_unreadable"] == 1
    path.write_bytes(whole)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert find_series(folder, store=tmp_path / "store").n_instances[0] == 6


SEARCH = """
import sys, time
from onlm_lab.imaging import find_series, searching
searching.PART_FILES = 20
real = searching._read_part
n = 0
def slow(folder, files):
    global n
    n += 1
    if n == 10:
        sys.stdin.readline()  # of the first start nobody lets it go on: a slow test is never too late to kill it
    print("part", flush=True)
    time.sleep(0.05)
    return real(folder, files)
searching._read_part = slow
find_series(sys.argv[1], store=sys.argv[2])
"""


def test_a_killed_search_goes_on_where_it_was(tmp_path):
    folder = many(tmp_path / "ct", n_series=40)
    command = [sys.executable, "-c", SEARCH, str(folder), str(tmp_path / "store")]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for n, _ in enumerate(run.stdout, start=1):
        if n == 6:
            time.sleep(0.02)
            os.kill(run.pid, signal.SIGKILL)
            break
    run.wait()
    run.stdout.close()
    run.stdin.close()
    kept = len(list((tmp_path / "store").glob("headers-*")))
    assert 4 <= kept < 13  # of 241 files in parts of 20
    again = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout.split()
    assert len(again) == -(-(241 - 20 * kept) // 20)
    assert find_series(folder, store=tmp_path / "store").equals(find_series(folder))


def test_the_store_holds_no_path_no_name_no_number_and_no_date(tmp_path):
    made = made_ct.slices(SMALL)
    for data in made:
        data.PatientName, data.PatientID, data.AccessionNumber = "Zhuravlyova^Anna", "HOSP-4711", "ACC-99887"
        data.PatientBirthDate, data.StudyDate, data.AcquisitionDate = "19510203", "20200504", "20200504"
        data.SeriesDescription, data.InstitutionName = "for Dr Zhuravlyova", "Hospital Nord"
    names = [f"Anna_Zhuravlyova/HOSP-4711/{k}.dcm" for k in range(6)]
    folder = made_ct.write(tmp_path / "ct", made, names)
    find_series(folder, store=tmp_path / "store")
    (part,) = (tmp_path / "store").iterdir()
    text = made_ct.without_long_numbers(gzip.decompress(part.read_bytes()).decode().lower())
    for secret in ("zhuravlyova", "anna", "4711", "99887", "19510203", "20200504", "nord", ".dcm"):
        assert secret not in text


@pytest.mark.parametrize("workers", [1, 2])
def test_the_store_is_the_same_whatever_the_workers(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(searching_module, "PART_FILES", 7)
    folder = many(tmp_path / "ct")
    headers, n_files = read_headers(folder, workers=workers, store=tmp_path / f"store{workers}")
    plain, _ = read_headers(folder)
    assert n_files == 31 and repr(headers) == repr(plain)
    kept = read_headers(folder, store=tmp_path / f"store{workers}")[0]
    assert repr(kept) == repr(plain) and [h.file for h in kept] == [h.file for h in plain]


def disc(tmp_path, scan=SMALL, *, part=slice(None), name="disc"):
    """A disc as hospitals burn it: DICOMDIR, and files without an ending in folders of their own."""
    made = FileSet()
    for data in made_ct.slices(scan)[part]:
        data.StudyInstanceUID = "1.2.3"
        data.PatientID, data.PatientName, data.StudyID = "P1", "Name^Of", "1"
        data.StudyDate, data.StudyTime, data.SeriesNumber = "20200101", "080000", "1"
        made.add(data)
    made.write(tmp_path / name)
    made._stage["t"].cleanup()  # the folder in which pydicom put the disc together
    return tmp_path / name


def test_a_disc_is_read_from_its_folder_or_from_its_dicomdir(tmp_path):
    folder = disc(tmp_path)
    table = find_series(folder / "DICOMDIR")
    assert len(table) == 1 and table.n_instances[0] == 6 and table.faults[0] == ()
    assert table.attrs["n_without_series"] == 1  # the DICOMDIR itself
    assert read_series(folder / "DICOMDIR").shape == read_series(folder).shape == (6, 4, 4)


def test_a_file_that_the_dicomdir_lists_and_that_is_lost_is_told_although_it_leaves_no_gap(tmp_path):
    folder = disc(tmp_path)
    last = max(
        (path for path in folder.rglob("*") if path.is_file() and path.name != "DICOMDIR"), key=lambda path: path.name
    )
    last.unlink()
    assert "missing_files" in find_series(folder).faults[0]
    with pytest.raises(
        SeriesError, match=r"1 of 6 files that DICOMDIR lists are not there\. Copy the whole disc again"
    ):
        read_series(folder)
    index = index_series(folder, treatments={"missing_files": "warn"})
    assert "missing_files" in index.acquisition["warnings"] and index.shape[0] == 5


def test_a_series_of_which_no_file_is_there_is_a_row_of_its_own(tmp_path):
    folder = disc(tmp_path)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "DICOMDIR":
            path.unlink()
    table = find_series(folder)
    assert table[["modality", "n_instances", "faults", "path"]].values.tolist() == [["CT", 0, ("missing_files",), "."]]


def test_renamed_files_of_a_disc_are_not_taken_for_lost(tmp_path):
    folder = disc(tmp_path)
    for k, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "DICOMDIR")):
        path.rename(folder / f"slice {k}.dcm")
    assert find_series(folder).faults[0] == ()


def test_a_pipe_and_a_link_in_a_circle_do_not_stop_the_search(tmp_path):
    folder = made_ct.write_scan(tmp_path / "ct", made_ct.Scan())
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to(folder / "circle")
    assert find_series(tmp_path / "ct")["n_instances"].sum() == 8


@pytest.mark.parametrize("content", [b"[]", b'{"format": 2}', b"null"])
def test_a_damaged_store_of_headers_is_read_anew(tmp_path, content):
    folder = made_ct.write_scan(tmp_path / "ct", made_ct.Scan())
    first = find_series(folder, store=tmp_path / "store")
    (part,) = (tmp_path / "store").glob("headers-*.json.gz")
    whole = part.read_bytes()
    rng = np.random.default_rng(1)
    flipped = [bytes(b ^ (k == place) for k, b in enumerate(whole)) for place in rng.integers(10, len(whole), 30)]
    for damaged in (gzip.compress(content), *flipped):
        part.write_bytes(damaged)
        pd.testing.assert_frame_equal(find_series(folder, store=tmp_path / "store"), first)


def test_a_folder_that_is_closed_is_told_beside_the_slices(tmp_path, monkeypatch):
    folder = made_ct.write_scan(tmp_path / "ct", made_ct.Scan())
    (folder / "rest").mkdir()
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("rest"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)  # whoever runs the tests may enter everything
    table = find_series(folder)
    assert table.attrs["n_unreadable"] == 1 and "broken_files" in table["faults"][0]
    with pytest.raises(SeriesError, match=r"\('rest'\) or may not be opened"):
        read_series(folder)


def test_a_folder_named_in_other_bytes_can_be_written_into_a_table(tmp_path):
    folder = tmp_path / "ct" / os.fsdecode("胸部".encode("gbk"))
    made_ct.write_scan(folder, made_ct.Scan())
    table = find_series(tmp_path / "ct")
    assert table["path"][0].startswith("id-") and table.to_csv().encode("utf-8")
    assert read_series(tmp_path / "ct" / table["path"][0]).shape == (8, 20, 24)


def test_two_discs_are_counted_together_and_a_record_out_of_use_breaks_no_chain(tmp_path):
    for number, part in enumerate((slice(4), slice(4, None))):
        disc(tmp_path / "ct", part=part, name=f"disc{number}")
    assert "missing_files" not in find_series(tmp_path / "ct")["faults"][0]
    lost = sorted(path for path in (tmp_path / "ct" / "disc0").rglob("*") if path.is_file() and path.name != "DICOMDIR")
    lost[0].unlink()
    assert "missing_files" in find_series(tmp_path / "ct")["faults"][0]
    directory = pydicom.dcmread(tmp_path / "ct" / "disc0" / "DICOMDIR")
    images = [r for r in directory.DirectoryRecordSequence if r.DirectoryRecordType == "IMAGE"]
    gone = next(record for record in images if not tmp_path.joinpath("ct", "disc0", *record.ReferencedFileID).exists())
    gone.RecordInUseFlag = 0  # says that it was taken off the disc
    directory.save_as(tmp_path / "ct" / "disc0" / "DICOMDIR")
    assert "missing_files" not in find_series(tmp_path / "ct")["faults"][0]
    lost[1].unlink()
    assert "missing_files" in find_series(tmp_path / "ct")["faults"][0]
