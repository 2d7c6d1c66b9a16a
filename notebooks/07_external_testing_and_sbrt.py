# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # External testing, and patients after SBRT
#
# Everything below is **MADE-UP DATA**: patients, CT and outcomes come from a generator whose truth is known. Nothing
# about a real patient or treatment can be learnt from it. Research use only.
#
# A model was trained in one trial. Other hospitals ask: does it work for our patients? They see more nodal metastasis
# than the hospitals that taught it, most of them send a spreadsheet and no CT, and many of their patients are treated
# with SBRT, where nobody will ever know the nodes. Nothing is fitted to these patients until we say so.

# %% [markdown]
# ## Which model?
# `ONLM_DEMO` names the study of a finished run; without it a trial is made in `demo` and trained (about three minutes).

# %%
import os
from pathlib import Path

from onlm_lab import pipeline, virtual
from onlm_lab.runs import list_runs, open_run

home = Path(os.environ.get("ONLM_DEMO", "demo"))
if not (home / "study.toml").is_file():
    virtual.write_trial(home, n_patients=300, n_centres=5, seed=7, progress=True)
run = open_run(home) if list_runs(home) else pipeline.run(home, say=print)
run

# %% [markdown]
# ## Who are the new patients?
# Four other hospitals, tables only, from another draw of the made-up world. They are referral centres: six in ten
# patients whose nodes turned out clean never came, so N+ is twice as common as where the model was taught.

# %%
import numpy as np

from onlm_lab.runs import read_csv

place = Path("other_hospitals")
if not (place / "study.toml").is_file():
    virtual.write_trial(place, n_patients=1200, n_centres=4, seed=23, tables_only=True)
    table = read_csv(place / "clinical.csv")
    never_came = (table["pathological_n"] == "N0") & (np.random.default_rng(0).random(len(table)) < 0.6)
    for name in ("clinical.csv", "followup.csv"):
        read_csv(place / name)[~never_came].to_csv(place / name, index=False)

# %% [markdown]
# ## Predict them
# One call: `onlm predict demo other_hospitals` in a terminal, or here. It checks and screens the new study, asks
# whether it may be predicted at all, and says what is to be known and what differs.

# %%
from onlm_lab import predicting

out = predicting.predict_study(run.folder, place, say=print)

# %% [markdown]
# ## Could one of them have taught the model?
# Ids are no proof: both trials number their patients from 1, and the call says "taken for other people", because
# their values differ. Somebody with the same id *and* the same values is the same person, and then nothing is
# predicted. We slip in three patients of the training set to see it.

# %%
import pandas as pd

from onlm_lab.errors import OnlmError

taught = run.patients.query("role == 'labelled'")["patient_id"].head(3)
mixed = virtual.write_trial("mixed_up", n_patients=40, n_centres=1, seed=99, tables_only=True)
for name in ("clinical.csv", "followup.csv"):
    theirs, ours = read_csv(mixed / name), read_csv(home / name)
    kept = theirs[~theirs["patient_id"].isin(taught)]
    pd.concat([kept, ours[ours["patient_id"].isin(taught)]]).to_csv(mixed / name, index=False)

# %%
said = []
try:
    predicting.predict_study(run.folder, mixed, say=said.append)
except OnlmError as refused:
    print(refused)

# %% [markdown]
# ## How unlike are the new patients?
# A column drifted where the standardised difference is above 0.1 and above what chance makes of it. Drift is no
# verdict: a model may do well on patients who differ, and badly on patients who look alike.

# %%
drift = read_csv(out / "drift.csv")
drift.sort_values("smd", ascending=False)[["column", "unit", "train", "new", "smd", "n_outside", "drifted"]].head(8)

# %% [markdown]
# ## Does the risk still separate N+ from N0?
# These labels were never seen by the model, so the number is an external one. Without CT we judge the clinical model;
# the fused model is there too, and has to do without its picture.

# %%
from onlm_lab import elsewhere
from onlm_lab.figures.theme import MADE_UP
from onlm_lab.panels import performance as panels

MODEL = "clinical"
tables = {"clinical": place / "clinical.csv", "followup": place / "followup.csv"}
rows = elsewhere.read_predictions(out / "predictions.csv", **tables)
external = rows[rows["split"] == "external"]
roc = panels.roc_panel(external, models=[MODEL, "fused"], mark=MADE_UP)
print(roc.sentence)
roc.figure

# %% [markdown]
# Beside it what internal testing had promised. Two different groups of patients: a difference between the rows may be
# the hospitals', the case mix's, or chance.

# %%
from onlm_lab import analysis

inside = run.rows(split="oof")
where = {"out of fold, where it was taught": inside, "other hospitals": external}
found = {words: analysis.roc(table, model=MODEL) for words, table in where.items()}
shown = {words: {"patients": r.n, "N+": r.n_events, "AUC (95 % interval)": str(r.auc)} for words, r in found.items()}
pd.DataFrame(shown).T

# %% [markdown]
# ## Do the risks mean here what they say?
# Separation is one thing. A risk is also a promise: of 100 patients at 20 %, 20 have N+.

# %%
calibration = panels.calibration_panel(external, models=[MODEL], mark=MADE_UP)
print(calibration.sentence)
calibration.figure

