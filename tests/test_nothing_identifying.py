"""A planted name, number and date, also in a folder's name, are found nowhere: cache, run, log, message, report."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pydicom
import pytest

from onlm_lab.runs import open_run
from onlm_lab.schema import write_table

NAME, FOLDER = "Zhuravlyova^Anna", "Zhuravlyova Anna HOSP4711"
SECRETS = ("zhuravlyova", "hosp-4711", "hosp4711", "acc-99887", "19510203", "1951-02-03", "20190817", "2019-08-17")


def plant(folder, patient, study):
    """The scan of a made-up patient as a hospital would have sent it, under a folder with her name."""
    place = study / "ct" / folder / "series one"
    place.mkdir(parents=True)
    for path in sorted((study / "ct" / patient / "chest").iterdir()):
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientID, data.AccessionNumber = NAME, "HOSP-4711", "ACC-99887"
        data.PatientBirthDate, data.StudyDate, data.AcquisitionDate = "19510203", "20190817", "20190817"
        data.SeriesDescription = data.ImageComments = "Chest of Mrs Zhuravlyova, HOSP-4711"
        data.InstitutionName, data.ReferringPhysicianName = "Zhuravlyova clinic", "Zhuravlyova^Boris"
        data.save_as(place / f"Zhuravlyova {path.name}.dcm")
    shutil.rmtree(study / "ct" / patient)
    return place


@pytest.fixture(scope="module")
def planted(trial, tmp_path_factory):
    """The trial again, three patients planted: one sound, one with a lost slice, one with a file broken off."""
    study = shutil.copytree(
        trial, tmp_path_factory.mktemp("planted") / "study", ignore=shutil.ignore_patterns("work", "runs"),
        copy_function=os.link,
    )  # fmt: skip
    cohort = pd.read_csv(trial / "work" / "prepared.csv", dtype={"patient_id": str})
    patients = cohort.loc[cohort["usable"] == 1, "patient_id"].head(3).tolist()
    places = [plant(f"{FOLDER} {k}", patient, study) for k, patient in enumerate(patients)]
    sorted(places[1].iterdir())[7].unlink()
    broken = sorted(places[2].iterdir())[3]
    broken.write_bytes(broken.read_bytes()[:300])
    annotations = pd.read_csv(study / "annotations.csv", dtype=str)
    annotations.loc[annotations["patient_id"].isin(patients), "series_path"] = None
    (study / "annotations.csv").unlink()
    write_table(annotations, study / "annotations.csv")
    done = subprocess.run(
        [sys.executable, "-m", "onlm_lab.cli", "run", str(study)], capture_output=True, text=True, check=False
    )  # fmt: skip
    return study, patients, done


def texts_of(path):
    """Everything that a file holds, as text; compressed files opened."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return [content.decode("utf-8", "ignore").lower(), content.decode("utf-16-le", "ignore").lower()]


def test_the_study_ran_and_the_planted_patients_are_in_it(planted):
    study, patients, done = planted
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    prepared = pd.read_csv(study / "work" / "prepared.csv", dtype={"patient_id": str}).set_index("patient_id")
    assert prepared.loc[patients, "usable"].tolist() == [1, 0, 0]
    assert "slices are missing" in prepared.loc[patients[1], "detail"]
    assert "broken header" in prepared.loc[patients[2], "detail"]


def test_no_word_of_the_program_names_her(planted):
    _, _, done = planted
    said = (done.stdout + done.stderr).lower()
    assert said and not [secret for secret in SECRETS if secret in said]


def test_no_file_that_the_program_wrote_names_her_by_content_or_by_name(planted):
    study, _, _ = planted
    written = [path for part in ("work", "runs") for path in (study / part).rglob("*") if path.is_file()]
    assert len(written) > 100 and any(path.suffix == ".gz" for path in written)
    found = [
        (path.relative_to(study), secret)
        for path in written
        for secret in SECRETS
        if secret in str(path.relative_to(study)).lower() or any(secret in text for text in texts_of(path))
    ]
    assert not found


def test_no_row_that_a_page_reads_names_her(planted):
    study, _, _ = planted
    run = open_run(study)
    shown = " ".join([run.rows().to_csv(), run.patients.to_csv(), repr(run)]).lower()
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("verb", ["volume", "series", "prepare"])
def test_no_message_of_a_verb_names_her(planted, verb):
    study, patients, _ = planted
    words = {
        "volume": ["volume", str(study), patients[1]], "series": ["series", str(study / "ct")],
        "prepare": ["prepare", str(study)],
    }[verb]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "onlm_lab.cli", *words], capture_output=True, text=True, check=False
    )  # fmt: skip
    said = (done.stdout + done.stderr).lower()
    assert said and "traceback" not in said and not [secret for secret in SECRETS if secret in said]


def test_the_whole_scan_for_the_viewer_names_her_nowhere(planted):
    study, patients, _ = planted
    done = subprocess.run(
        [sys.executable, "-m", "onlm_lab.cli", "volume", str(study), patients[0]], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (study / "work" / "volumes").glob("*.npy")
    assert np.load(path, allow_pickle=False).ndim == 3
    assert not [s for s in SECRETS for text in texts_of(path.with_suffix(".json")) if s in text + str(path).lower()]
