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
# # Quickstart: which "clean" lung cancers have already reached the lymph nodes?
#
# Everything below is **MADE-UP DATA**: patients, CT and outcomes come from a generator whose truth is known. Nothing
# about a real patient or treatment can be learnt from it. Research use only.
#
# A patient has clinical stage I lung cancer: on imaging the nodes look clean. In a minority the pathologist then finds
# cancer in them (N+). We take a made-up trial of several hospitals from CT and spreadsheets to a tested prediction and
# ask what became of the patients.

# %% [markdown]
# ## Where is the study?
# `ONLM_DEMO` names a study's folder; without it a trial of 300 patients is made in `demo` (about three minutes in all).
# Whatever is done already is kept.

# %%
import os
from pathlib import Path

from onlm_lab import pipeline, virtual

folder = Path(os.environ.get("ONLM_DEMO", "demo"))
if not (folder / "study.toml").is_file():
    virtual.write_trial(folder, n_patients=300, n_centres=5, seed=7, progress=True)
run = pipeline.run(folder, say=print)

# %% [markdown]
# A study is a folder with a `study.toml`; a run is a folder of plain files. Both show themselves.

# %%
from onlm_lab.cohort import load_cohort, screen
from onlm_lab.study import load_study

study = load_study(folder)
cohort = load_cohort(folder)
cohort

# %% [markdown]
# ## Who is in, and who was left out?
# Each rule of the protocol is passed, failed or, where a value that matters is missing, undetermined: never a pass.

# %%
from onlm_lab.figures.theme import MADE_UP
from onlm_lab.panels.cohort import baseline_table, flow_panel

screening = screen(cohort, study.protocol)
flow = flow_panel(screening.flow, mark=MADE_UP)
print(flow.sentence)
flow.figure

# %% [markdown]
# ## Who are they?
# Only patients after surgery have a pathological N. SBRT patients have none: they never train the model, never count in
# an AUC, and come back at the end, where the question is what became of them.

# %%
baseline_table(run.patients, by="arm", columns=["age_years", "sex", "nodule_type", "total_diameter_mm", "cea_ng_ml"])

# %% [markdown]
# ## What does the model see?
# Three planes through the tumour, cut from the CT on the patient's own axes.

# %%
from onlm_lab import patches
from onlm_lab.preparation import cache_folder

cache = patches.open_cache(cache_folder(study))
largest = run.patients.sort_values("total_diameter_mm").iloc[-1]
hu = cache.load(largest["patient_id"])
hu.shape, f"{hu.min():.0f} to {hu.max():.0f} HU"

# %%
import numpy as np
import plotly.express as px

z, y, x = (n // 2 for n in hu.shape)
planes = np.stack([hu[z], hu[::-1, y], hu[::-1, :, x]])
seen = px.imshow(planes, facet_col=0, zmin=-1100, zmax=300, color_continuous_scale="gray")
seen.update_layout(title=f"{MADE_UP}: axial, coronal and sagittal plane, {largest['total_diameter_mm']:.0f} mm tumour")
for note, name in zip(seen.layout.annotations, ("axial", "coronal", "sagittal"), strict=True):
    note.text = name
seen

# %% [markdown]
# ## Does the risk separate N+ from N0?
# Every risk here is out-of-fold: the models that gave it never saw the patient. Clinical data, CT, and both, and beside
# them three baselines that need no network.

# %%
from onlm_lab.panels import performance as panels
from onlm_lab.panels.patients import models_of, tested

rows = tested(run.rows())
models = models_of(rows, first=study.primary_model)
roc = panels.roc_panel(rows, models=models, mark=MADE_UP)
print(roc.sentence)
roc.figure

# %% [markdown]
# The difference between two models is tested in the same patients.

# %%
difference = panels.comparison_panel(rows, model=models[0], mark=MADE_UP)
print(difference.sentence)
difference.figure

# %% [markdown]
# ## How good could anybody be?
# Only here is the truth known. The oracle ranks the same patients by the risk that the made-up world itself used, once
# by what the table says and once by all.

# %%
from onlm_lab.virtual import oracle

one = rows[rows["model_id"] == models[0]]
oracle.oracle_aucs(folder, ids=one["patient_id"].tolist(), onlm=one["onlm"].tolist())

# %% [markdown]
# ## Do the risks mean what they say?
# A risk of 20 % should come true in 20 of 100 such patients. Separation alone does not give that.

# %%
calibration = panels.calibration_panel(rows, models=models, mark=MADE_UP)
print(calibration.sentence)
calibration.figure

# %% [markdown]
# ## Would acting on it help?
# The decision curve weighs N+ patients found against needless work-ups, beside working up everybody and nobody.

# %%
grid = np.linspace(*study.analysis.threshold_range, 39)
decision = panels.decision_panel(rows, thresholds=grid, models=models, n_bootstrap=100, mark=MADE_UP)
print(decision.sentence)
decision.figure

# %% [markdown]
# ## What does the threshold do to a thousand patients?
# It was fixed on training patients for 95 % sensitivity. What it reaches in others is a result, not a target.

# %%
point = panels.operating_panel(rows, model=models[0], mark=MADE_UP)
print(point.sentence)
point.figure

# %% [markdown]
# ## In whom does it fail?
# Small groups are shown without a number, and one test a factor is corrected for the number of factors.

# %%
from onlm_lab.panels.subgroups import columns_of, subgroup_panel

factors = columns_of(rows, wanted=study.analysis.subgroups)
subgroups = subgroup_panel(rows, model=models[0], columns=factors, bins=study.analysis.bins, mark=MADE_UP)
print(subgroups.sentence)
subgroups.figure

# %% [markdown]
# ## What became of the patients after surgery?
# Patients found N+ often received adjuvant therapy, which can hide a difference. Observational, like all that follows.

# %%
from onlm_lab.panels.outcomes import outcome_panel

survival = outcome_panel(run.rows(), model=models[0], endpoint="os", arm="surgery", mark=MADE_UP)
print(survival.sentence)
survival.figure

# %% [markdown]
# ## And after SBRT?
# There is no pathological N to be right about. If the risk means anything, the nodes should fail more often where it is
# high. Death and other recurrence compete, so we show cumulative incidence and not 1 minus Kaplan-Meier. The arm is
# small: rather than compare a handful with the rest we halve it at its median risk, chosen on these very patients.

# %%
from onlm_lab.panels.patients import of_arm

cut = of_arm(run.rows(), model=models[0], arm="sbrt")["risk"].median()
regional = outcome_panel(run.rows(), model=models[0], endpoint="regional", arm="sbrt", threshold=cut, mark=MADE_UP)
print(regional.sentence)
regional.figure

# %% [markdown]
# ## The same as a page
# One widget, the same in JupyterLab and in the served dashboard (`onlm dashboards demo`). Move the threshold and look
# whom it would miss.

# %%
from onlm_lab import app

app.performance(run)

# %% [markdown]
# ## To send to a colleague
# One HTML file, self-contained, readable without this software.

# %%
(run.folder / "report.html").relative_to(folder)
