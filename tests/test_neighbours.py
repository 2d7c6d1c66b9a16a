"""Patients who look alike to a model: against another implementation, and each message."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from onlm_lab.errors import OnlmError
from onlm_lab.learning.neighbours import nearest
from onlm_lab.runs import Run

N, N_LABELLED = 30, 20


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = [f"P{k:03d}" for k in range(N)]
    role = np.where(np.arange(N) < N_LABELLED, "labelled", "unlabelled")
    pd.DataFrame({"patient_id": ids, "centre": "C", "role": role}).to_csv(folder / "patients.csv", index=False)
    codes = rng.normal(size=(N, 6)) * [1, 10, 0.1, 5, 1, 0]  # the last: a value never missing
    order = rng.permutation(N)
    np.save(folder / "embeddings.npy", codes[order].astype(np.float32))
    pd.DataFrame({"patient_id": np.array(ids)[order]}).to_csv(folder / "embeddings_ids.csv", index=False)
    return Run(folder)


def parts(run):
    ids = pd.read_csv(run.folder / "embeddings_ids.csv")["patient_id"].to_numpy()
    labelled = np.array([int(patient[1:]) < N_LABELLED for patient in ids])
    codes = np.load(run.folder / "embeddings.npy").astype(float)
    return ids, labelled, StandardScaler().fit(codes[labelled]).transform(codes)


@pytest.mark.parametrize("labelled_only", [False, True])
@pytest.mark.parametrize("patient", ["P003", "P025"])
def test_neighbours_are_those_of_scikit_learn(run, patient, labelled_only):
    ids, labelled, codes = parts(run)
    among = (ids != patient) & (labelled if labelled_only else True)
    distance, rows = NearestNeighbors(n_neighbors=5).fit(codes[among]).kneighbors(codes[ids == patient])
    found = nearest(run, patient, n=5, labelled_only=labelled_only)
    assert found["patient_id"].tolist() == ids[among][rows[0]].tolist()
    np.testing.assert_allclose(found["distance"], distance[0], rtol=1e-9)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]


def test_more_than_there_are_gives_all_the_others(run):
    found = nearest(run, "P000", n=100)
    assert len(found) == N - 1 and "P000" not in set(found["patient_id"])
    assert (found["distance"].diff().dropna() >= 0).all()


def test_a_twin_comes_first(run):
    codes = np.load(run.folder / "embeddings.npy")
    ids = pd.read_csv(run.folder / "embeddings_ids.csv")["patient_id"].tolist()
    codes[ids.index("P011")] = codes[ids.index("P022")]
    np.save(run.folder / "embeddings.npy", codes)
    first = nearest(run, "P022", n=1).iloc[0]
    assert (first["patient_id"], first["distance"]) == ("P011", 0.0)


def test_each_message(run):
    with pytest.raises(OnlmError, match=r"n is 0; wanted 1 or more"):
        nearest(run, "P000", n=0)
    with pytest.raises(OnlmError, match=r"Run r has no patient P0077 among its 30; did you mean P007\?"):
        nearest(run, "P0077")
    pd.DataFrame({"patient_id": ["P000"]}).to_csv(run.folder / "embeddings_ids.csv", index=False)
    with pytest.raises(OnlmError, match=r"embeddings.npy has 30 rows, and embeddings_ids.csv names 1 patients"):
        nearest(run, "P000")
    (run.folder / "embeddings.npy").write_bytes(b"no array")
    with pytest.raises(OnlmError, match=r"embeddings.npy is damaged"):
        nearest(run, "P000")
    (run.folder / "embeddings.npy").unlink()
    with pytest.raises(OnlmError, match=r"has no embeddings.npy: its training is not finished"):
        nearest(run, "P000")
