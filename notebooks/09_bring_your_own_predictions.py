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
# # A model from anywhere else: bring its predictions
#
# Everything below is **MADE-UP DATA**: patients and outcomes come from a generator whose truth is known. Nothing about
# a real patient or treatment can be learnt from it. Research use only.
#
# You have a model already: a radiomics script, a nomogram, a network of another group. All that `onlm_lab` needs of it
# is a table of two columns, `patient_id` and `risk`. Every statistic, figure and warning is then the same as for our
# own models.

# %% [markdown]
# ## Whose patients?
# A hospital's two tables, as they are in any study: `clinical.csv` and `followup.csv`. Its patients are numbered 0001
# to 0800, and those zeros will matter.

# %%
from pathlib import Path

from onlm_lab import virtual
from onlm_lab.runs import read_csv

folder = Path("own_hospital")
if not (folder / "study.toml").is_file():
    virtual.write_trial(folder, n_patients=800, n_centres=3, seed=5, tables_only=True)
    for name in ("clinical.csv", "followup.csv"):
        table = read_csv(folder / name)
        table.assign(patient_id=table["patient_id"].str[3:]).to_csv(folder / name, index=False)
CLINICAL, FOLLOWUP = folder / "clinical.csv", folder / "followup.csv"

# %%
from onlm_lab.cohort import load_cohort, screen

cohort = load_cohort(folder)
status = screen(cohort).status.query("status == 'eligible'")
patients = cohort.patients[cohort.patients["patient_id"].isin(status["patient_id"])]
labelled = patients[patients["onlm"].notna()].reset_index(drop=True)
print(f"{len(labelled)} eligible patients after surgery, {labelled['onlm'].sum():.0f} N+")

# %% [markdown]
# ## A model that is not ours
# Gradient boosting of scikit-learn on six columns. Any program in any language may stand here.

# %%
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

columns = ["age_years", "total_diameter_mm", "solid_diameter_mm", "cea_ng_ml", "suv_max", "central_location"]
x, y = labelled[columns].astype(float), labelled["onlm"].astype(int)
boosting = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.05, min_samples_leaf=15, random_state=0)
folds = StratifiedKFold(5, shuffle=True, random_state=0)
out_of_fold = cross_val_predict(boosting, x, y, cv=folds, method="predict_proba")[:, 1]

# %% [markdown]
# ## The file
# `split` says what kind of risk it is. `oof`: out of fold, by models that never saw the patient. `external`: by a model
# that was taught elsewhere, which is taken for granted where the column is missing. `test`: of patients who were set
# aside. Other columns (`model_id`, `threshold`, `risk_low`, `risk_high`) may be left out.

# %%
import pandas as pd

mine = pd.DataFrame({"patient_id": labelled["patient_id"], "risk": out_of_fold, "split": "oof"})
mine.to_csv("predictions.csv", index=False)
print(*Path("predictions.csv").read_text().splitlines()[:4], sep="\n")

# %% [markdown]
# ## Every statistic of it
# In a terminal it is `onlm analyse predictions.csv --clinical own_hospital/clinical.csv --followup
# own_hospital/followup.csv`. Here it is the same call.

# %%
from onlm_lab import elsewhere

results = elsewhere.analyse_predictions(
    Path("predictions.csv"), clinical=CLINICAL, followup=FOLLOWUP, out=Path("results.json")
)
print(", ".join(results["model"]))

# %% [markdown]
# ## Read it back
# `results.json` is plain JSON: model, then call, then field, under the names of `onlm_lab.analysis`. Any program reads
# it. The number there and the number here are one.

# %%
import json

from onlm_lab import analysis

rows = elsewhere.read_predictions(Path("predictions.csv"), clinical=CLINICAL, followup=FOLLOWUP)
kept = json.loads(Path("results.json").read_text())["model"]
here, there = analysis.roc(rows).auc, kept["roc"]["auc"]
print(f"AUC from the file {there['value']:.4f} ({there['low']:.4f} to {there['high']:.4f}), here {here}")
assert there["value"] == here.value

# %% [markdown]
# ## How good does it look where it learnt?
# The same model, fitted to all patients and asked about the same patients: the apparent risks. This is the commonest
# mistake with somebody else's predictions, and the file itself cannot show it.

# %%
from onlm_lab import figures
from onlm_lab.figures.theme import MADE_UP

apparent = rows.assign(model_id="apparent", risk=boosting.fit(x, y).predict_proba(x)[:, 1])
curves = [analysis.roc(one) for one in (rows.assign(model_id="out of fold"), apparent)]
for curve in curves:
    print(f"{curve.model_id}: AUC {curve.auc}")
