"""The evidence tables: every item of three checklists once, its links real, its status that of the run."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import schema
from onlm_lab.report import evidence, write
from onlm_lab.report.chapters import CHAPTERS, chapter_of
from onlm_lab.report.checklists import checklist_csv, tally
from onlm_lab.report.material import gather
from onlm_lab.runs import Run
from onlm_lab.split_files import write_split

TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c "
    "18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
).split()
PROBAST = (
    "D1.1 D1.2 D1.3 D2.1 D2.2 D2.3 D2.4 D3.1 D3.2 D3.3 D3.4 D4.1 D4.2 D4.3 D4.4 D4.5 "
    "E1.1 E1.2 E1.3 E2.1 E2.2 E2.3 E2.4 E3.1 E3.2 E3.3 E3.4 E4.1 E4.2 E4.3 E4.4 E4.5 E4.6 E4.7"
).split()
NUMBERS = {"TRIPOD+AI": TRIPOD, "CLAIM 2024": [str(k) for k in range(1, 45)], "PROBAST+AI": PROBAST}
NO_FILE_TELLS = {  # ethics, funding, registration, patients' part, who judged: never told by a run
    "TRIPOD+AI": {"3a", "3c", "8b", "8c", "9c", "17", "18a", "18b", "18d", "19", "25"},
    "CLAIM 2024": {"4", "5", "11", "16", "34", "44"}, "PROBAST+AI": {"D2.3", "E2.3"},
}  # fmt: skip
CHEAP = (  # sections that cost little, for runs that were changed
    "design", "reference_standard", "predictors", "missing_values", "sample_size", "model_specification", "testing",
    "measures", "participants", "table_one_section", "performance", "sbrt", "limits",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with its whole report: run, page, judgements, rows of checklist.csv."""
    folder = tmp_path_factory.mktemp("made")
    run = write_run(folder / "run", n_surgery=200, n_sbrt=60)
    page = write.write_report(run, work=folder / "work").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO((run.folder / write.CHECKLIST_FILE).read_text(encoding="utf-8"))))
    return run, page, rows


@pytest.fixture
def copied(made, tmp_path) -> Run:
    shutil.copytree(made[0].folder, tmp_path / "run")
    return Run(tmp_path / "run")


def judged(run: Run, *, work=None) -> dict[tuple[str, str], evidence.Judgement]:
    """Every item of a run, by checklist and number, from the sections that cost little."""
    material = gather(run, work=work or run.folder / "work")
    built = [make(material) for make in write.SECTIONS if make.__name__ in CHEAP]
    return {(j.item.checklist, j.item.number): j for j in evidence.judge(material, sections=built)}


def statuses(run: Run, *items: tuple[str, str]) -> list[str]:
    found = judged(run)
    return [found[item].status for item in items]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_item_of_a_checklist_is_there_once_and_in_its_order(made, name):
    assert [item.number for item in evidence.checklist(name).items] == NUMBERS[name]
    assert [row["item"] for row in made[2] if row["checklist"] == name] == NUMBERS[name]


def test_every_link_of_the_page_leads_to_a_place_that_is_there_once(made):
    page = made[1]
    targets = re.findall(r'<a [^>]*href="#([^"]*)"', page)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(targets) > 150 and all(ids.count(target) == 1 for target in set(targets))
    assert {"calibration", "testing", "summary", "predictors", "sample-size"} <= set(targets)


def test_the_file_beside_the_page_says_what_the_page_says(made):
    _, page, rows = made
    assert list(rows[0]) == ["checklist", "item", "asked", "status", "evidence"] and len(rows) == 52 + 44 + 34
    for name, slug in evidence.CHECKLISTS.items():
        section = re.search(rf'<section id="checklist-{slug.replace("_", "-")}".*?</section>', page, re.S).group()
        shown = re.findall(r'<tr><th scope="row">(.*?)</th>.*?<td class="status[^"]*">(.*?)</td>', section, re.S)
        assert shown == [(r["item"], r["status"]) for r in rows if r["checklist"] == name]
    linked = [part for r in rows for part in r["evidence"].split("; ") if part.startswith("report.html#")]
    assert linked and all(f'id="{part.split("#")[1]}"' in page for part in linked)


