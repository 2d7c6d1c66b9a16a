"""Several hospitals become one study, or each gets its list of faults; nothing looks whole that is not."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import tomli_w

from onlm_lab.cli import main
from onlm_lab.cohort import load_cohort
from onlm_lab.cohort.fault_lists import fault_list_csv, fault_list_html
from onlm_lab.cohort.merging import merge_sites
from onlm_lab.errors import Fault, StudyError
from onlm_lab.study import load_study

CHINESE = {"sex": "性别", "age_years": "年龄", "total_diameter_mm": "肿瘤大小"}
WORDS = {"female": "女", "male": "男"}
MAPPING = """
[mapping.columns]
"性别" = "sex"
"年龄" = "age_years"
"肿瘤大小" = "total_diameter_mm"
[mapping.values.sex]
"女" = "female"
"男" = "male"
"""
NAMES = ("alpha", "beta", "gamma")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def write_rows(path: Path, rows: list[dict[str, str]], *, encoding: str = "utf-8") -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Path:
    from onlm_lab.virtual import write_trial

    folder = tmp_path_factory.mktemp("whole") / "trial"
    return write_trial(folder, n_patients=60, n_centres=3, seed=3, tables_only=True)


@pytest.fixture(scope="module")
def split(trial, tmp_path_factory) -> Path:
    """The trial by centre: alpha in our words, beta in Chinese and GB18030, gamma in our words."""
    root = tmp_path_factory.mktemp("split")
    clinical, followup = rows_of(trial / "clinical.csv"), rows_of(trial / "followup.csv")
    for name, centre in zip(NAMES, ("C1", "C2", "C3"), strict=True):
        site = root / name
        site.mkdir()
        own = [row for row in clinical if row["centre"] == centre]
        ids = {row["patient_id"] for row in own}
        toml = (trial / "study.toml").read_text(encoding="utf-8")
        if name == "beta":
            own = [{CHINESE.get(k, k): WORDS.get(v, v) if k == "sex" else v for k, v in r.items()} for r in own]
            toml += MAPPING
        write_rows(site / "clinical.csv", own, encoding="gb18030" if name == "beta" else "utf-8")
        write_rows(site / "followup.csv", [row for row in followup if row["patient_id"] in ids])
        (site / "study.toml").write_text(toml, encoding="utf-8")
    return root


@pytest.fixture
def sites(split, tmp_path) -> list[Path]:
    """Three sites that a test may change."""
    for name in NAMES:
        shutil.copytree(split / name, tmp_path / name)
    return [tmp_path / name for name in NAMES]


def change(path: Path, changes: dict[int, dict[str, str]]) -> None:
    """Change cells, by row of the spreadsheet."""
    rows = rows_of(path)
    for row, cells in changes.items():
        rows[row - 2] |= cells
    write_rows(path, rows)


def digests(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and "work" not in p.relative_to(folder).parts)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_three_sites_in_three_ways_become_the_trial_that_they_were(sites, trial, tmp_path):
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.complete and merged.sites["site"].tolist() == list(NAMES) and len(merged.between) == 0
    assert load_cohort(tmp_path / "all").sha256 == load_cohort(trial).sha256
    assert merged.sites["n_patients"].astype(int).sum() == 60
    study = load_study(tmp_path / "all")
    assert study.name == "Merged from alpha, beta, gamma" and study.made_up and study.columns["lvi"].timing
    assert study.training.models == ("clinical",) and study.data.ct == ""
    assert main(["check", str(tmp_path / "all")]) == 0


FAULTS = {2: {"sex": "F"}, 3: {"age_years": "655"}, 5: {"sex": "mal"}, 7: {"treatment": "=lobectomy"}}


def test_a_site_with_faults_is_left_out_loudly_and_gets_exactly_its_list(sites, tmp_path, capsys):
    change(sites[2] / "clinical.csv", FAULTS)
    ids = [row["patient_id"] for row in rows_of(sites[2] / "clinical.csv")]
    assert main(["merge", *map(str, sites), "--out", str(tmp_path / "all")]) == 2
    said = capsys.readouterr().out
    assert "gamma: LEFT OUT, 3 faults" in said and "INCOMPLETE: 1 of 3 sites left out" in said
    assert load_study(tmp_path / "all").name == "INCOMPLETE: 2 of 3 sites (alpha, beta; without gamma)"
    lines = rows_of(tmp_path / "all" / "faults" / "gamma.csv")
    found = {(int(x["row"]), x["patient_id"], x["column"], x["value"].lstrip("'"), x["hint"]) for x in lines}
    assert found == {
        (2, ids[0], "sex", "F", ""), (3, ids[1], "age_years", "655", ""),
        (5, ids[3], "sex", "mal", "did you mean 'male'?"),
        (7, ids[5], "treatment", "=lobectomy", "did you mean 'lobectomy'?"),
    }  # fmt: skip
    assert all(x["wanted"] and x["what_to_do"] == "Correct it, or leave the cell empty." for x in lines)
    kept = rows_of(tmp_path / "all" / "sites.csv")
    assert [(r["site"], r["merged"], r["n_faults"], r["n_cells"]) for r in kept] == [
        ("alpha", "yes", "0", "0"), ("beta", "yes", "0", "0"), ("gamma", "no", "3", "4"),
    ]  # fmt: skip
    assert not set(ids) & {row["patient_id"] for row in rows_of(tmp_path / "all" / "clinical.csv")}
    assert rows_of(tmp_path / "all" / "faults" / "alpha.csv") == []
    assert "No faults" in (tmp_path / "all" / "faults" / "alpha.html").read_text(encoding="utf-8")
    assert main(["merge", *map(str, sites), "--out", str(tmp_path / "all"), "--keep-going"]) == 0


def test_a_fault_of_a_mapped_column_bears_the_hospitals_own_name(sites, tmp_path):
    rows = list(csv.DictReader(io.StringIO((sites[1] / "clinical.csv").read_bytes().decode("gb18030"), newline="")))
    rows[0]["性别"] = "mal"
    write_rows(sites[1] / "clinical.csv", rows, encoding="gb18030")
    merge_sites(sites, out=tmp_path / "all")
    (line,) = rows_of(tmp_path / "all" / "faults" / "beta.csv")
    assert (line["row"], line["column"], line["value"]) == ("2", "性别 (sex)", "mal")
    assert line["hint"] == "did you mean 'male'?"


def test_after_the_correction_the_list_is_empty_and_the_whole_trial_is_there(sites, split, trial, tmp_path):
    change(sites[2] / "clinical.csv", FAULTS)
    assert not merge_sites(sites, out=tmp_path / "all").complete
    shutil.copy(split / "gamma" / "clinical.csv", sites[2] / "clinical.csv")
    assert merge_sites(sites, out=tmp_path / "all").complete
    assert load_cohort(tmp_path / "all").sha256 == load_cohort(trial).sha256
    assert rows_of(tmp_path / "all" / "faults" / "gamma.csv") == []


def test_the_same_sites_give_the_same_bytes_in_any_order(sites, tmp_path):
    merge_sites(sites, out=tmp_path / "all")
    before = digests(tmp_path / "all")
    merge_sites(sites, out=tmp_path / "all")
    assert digests(tmp_path / "all") == before
    merge_sites(sites[::-1], out=tmp_path / "back")
    for table in ("clinical.csv", "followup.csv"):
        assert digests(tmp_path / "back")[table] == before[table]


def test_a_site_that_is_no_longer_named_leaves_nothing_behind(sites, tmp_path):
    merge_sites(sites, out=tmp_path / "all")
    merge_sites(sites[:2], out=tmp_path / "all")
    names = set(digests(tmp_path / "all"))
    assert not any("gamma" in name for name in names) and "faults/beta.csv" in names


def test_the_same_id_in_two_sites_is_a_fault_of_both_until_ids_are_prefixed(sites, tmp_path):
    first = rows_of(sites[0] / "clinical.csv")[0]["patient_id"]
    theirs = rows_of(sites[2] / "clinical.csv")[2]["patient_id"]
    for table in ("clinical", "followup"):
        rows = rows_of(sites[2] / f"{table}.csv")
        write_rows(
            sites[2] / f"{table}.csv",
            [r | {"patient_id": first} if r["patient_id"] == theirs else r for r in rows],
        )
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.sites["merged"].tolist() == ["no", "yes", "no"]
    (line,) = rows_of(tmp_path / "all" / "faults" / "gamma.csv")
    assert (line["patient_id"], line["row"], line["column"]) == (first, "4", "patient_id")
    assert "used at 'alpha' too" in line["fault"] and "--prefix-ids" in line["what_to_do"]
    merged = merge_sites(sites, out=tmp_path / "all", prefix_ids=True)
    assert merged.complete
    for table in ("clinical", "followup"):
        ids = {row["patient_id"] for row in rows_of(tmp_path / "all" / f"{table}.csv")}
        assert {f"alpha-{first}", f"gamma-{first}"} <= ids and len(ids) == 60


def test_a_site_with_faults_of_its_own_is_told_at_once_what_it_shares_with_others(sites, tmp_path):
    shared = rows_of(sites[0] / "clinical.csv")[0]["patient_id"]
    own = rows_of(sites[2] / "clinical.csv")
    theirs = own[2]["patient_id"]
    change(sites[2] / "clinical.csv", {3: {"sex": "man", "centre": "c1"}, 4: {"patient_id": shared}})
    change(sites[2] / "clinical.csv", {6: {"patient_id": ""}})
    rows = rows_of(sites[2] / "followup.csv")
    ids = {theirs: shared}
    write_rows(sites[2] / "followup.csv", [r | {"patient_id": ids.get(r["patient_id"], r["patient_id"])} for r in rows
                                           if r["patient_id"] != own[4]["patient_id"]])  # fmt: skip
    merge_sites(sites, out=tmp_path / "all")
    cells = [(line["column"], line["row"]) for line in rows_of(tmp_path / "all" / "faults" / "gamma.csv")]
    assert sorted(cells) == [("centre", "3"), ("patient_id", "4"), ("patient_id", "6"), ("sex", "3")]
    lines = rows_of(tmp_path / "all" / "faults" / "alpha.csv")
    assert {line["fault"].split(" also")[0] for line in lines if line["column"] == "centre"} == {"centre 'C1' is"}
    assert [line["row"] for line in lines if line["column"] == "patient_id"] == ["2"]


def test_a_centre_spelled_in_two_ways_is_a_fault_and_a_near_name_only_shown(sites, tmp_path):
    rows = rows_of(sites[2] / "clinical.csv")
    for i, row in enumerate(rows):
        row["centre"] = "c1" if i == 0 else "Hospital Saint Louis"
    write_rows(sites[2] / "clinical.csv", rows)
    rows = rows_of(sites[0] / "clinical.csv")
    rows[0]["centre"] = "Hospital Saint Luis"
    write_rows(sites[0] / "clinical.csv", rows)
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.sites["merged"].tolist() == ["no", "yes", "no"]
    (line,) = rows_of(tmp_path / "all" / "faults" / "gamma.csv")
    assert (line["row"], line["value"], line["column"]) == ("2", "c1", "centre") and "'C1' (site alpha)" in line[
        "fault"
    ]
    rows = rows_of(sites[2] / "clinical.csv")
    rows[0]["centre"] = "C3"
    write_rows(sites[2] / "clinical.csv", rows)
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.complete
    (pair,) = rows_of(tmp_path / "all" / "faults" / "between_sites.csv")
    assert {pair["value_a"], pair["value_b"]} == {"Hospital Saint Louis", "Hospital Saint Luis"}


def test_one_person_at_two_sites_is_shown_and_not_again_once_checked(sites, tmp_path):
    rows, follow = rows_of(sites[0] / "clinical.csv"), rows_of(sites[0] / "followup.csv")
    twin = rows[4] | {"patient_id": "ZZ-1", "centre": "C3"}
    write_rows(sites[2] / "clinical.csv", [*rows_of(sites[2] / "clinical.csv"), twin])
    own = [r | {"patient_id": "ZZ-1"} for r in follow if r["patient_id"] == rows[4]["patient_id"]]
    write_rows(sites[2] / "followup.csv", [*rows_of(sites[2] / "followup.csv"), *own])
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.complete and len(merged.between) == 1
    pair = merged.between.iloc[0]
    assert {pair["value_a"], pair["value_b"]} == {"ZZ-1", rows[4]["patient_id"]}
    assert merged.sites["notes"].str.contains("to look at").tolist() == [True, False, True]
    path = tmp_path / "all" / "study.toml"
    checked = f'\n[split]\ndistinct_patients = [["ZZ-1", "{rows[4]["patient_id"]}"]]\n'
    path.write_text(path.read_text(encoding="utf-8") + checked, encoding="utf-8")
    assert len(merge_sites(sites, out=tmp_path / "all").between) == 0


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_protocol_or_an_own_column_that_differs_is_named(sites, tmp_path):
    with (sites[1] / "study.toml").open("a") as stream:
        stream.write("\n[protocol]\nmin_kps = 60\n[label]\nsurrogate = true\n")
    edit(sites[2] / "study.toml", 'timing = "post_treatment"', 'timing = "pre_treatment"')
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.sites["merged"].tolist() == ["yes", "no", "no"]
    said = [line["fault"] for line in rows_of(tmp_path / "all" / "faults" / "beta.csv")]
    assert said == [
        "[protocol] min_kps is 60.0; 'alpha', named first, has 70.0. All sites of a study need the same: agree on one.",
        "[label] surrogate is true; 'alpha', named first, has false. All sites of a study need the same: agree on one.",
    ]
    (line,) = rows_of(tmp_path / "all" / "faults" / "gamma.csv")
    assert 'timing "pre_treatment" (there: "post_treatment")' in line["fault"]


def test_what_a_site_does_not_have_is_empty_and_counted(sites, tmp_path):
    rows = [
        {k: v for k, v in row.items() if k not in ("cea_ng_ml", "lvi")} for row in rows_of(sites[0] / "clinical.csv")
    ]
    write_rows(sites[0] / "clinical.csv", rows)
    said = tomllib.loads((sites[0] / "study.toml").read_text(encoding="utf-8"))
    del said["columns"]
    (sites[0] / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
    (sites[2] / "followup.csv").unlink()
    edit(sites[2] / "study.toml", "[data]", '[data]\nfollowup = ""')
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.complete, merged.sites
    notes = merged.sites.set_index("site")["notes"]
    assert "clinical: 2 columns not sent, left empty (cea_ng_ml, lvi)" in notes["alpha"]
    assert "no followup table" in notes["gamma"]
    kept = {r["patient_id"]: r for r in rows_of(tmp_path / "all" / "clinical.csv")}
    assert all(kept[row["patient_id"]]["lvi"] == "" for row in rows)
    assert any(r["lvi"] for r in kept.values())
    load_cohort(tmp_path / "all")


def test_spreadsheets_without_a_study_are_sites_too(sites, tmp_path):
    plain = tmp_path / "delta.csv"
    plain.write_text("patient_id,centre,pathological_n\n007,D,N0\nNA,D,N1\n")
    merged = merge_sites([sites[0], plain], out=tmp_path / "all")
    assert merged.complete and merged.sites["n_patients"].tolist()[1] == "2"
    assert {"007", "NA"} <= {row["patient_id"] for row in rows_of(tmp_path / "all" / "clinical.csv")}
    alone = merge_sites([plain], out=tmp_path / "alone")
    assert alone.complete and load_cohort(tmp_path / "alone").patients["patient_id"].tolist() == ["007", "NA"]


def test_where_nobody_can_be_joined_there_is_no_table(sites, tmp_path):
    merge_sites(sites, out=tmp_path / "all")
    for site in sites:
        (site / "clinical.csv").write_text("patient_id\n1\n")
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.sites["merged"].tolist() == ["no"] * 3
    assert not (tmp_path / "all" / "clinical.csv").exists()
    assert load_study(tmp_path / "all").name == "INCOMPLETE: 0 of 3 sites (without alpha, beta, gamma)"


def test_what_somebody_changed_in_a_merged_study_is_never_lost(sites, tmp_path):
    out = tmp_path / "all"
    merge_sites(sites, out=out)
    edit(out / "study.toml", "\n[training]", "\n# mine\n[training]\nfolds = 3")
    merge_sites(sites, out=out)
    assert load_study(out).training.folds == 3 and "# mine" in (out / "study.toml.before").read_text(encoding="utf-8")
    assert merge_sites(sites, out=out).notes == ()
    assert load_study(out).training.folds == 3
    edit(out / "study.toml", "\n[training]", "\n[label]\nmin_nodes = 6\n\n[training]")
    (note,) = merge_sites(sites, out=out).notes
    assert note.startswith("[label] of study.toml was changed") and load_study(out).label.min_nodes is None
    assert "min_nodes = 6" in (out / "study.toml.before").read_text(encoding="utf-8")
    change(out / "clinical.csv", {2: {"age_years": "50"}})
    before = digests(out)
    with pytest.raises(StudyError, match=r"'all': clinical\.csv changed since the last merge; nothing was overwritten"):
        merge_sites(sites, out=out)
    assert digests(out) == before


@pytest.mark.slow
def test_sections_follow_the_sites_until_somebody_changes_them(sites, tmp_path):
    out = tmp_path / "all"
    for k, site in enumerate(sites):
        edit(site / "study.toml", "\n[training]", "\n[training]\nfolds = 4")
        said = f'\n[split]\ndistinct_patients = [["{k}a", "{k}b"]]\n'
        (site / "study.toml").write_text((site / "study.toml").read_text(encoding="utf-8") + said, encoding="utf-8")
    merge_sites(sites, out=out)
    assert load_study(out).training.folds == 4
    assert load_study(out).split.distinct_patients == (("0a", "0b"), ("1a", "1b"), ("2a", "2b"))
    for site in sites:
        edit(site / "study.toml", "folds = 4", "folds = 6")
    merge_sites(sites, out=out, prefix_ids=True)
    assert load_study(out).training.folds == 6
    assert load_study(out).split.distinct_patients[0] == ("alpha-0a", "alpha-0b")
    edit(out / "study.toml", "folds = 6", "folds = 7")
    edit(sites[0] / "study.toml", "folds = 6", "folds = 8")
    merged = merge_sites(sites, out=out)
    assert load_study(out).training.folds == 7
    assert any("The sites differ in [training]" in note for note in merged.notes)


def test_an_empty_site_is_told_so_in_one_line(sites, tmp_path):
    from onlm_lab.starting import init_study

    init_study(tmp_path / "empty", images=False)
    merge_sites([*sites, tmp_path / "empty"], out=tmp_path / "all")
    (line,) = rows_of(tmp_path / "all" / "faults" / "empty.csv")
    assert "clinical.csv and followup.csv have no patient yet" in line["fault"]


@pytest.mark.slow
def test_a_merge_killed_between_two_files_is_taken_up_again(sites, tmp_path):
    out = tmp_path / "all"
    merge_sites(sites, out=out)
    whole, note = digests(out), json.loads((out / "merge.json").read_text())
    content = (out / "clinical.csv").read_bytes()
    merge_sites(sites[:2], out=out)
    either = json.loads((out / "merge.json").read_text())["files"]
    either = {
        name: sorted({*either.get(name, []), *note["files"].get(name, [])}) for name in {**either, **note["files"]}
    }
    (out / "merge.json").write_text(json.dumps(note | {"files": either}))
    (out / "clinical.csv").write_bytes(content)
    (out / ".merge").mkdir()
    merge_sites(sites, out=out)
    assert digests(out) == whole


def test_only_its_own_folder_is_written(sites, tmp_path):
    with pytest.raises(StudyError, match="holds a study that no merge wrote"):
        merge_sites(sites[:2], out=sites[2])
    with pytest.raises(StudyError, match="'alpha' lies in the site 'alpha'"):
        merge_sites(sites, out=sites[0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sites.csv").write_text("mine")
    with pytest.raises(StudyError, match=r"'other' has sites\.csv, which this command did not write"):
        merge_sites(sites, out=tmp_path / "other")
    assert (tmp_path / "other" / "sites.csv").read_text() == "mine"


def test_sites_that_cannot_be_told_apart_or_found_are_told_at_once(sites, tmp_path):
    (tmp_path / "x" / "Alpha").mkdir(parents=True)
    wanted = [sites[0], tmp_path / "x" / "Alpha", sites[0], tmp_path / "nowhere", tmp_path / "picture.png"]
    wanted[-1].write_text("")
    with pytest.raises(StudyError) as raised:
        merge_sites(wanted, out=tmp_path / "all")
    assert [line.split(";")[0] for line in str(raised.value).splitlines()] == [
        "Two sites would be called 'Alpha'", "'alpha' is named twice", "'nowhere' does not exist",
        "'picture.png' is neither a study's folder nor one of .csv, .tsv, .txt, .xlsx, .xlsm.",
    ]  # fmt: skip
    assert not (tmp_path / "all").exists()


def test_a_spreadsheet_of_a_study_is_not_read_without_its_mapping(sites, tmp_path):
    with pytest.raises(StudyError, match=r"'clinical\.csv' belongs to the study 'beta'; name that folder"):
        merge_sites([sites[0], sites[1] / "clinical.csv"], out=tmp_path / "all")


def test_a_site_whose_study_cannot_be_read_gets_that_as_its_fault(sites, tmp_path):
    (sites[1] / "study.toml").write_text("[trainin]\nfolds = 3\n")
    merged = merge_sites(sites, out=tmp_path / "all")
    assert merged.sites["merged"].tolist() == ["yes", "no", "yes"]
    (line,) = rows_of(tmp_path / "all" / "faults" / "beta.csv")
    assert line["file"] == "study.toml" and "did you mean 'training'" in line["fault"]


def with_images(site: Path, *, uid: str) -> None:
    """Give a site a CT folder and an annotation of its first two patients."""
    ids = [row["patient_id"] for row in rows_of(site / "clinical.csv")][:2]
    (site / "ct" / "a").mkdir(parents=True)
    write_rows(
        site / "annotations.csv",
        [{"patient_id": ids[0], "series_uid": uid, "series_path": "", "mask_path": ""},
         {"patient_id": ids[1], "series_uid": "", "series_path": "ct/a", "mask_path": "masks/m.nrrd"}],
    )  # fmt: skip
    text = (site / "study.toml").read_text(encoding="utf-8")
    said = tomllib.loads(text)
    said["data"], said["training"] = {}, {}
    (site / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")


def test_paths_of_ct_still_lead_to_the_ct_and_a_shared_scan_is_a_fault(sites, tmp_path):
    for site in (sites[0], sites[2]):
        with_images(site, uid="1.2.3" if site is sites[0] else "1.2.4")
    out = tmp_path / "deep" / "er" / "all"
    merged = merge_sites(sites, out=out)
    assert merged.complete, merged.sites
    rows = [row for row in rows_of(out / "annotations.csv") if row["series_path"]]
    assert {(out / row["series_path"]).resolve() for row in rows} == {s / "ct" / "a" for s in (sites[0], sites[2])}
    assert {(out / row["mask_path"]).resolve() for row in rows} == {
        s / "masks" / "m.nrrd" for s in (sites[0], sites[2])
    }
    study = load_study(out)
    assert study.path(study.data.ct).resolve() == tmp_path and "\\" not in study.data.ct
    assert "no annotations table" in merged.sites.set_index("site")["notes"]["beta"]
    assert any("also holds the merged study" in note for note in merged.notes)
    (sites[2] / "annotations.csv").unlink()
    shutil.rmtree(sites[2] / "ct")
    with_images(sites[2], uid="1.2.3")
    merged = merge_sites(sites, out=out)
    assert merged.sites["merged"].tolist() == ["no", "yes", "no"]
    (line,) = rows_of(out / "faults" / "alpha.csv")
    assert line["file"] == "annotations.csv" and "the CT series is named at 'gamma' too" in line["fault"]


def test_every_fault_of_the_annotations_is_told_at_once(sites, tmp_path):
    with_images(sites[0], uid="1.2.3")
    rows = rows_of(sites[0] / "annotations.csv")
    extra = [rows[0] | {"patient_id": "nobody", "series_uid": "1.2.3"}]
    write_rows(sites[0] / "annotations.csv", [*rows, *extra])
    merge_sites(sites, out=tmp_path / "all")
    lines = rows_of(tmp_path / "all" / "faults" / "alpha.csv")
    assert [(x["row"], x["column"]) for x in lines] == [("2", "series_uid"), ("4", "series_uid"), ("4", "patient_id")]
    assert "not in clinical.csv" in lines[2]["fault"]


class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)


def test_what_a_hospital_wrote_is_neither_a_formula_nor_html():
    values = ("=HYPERLINK(1)", "-3", "+1", "@a", "-cmd", "<script>alert(1)</script>")
    fault = Fault(
        "clinical.csv: sex must be one of female, male; 6 cells hold something else: x in row 2. Correct them.",
        file="clinical.csv", column="sex", rows=tuple(range(2, 8)), patients=("a",) * 6, values=values,
    )  # fmt: skip
    lines = list(csv.DictReader(io.StringIO(fault_list_csv([fault]).removeprefix("\ufeff"))))
    assert [line["value"] for line in lines] == [
        "'=HYPERLINK(1)", "-3", "+1", "'@a", "'-cmd", "<script>alert(1)</script>",
    ]  # fmt: skip
    page, seen = fault_list_html([fault], site="<b>x", note=""), Texts()
    seen.feed(page)
    assert "script" not in seen.tags and "b" not in seen.tags and "&lt;script&gt;" in page


def test_a_long_list_is_whole_in_the_spreadsheet_and_short_on_the_page():
    rows = tuple(range(2, 1002))
    said = "clinical.csv: kps is empty in 1000 of 1000 rows (row 2). Fill it."
    fault = Fault(said, file="clinical.csv", column="kps", rows=rows, patients=("p",) * 1000)
    assert len(fault_list_csv([fault]).splitlines()) == 1001
    page = fault_list_html([fault], site="s")
    assert page.count("<tr><td>") == 200 and "and 800 more" in page
    assert "kps is empty. Fill it." in page


def test_a_page_says_what_to_do_once_and_offers_no_stage_at_random(sites, tmp_path):
    change(sites[0] / "clinical.csv", {2: {"pathological_n": "N4"}, 3: {"sex": "femal"}})
    change(sites[0] / "followup.csv", {4: {"patient_id": "GHOST"}})
    merge_sites(sites, out=tmp_path / "all")
    page = (tmp_path / "all" / "faults" / "alpha.html").read_text(encoding="utf-8")
    assert page.count("Correct the id or add the patient.") == 1
    hints = {line["value"]: line["hint"] for line in rows_of(tmp_path / "all" / "faults" / "alpha.csv")}
    assert hints["N4"] == "" and hints["femal"] == "did you mean 'female'?"


def test_the_list_of_sites_is_a_table(sites, tmp_path):
    table = merge_sites(sites, out=tmp_path / "all").sites
    assert isinstance(table, pd.DataFrame) and table["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    change(sites[0] / "clinical.csv", {2: {"age_years": "51"}})
    again = merge_sites(sites, out=tmp_path / "all").sites
    assert (again["sha256"] != table["sha256"]).tolist() == [True, False, False]


def test_no_list_shows_a_date_that_stands_inside_a_text(sites, tmp_path):
    said = ("m 12.03.1950", "born 1950-03-12", "1950年3月12日生", "3/1950", "F 19500312")
    change(sites[0] / "clinical.csv", {row: {"sex": text} for row, text in enumerate(said, start=2)})
    merge_sites(sites, out=tmp_path / "all")
    lines = rows_of(tmp_path / "all" / "faults" / "alpha.csv")
    assert [line["value"] for line in lines] == ["(a text with a date)"] * len(said)
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "all").rglob("alpha.*"))
    assert "1950" not in text


def test_a_hint_never_offers_what_is_out_of_range(sites, tmp_path):
    change(sites[0] / "clinical.csv", {2: {"age_years": "203,5"}, 3: {"age_years": "63,5"}})
    merge_sites(sites, out=tmp_path / "all")
    hints = [line["hint"] for line in rows_of(tmp_path / "all" / "faults" / "alpha.csv")]
    assert hints[0] == "" and hints[1].startswith("did you mean '63.5'?")
