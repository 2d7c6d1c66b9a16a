"""The sections of a model card, in the order of Mitchell et al. 2019 (doi:10.1145/3287560.3287596)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from onlm_lab import steps
from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.report.card_numbers import performance_table, said_estimate, subgroup_table
from onlm_lab.report.provenance import (
    MEANT_FOR,
    MEANT_FOR_SURROGATE,
    MODES,
    POST_OPERATIVE,
    WHAT,
    histology_of_resection,
    late_predictors,
)
from onlm_lab.report.section import Block, Section, Text, Verbatim, box, note, table
from onlm_lab.report.specification import layout_words
from onlm_lab.report.standard import SURROGATE
from onlm_lab.runs import Run
from onlm_lab.study import BASELINES, MODELS, Study

OOD_LIMIT = 0.95
TOO_GOOD = 0.95  # an internal AUC above it is a reason to look for a leak
CALIBRATION = {"platt": "Platt's: intercept and slope of the log odds", "temperature": "one temperature"}
NO_LICENCE = "not stated in study.toml"
SCORES = "published score, coefficients as published"
QUESTION = "Is there cancer in lymph nodes that look clean on imaging? (occult N+)"
SURROGATE_QUESTION = "Is cancer found in the lymph nodes at surgery? (a surrogate of occult N+)"


@dataclass(frozen=True, eq=False)
class Facts:
    """What the card is written from."""

    run: Run
    study: Study
    results: dict[str, Any]
    trained: dict[str, Any]  # calibration.json
    patients: pd.DataFrame  # the labelled of development
    flow: pd.DataFrame  # all centres; empty where the step left none
    predictions: pd.DataFrame

    @property
    def models(self) -> list[str]:
        """Shown first, our own, then what stands beside them."""
        tested = [m for m, said in self.results.items() if isinstance(said, dict) and "about" in said]
        known = [self.study.primary_model, *MODELS, *BASELINES]  # the order of the report
        return sorted(tested, key=lambda m: known.index(m) if m in known else len(known))

    @property
    def post_operative(self) -> bool:
        return histology_of_resection(self.study, patients=self.patients)

    @property
    def sees_ct(self) -> bool:
        return any(m in self.models for m in ("image", "fused"))


def _details(facts: Facts) -> Section:
    study, model, training = facts.study, facts.study.model, facts.study.training
    rows = [
        ("Run", facts.run.id), ("Question", SURROGATE_QUESTION if study.label.surrogate else QUESTION),
        ("Models", "; ".join(f"{m}: {WHAT.get(m, SCORES if m in study.scores else m)}" for m in facts.models)),
        ("Shown first", study.primary_model),
    ]  # fmt: skip
    if facts.sees_ct:
        patch = study.patch
        rows += [
            ("Patch", f"cube of {patch.size_mm:g} mm, voxels of {patch.spacing_mm:g} mm, on the patient's axes"),
            ("Layout", f"{model.layout}: {layout_words(model)}"),
            ("Backbone", f"{model.backbone}; {MODES[model.mode]}"),
        ]  # fmt: skip
        weights = facts.trained.get("backbone_weights") or {}
        if weights:
            rows.append(("Backbone weights", f"{weights['source']}, SHA-256 {weights['sha256']}"))
        if "fused" in facts.models:
            rows.append(("Fusion", f"{model.fusion}; modality dropout {theme.percent(model.modality_dropout)}"))
    rows.append(("Clinical inputs", ", ".join(words.column(name) for name in training.predictors)))
    weights = facts.run.folder / "weights.safetensors"
    if weights.is_file():
        rows.append(("Final weights", f"weights.safetensors, SHA-256 {steps.file_digest(weights)}"))
    rows += [
        ("Output", "risk of N+ from 0 to 1, higher is worse, with the spread of the models and an ood_score"),
        ("Seed", str(study.seed)), ("Licence of the software", "Apache-2.0"),
        ("Data and their licence", study.study.licence or ("made-up data" if study.made_up else NO_LICENCE)),
        ("More", "report.html beside this card, with TRIPOD+AI, CLAIM 2024 and PROBAST+AI item by item"),
    ]  # fmt: skip
    return Section("details", "Model details", (_two(rows, caption="What the model is."),))


def _intended_use(facts: Facts) -> Section:
    surrogate = facts.study.label.surrogate
    blocks: list[Block] = [
        Text("Research on predicting occult nodal metastasis. Not a medical device; no decision about a patient may "
             "rest on it."),
        Text(MEANT_FOR_SURROGATE if surrogate else MEANT_FOR),
        Text("Users: clinical researchers who can judge CT, cohort and statistics. Out of scope: choosing a treatment, "
             "screening, patients after treatment, hospitals whose patients or CT differ from training without "
             "external testing (onlm predict tells how they differ)."),
    ]  # fmt: skip
    before = [*([box(SURROGATE)] if surrogate else []), *([box(POST_OPERATIVE)] if facts.post_operative else [])]
    return Section("use", "Intended use", tuple([*before, *blocks]))


def _factors(facts: Facts) -> Section:
    subgroups = ", ".join(words.column(name) for name in facts.study.analysis.subgroups)
    said = [f"Subgroups that results are shown for: {subgroups or 'none named in study.toml'}."]
    if facts.sees_ct:
        said.append("Instruments: scanner, kernel, slice spacing and noise change what the CT shows. ood_score counts "
                    "them; onlm predict compares them with training.")  # fmt: skip
    said.append("The reference standard hangs on how many nodes were examined; the report shows it beside the label.")
    return Section("factors", "Factors", tuple(Text(line) for line in said))


def _metrics(facts: Facts) -> Section:
    training = facts.study.training
    target = theme.percent(training.target_sensitivity)
    rows = []
    for model in facts.models:
        final = facts.trained.get("models", {}).get(model, {}).get("final", {})
        calibrator = final.get("calibrator", {})
        if final:
            rows.append((model, theme.number(final["threshold"], digits=3), theme.number(calibrator["intercept"]),
                         theme.number(calibrator["slope"]), calibrator.get("note", "") or "–"))  # fmt: skip
    blocks: list[Block] = [
        Text("AUC with DeLong's interval; calibration in the large, slope and observed : expected; sensitivity and "
             "specificity with Wilson's intervals at a threshold fixed before testing."),
        Text(f"Calibration: {CALIBRATION[training.calibration]}, fitted on inner out-of-fold risks of training "
             "patients."),
        Text(f"Threshold: the highest risk that reaches {target} sensitivity in inner out-of-fold risks of training "
             "patients. Nothing was chosen on the patients that are tested."),
    ]  # fmt: skip
    if rows:
        shown = pd.DataFrame(rows, columns=["Model", "Threshold", "Intercept", "Slope", "Note"])
        blocks.append(table(shown, caption="Final models: threshold and calibrator."))
    return Section("metrics", "Metrics", tuple(blocks))


def _evaluation_data(facts: Facts) -> Section:
    training, split = facts.study.training, facts.study.split
    scheme = (
        "each centre left out in turn" if training.scheme == "leave_one_centre_out"
        else f"{words.plural(training.folds, 'fold')}, {words.plural(training.repeats, 'repeat')}"
    )  # fmt: skip
    said = [f"Internal testing: by patient, {scheme}; every risk comes from models that did not see the patient."]
    if split.external_centres:
        said.append(f"External testing: centres {', '.join(split.external_centres)}, which taught nothing.")
    if split.temporal_from_year is not None:
        said.append(f"Temporal testing: patients treated in {split.temporal_from_year} or later, who taught nothing.")
    if split.locked_fraction:
        opened = len(facts.run.openings)
        state = f"opened {words.plural(opened, 'time')}" if opened else "closed; nothing of it is shown here"
        said.append(f"Locked test set: {theme.percent(split.locked_fraction)} of development, {state}.")
    if not (split.external_centres or split.temporal_from_year is not None):
        said.append("No external testing: how the model does in another hospital is not known.")
    return Section("evaluation", "Evaluation data", tuple(Text(line) for line in said))


def _training_data(facts: Facts) -> Section:
    patients, label = facts.patients, facts.study.label
    n, n_positive = len(patients), int((patients["onlm"] == 1).sum())
    rows = [
        ("Patients with a label", f"{n:,}, {n_positive:,} of them N+ ({theme.percent(n_positive / n) if n else '–'})")
    ]
    if "centre" in patients:
        by_centre = patients["centre"].value_counts()
        rows.append(("Centres", "; ".join(f"{centre}: {count}" for centre, count in by_centre.items())))
    if "treatment_year" in patients and patients["treatment_year"].notna().any():
        years = patients["treatment_year"].dropna()
        rows.append(("Treated", f"{years.min():.0f} to {years.max():.0f}"))
    least = [f"{name} {value}" for name, value in (("nodes", label.min_nodes), ("N2 stations", label.min_n2_stations))
             if value is not None]  # fmt: skip
    standard = "pathological N1-N3 against N0 after surgery, in patients with clinical N0 and no neoadjuvant treatment"
    standard = "pathological N alone (a surrogate)" if label.surrogate else standard
    rows.append(("Reference standard", standard + (f"; at least {', '.join(least)}" if least else "")))
    if (facts.run.patients["arm"] == "sbrt").any():
        rows.append(("Not among them", "patients after SBRT: they have no pathological N and never teach"))
    blocks: list[Block] = [_two(rows, caption="Who taught the final models.")]
    if len(facts.flow):
        shown = facts.flow[["text", "n_in", "n_excluded", "n_undetermined", "n_left"]].astype(str)
        shown.columns = ["Rule", "Patients", "Excluded", "Undetermined", "Left"]
        blocks.append(table(shown, caption="How the patients were chosen."))
    return Section("training", "Training data", tuple(blocks))


def _quantitative(facts: Facts) -> Section:
    said = "Performance; brackets: 95 % interval. Out-of-fold rows describe the procedure, the others the final models."
    blocks: list[Block] = [table(performance_table(facts.results, models=facts.models), caption=said)]
    primary = facts.models[0]
    groups = subgroup_table(facts.results[primary])
    if len(groups):
        blocks.append(table(groups, caption=f"Subgroups, {primary}. Small groups have no AUC."))
    pooled = facts.results[primary].get("by_centre", {})
    if pooled.get("pooled", {}).get("value") is not None:
        low, high = (pooled["prediction_interval"].get(k) for k in ("low", "high"))
        between = "" if low is None else f"; in a new centre it is expected between {low:.2f} and {high:.2f}"
        blocks.append(note(f"Over {pooled['n_pooled']} of {pooled['n_centres']} centres the AUC is "
                           f"{said_estimate(pooled['pooled'])}{between}."))  # fmt: skip
    return Section("quantitative", "Quantitative analyses", tuple(blocks))


def _ethics(facts: Facts) -> Section:
    said = [
        "The run's folder holds rows of patients under study ids: it is as confidential as the cohort. This card holds "
        "counts only.",
        "A missed N+ and a needless staging or larger resection are both harm; the threshold's sensitivity says which "
        "was weighed more. A model trained where some people are rare may serve them worse: see the subgroups.",
        "Comparisons of outcomes are observational. They do not say what a treatment does.",
    ]
    blocks: list[Block] = [Text(line) for line in said]
    if facts.study.made_up:
        blocks.insert(0, box(f"{theme.MADE_UP}. All patients, images and outcomes are made up; nothing about a real "
                             "patient can be learnt from them."))  # fmt: skip
    return Section("ethics", "Ethical considerations", tuple(blocks))


def _caveats(facts: Facts) -> Section:
    said = []
    for model in facts.models:
        auc = facts.results[model].get("roc", {}).get("auc", {}).get("value")
        if auc is not None and auc > TOO_GOOD:
            said.append(f"{model}: an internal AUC of {auc:.3f}, above {TOO_GOOD:g}, is a reason to look for a leak.")
    said += [
        "Internal testing says how the procedure does in patients of these hospitals, not in one that gave none.",
        "A patient without CT or with an empty cell has a risk, and a wider spread. The spread of the models is no "
        "confidence interval.",
        _unlike(facts),
        "Where the share of N+ or the CT differ, risks may be off: test first, then recalibrate on patients there.",
    ]
    late = late_predictors(facts.study)
    if facts.post_operative:
        said.append(POST_OPERATIVE)
    if late:
        said.append(f"Not known before treatment, and still a predictor: {', '.join(late)}.")
    return Section("caveats", "Caveats and recommendations", tuple(Text(line) for line in said))


def _unlike(facts: Facts) -> str:
    """What ood_score is, and how often it is high here."""
    rows = facts.predictions[facts.predictions["model_id"] == facts.models[0]]
    scores = rows["ood_score"].dropna() if "ood_score" in rows else pd.Series(dtype=float)
    said = "ood_score is the share of training patients who are less unusual, by what the model sees or by CT quality"
    if scores.empty:
        return f"{said}; none is recorded."
    n = int((scores > OOD_LIMIT).sum())
    return (
        f"{said}; {n:,} of {len(scores):,} predictions of {facts.models[0]} lie above {OOD_LIMIT:g}. The model still "
        "gives these patients a risk: abstaining is left to the user."
    )


def _software(facts: Facts) -> Section:
    path = facts.run.folder / "environment.txt"
    if not path.is_file():
        return Section("software", "Software", (Text("No environment.txt in the run: the versions are not known."),))
    return Section("software", "Software", (Verbatim("environment.txt", path.read_text(encoding="utf-8")),))


def _two(rows: list[tuple[str, str]], *, caption: str) -> Block:
    return table(pd.DataFrame(rows, columns=["What", "This model"]), caption=caption)


def card_sections(facts: Facts) -> list[Section]:
    """All sections of the card."""
    return [
        _details(facts), _intended_use(facts), _factors(facts), _metrics(facts), _evaluation_data(facts),
        _training_data(facts), _quantitative(facts), _ethics(facts), _caveats(facts), _software(facts),
    ]  # fmt: skip