def test_the_sections_of_a_chapter_stand_together_and_every_section_has_one(made):
    ids = re.findall(r'<section id="([^"]*)"', made[1].split("<main>")[1])
    found = [chapter_of(id) for id in ids]
    assert "" not in found and [CHAPTERS.index(c) for c in found] == sorted(CHAPTERS.index(c) for c in found)
    assert re.findall(r'<h2 class="chapter-title" id="chapter-(\w+)">', made[1]) == [c.lower() for c in CHAPTERS]


def test_evidence_names_only_facts_sections_and_files_that_the_report_knows(made):
    known = set(re.findall(r'<section[^>]* id="([^"]*)"', made[1])) | {"summary"}
    for name in evidence.CHECKLISTS:
        for item in evidence.checklist(name).items:
            for entry in (*item.evidence, *item.needs):
                ok = entry[1:] in known if entry.startswith("#") else entry in evidence.FACTS
                assert ok or entry.startswith("file:"), f"{name} {item.number}: {entry}"
            assert not item.only_if or (item.only_if in evidence.FACTS and item.otherwise), item.number
            assert item.evidence or item.human, f"{name} {item.number} says neither where nor who"
            assert not item.needs or item.todo, f"{name} {item.number} does not say what to do"


def test_what_no_file_tells_is_left_to_humans_whatever_the_run(made):
    for name, numbers in NO_FILE_TELLS.items():
        assert {r["item"] for r in made[2] if r["checklist"] == name and r["status"] == "needs human"} == numbers


def test_what_is_not_there_says_what_to_do(made):
    missing = [r for r in made[2] if r["status"] == "not there"]
    assert missing and all(r["evidence"].strip() for r in missing)
    external = next(r for r in made[2] if (r["checklist"], r["item"]) == ("CLAIM 2024", "33"))
    assert external["status"] == "not there" and "external_centres" in external["evidence"]


def test_without_sbrt_no_item_leads_to_outcomes_after_sbrt(made, copied):
    linked = {r["item"] for r in made[2] if "#outcomes-sbrt" in r["evidence"]}
    assert linked == {"6c"}
    surgery = copied.patients[copied.patients["arm"] == "surgery"]
    rows = copied.predictions
    schema.write_table(surgery, copied.folder / "patients.csv")
    schema.write_table(rows[rows["patient_id"].isin(surgery["patient_id"])], copied.folder / "predictions.csv")
    found = judged(copied)
    assert not any("outcomes-sbrt" in j.sections for j in found.values())
    assert "table-1" in found["TRIPOD+AI", "6c"].sections


def test_external_patients_answer_what_asks_for_them_and_a_closed_lock_does_not(copied):
    items = (("TRIPOD+AI", "16"), ("TRIPOD+AI", "20c"), ("CLAIM 2024", "33"), ("PROBAST+AI", "E1.3"))
    assert statuses(copied, *items) == ["not there"] * 4
    hold(copied, part="locked", split="test", closed=True)
    assert statuses(copied, *items) == ["not there"] * 4
    hold(copied, part="external", split="external")
    flow = pd.DataFrame([("all", "adult", 9, 1, 0, 8)],
                        columns=["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left"])  # fmt: skip
    (copied.folder / "work").mkdir()
    flow.to_csv(copied.folder / "work" / "flow.csv", index=False)
    assert "not there" not in statuses(copied, *items)


def hold(run: Run, *, part: str, split: str, closed: bool = False) -> None:
    """Hold the first 60 patients of surgery out."""
    whole = Run(run.folder)
    patients = whole.patients
    held = np.arange(len(patients)) < 60
    parts = patients[["patient_id"]].assign(part=np.where(held, part, "development"))
    folds = whole.split[~whole.split["patient_id"].isin(patients["patient_id"][held])]
    write_split(run.folder, folds=folds, parts=parts, facts={"seed": 3})
    rows = pd.read_csv(run.folder / "predictions.csv", dtype={"patient_id": str})
    rows.loc[rows["patient_id"].isin(patients["patient_id"][held]), ["split", "fold"]] = [split, np.nan]
    rows.to_csv(run.folder / "predictions.csv", index=False)
    labels = pd.read_csv(run.folder / "patients.csv", dtype={"patient_id": str}).assign(part=parts["part"])
    kept = labels["onlm"] if "kept" not in labels else labels["kept"]
    labels.assign(kept=kept, onlm=kept.mask(held) if closed else kept).to_csv(run.folder / "patients.csv", index=False)


