"""The report: self-contained, marked, honest about what is missing, and its numbers are those of results.json."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from made_run import NASTY, write_run

from onlm_lab import analysis, schema
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.report import write, write_report
from onlm_lab.report.words import middle
from onlm_lab.runs import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SECTIONS = [
    "design", "reference-standard", "imaging", "predictors", "missing", "sample-size", "model", "testing", "statistics",
    "participants", "table-1", "performance", "discrimination", "calibration", "operating-point", "decision",
    "subgroups", "centres", "fairness", "held-out", "outcomes-surgery", "outcomes-sbrt", "mistakes", "limits",
    "sensitivity", "doubt", "associations", "event-risk", "treatments", "explanation", "software",
    "checklist-tripod-ai", "checklist-claim-2024", "checklist-probast-ai",
]  # fmt: skip
FIGURES = [
    "fig-roc", "fig-auc-differences", "fig-precision-recall", "fig-calibration", "fig-operating-point",
    "fig-operating-differences", "fig-decision", "fig-benefit-difference", "fig-subgroups", "fig-centres-auc",
    "fig-centres-slope", "fig-centres-oe-ratio", "fig-fairness",
    *(f"fig-{endpoint}-surgery" for endpoint in ("os", "rfs", "recurrence", "regional")),
    "fig-hazards-surgery",
    *(f"fig-{endpoint}-sbrt" for endpoint in ("regional", "recurrence", "rfs", "os")),  # the nodes come first
    "fig-hazards-sbrt", "fig-mistakes", "fig-abstention-log-odds-spread", "fig-abstention-ood-score",
    *(f"fig-{what}-surgery" for what in ("auc-time", "brier", "event-calibration", "event-decision")),
    "fig-auc-time-sbrt",  # 8 nodal recurrences: nobody is told a probability
    *(f"fig-{what}-{pair}" for pair in ("sublobar", "sbrt") for what in ("balance", "treatment", "weighted")),
    "fig-landmark",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Run, str]:
    """A run of made-up numbers and its report."""
    folder = tmp_path_factory.mktemp("made")
    run = write_run(folder / "run")
    return run, write_report(run, work=folder / "work").read_text(encoding="utf-8")


def section(page: str, id: str) -> str:
    """The HTML of one section."""
    return re.search(rf'<section id="{id}".*?</section>', page, flags=re.DOTALL).group()


def words(markup: str) -> str:
    """What a reader sees of some HTML."""
    bare = re.sub(r"<script.*?</script>|<[^>]*>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def figures(page: str) -> dict[str, dict]:
    found = re.findall(r'<figure id="([^"]*)">.*?<script type="application/json">(.*?)</script>', page, flags=re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def page_of(run: Run, *, work: Path, only: tuple[str, ...] = ()) -> str:
    """The page of a run; `only` some of its sections (by the name of their builder), to be quick."""
    with pytest.MonkeyPatch.context() as patch:
        if only:
            patch.setattr(write, "SECTIONS", tuple(build for build in write.SECTIONS if build.__name__ in only))
            assert len(write.SECTIONS) == len(only)
        return write_report(run, work=work).read_text(encoding="utf-8")


def rewritten(run: Run, folder: Path, *, patients=None, predictions=None, toml: str = "") -> Run:
    """A copy of a run with other tables."""
    shutil.copytree(run.folder, folder)
    if patients is not None:
        schema.write_table(patients, folder / "patients.csv")
    if predictions is not None:
        schema.write_table(predictions, folder / "predictions.csv")
    if toml:
        (folder / "study.toml").write_text(toml, encoding="utf-8")
    return Run(folder)


def test_the_sections_stand_in_their_order_and_each_is_linked_from_the_top(made):
    page = made[1]
    assert re.findall(r'<section id="([^"]*)"', page) == SECTIONS
    contents = re.search(r"<nav.*?</nav>", page, flags=re.DOTALL).group()
    assert re.findall(r'<a href="#([^"]*)"', contents) == SECTIONS
    assert re.findall(r"<p>(.*?)</p>", contents) == ["Methods", "Results", "Supplement"]
    assert list(figures(page)) == FIGURES


def test_every_section_and_every_figure_of_made_up_data_is_marked(made):
    page = made[1]
    for id in SECTIONS:
        assert "MADE-UP DATA" in words(section(page, id)).split(".")[0], id
    for name, figure in figures(page).items():
        marks = [a for a in figure["layout"]["annotations"] if a.get("name") == "mark"]
        assert [m["text"] for m in marks] == ["MADE-UP DATA"], name
    assert words(page.split("<header>")[0]).endswith("MADE-UP DATA")
    assert "@top-center" in page and 'content: "MADE-UP DATA' in page


def test_real_data_bear_no_mark_but_are_for_research_only(tmp_path):
    run = write_run(tmp_path / "run", made_up=False)
    page = write_report(run, work=tmp_path / "work").read_text(encoding="utf-8")
    body = page.split("</style>")[1].split("<script>")[0]
    assert "MADE-UP" not in body
    assert "Research use only" in words(body)


def test_the_five_lines_say_what_the_calls_say(made):
    run, page = made
    top = words(re.search(r'id="summary".*?</section>', page, flags=re.DOTALL).group())
    rows = run.rows(split="oof")
    for model in ("clinical", "image", "fused"):
        roc = analysis.roc(rows, model=model)
        shown = roc.auc_logit if roc.prefer_logit else roc.auc
        assert f"{model} {theme.with_interval(shown)}" in top
    point = analysis.operating_point(rows, model="fused")
    assert f"{point.n_tp} of {point.n_tp + point.n_fn} N+ found" in top
    assert f"{point.n_tn} of {point.n_tn + point.n_fp} N0 spared" in top
    sbrt = run.rows(split="unlabelled").query("model_id == 'fused'")
    curves = analysis.cumulative_incidence(sbrt.assign(by=sbrt["predicted_positive"] == 1), by="by")
    at = curves.at(days=[1095]).query("cause == 1")
    for risk, group in (("True", "high risk"), ("False", "low risk")):
        share = at.loc[at["group"].astype(str) == risk, "incidence"].item()
        assert re.search(rf"\b{100 * share:.0f} % \(\d+ to \d+\) predicted {group}", top), top
    assert f"{run.patients['onlm'].eq(1).sum()} of them N+" in top


def test_the_primary_model_leads_and_all_models_stand_beside_it(made):
    text = words(section(made[1], "discrimination"))
    assert text.index("fused 0.") < text.index("clinical 0.") < text.index("image 0.")
    assert "fused minus clinical" in text and "fused minus image" in text


def test_a_name_from_the_data_is_text_and_never_markup(made):
    page = made[1]
    assert NASTY not in page
    assert html.escape(NASTY) in section(page, "centres")


def test_the_oracle_stands_beside_the_models_only_where_the_truth_is_known(made, tmp_path):
    run, page = made
    assert "oracle" not in words(section(page, "discrimination"))
    oracle = {
        "clinical": {"value": 0.751, "low": 0.69, "high": 0.81},
        "full": {"value": 0.902, "low": 0.86, "high": 0.94},
    }
    (tmp_path / "oracle.json").write_text(json.dumps(oracle))
    text = words(section(page_of(run, work=tmp_path, only=("discrimination",)), "discrimination"))
    assert "oracle, clinical (knows the truth) 0.75 (0.69 to 0.81)" in text
    assert "oracle, full (knows the truth) 0.90 (0.86 to 0.94)" in text


def test_an_auc_above_095_opens_with_a_box_that_says_what_to_check(made, tmp_path):
    run, page = made
    assert "look for a leak" not in words(section(page, "discrimination"))
    told = run.predictions.merge(run.patients[["patient_id", "onlm"]], on="patient_id")
    told["risk"] = told["risk"].where(told["onlm"] != 1, 0.9 + 0.1 * told["risk"])
    leaky = rewritten(run, tmp_path / "run", predictions=told.drop(columns="onlm"))
    text = words(section(page_of(leaky, work=tmp_path, only=("discrimination",)), "discrimination"))
    assert "is above 0.95, which is a reason to look for a leak before believing it" in text


def test_a_study_without_sbrt_says_so_and_a_study_without_followup_says_so(made, tmp_path):
    run = made[0]
    surgery = run.patients[run.patients["arm"] == "surgery"]
    kept = [c for c in surgery if not c.endswith(("_days", "_event", "_state"))]
    known = run.predictions[run.predictions["patient_id"].isin(surgery["patient_id"])]
    bare = rewritten(run, tmp_path / "run", patients=surgery[kept], predictions=known)
    page = page_of(bare, work=tmp_path, only=("surgery", "sbrt"))
    assert "This study has no SBRT arm." in words(section(page, "outcomes-sbrt"))
    assert "No follow-up is recorded" in words(section(page, "outcomes-surgery"))
    assert "This study has no SBRT arm." in words(page.split("<nav")[0])


def test_one_model_alone_has_no_difference_to_show(made, tmp_path):
    run = made[0]
    alone = rewritten(run, tmp_path / "run", predictions=run.predictions.query("model_id == 'clinical'"))
    page = page_of(alone, work=tmp_path, only=("discrimination",))
    assert "One model only" in words(section(page, "discrimination"))
    assert "fig-auc-differences" not in figures(page)


def test_too_few_events_are_said_and_not_computed(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=24, n_sbrt=6)
    page = write_report(run, work=tmp_path).read_text(encoding="utf-8")
    assert "too few" in words(section(page, "centres"))
    assert re.findall(r'<section id="([^"]*)"', page) == SECTIONS


def test_table_one_counts_the_patients_of_each_group(made):
    run, page = made
    text = words(section(page, "table-1"))
    by_label, by_arm = text.split("Table 1b.")
    known = run.patients[run.patients["onlm"].notna()]
    female = known[known["sex"] == "female"]
    cells = [
        f"{int((female['onlm'] == label).sum())} ({100 * (female['onlm'] == label).sum() / n:.1f} %)"
        for label, n in ((0, (known["onlm"] == 0).sum()), (1, (known["onlm"] == 1).sum()))
    ]
    assert f"female {len(female)} ({100 * len(female) / len(known):.1f} %) {' '.join(cells)}" in by_label
    assert "Characteristic All N0 N+ Missing SMD" in by_label
    assert "Characteristic All Surgery SBRT Missing SMD Patients 320 240 80" in by_arm
    size = run.patients.groupby("onlm")["total_diameter_mm"].mean()
    smd = float(re.search(r"Total diameter \(mm\).*? 0 (\d\.\d\d)", by_label).group(1))
    assert size[1] > size[0] and smd > 0.5


def test_a_public_table_shows_how_it_became_a_study(made, tmp_path):
    flow = pd.DataFrame(
        [("all", "pathological_n_known", 211, 49, 0, 162, 129, 15, 18),
         ("Stanford", "pathological_n_known", 111, 40, 0, 71, 60, 5, 6),
         ("VA", "pathological_n_known", 100, 9, 0, 91, 69, 10, 12)],
        columns=["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left", "n_n0", "n_n1", "n_n2"],
    )  # fmt: skip
    flow.to_csv(tmp_path / "surrogate_flow.csv", index=False)
    pd.DataFrame({"column": ["Ethnicity"], "value": ["(all)"], "count": [211], "why": ["no column of ours"]}).to_csv(
        tmp_path / "unmapped.csv", index=False
    )
    page = page_of(made[0], work=tmp_path / "work", only=("participants",))
    text = words(section(page, "participants"))
    assert "Of 211 patients read, 162 (77 %) are eligible." in text and "undetermined because" not in text
    assert "Pathological N known: 162 patients, 129 N0, 15 N1, 18 N2." in text
    assert "Ethnicity (all) 211 no column of ours" in text
    assert "211 in the public table, 162 of them fit for this question" in words(page)


def test_a_group_of_a_few_patients_is_never_drawn_the_median_divides_instead_and_says_so(made, tmp_path):
    run = made[0]
    told = run.predictions
    lowest = told[(told["model_id"] == "fused") & (told["split"] == "oof")].nsmallest(3, "risk").index
    told["predicted_positive"] = told["predicted_positive"].where(told["split"] != "oof", 1.0)
    told.loc[lowest, "predicted_positive"] = 0.0
    page = page_of(rewritten(run, tmp_path / "run", predictions=told), work=tmp_path, only=("surgery", "sbrt"))
    text = words(section(page, "outcomes-surgery"))
    assert (
        "3 of 240 patients are predicted low risk and 237 high risk. Groups of fewer than 10 are not compared." in text
    )
    assert "split at the median risk instead" in text
    assert re.search(r"low risk \d+ % \(\d+ to \d+\) \(n = 120\), high risk \d+ % \(\d+ to \d+\) \(n = 120\)", text)
    assert "median risk" not in words(section(page, "outcomes-sbrt"))


def test_risks_that_lie_close_together_are_halved_at_the_median_and_the_reader_is_told(made, tmp_path):
    run = made[0]
    told = run.predictions.assign(predicted_positive=1.0)
    told["risk"] = 0.19 + told["risk"].rank(pct=True) * 0.03
    page = page_of(rewritten(run, tmp_path / "run", predictions=told), work=tmp_path, only=("surgery", "sbrt"))
    for arm in ("surgery", "sbrt"):
        text = words(section(page, f"outcomes-{arm}"))
        assert "so close together that to the model the two halves are hardly different" in text
        assert "split at the median risk instead" in text and "chosen on these very patients" in text
        assert "per standard deviation" in text and "per 10 percentage points" not in text
        assert {f"fig-os-{arm}", f"fig-hazards-{arm}"} <= set(figures(page))
        assert f'id="card-{arm}"' in page


def test_risks_that_are_all_the_same_divide_nobody_and_the_curves_divide_by_pathological_n(made, tmp_path):
    run = made[0]
    told = run.predictions.assign(predicted_positive=1.0, risk=0.2)
    page = page_of(rewritten(run, tmp_path / "run", predictions=told), work=tmp_path, only=("surgery", "sbrt"))
    text = words(section(page, "outcomes-surgery"))
    assert "The curves below divide by pathological N instead." in text and "median risk" not in text
    assert re.search(r"found N0 \d+ % \(\d+ to \d+\) \(n = 183\), found N\+ \d+ %", text)
    assert "All 240 patients have the same risk: there is no hazard ratio." in text
    assert not [name for name in figures(page) if name.endswith("-sbrt")] and "onlm-card" not in text
    assert 'id="card-' not in page


def test_the_outcome_card_of_each_arm_stands_first_and_holds_the_numbers_of_the_curves(made):
    run, page = made
    for arm, n in (("surgery", 240), ("sbrt", 80)):
        part = section(page, f"outcomes-{arm}")
        assert part.index(f'id="card-{arm}"') < part.index("<figure")
        rows = run.rows().query(f"model_id == 'fused' and arm == '{arm}'")
        curves = analysis.kaplan_meier(rows.assign(by=rows["predicted_positive"] == 1), endpoint="os", by="by")
        at = curves.at(days=[1095])
        shown = [f"{100 * r.survival:.0f} % ({100 * r.low:.0f} to {100 * r.high:.0f})" for r in at.itertuples()]
        assert f"Overall survival {' '.join(shown)} HR" in words(part)
        assert f"; {n} patients" in words(part) and "Observational" in words(part)


def test_mean_times_stand_in_a_table_of_months(made):
    run, page = made
    rows = run.rows().query("model_id == 'fused' and arm == 'surgery'")
    found = analysis.rmst(rows.assign(by=rows["predicted_positive"] == 1), endpoint="rfs", by="by", tau_days=1095)
    month = 365.25 / 12
    value, d = found.table["rmst_days"] / month, found.difference
    text = words(section(page, "outcomes-surgery"))
    row = re.search(
        r"Months of recurrence-free survival within 3 years ([\d.]+) \(.*?\) ([\d.]+) \(.*?\) (−?[\d.]+) ", text
    )
    assert row.groups() == (f"{value[0]:.1f}", f"{value[1]:.1f}", f"{d.value / month:.1f}".replace("-", "−"))
    assert "Months lost to regional (nodal) recurrence" in text


def test_inside_n0_and_n_plus_the_groups_are_drawn_where_each_has_ten_patients_and_else_the_reason_is_said(
    made, tmp_path
):
    run, page = made
    assert "for only 1 of 240 patients are 'low risk, N+'" in words(section(page, "outcomes-surgery"))
    told = run.predictions.merge(run.patients[["patient_id", "onlm"]], on="patient_id")
    middles = told.groupby(["model_id", "onlm"])["risk"].transform("median")
    told["predicted_positive"] = told["predicted_positive"].where(told["onlm"].isna(), (told["risk"] > middles) * 1.0)
    halved = rewritten(run, tmp_path / "run", predictions=told.drop(columns="onlm"))
    page = page_of(halved, work=tmp_path, only=("surgery",))
    text = words(section(page, "outcomes-surgery"))
    assert "fig-rfs-pathology" in figures(page)
    assert re.search(r"compared within N0 and within N\+ \(stratified test\): P [=<] [\d.]+\.", text)


def test_event_risks_are_judged_as_the_calls_judge_them_and_too_few_events_are_said(made):
    run, page = made
    text = words(section(page, "event-risk"))
    assert text.count("A risk of N+ is no probability of an event by a day") == 1
    rows = run.rows().query("model_id == 'fused' and arm == 'surgery'")
    auc = analysis.time_dependent_auc(rows, endpoint="os", horizons_days=[1095]).iloc[0]
    assert f"death within 3 years {auc['value']:.2f} ({auc['low']:.2f} to {auc['high']:.2f})" in text
    assert "regional (nodal) recurrence within 3 years 0.59 (0.38 to 0.81) – – – –" in text
    assert "Few events by 1 year, 2 years, 3 years and 5 years: these intervals are too narrow." in text
    assert "Too few events, or too short a follow-up, to tell probabilities of regional (nodal) recurrence" in text


def test_enough_events_after_sbrt_bring_its_probabilities_too(tmp_path):
    run = write_run(tmp_path / "run", n_surgery=60, n_sbrt=320)
    page = page_of(run, work=tmp_path, only=("event_risk",))
    wanted = {f"fig-{what}-sbrt" for what in ("auc-time", "brier", "event-calibration", "event-decision")}
    assert wanted <= set(figures(page))


def test_every_figure_of_treatments_carries_the_observational_sentence_and_the_section_opens_with_it(made):
    page = made[1]
    part = section(page, "treatments")
    assert words(part).count("treatments were chosen for patients, so a ratio is not the effect of a treatment") == 1
    assert part.index("so a ratio is not the effect") < part.index("<figure")
    for name, figure in figures(part).items():
        said = " ".join(a["text"] for a in figure["layout"]["annotations"] if a.get("name") == "sentence")
        assert "treatments were chosen for patients" in said.replace("<br>", " "), name
    assert len(figures(part)) == 7 and "counted from surgery, the hazard ratio is" in words(part)


def test_where_no_two_treatments_can_be_compared_the_reasons_are_said(made, tmp_path):
    run = made[0]
    bare = run.patients.drop(columns=["treatment", "adjuvant_start_days"])
    page = page_of(rewritten(run, tmp_path / "run", patients=bare), work=tmp_path, only=("treatments",))
    text = words(section(page, "treatments"))
    assert "No two treatments have enough patients to be compared." in text
    assert "adjuvant_start_days not recorded" in text and not figures(page)


def test_half_a_node_is_shown_and_not_rounded_away():
    assert middle(pd.Series([10, 12, 13, 18])) == "12.5 (11.5 to 14.2)"
    assert middle(pd.Series([10, 10, 10])) == "10"


def test_an_arm_too_small_for_two_groups_is_not_divided(tmp_path):
    run = write_run(tmp_path / "run", n_sbrt=12)
    page = page_of(run, work=tmp_path, only=("sbrt",))
    text = words(section(page, "outcomes-sbrt"))
    assert "Groups of fewer than 10 are not compared." in text and "median" not in text.split("Groups of")[1]
    assert not [name for name in figures(page) if name.endswith("-sbrt")]


def test_a_surrogate_label_and_a_post_operative_predictor_are_said_before_any_number(made, tmp_path):
    run = made[0]
    patients = run.patients.assign(histology="adenocarcinoma", histology_source="resection")
    toml = (
        '[study]\nname = "S"\nlicence = "CC BY 3.0, doi:10.1/x"\n[label]\nsurrogate = true\n'
        '[training]\npredictors = ["histology"]\n[analysis]\nbootstrap = 50\n'
    )
    changed = rewritten(run, tmp_path / "run", patients=patients, toml=toml)
    page = page_of(changed, work=tmp_path, only=("reference_standard", "model_specification"))
    top = words(page.split("<nav")[0].split("</style>")[1])
    assert top.index("surrogate") < top.index("What to know")
    assert top.index("Partly post-operative") < top.index("What to know")
    assert "CC BY 3.0, doi:10.1/x" in top
    assert "surrogate" in words(section(page, "reference-standard"))
    assert "Partly post-operative" in words(section(page, "model"))


def test_the_flow_is_counted_once_and_lost_ct_stands_with_its_reason(made, tmp_path):
    run = made[0]
    flow = pd.DataFrame(
        [("all", "adult", 9, 1, 0, 8), ("all", "consent", 8, 0, 2, 6), ("North", "adult", 5, 1, 0, 4),
         ("North", "consent", 4, 0, 2, 2), ("South", "adult", 4, 0, 0, 4), ("South", "consent", 4, 0, 0, 4)],
        columns=["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left"],
    )  # fmt: skip
    flow.to_csv(tmp_path / "flow.csv", index=False)
    prepared = pd.DataFrame({"patient_id": ["P0001", "P0002", "x"], "usable": [1, 1, 0],
                             "reason": [None, None, "no annotation"], "spacing_mm": [1.0, 5.0, None],
                             "kernel": ["B30f", "B30f", None]})  # fmt: skip
    prepared.to_csv(tmp_path / "prepared.csv", index=False)
    page = page_of(run, work=tmp_path, only=("participants", "imaging"))
    text = words(section(page, "participants"))
    assert "Of 9 patients screened, 6 (67 %) are eligible." in text
    assert re.search(r"North 5 1 2 2 ", text) and re.search(r"South 4 0 0 4 ", text)
    assert "1 of 3 (33 %) eligible patients did not enter" in text and "no annotation 1" in text
    assert "All centres 2 3.00 (2.00 to 4.00)" in words(section(page, "imaging"))


def test_the_imaging_section_counts_series_faults_checks_measurements_and_contradictions(made, tmp_path):
    run = made[0]
    ids = [f"P000{k}" for k in range(1, 5)]
    scans = {"patient_id": [*ids, "lost"], "usable": [1, 1, 1, 1, 0], "spacing_mm": [1.0, 1.0, 2.0, 3.0, None],
             "manufacturer": ["GE", "GE", "GE", "Philips", None], "model": ["VCT", "VCT", "VCT", "iCT", None],
             "kernel": ["LUNG", "LUNG", "STANDARD", None, None], "kvp": [120, 120, 100, 120, None],
             "contrast": [1, 0, 1, None, None],
             "series_faults": ["gantry_tilt", "gantry_tilt;mixed_kernels", "", None, None],
             "score": [1.0, 0.5, 0.75, 1.0, None], "failed": ["", "spacing, noise", "noise", "", None],
             "ct_longest_axial_mm": [10.0, 20.0, 30.0, None, None]}  # fmt: skip
    pd.DataFrame(scans).to_csv(tmp_path / "prepared.csv", index=False)
    series = [("CT", 1, "named in annotations.csv"), ("CT", 1, "the one that the mask was drawn on"),
              ("CT", 1, "chosen: 1 mm thick"), ("CT", 0, "not chosen: a localizer"), ("SEG", 0, "no CT")]  # fmt: skip
    pd.DataFrame(series, columns=["modality", "chosen", "reason"]).to_csv(tmp_path / "series.csv", index=False)
    against = [(ids[0], "total diameter", "10 mm", "20 mm", 1), (ids[1], "total diameter", "10 mm", "15 mm", 0),
               (ids[1], "central location", "central", "not central", 0)]  # fmt: skip
    pd.DataFrame(against, columns=["patient_id", "what", "recorded", "derived", "matters"]).to_csv(
        tmp_path / "image_disagreements.csv", index=False
    )
    text = words(section(page_of(run, work=tmp_path, only=("imaging",)), "imaging"))
    assert re.search(r"All centres 4 1\.50 \(1\.00 to 2\.25\)", text)
    assert re.search(r"All centres 2 of 3 \(67 %\) 120 \(115 to 120\)", text)
    assert "GE VCT (" in text and "STANDARD (1)" in text
    assert "4 CT series in the folder; 3 taken: 1 named in annotations.csv, 1 named by the mask, 1 by rule." in text
    assert "the gantry was tilted, so that the slices form a sheared stack 2" in text
    assert "the slices differ in their convolution kernel 1" in text
    assert "87.5 (68.8 to 100) % of those that could be made; 2 of 4 (50 %) passed all of them." in text
    assert "Failed: noise 2, slices too far apart 1." in text
    assert re.search(r"Longest axial diameter \(mm\) .*20\.0 \(15\.0 to 25\.0\); n = 3", text)
    assert "total diameter 2 1" in text and "central location 1 0" in text
    for patient in ids:
        assert patient not in text


def test_a_run_without_predictions_is_refused_in_a_sentence_and_nothing_is_written(made, tmp_path):
    run = rewritten(made[0], tmp_path / "run")
    (run.folder / "predictions.csv").unlink()
    (run.folder / "report.html").unlink()
    with pytest.raises(OnlmError, match=r"has no predictions\.csv yet"):
        write_report(run, work=tmp_path)
    assert not (run.folder / "report.html").exists()


def test_the_report_needs_no_torch_and_no_ct_reader(made):
    code = (
        "import sys; from pathlib import Path; from onlm_lab.runs import Run; "
        "from onlm_lab.report import write_report; write_report(Run(Path(sys.argv[1])), work=Path('nowhere')); "
        "print(sorted({'torch', 'pydicom', 'SimpleITK', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(made[0].folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_numbers_of_the_trials_report_are_those_of_results_json(trial_run, trial):
    page = (trial_run.folder / "report.html").read_text(encoding="utf-8")
    text = words(section(page, "discrimination"))
    for model in trial_run.study.training.models:
        roc = trial_run.results[model]["roc"]
        auc = roc["auc_logit"] if roc["prefer_logit"] else roc["auc"]
        assert (
            f"{model} {auc['value']:.2f} ({auc['low']:.2f} to {auc['high']:.2f}) {roc['n_events']} / {roc['n']}" in text
        )
    known = json.loads((trial / "work" / "oracle.json").read_text())
    assert f"oracle, full (knows the truth) {known['full']['value']:.2f}" in text
    assert "MADE-UP DATA" in text
    assert "not recorded" not in words(section(page, "imaging"))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_in_a_browser_every_figure_is_drawn_saved_with_its_title_and_nothing_is_fetched(made):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.set_default_timeout(120_000)  # a busy machine is slow, not wrong
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto((made[0].folder / "report.html").as_uri())
        page.wait_for_function("document.documentElement.dataset.ready")
        drawn = page.evaluate(
            "[...document.querySelectorAll('figure')].filter(f => f.querySelector('.plot .trace')).length"
        )
        wide = page.evaluate("document.documentElement.scrollWidth")
        pwned = page.evaluate("window.pwned")
        page.locator("#fig-roc .plot").hover()
        with page.expect_download() as saved:
            page.locator("#fig-roc .modebar-btn").first.click()
        name, picture = saved.value.suggested_filename, Path(saved.value.path()).read_text(encoding="utf-8")
        browser.close()
    assert asked == [(made[0].folder / "report.html").as_uri()]
    assert wrong == []
    assert drawn == len(FIGURES)
    assert wide <= 400
    assert pwned is None
    assert name == "fig-roc.svg"
    for words_on_it in ("How well does the risk tell N+ from N0?", "240 patients, 57 N+", "MADE-UP DATA"):
        assert words_on_it in picture


def test_what_was_done_to_the_tables_on_the_way_in_is_said_and_escaped(tmp_path):
    run = write_run(tmp_path / "run")
    bare = write_report(run, work=tmp_path / "work").read_text(encoding="utf-8")
    assert "How the tables were read" not in bare
    (tmp_path / "work").mkdir()
    notes = ["clinical.csv: 12 cells recoded (sex <12>).", "clinical.csv: 3 rows left out by [mapping.only]."]
    (tmp_path / "work" / "checked.json").write_text(json.dumps({"n_patients": 5, "notes": notes}), encoding="utf-8")
    software = section(write_report(run, work=tmp_path / "work").read_text(encoding="utf-8"), "software")
    assert all(note in words(software) for note in notes) and "<12>" not in software
