"""A run explained: files that pages read without torch, made once, the model's own numbers in them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from made_trained import FINETUNE, SECTIONS, patient_table, train_tiny, write_cache
from test_layout import loaded_after

from onlm_lab import patches
from onlm_lab.errors import OnlmError
from onlm_lab.learning import explained
from onlm_lab.learning.coefficients import load_clinical_model
from onlm_lab.learning.dataset import Layout
from onlm_lab.learning.effects import POINTS, curve_values, effects, left_out, one_tumour
from onlm_lab.learning.explain import explain_run, main
from onlm_lab.learning.explained import read_attention, read_effects, read_explained, read_index
from onlm_lab.learning.pictured import lay_out
from onlm_lab.learning.saliency import saliency
from onlm_lab.learning.saved import open_saved
from onlm_lab.runs import Run

LARGER = {"image_px": 32}  # so that the backbone's map has more than one cell


def larger(sections):
    return sections | {"model": sections["model"] | LARGER}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return write_cache(tmp_path_factory.mktemp("cache"), ids=patient_table()["patient_id"].tolist())


@pytest.fixture(scope="module")
def frozen(tmp_path_factory, cache):
    run = train_tiny(tmp_path_factory.mktemp("frozen") / "runs" / "run-a", sections=larger(SECTIONS), cache=cache)
    explain_run(run.folder, cache=cache, n_occluded=4, progress=False)
    return run


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, cache):
    run = train_tiny(tmp_path_factory.mktemp("tuned") / "runs" / "run-f", sections=larger(FINETUNE), cache=cache)
    explain_run(run.folder, cache=cache, n_patients=5, n_occluded=1, progress=False)
    return run


def copied(run, tmp_path):
    folder = tmp_path / "runs" / run.id
    shutil.copytree(run.folder, folder)
    return Run(folder)


def test_pages_read_what_explains_a_run_without_torch():
    assert "torch" not in loaded_after("import onlm_lab.learning.explained, onlm_lab.learning.neighbours")


def test_every_patient_is_shown_and_of_whom_the_model_learnt_is_said(frozen):
    index = read_index(frozen)
    patients = frozen.patients
    assert index["patient_id"].tolist() == sorted(patients["patient_id"])
    seen = index.set_index("patient_id")["seen_in_training"]
    role = patients.set_index("patient_id")["role"]
    assert (seen == (role.loc[seen.index] == "labelled")).all() and 0 < seen.sum() < len(seen)
    assert index["kinds"].value_counts().to_dict() == {"grad_cam": 44, "grad_cam;occlusion": 4}
    attention = read_attention(frozen).pivot(index="patient_id", columns="view", values="attention")
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-6)
    shown = read_explained(frozen, "P007")
    assert shown.model_id == "fused" and shown.seen_in_training and shown.field_mm == 16
    np.testing.assert_allclose(shown.attention, attention.loc["P007", list(shown.views)], atol=1e-6)
    assert [picture.pixels.shape for picture in shown.pictures] == [(32, 32)] * 3


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_the_maps_are_means_over_the_seeds_own(mode, request, cache):
    run = request.getfixturevalue(mode)
    index = read_index(run)
    patient = index.loc[index["kinds"] == "grad_cam;occlusion", "patient_id"].iloc[0]
    saved = open_saved(run, "fused")
    table = run.patients[run.patients["patient_id"] == patient].reset_index(drop=True)
    hu = torch.from_numpy(patches.open_cache(cache).array([patient]).astype(np.float32))
    shown = read_explained(run, patient)
    for kind in ("grad_cam", "occlusion"):
        own = []
        for seed, network in enumerate(saved.networks):
            backbone = network.extractor if mode == "frozen" else network.backbone
            own.append(saliency(network, saved.batch(hu, table, seed=seed), backbone=backbone, kind=kind)[0])
        mean = torch.stack(own).mean(dim=0).numpy()
        size = np.abs(mean).max()
        assert size > 0 and float(np.std([one.numpy() for one in own], axis=0).max()) > 0
        np.testing.assert_allclose(shown.pictures[0].maps[kind], mean[0], atol=2e-3 * size)
        np.testing.assert_allclose(shown.pictures[1].maps[kind], mean[1][::-1], atol=2e-3 * size)  # head at the top


def test_occlusion_is_of_patients_from_the_lowest_to_the_highest_risk(frozen):
    index = read_index(frozen)
    some = set(index.loc[index["kinds"].str.contains("occlusion"), "patient_id"])
    own = read_effects(frozen).query("model_id == 'fused' and predictor == 'sex'")
    own = own.merge(frozen.patients[["patient_id", "sex"]], on="patient_id").query("value == sex")
    order = own.sort_values("risk")["patient_id"].tolist()
    assert {order[0], order[-1]} <= some and len(some) == 4


def test_what_is_whole_is_kept_and_what_is_lost_or_damaged_is_made_anew(frozen, cache, tmp_path):
    run = copied(frozen, tmp_path)
    folder = run.folder / "saliency"
    files = sorted(folder.glob("*.npz"))
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    index, table = (folder / "index.csv").read_bytes(), (run.folder / "effects.csv").read_bytes()
    files[0].unlink()
    files[1].write_bytes(before[files[1].name][1][:-200])
    cells = bytearray(before[files[2].name][1])
    cells[len(cells) // 2] ^= 0xFF
    files[2].write_bytes(bytes(cells))
    with pytest.raises(OnlmError, match=r"P001\S+npz is lost or damaged \(\w+\)\. Explain the run again"):
        read_explained(run, "P001")
    (folder / "index.csv").unlink()
    (run.folder / "effects.csv").unlink()
    explain_run(run.folder, cache=cache, n_occluded=4, progress=False)
    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    assert {name for name in after if after[name][0] != before[name][0]} == {path.name for path in files[:3]}
    assert {name: content for name, (_, content) in after.items()} == {n: content for n, (_, content) in before.items()}
    assert (folder / "index.csv").read_bytes() == index and (run.folder / "effects.csv").read_bytes() == table
    assert not list(folder.glob(".*"))


def test_other_patients_make_all_anew(frozen, cache, tmp_path):
    run = copied(frozen, tmp_path)
    table = run.folder / "patients.csv"
    table.write_text(table.read_text().replace(",female,", ",male,"))
    old = {path.name: path.stat().st_mtime_ns for path in (run.folder / "saliency").glob("*.npz")}
    explain_run(run.folder, cache=cache, n_patients=3, n_occluded=0, progress=False)
    new = {path.name: path.stat().st_mtime_ns for path in (run.folder / "saliency").glob("*.npz")}
    assert len(new) == 3 and all(old[name] != time for name, time in new.items())


def test_nothing_in_the_files_is_pickled(frozen):
    for path in (frozen.folder / "saliency").glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)


def test_pictures_stand_upright_and_colours_are_taken_apart():
    planes = np.zeros((1, 3, 8, 8), dtype=np.float32)
    planes[0, :, 0] = 1.0  # the first row: the front of an axial plane, the feet of the others
    maps = {"grad_cam": planes[:, 0]}
    layout = Layout(
        size_mm=16, field_mm=16, image_px=8, neighbours=1, gap_mm=1, windows_hu=((-1100, 300),), name="three_planes"
    )
    pictures = lay_out(planes, maps, layout=layout)
    names = ["axial -1100 to 300 HU", "coronal -1100 to 300 HU", "sagittal -1100 to 300 HU"]
    assert [picture.name for picture in pictures] == names and {picture.view for picture in pictures} == {0}
    for picture, row in zip(pictures, (0, -1, -1), strict=True):
        assert (picture.pixels[row] == 255).all() and picture.pixels.sum() == 8 * 255
        assert (picture.maps["grad_cam"][row] == 1).all()


def test_effects_of_the_clinical_model_are_those_of_its_coefficients(frozen):
    """Another way to the same numbers: clinical_model.json, which knows no torch."""
    found = read_effects(frozen).query("model_id == 'clinical'").reset_index(drop=True)
    table = found.merge(frozen.patients, on="patient_id", how="left", validate="many_to_one")
    for name in ("age_years", "cea_ng_ml", "sex"):
        rows = table["predictor"] == name
        value = table.loc[rows, "value"]
        table.loc[rows, name] = value if name == "sex" else value.astype(float)
    risk = load_clinical_model(frozen.folder / "clinical_model.json").risk(table)["risk"]
    np.testing.assert_allclose(found["risk"], risk, atol=1e-6)


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_effects_of_the_fused_model_are_the_risks_of_changed_patients_with_their_own_ct(mode, request, cache):
    run = request.getfixturevalue(mode)
    saved = open_saved(run, "fused")
    table = run.patients.set_index("patient_id")
    rows = read_effects(run).query("model_id == 'fused'").sample(12, random_state=1)
    for row in rows.itertuples():
        one = table.loc[[row.patient_id]].reset_index()
        one[row.predictor] = (
            row.value if row.predictor == "sex" else float(row.value if row.value == row.value else "nan")
        )
        hu = patches.open_cache(cache).array([row.patient_id])
        risk = saved.calibrator.apply(saved.logits(hu, one).mean(axis=0))[0]
        assert row.risk == pytest.approx(risk, abs=1e-6)


def test_a_patients_own_value_has_the_risk_that_the_run_predicts_of_him(frozen):
    found = read_effects(frozen).merge(frozen.patients, on="patient_id", how="left")
    own = found[found["predictor"] == "cea_ng_ml"]
    own = own[pd.to_numeric(own["value"]).fillna(-1) == own["cea_ng_ml"].fillna(-1)]
    assert len(own) == 2 * len(frozen.patients), "also of those whose value is not known"
    written = frozen.predictions.query("split == 'unlabelled'")
    both = own.merge(written, on=["patient_id", "model_id"], suffixes=("", "_written"))
    assert len(both) == 2 * 8
    np.testing.assert_allclose(both["risk"], both["risk_written"], atol=1e-6)


def test_the_values_of_a_curve_lie_within_those_of_training():
    rng = np.random.default_rng(0)
    ages = pd.Series(rng.normal(60, 10, 300))
    values = curve_values(ages)
    assert len(values) == POINTS
    assert values[0] == np.percentile(ages, 5) and values[-1] == np.percentile(ages, 95)
    years = curve_values(ages.round())
    assert years == sorted({float(round(year)) for year in years}) and len(years) == POINTS
    assert curve_values(pd.Series([0.0, 1.0, 1.0, np.nan])) == [0.0, 1.0]
    assert curve_values(pd.Series(["male", "female", None])) == ["female", "male"]


def test_predictions_rise_along_a_curve_where_training_says_so(frozen):
    """CEA and N+ were made to rise together, age and N+ not."""
    found = read_effects(frozen).query("model_id == 'clinical'")
    for name, sign in (("cea_ng_ml", 1), ("age_years", -1)):
        for _, curve in found[found["predictor"] == name].groupby("patient_id"):
            known = curve[curve["value"].notna()]
            known = known.assign(value=known["value"].astype(float)).sort_values("value")
            assert (sign * known["risk"].diff().dropna() > 0).all()


def tumours():
    return pd.DataFrame({
        "patient_id": list("ABCD"),
        "nodule_type": ["part_solid", "solid", "pure_ggo", "solid"],
        "total_diameter_mm": [20.0, 20.0, 20.0, 24.0],
        "solid_diameter_mm": [10.0, 20.0, 0.0, np.nan],
        "ctr": [0.5, 1.0, 0.0, 1.0],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "to", "total", "solid", "ratio", "possible"),
    [
        ("total_diameter_mm", 30.0, [30, 30, 30, 30], [10, 30, 0, np.nan], [1 / 3, 1, 0, 1], [1, 1, 1, 1]),
        ("solid_diameter_mm", 15.0, [20, 15, 20, 15], [15, 15, 15, 15], [0.75, 1, 0, 1], [1, 1, 1, 1]),
        ("ctr", 0.25, [20, 20, 20, 24], [5, 20, 0, np.nan], [0.25, 1, 0, 1], [1, 0, 0, 0]),
        ("nodule_type", "part_solid", [20, 20, 20, 24], [10, 12, 12, 14.4], [0.5, 0.6, 0.6, 0.6], [1, 1, 1, 1]),
        ("nodule_type", "solid", [20, 20, 20, 24], [20, 20, 20, np.nan], [1, 1, 1, 1], [1, 1, 1, 1]),
        ("nodule_type", "pure_ggo", [20, 20, 20, 24], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]),
    ],
)
def test_the_sizes_of_one_tumour_change_together(changed, to, total, solid, ratio, possible):
    before = tumours()
    table, can = one_tumour(before.assign(**{changed: to}), before=before, changed=changed, typical=0.6)
    assert can.tolist() == [bool(p) for p in possible]
    for name, wanted in (("total_diameter_mm", total), ("solid_diameter_mm", solid), ("ctr", ratio)):
        np.testing.assert_allclose(table[name][can], np.array(wanted)[can], err_msg=name)


class Recorder:
    """A model that keeps the tables that it is asked about; its risk is the CTR."""

    model_id, columns = "fused", ["total_diameter_mm", "solid_diameter_mm", "ctr", "pack_years"]

    def __init__(self):
        self.asked = []
        self.calibrator = self

    def encoder(self, seed):
        return self

    def transform(self, table):
        self.asked.append(table)
        return table[["ctr"]].to_numpy(dtype=np.float32), np.zeros((len(table), 1), dtype=np.float32)

    def n_table(self, seed):
        return 2

    def classify(self, codes):
        return codes[0][:, :1].double().numpy().T

    def apply(self, logit):
        return logit


def test_what_cannot_be_has_no_row_and_the_risk_follows_what_changes_with_a_value():
    patients = tumours().assign(smoking=["never", "current", "former", "never"], pack_years=[0.0, 20.0, 10.0, np.nan])
    taught = pd.DataFrame({
        "nodule_type": "part_solid", "total_diameter_mm": np.linspace(8, 30, 12), "ctr": np.linspace(0.1, 0.9, 12),
        "solid_diameter_mm": np.linspace(5, 25, 12), "pack_years": np.linspace(0, 40, 12),
    })  # fmt: skip
    model = Recorder()
    found = effects(model, patients, taught=taught, codes=[torch.zeros(4, 3)])
    number = found.assign(value=pd.to_numeric(found["value"])).set_index(["patient_id", "predictor"]).sort_index()
    assert list(found.columns) == ["patient_id", "model_id", "predictor", "value", "risk"]
    mixed = number.loc[("A", "solid_diameter_mm")]
    assert mixed["value"].max() <= 20 and 10.0 in mixed["value"].to_numpy(), "no solid part above the tumour"
    np.testing.assert_allclose(mixed["risk"], mixed["value"] / 20, rtol=1e-6)
    assert number.loc[("A", "total_diameter_mm"), "value"].min() >= 10
    assert number.loc[[("B", "ctr")], "value"].tolist() == [1.0], "a solid tumour has one CTR"
    assert (number.loc[("B", "total_diameter_mm"), "risk"] == 1).all()
    assert number.loc[[("C", "solid_diameter_mm")], "value"].tolist() == [0.0], "ground glass has no solid part"
    assert number.loc[[("A", "pack_years")], "value"].tolist() == [0.0], "he has never smoked"
    assert len(number.loc[("B", "pack_years")]) == POINTS + 1
    assert number.loc[[("D", "pack_years")], "value"].isna().sum() == 1, "as it is: not known"


def test_what_other_columns_decide_is_not_changed_alone():
    why = left_out(["age_years", "total_diameter_mm", "derived_t"])
    assert why == {
        "derived_t": "derived_t follows from other columns",
        "total_diameter_mm": "derived_t would change with it",
    }
    assert left_out(["age_years", "total_diameter_mm", "ctr"]) == {}


def test_a_model_without_images_has_effects_and_no_pictures(tmp_path, cache):
    sections = SECTIONS | {"training": SECTIONS["training"] | {"models": ["clinical"], "baselines": []}}
    run = train_tiny(tmp_path / "runs" / "run-c", sections=sections, cache=cache)
    explain_run(run.folder, cache=None, progress=False)
    assert set(read_effects(run)["model_id"]) == {"clinical"}
    with pytest.raises(OnlmError, match=r"run-c has no saliency/index.csv: it has not been explained\. Finish it"):
        read_index(run)


def test_pictures_too_small_for_a_map_are_said_and_shown_without(tmp_path, cache, capsys):
    run = train_tiny(tmp_path / "runs" / "run-s", cache=cache)
    explain_run(run.folder, cache=cache, n_patients=3, n_occluded=1, progress=False)
    assert "left out of saliency: Grad-CAM needs a map of the picture" in capsys.readouterr().err
    index = read_index(run)
    assert sorted(index["kinds"]) == ["", "", "occlusion"]
    assert read_explained(run, index.loc[index["kinds"] == "", "patient_id"].iloc[0]).kinds == ()


def test_what_is_missing_is_one_sentence(frozen, cache, tmp_path, capsys):
    run = copied(frozen, tmp_path)
    assert main([str(run.folder), "--quiet"]) == 2
    assert "there are no image patches. Run `onlm prepare STUDY`" in capsys.readouterr().err
    assert main([str(run.folder), "--cache", str(cache), "--occlusion", "-1"]) == 2
    assert "--occlusion is -1; wanted 0 or more" in capsys.readouterr().err
    other = write_cache(tmp_path / "other", ids=["P000", "P001"])
    assert main([str(run.folder), "--cache", str(other), "--quiet"]) == 2
    assert "46 of 48 patients of the run have no image patch (P002" in capsys.readouterr().err
    (run.folder / "calibration.json").unlink()
    assert main([str(run.folder), "--cache", str(cache), "--quiet"]) == 2
    assert "has no calibration.json" in capsys.readouterr().err
    with pytest.raises(
        OnlmError, match=r"no pictures of patient P0077; it has those of 48 patients; did you mean P007\?"
    ):
        read_explained(run, "P0077")
    with pytest.raises(OnlmError, match=r"effects.csv has no patient P0077; did you mean P007\?"):
        read_effects(run, patient_id="P0077")


def test_a_study_elsewhere_reads_ids_as_text(tmp_path):
    """An id such as 007 or NA survives."""
    shown = explained.Explained(
        patient_id="007", model_id="fused", seen_in_training=False, views=("axial",), attention=np.ones(1),
        field_mm=48.0,
        pictures=(explained.Picture("axial", 0, np.zeros((4, 4), np.uint8), {"grad_cam": np.ones((4, 4))}),),
    )  # fmt: skip
    folder = tmp_path / "runs" / "r" / "saliency"
    folder.mkdir(parents=True)
    paths = [explained.write_explained(folder, shown)]
    explained.write_index(folder, paths)
    assert read_index(Run(folder.parent))["patient_id"].tolist() == ["007"]
    assert json.dumps(read_explained(Run(folder.parent), "007").patient_id) == '"007"'