# %% [markdown]
# The order of the patients holds and the level does not: far more have N+ than were promised. No AUC shows that, and
# who acts from 10 % on would act from another risk than he believes.

# %% [markdown]
# ## Can one hospital mend it?
# Recalibration moves the risks of *one* hospital by what its own patients showed. The closed test does no more than the
# data demand: nothing, the level, or level and slope.

# %%
from onlm_lab.report.recalibration import summary_lines

mine = external[external["model_id"] == MODEL]
hospital = mine["centre"].value_counts().index[0]
its_own = mine[mine["centre"] == hospital]
update = analysis.recalibrate(its_own, method="test")
if update.chosen == "refused":  # the risks do not rise with N+ here: then only their level may move
    update = analysis.recalibrate(its_own, method="intercept")
print(hospital, *(f"{what}: {words}" for what, words in summary_lines(update)), sep="\n")

# %% [markdown]
# Three curves. *Before*: as the risks came. *After*: in the very patients who made the update, right by construction,
# and marked apparent. *Cross-fitted*: each patient by an update that he had no part in, which is what the hospital's
# next patients may expect.

# %%
from dataclasses import replace

from onlm_lab import figures

states = {"before": update.before, "after (apparent)": update.after, "cross-fitted": update.cross_fitted}
curves = [replace(state, model_id=name) for name, state in states.items() if state is not None]
numbers = {c.model_id: {"observed : expected": str(c.oe_ratio), "slope": str(c.slope)} for c in curves}
pd.DataFrame(numbers).T

# %%
figures.plot_calibration(curves, mark=MADE_UP)

# %% [markdown]
# ## Does one hospital's update help the others?
# Only if the reason is theirs too. Here it is, because we made all four referral centres; a hospital cannot know that
# without labels of its own.

# %%
others = mine[mine["centre"] != hospital]
moved = analysis.apply_recalibration(others, intercept=update.intercept.value, slope=update.slope.value)
for words, table in (("as they came", others), (f"with the update of {hospital}", moved)):
    print(f"{words}: observed : expected {analysis.assess_calibration(table).oe_ratio}")

# %% [markdown]
# ## What does a missing CT cost?
# Thirty patients of two more hospitals, predicted twice: with their CT and without. Where the CT is missing, training
# patients who are alike in what is known lend theirs, and the spread tells what the hidden picture could have changed.

# %%
both = {}
for name, tables_only in (("with CT", False), ("without CT", True)):
    folder = Path("hospital_" + name.replace(" ", "_"))
    virtual.write_trial(folder, n_patients=30, n_centres=2, seed=31, tables_only=tables_only)
    made = predicting.predict_study(run.folder, folder, say=said.append)
    both[name] = read_csv(made / "predictions.csv").query("model_id == 'fused'").set_index("patient_id")
spread = pd.DataFrame({name: one["risk_high"] - one["risk_low"] for name, one in both.items()}).describe()
spread.loc[["count", "25%", "50%", "75%"]].round(2)

# %% [markdown]
# The spread of the fused model, risk_high less risk_low, in the same patients: without the picture it knows little, and
# a wide spread is the honest answer. It is a spread of models, no confidence interval.

# %% [markdown]
# ## And after SBRT?
# These patients have a risk and no pathological N. They are in no AUC and in no calibration curve, they train nothing,
# and nobody can say whether the hospital's update holds for them: it was learnt from patients after surgery.

# %%
sbrt = rows[(rows["model_id"] == MODEL) & (rows["arm"] == "sbrt")]
print(f"{len(sbrt)} patients after SBRT, {sbrt['onlm'].notna().sum()} with a label.")
sbrt[["risk", "risk_low", "risk_high"]].describe().loc[["25%", "50%", "75%"]]

# %% [markdown]
# What can be asked is what became of them. If the risk means anything, the nodes fail more often where it is high.
# Death and other recurrence compete, so we count cumulative incidence. The groups are halves at the median risk, a cut
# chosen in these very patients.

# %%
from onlm_lab.panels.outcomes import outcome_panel

cut = float(sbrt["risk"].median())
regional = outcome_panel(rows, model=MODEL, endpoint="regional", arm="sbrt", threshold=cut, mark=MADE_UP)
print(regional.sentence)
regional.figure

# %% [markdown]
# What may be said: the group predicted high had recurrence in the nodes more (or less) often, by so much, with this
# interval. What may not: that the risk *is* the probability of recurrence, that a patient at high risk has N+, or that
# another treatment would have helped. Nobody drew lots.

# %% [markdown]
# ## Whom had the model better not predict?
# The patients in greatest doubt can be referred instead. Whether the others are then predicted better is a question,
# not a promise: if the curve does not rise, the models do not err where they disagree.

# %%
from onlm_lab.panels.doubt import abstention_panel

doubt = abstention_panel(external, model=MODEL, mark=MADE_UP)
print(doubt.sentence)
doubt.figure

# %% [markdown]
# ## What to write down
# The folder holds who was predicted, by which run, with which remarks, and a checksum of each file. All statistics of
# these predictions: `onlm analyse`, as the call above said at its end.

# %%
import json

about = json.loads((out / "about.json").read_text())
{key: about[key] for key in ("run", "trained_in", "study", "made_up", "n", "n_external", "remarks")}