figures.plot_roc(curves, mark=MADE_UP)

# %% [markdown]
# The second model has learnt its patients by heart. There is no `split` called apparent: such risks have no place in
# the file, and whoever calls them `oof` must be asked how they were made. An AUC that is too good is a reason to ask:

# %%
print(analysis.suspicion(curves[1].auc.value, model_id="apparent", predictors=columns, rows=apparent))

# %% [markdown]
# ## Which of several models?
# One file, one more column: `model_id`. A plain logistic regression beside the boosting, out of the same folds, and the
# difference is tested in the same patients.

# %%
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

logistic = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
plain = cross_val_predict(logistic, x, y, cv=folds, method="predict_proba")[:, 1]
two = pd.concat([mine.assign(model_id="boosting"), mine.assign(model_id="logistic", risk=plain)])
two.to_csv("two_models.csv", index=False)
rows = elsewhere.read_predictions(Path("two_models.csv"), clinical=CLINICAL, followup=FOLLOWUP)

# %%
from onlm_lab.panels import performance as panels

difference = panels.comparison_panel(rows, model="boosting", mark=MADE_UP)
print(difference.sentence)
difference.figure

# %% [markdown]
# The plainer model does better here: with so few N+ boosting learns much that is chance. Which of two models is better
# is a question for such a test, not for their names.

# %% [markdown]
# ## Do the risks mean what they say?
# A model that was never calibrated may separate well and still promise too much. The curve is the same for everybody's
# model.

# %%
calibration = panels.calibration_panel(rows, models=["boosting", "logistic"], mark=MADE_UP)
print(calibration.sentence)
calibration.figure

# %% [markdown]
# ## What does a threshold do?
# A foreign file brings no threshold, so name one that was fixed beforehand: 15 %. One chosen in these very patients
# would flatter.

# %%
for model in ("boosting", "logistic"):
    point = analysis.operating_point(rows, model=model, threshold=0.15)
    print(f"{model}: sensitivity {point.sensitivity}, specificity {point.specificity}, NPV {point.npv}")

# %% [markdown]
# ## What became of those predicted high?
# The follow-up joins by `patient_id`. A predicted risk of N+ is held against recurrence; it is not a risk of
# recurrence.

# %%
from onlm_lab.panels.outcomes import outcome_panel

relapse = outcome_panel(rows, model="logistic", endpoint="rfs", arm="surgery", threshold=0.15, mark=MADE_UP)
print(relapse.sentence)
relapse.figure

# %% [markdown]
# ## What goes wrong with such files?
# We break the file in the ways in which people break it, and read what is said.

# %%
from onlm_lab.errors import OnlmError


def read(table: pd.DataFrame) -> None:
    table.to_csv("broken.csv", index=False)
    try:
        elsewhere.read_predictions(Path("broken.csv"), clinical=CLINICAL)
        print("read without a word")
    except OnlmError as refused:
        print(refused)


# %% [markdown]
# **Risks in percent.** 14 instead of 0.14:

# %%
read(mine.assign(risk=100 * mine["risk"]))

# %% [markdown]
# **Log odds instead of risks**, as many programs give them:

# %%
import numpy as np

read(mine.assign(risk=np.log(mine["risk"] / (1 - mine["risk"]))))

# %% [markdown]
# **A patient twice**, for instance because two CT were scored:

# %%
read(pd.concat([mine, mine.head(2)]))

# %% [markdown]
# **Ids without their zeros.** A spreadsheet program opened the file, took 0012 for a number, and saved 12:

# %%
read(pd.read_csv("predictions.csv"))

# %% [markdown]
# **Another name for the column.** Nothing is guessed:

# %%
read(mine.rename(columns={"risk": "probability"}))

# %% [markdown]
# **What no check can find.** A file may be well formed and wrong: here the risk is that of N0.

# %%
turned = mine.assign(risk=1 - mine["risk"])
read(turned)
turned.to_csv("broken.csv", index=False)
print("AUC", analysis.roc(elsewhere.read_predictions(Path("broken.csv"), clinical=CLINICAL)).auc)

# %% [markdown]
# An AUC far below one half is no bad model, it is a model read the wrong way round.

# %% [markdown]
# ## What to hand over with a file of predictions
# How the risks were made (out of fold, external, test), on whom the model was taught, which columns it read and when
# they were known, and how a missing value was filled. The file holds none of it; a reviewer will ask for all.
