"""Notebooks 02 to 05, from a hospital's tables and CT to a judged model: they run, and say what the truth is."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pydicom
import pytest
from sklearn.metrics import roc_auc_score
from test_notebooks import NOTEBOOKS, drawn, executed, outputs, said

from onlm_lab import virtual
from onlm_lab.runs import open_run, read_csv

LONGEST_SUBTITLE = 115  # characters of a line that a page of usual width holds


@pytest.fixture(scope="module")
def small_trial(tmp_path_factory) -> Path:
    """The trial that 04_train_and_compare makes for itself, trained; made outside it, as a busy machine may be slow."""
    folder = virtual.write_trial(
        tmp_path_factory.mktemp("trained") / "small_trial", n_patients=200, n_centres=4, seed=6
    )
    command = [sys.executable, "-m", "onlm_lab.cli", "run", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


Told = tuple[list[dict], Path]  # the executed cells of a notebook, and the folder that it worked in


def told_by(name: str, *, folder: Path, trial: Path | None = None) -> Told:
    """A notebook, executed."""
    with pytest.MonkeyPatch.context() as patch:
        if trial is not None:
            patch.setenv("ONLM_DEMO", str(trial))
        return executed(name, folder=folder), folder


@pytest.fixture(scope="module")
def cohort_told(tmp_path_factory) -> Told:
    return told_by("02_cohort_and_protocol.py", folder=tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def ct_told(tmp_path_factory) -> Told:
    return told_by("03_ct_to_patch.py", folder=tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def training_told(tmp_path_factory, small_trial) -> Told:
    return told_by("04_train_and_compare.py", folder=tmp_path_factory.mktemp("training"), trial=small_trial)


@pytest.fixture(scope="module")
def performance_told(tmp_path_factory, small_trial) -> Told:
    return told_by("05_performance_and_subgroups.py", folder=tmp_path_factory.mktemp("judged"), trial=small_trial)


def require_quiet_and_marked(cells: list[dict], *, n_figures: int) -> None:
    """No warning reaches the reader, every figure says that its data are made up, and no subtitle is cut off."""
    loud = [o["text"] for o in outputs(cells) if o.get("name") == "stderr"]
    assert loud == []
    figures = drawn(cells)
    assert len(figures) == n_figures
    for figure in figures:
        title = figure["layout"]["title"]
        assert any("MADE-UP DATA" in a["text"] for a in figure["layout"].get("annotations", ())), title
        for line in title.get("subtitle", {}).get("text", "").split("<br>"):
            assert len(line) <= LONGEST_SUBTITLE, line


def numbers_of(cells: list[dict], *, holds: str) -> list[list[float]]:
    """The numbers of the table whose text holds these words, line by line, without the lines of its head."""
    text = next(
        t for t in (o.get("data", {}).get("text/plain", "") for o in outputs(cells)) if re.search(holds, t)
    )  # fmt: skip
    rows = [re.findall(r"(?<=\s)-?\d+(?:\.\d+)?(?=\s|$)", line) for line in text.splitlines()]
    return [[float(n) for n in row] for row in rows if row]


@pytest.mark.slow
def test_the_cohort_notebook_lists_every_planted_mistake_and_lets_in_whom_the_truth_lets_in(cohort_told):
    cells, _ = cohort_told
    text = said(cells)
    require_quiet_and_marked(cells, n_figures=3)
    planted = ["'710' in row 5 (MT-0004)", "'m?' in row 12", "'2.1 x 1.8' in row 27", "is above total_diameter_mm in 1",
               "MT-0057: rows 58, 59", "'pN1' in row 82", "'-3' in row 103"]  # fmt: skip
    assert [word for word in planted if word not in text] == []
    assert len(re.findall(r"^clinical\.xlsx: .*(?:Correct it|Keep one row|Wanted solid)", text, re.M)) == len(planted)
    assert "Size cm (total_diameter_mm) multiplied by 10" in text and "called on Tuesday" not in text

    trial = virtual.draw_trial(n_patients=1000, n_centres=4, seed=3)
    clinical, truth = trial.clinical, trial.truth
    is_in = (truth["violations"] == "") & (truth["undetermined"] == "")
    assert f"Of 1,000 patients screened, {is_in.sum()} ({is_in.mean():.0%})".replace("%", " %") in text
    matrix = np.array([row[-3:] for row in numbers_of(cells, holds="planted")])
    assert np.array_equal(matrix, np.diag(np.diag(matrix))) and matrix.sum() == 1000
    assert f"{int(matrix[2, 2])} patients could still come in" in text

    n_lost = int((is_in & (clinical["kps"] == 70)).sum())
    assert n_lost > 10 and f"At 80 there would be {n_lost} fewer" in text
    bars = {trace["name"]: trace for trace in drawn(cells)[1]["data"] if trace["type"] == "bar"}
    assert set(bars) == {"Surgery", "SBRT"}

    ratio = clinical["solid_diameter_mm"] / clinical["total_diameter_mm"]
    small = (clinical["total_diameter_mm"] <= 20) & (ratio > 0.5) & (clinical["nsclc_confirmed"] == 1)
    small &= (clinical["clinical_n"] == "N0") & (clinical["clinical_m"] == "M0")
    small &= clinical["consent"].isin(["yes", "waived"])
    assert f"Of 1,000 patients screened, {small.sum()} (" in text


@pytest.mark.slow
def test_the_cohort_notebook_gives_sbrt_no_label_and_shows_what_few_nodes_miss(cohort_told):
    cells, _ = cohort_told
    text = said(cells)
    trial = virtual.draw_trial(n_patients=1000, n_centres=4, seed=3)
    clinical, truth = trial.clinical, trial.truth
    is_in = (truth["violations"] == "") & (truth["undetermined"] == "")
    n_sbrt = int((is_in & (clinical["treatment"] == "sbrt")).sum())
    labels = {line.rsplit(maxsplit=2)[0].strip(): [int(n) for n in line.split()[-2:]]
              for line in text.splitlines() if re.match(r"(N\+|N0|none: .*)\s+\d+\s+\d+$", line)}  # fmt: skip
    assert labels["none: SBRT: no pathological N"] == [n_sbrt, 0]
    assert labels["N+"][0] == labels["N0"][0] == 0
    positive = is_in & clinical["pathological_n"].isin(["N1", "N2", "N3"]) & (clinical["treatment"] != "sbrt")
    assert labels["N+"][1] == positive.sum()

    seen = numbers_of(cells, holds="called N0")
    few, many = seen[0][-2:], seen[-1][-2:]
    assert few[1] / sum(few) > 0.2 > 0.02 > many[1] / sum(many), "few nodes miss the disease, many do not"
    needed, n = (int(x.replace(",", "")) for x in re.search(
        r"(\S+) patients are needed; .* The study has (\S+): not enough", text
    ).groups())  # fmt: skip
    assert needed > n == labels["N+"][1] + labels["N0"][1]
    assert re.search(r"CEA is missing in 1[0-4]% of the eligible patients, SUVmax in (1[5-9]|2\d)%", text)


@pytest.mark.slow
def test_the_ct_notebook_finds_chooses_reads_and_cleans_what_a_hospital_sent(ct_told):
    cells, folder = ct_told
    text = said(cells)
    require_quiet_and_marked(cells, n_figures=3)
    assert "175 files, 1 of them no DICOM; 5 series" in text
    wanted = ["TOSHIBA: chosen", "GE MEDICAL SYSTEMS: left out: slices within the series are missing",
              "UIH: chosen", "UIH: left out: a localizer", "UIH: left out: 9 mm thick, more than 5 mm",
              "1 of 56 slices are missing: after 'IM0069' at z = -13.50 mm the next lies 6.00 mm on instead of 3.00 mm",
              "1 slice filled; warnings: missing_slices"]  # fmt: skip
    assert [word for word in wanted if word not in text] == []
    assert "[90.0, 86.0, 82.0] ...; as read, from the feet up: [-90.0, -86.0, -82.0]" in text

    assert "Is nothing of the profile left? True" in text and "NOBODY" not in text
    copies = [pydicom.dcmread(path) for path in sorted((folder / "copy").rglob("*.dcm"))]
    assert len(copies) == 174 and len({str(one.PatientID) for one in copies}) == 3
    for one in copies:
        assert not re.search("NOBODY|MT-0", f"{one.PatientName} {one.PatientID}") and not one.get("PatientBirthDate")
    pixels = [{hashlib.sha256(one.PixelData).hexdigest() for one in scans} for scans in (
        copies, (pydicom.dcmread(path) for path in (folder / "disc").glob("IM*"))
    )]  # fmt: skip
    assert pixels[0] == pixels[1], "the pictures stay as they were"


@pytest.mark.slow
def test_the_ct_notebook_measures_near_what_was_painted_and_keeps_the_cube_it_cut(ct_told):
    cells, folder = ct_told
    text = said(cells)
    point, centre = re.search(r"Point \((.*?)\); centre of the contour \((.*?)\)", text).groups()
    apart = np.subtract(*(np.array(p.split(","), dtype=float) for p in (point, centre)))
    assert np.linalg.norm(apart) < 1
    truth = read_csv(folder / "made_up_ct" / "truth.csv").set_index("patient_id").loc["MT-0002"]
    painted = truth[["tumour_x_mm", "tumour_y_mm", "tumour_z_mm"]].to_numpy(dtype=float)
    assert np.linalg.norm(painted - np.array(point.split(","), dtype=float)) < 1
    n, low, high, middle = (float(x) for x in re.search(
        r"(\d+) contours: measured minus painted (\S+) to (\S+) mm, median (\S+)\.", text
    ).groups())  # fmt: skip
    assert n == 11 and 0 < low < middle < high < 3, "a little too long, on every scanner"
    assert "2 patients have a point only" in text
    assert "solid diameter  10.4 mm" in re.sub(r"\s*\\\n\d?\s*", "  ", text), "CT and table disagree on our patient"
    assert "13 of 13 eligible patients have a usable CT patch" in text
    assert "13 patients, (64, 64, 64) voxels each" in text and "is the patient's in the cache: True" in text
    drawn_x = [trace["x"] for trace in drawn(cells)[2]["data"]]
    assert sum(len(base64.b64decode(x["bdata"])) // np.dtype(x["dtype"]).itemsize for x in drawn_x) == n


@pytest.mark.slow
def test_the_training_notebook_compares_fairly_and_catches_the_leak(training_told, small_trial):
    cells, _ = training_told
    text = said(cells)
    require_quiet_and_marked(cells, n_figures=5)
    assert text.count("nothing changed, kept") == 6
    run = open_run(small_trial)
    rows = run.rows(split="oof")
    assert rows.groupby("model_id")["patient_id"].nunique().eq(rows["patient_id"].nunique()).all()
    assert not (rows["arm"] == "sbrt").any()
    table = dict(re.findall(r"^(\w+) +(0\.\d+)$", text, re.M))
    for model, part in rows.groupby("model_id"):
        assert float(table[model]) == pytest.approx(roc_auc_score(part["onlm"], part["risk"]), abs=0.006)
    assert float(table["oracle_full"]) > float(table["fused"]) > float(table["clinical"])
    gain, low = re.search(r"fused minus clinical: (\S+) \((\S+) to", text).groups()
    assert float(gain) > 0 and float(low) > 0, "the CT's signs count in this world"

    kinds = re.findall(r"(Honest|Chosen on the test patients): sensitivity (\S+) .*?, specificity (\S+) ", text)
    honest, apparent = (tuple(float(x) for x in found[1:]) for found in kinds)
    assert apparent[0] >= 0.95 and sum(apparent) >= sum(honest)
    assert "'lvi' is known only after treatment" in text
    assert "an AUC of 1.000 is above 0.95" in text and "looks_suspicious (its value: AUC 1.000)" in text


@pytest.mark.slow
def test_the_training_notebook_says_what_the_model_learnt_of_the_world(training_told):
    cells, _ = training_told
    text = said(cells)
    ends = {name: (float(a), float(b)) for name, a, b in re.findall(r"^(\w+) +(0\.\d+) +(0\.\d+)$", text, re.M)}
    rising = ["cea_ng_ml", "suv_max", "solid_diameter_mm"]
    assert [name for name in rising if ends[name][1] <= ends[name][0]] == []
    assert ends["age_years"][1] < ends["age_years"][0]
    signs = {name: float(value) for name, value in re.findall(
        r"^(spiculation|necrosis|pleural_tag|lobulation|vessel_convergence|core_hu) +(-?\d\.\d+)$", text, re.M
    )}  # fmt: skip
    assert len(signs) == 6 and max(signs, key=signs.get) == "spiculation" and signs["spiculation"] > 0.5
    assert "did the model learn from this patient? no" in text
    weights = [int(w) for w in re.findall(r"(?:axial|coronal|sagittal) (\d+)%", text)]
    assert len(weights) == 3 and sum(weights) == pytest.approx(100, abs=2)
    card = next(o["data"]["text/markdown"] for o in outputs(cells) if "text/markdown" in o.get("data", {}))
    assert "Not a medical device" in card and "MADE-UP DATA" in card


def test_every_figure_of_the_performance_notebook_is_followed_by_what_may_not_be_said():
    cells = jupytext.read(NOTEBOOKS / "05_performance_and_subgroups.py").cells
    draw = re.compile(r"\.figure$|^figures\.plot", re.M)
    draws = [k for k, cell in enumerate(cells) if cell.cell_type == "code" and draw.search(cell.source)]
    assert len(draws) == 14
    for k in draws:
        assert "May say:" in cells[k].source, cells[k].source
        rest = [c.source for c in cells[k + 1 :] if c.cell_type == "markdown"]
        until = next((i for i, source in enumerate(rest) if source.startswith("## ")), len(rest))
        assert any("**May not say:**" in source for source in rest[:until]), cells[k].source


@pytest.mark.slow
def test_the_performance_notebooks_numbers_are_those_of_the_run(performance_told, small_trial):
    cells, _ = performance_told
    text = said(cells)
    require_quiet_and_marked(cells, n_figures=14)
    one = open_run(small_trial).rows(split="oof").query("model_id == 'fused'")
    auc = roc_auc_score(one["onlm"], one["risk"])
    assert f"has the higher risk in {100 * auc:.0f} of 100 pairs" in text
    counts = [int(n) for n in re.search(
        r"of 1,000 such patients (\d+) N\+ would be found and (\d+) missed; (\d+) N0 would be spared.* and (\d+)", text
    ).groups()]  # fmt: skip
    cross = pd.crosstab(one["onlm"], one["predicted_positive"]) * 1000 / len(one)
    assert counts == pytest.approx([cross.loc[1, 1], cross.loc[1, 0], cross.loc[0, 0], cross.loc[0, 1]], abs=1)

    quarters = np.array([row[-3:] for row in numbers_of(cells, holds="lowest quarter")])
    assert (np.diff(quarters[:, 0]) > 0).all() and (np.diff(quarters[:, 1]) > 0).all()
    assert np.abs(quarters[:, 0] - quarters[:, 1]).max() < 0.15, "predicted risks follow the world's own"
    true_risk = {(a, b): float(r) for a, b, r in re.findall(
        r"^(N\+|N0)? +called (negative|positive) +\d+ +(\S+)$", text, re.M
    )}  # fmt: skip
    assert true_risk[("N+", "negative")] < true_risk[("", "positive")]


@pytest.mark.slow
def test_the_performance_notebook_finds_no_difference_where_the_world_has_none(performance_told):
    cells, folder = performance_told
    text = said(cells)
    assert re.search(r"May say: 0 of 5 tests are significant after Holm's correction \(smallest P 0\.\d+, \w+\)", text)
    assert "of 15 gaps, 0 are larger than chance makes them" in text
    raw, column, adjusted = re.search(r"Smallest P: (\S+) \(\w+ by (\w+)\); after Holm (\S+)\.\n", text).groups()
    assert float(raw) < 0.05 < float(adjusted) and column == "sex", "the look that would have fooled us"
    pooled, low, high, new_low, new_high = (float(x) for x in re.search(
        r"over 10 centres the AUC is (\S+) \((\S+) to (\S+)\); a new one's: \S+ \((\S+) to (\S+)\)\.", text
    ).groups())  # fmt: skip
    assert new_low <= low < pooled < high <= new_high
    least, most = (float(x) for x in re.search(r"the pooled AUC is (0\.\d+) to (0\.\d+)\.", text).groups())
    assert least <= round(pooled, 2) <= most and most - least < 0.03
    everyone = read_csv(folder / "big_trial" / "truth.csv").set_index("patient_id")
    clinical = read_csv(folder / "big_trial" / "clinical.csv").set_index("patient_id")
    known = everyone["violations"].isna() & everyone["undetermined"].isna() & (clinical["nodes_examined"] > 0)
    found = clinical.loc[known, "pathological_n"].ne("N0")
    assert f"{known.sum()} eligible patients with a label, {found.sum()} of them N+" in text
    assert roc_auc_score(found, everyone.loc[known, "risk_full"]) == pytest.approx(pooled, abs=0.01)