def test_a_surrogate_label_and_a_predictor_from_the_resection_are_marked_wherever_they_matter(made, copied):
    label = (("TRIPOD+AI", "8a"), ("CLAIM 2024", "14"), ("PROBAST+AI", "D3.1"), ("PROBAST+AI", "E3.1"))
    late = (("TRIPOD+AI", "9b"), ("PROBAST+AI", "D2.4"), ("PROBAST+AI", "E2.4"))
    assert "not there" not in statuses(copied, *label, *late)
    patients = copied.patients.assign(histology="adenocarcinoma", histology_source="resection")
    schema.write_table(patients, copied.folder / "patients.csv")
    toml = '[study]\nname = "S"\n[label]\nsurrogate = true\n[training]\npredictors = ["histology"]\n'
    (copied.folder / "study.toml").write_text(toml, encoding="utf-8")
    assert statuses(Run(copied.folder), *label, *late) == ["not there"] * 7


def test_items_on_images_and_imbalance_apply_only_where_there_are_images_and_a_method(copied):
    items = (("CLAIM 2024", "13"), ("PROBAST+AI", "D4.4"), ("PROBAST+AI", "E4.4"))
    assert statuses(copied, *items) == ["not there", "does not apply", "does not apply"]
    toml = copied.folder / "study.toml"
    said = toml.read_text(encoding="utf-8")
    toml.write_text(said + '\n[model]\nmode = "finetune"\n[training]\nloss = "weighted"\n', encoding="utf-8")
    assert statuses(Run(copied.folder), *items[1:]) == ["not there", "in the report"]  # no calibration among CHEAP
    rows = copied.predictions
    schema.write_table(rows[rows["model_id"] == "clinical"], copied.folder / "predictions.csv")
    assert statuses(Run(copied.folder), items[0]) == ["does not apply"]


def test_an_item_links_calibration_only_where_the_section_shows_some(made):
    run, _, rows = made
    material = gather(run, work=run.folder / "work")
    linked = [r["item"] for r in rows if "#calibration" in r["evidence"]]
    assert {"12e", "23a", "37", "E4.7"} <= set(linked)
    sections = [make(material) for make in write.SECTIONS if make.__name__ in (*CHEAP, "discrimination", "calibration")]
    refused = [
        dataclasses.replace(s, blocks=tuple(b for b in s.blocks if b.kind == "text")) if s.id == "calibration" else s
        for s in sections
    ]
    found = {(j.item.checklist, j.item.number): j for j in evidence.judge(material, sections=refused)}
    assert not any("calibration" in j.sections for j in found.values())
    assert [found["TRIPOD+AI", n].status for n in ("12e", "23a")] == ["not there", "not there"]
    assert found["PROBAST+AI", "E4.7"].status == "not there"


def test_a_run_without_weights_does_not_give_the_full_model(copied):
    assert statuses(copied, ("TRIPOD+AI", "22")) == ["not there"]
    (copied.folder / "weights.safetensors").write_bytes(b"made up")
    found = judged(copied)["TRIPOD+AI", "22"]
    assert found.status == "in part; needs human" and found.files == ("weights.safetensors",)


def test_the_tally_counts_every_item_once(made):
    material = gather(made[0], work=made[0].folder / "work")
    found = [j for j in evidence.judge(material, sections=[]) if j.item.checklist == "CLAIM 2024"]
    assert sum(int(n) for n in re.findall(r"\d+", tally(found))[1:]) == 44
    assert len(checklist_csv(found).splitlines()) == 45
