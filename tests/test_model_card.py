"""The model card: Mitchell's headings, numbers of the run's own files, nothing from data as markup, two forms."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from made_run import NASTY, write_run

from onlm_lab.analysis import battery
from onlm_lab.errors import OnlmError
from onlm_lab.report.markdown import escaped
from onlm_lab.report.model_card import write_model_card
from onlm_lab.steps import file_digest, write_text

HEADINGS = [
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data", "Quantitative analyses",
    "Ethical considerations", "Caveats and recommendations", "Software",
]  # fmt: skip
FINAL = {"threshold": 0.123, "calibrator": {"intercept": -0.25, "slope": 0.9, "n": 1, "n_positive": 1, "note": ""}}


def make(folder, **options):
    run = write_run(folder / "runs" / "run-a", n_surgery=160, n_sbrt=30, name=f"Card {NASTY}", **options)
    patients = run.patients
    role = patients["onlm"].notna().map({True: "labelled", False: "unlabelled"})
    patients.assign(role=role).to_csv(run.folder / "patients.csv", index=False)
    said = {
        "models": {m: {"final": FINAL, "folds": []} for m in ("clinical", "image", "fused")},
        "backbone_weights": {"source": "mine.safetensors", "sha256": "ab" * 32},
    }
    write_text(run.folder / "calibration.json", json.dumps(said))
    write_text(run.folder / "environment.txt", "python 3.11\ntorch 2.0\n")
    (run.folder / "weights.safetensors").write_bytes(b"made up")
    battery.write_results(battery.analyse(run.rows(), plan=run.study.analysis, seed=1), run.folder / "results.json")
    flow = pd.DataFrame({"centre": ["all", "North"], "rule": "adult", "n_in": [190, 60], "n_excluded": [0, 0],
                         "n_undetermined": 0, "n_left": [190, 60], "text": "Age at least 18 | years"})  # fmt: skip
    write_text(folder / "work" / "flow.csv", flow.to_csv(index=False))
    return run


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = make(tmp_path_factory.mktemp("card"))
    markdown, page = write_model_card(run)
    return run, markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


def cells(markdown, first):
    """The cells of the Markdown row whose first cell is this."""
    row = next(line for line in markdown.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_both_forms_lie_in_the_run_and_bear_the_headings_in_their_order(written):
    run, markdown, page = written
    assert (run.folder / "model_card.md").is_file() and (run.folder / "model_card.html").is_file()
    assert re.findall(r"^## (.*)$", markdown, flags=re.M) == HEADINGS
    assert [re.sub("<.*?>.*", "", h).strip() for h in re.findall(r"<h2[^>]*>(.*?)</h2>", page)] == HEADINGS


def test_performance_is_that_of_results_json(written):
    run, markdown, _ = written
    for model in ("fused", "clinical", "image"):
        said = run.results[model]
        row = next(line for line in markdown.splitlines() if line.startswith(f"| {model} | internal testing"))
        auc = said["roc"]["auc_logit" if said["roc"]["prefer_logit"] else "auc"]
        assert f"{auc['value']:.2f} ({auc['low']:.2f} to {auc['high']:.2f})" in row
        sensitivity = said["operating_point"]["sensitivity"]
        assert f"{100 * sensitivity['value']:.0f} % ({100 * sensitivity['low']:.0f} to" in row
        assert f"| {said['roc']['n']} | {said['roc']['n_events']} |" in row
    assert markdown.index("| fused | internal") < markdown.index("| clinical | internal"), "the primary model first"
    level = run.results["fused"]["by_subgroup"]["table"][0]
    assert cells(markdown, "Sex")[1:4] == [level["level"], str(level["n"]), str(level["n_positive"])]


def test_training_data_threshold_and_checksums_are_the_run_s(written):
    run, markdown, page = written
    labelled = run.patients.query("role == 'labelled'")
    n, n_positive = len(labelled), int(labelled["onlm"].sum())
    assert cells(markdown, "Patients with a label")[1] == f"{n}, {n_positive} of them N+ ({100 * n_positive / n:.0f} %)"
    assert cells(markdown, "fused") == ["fused", "0.123", "−0.25", "0.90", "–"]
    assert file_digest(run.folder / "weights.safetensors") in markdown and "ab" * 32 in page
    assert "North: " in cells(markdown, "Centres")[1]
    assert "torch 2.0" in markdown and "torch 2.0" in page
    assert cells(markdown, r"Age at least 18 \| years")[1:] == ["190", "0", "0", "190"], "all centres together"


def test_nothing_from_data_is_markup_and_the_mark_is_there(written):
    _, markdown, page = written
    assert "<img" not in page and "<img" not in markdown
    assert "&lt;img src=x" in page and "&lt;img src=x" in markdown
    assert "MADE-UP DATA" in markdown and page.count("MADE-UP DATA") > len(HEADINGS)
    assert "http" not in page, "nothing is fetched"


def test_real_data_bear_no_mark_and_what_is_not_there_is_left_out(tmp_path):
    run = make(tmp_path, made_up=False)
    for name in ("calibration.json", "environment.txt", "weights.safetensors"):
        (run.folder / name).unlink()
    markdown, page = (path.read_text(encoding="utf-8") for path in write_model_card(run, work=tmp_path / "none"))
    assert "MADE-UP" not in markdown + page
    assert "How the patients were chosen" not in markdown and "threshold and calibrator" not in markdown
    assert "the versions are not known" in markdown


def test_an_auc_that_is_too_good_and_unlike_patients_are_said(tmp_path):
    run = make(tmp_path)
    results = run.results
    results["clinical"]["roc"]["auc"]["value"] = 0.97
    write_text(run.folder / "results.json", json.dumps(results))
    markdown = write_model_card(run)[0].read_text(encoding="utf-8")
    assert "clinical: an internal AUC of 0.970, above 0.95, is a reason to look for a leak" in markdown
    scores = run.predictions.query("model_id == 'fused'")["ood_score"]
    assert f"{(scores > 0.95).sum()} of {len(scores)} predictions of fused lie above 0.95" in markdown


def test_a_run_without_results_says_what_to_do(tmp_path):
    run = make(tmp_path)
    (run.folder / "results.json").unlink()
    with pytest.raises(OnlmError, match=r"no results.json yet. Make it with `onlm analyse STUDY`"):
        write_model_card(run)


def test_markdown_shows_any_text_as_it_is():
    assert escaped("a | b_c <i> `x` [y](z)\n# no") == r"a \| b\_c &lt;i&gt; \`x\` \[y\](z) \# no"
    assert escaped("1. not a list") == r"1\. not a list" and escaped("- nor this") == r"\- nor this"
    assert escaped("https://example.org") == "https&#58;//example.org"
