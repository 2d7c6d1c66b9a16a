"""The section on how the data were divided and models tested, with patients and events of every step."""

from __future__ import annotations

import pandas as pd

from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, note, table

NESTED = (
    "Cross-validation is nested. Whatever is fitted (coding of predictors, networks, number of epochs, penalties, "
    "calibrator, threshold) is fitted on the training patients of an outer fold; its choices are made on up to 5 inner "
    "folds of these. The patients of the outer fold are read only. Out-of-fold results describe this procedure, not "
    "one model."
)
FINAL = (
    "The final model is the same procedure on all labelled patients of development. It gives the risks of held-out "
    "patients and of patients without a label. Its own performance inside development is never told: it would be "
    "apparent."
)
DIFFER = {
    "frozen": "each with other weights of the patients (Bayesian bootstrap)",
    "finetune": "each with another inner fold held out (baselines: other weights of the patients)",
}
PATIENTS = (
    "Divided by patient: all images of a patient lie on one side. The check of the tables looks for rows that may be "
    "one person under two ids, and stops the run where it finds any that nobody has told apart."
)


def testing(material: Material) -> Section:
    """Who taught, who was tested, by which models, and how the split can be checked."""
    study, dealt = material.study, material.run.dealt
    training, split = study.training, study.split
    scheme = (
        "each centre left out in turn"
        if training.scheme == "leave_one_centre_out"
        else f"{words.plural(training.folds, 'fold')}, {words.plural(training.repeats, 'repeat')}, balanced by label "
        "and centre"
    )
    rows = [
        ("Cross-validation", scheme),
        ("External testing", ", ".join(split.external_centres) or "no centre was held out"),
        ("Temporal testing", f"treated in {split.temporal_from_year} or later" if split.temporal_from_year is not None
         else "no year was held out"),
        ("Locked test set", f"{theme.percent(split.locked_fraction)} of labelled patients, "
         f"{words.plural(len(material.run.openings), 'opening')} on record" if split.locked_fraction else "none"),
        ("Models a fold", f"{words.plural(training.seeds_per_fold, 'model')}, "
         f"{DIFFER[study.model.mode]}; the risk is that of their mean log odds"),
        ("Seed", str(dealt.facts.get("seed", study.seed))),
        ("SHA-256 of the split", dealt.sha256),
    ]  # fmt: skip
    blocks: list[Block] = [
        Text(NESTED), Text(FINAL),
        table(pd.DataFrame(rows, columns=["What", "This run"]), caption="How patients were divided."),
        table(_counts(material), caption="Patients and events of every step."),
        note(PATIENTS),
        note("Only the first repeat of the cross-validation is tabulated here and in the results.")
        if training.repeats > 1 else note("Everybody of development is tested once, by models of the other folds."),
    ]  # fmt: skip
    return Section("testing", "Split and testing design", tuple(blocks))


def _counts(material: Material) -> pd.DataFrame:
    """Development, each outer fold (training and tested), and the parts that were held out."""
    dealt = material.run.dealt
    patients = material.patients[["patient_id", "onlm", "arm"]].merge(dealt.parts, on="patient_id")
    label = patients.set_index("patient_id")["onlm"]
    developing = label[(patients["part"] == "development").to_numpy()]
    rows = [_line("development, labelled: teaches the final model", developing.dropna(), by="–")]
    folds = dealt.folds[dealt.folds["repeat"] == dealt.folds["repeat"].min()] if len(dealt.folds) else dealt.folds
    for number, fold in enumerate(sorted(folds["fold"].unique()), start=1):
        out = label.reindex(folds.loc[folds["fold"] == fold, "patient_id"]).dropna()
        rest = label.reindex(folds.loc[folds["fold"] != fold, "patient_id"]).dropna()
        taught = f"models of {len(rest):,} others ({int((rest == 1).sum()):,} N+)"
        rows.append(_line(f"\u2003outer fold {number}, tested", out, by=taught))
    for part, name in (("external", "external testing"), ("temporal", "temporal testing"), ("locked", "locked set")):
        found = label[(patients["part"] == part).to_numpy()]
        if len(found):
            shut = part == "locked" and found.isna().all()
            known = found if shut else found.dropna()
            rows.append(_line(f"{name}{', not opened' if shut else ', labelled'}", known, by="final model"))
    unlabelled = label[label.isna() & (patients["part"] != "locked").to_numpy()]
    if len(unlabelled):
        rows.append(_line("without a label: tested by outcome", unlabelled, by="final model"))
    return pd.DataFrame(rows)


def _line(name: str, label: pd.Series, *, by: str) -> dict[str, str]:
    events = "not known" if len(label) and label.isna().all() else f"{int((label == 1).sum()):,}"
    return {"Step": name, "Patients": f"{len(label):,}", "N+": events, "Risk told by": by}
