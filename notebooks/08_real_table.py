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
# # A real table: the public NSCLC Radiogenomics cohort
#
# Real patients this time, and all the disorder of a real table. Two words stay with every number below.
#
# - **Surrogate**: the table has no clinical N. Pathological N stands alone, so some N+ patients may have been known to
#   be N+ before surgery, and would then not be occult.
# - **Partly post-operative**: histology comes from the resection. What a model reaches with it could not be reached
#   before surgery.
#
# Research use only.

# %% [markdown]
# ## Where is the table?
# `ONLM_RADIOGENOMICS` names the CSV file. It comes from The Cancer Imaging Archive (doi:10.7937/K9/TCIA.2017.7hs46erv,
# CC BY 3.0) and is not part of this software.

# %%
import os
from pathlib import Path

table = Path(os.environ.get("ONLM_RADIOGENOMICS", "NSCLCR01Radiogenomic_DATA_LABELS_2018-05-22_1500-shifted.csv"))
where = (
    "Download the clinical data (CSV) of NSCLC Radiogenomics from https://doi.org/10.7937/K9/TCIA.2017.7hs46erv "
    "and set ONLM_RADIOGENOMICS to its path."
)
assert table.is_file(), f"{table.name} is not here. {where}"

# %%
from onlm_lab.cohort import nsclc_radiogenomics

nsclc_radiogenomics.CITATION

# %% [markdown]
# ## What does it look like?
# As a hospital's export does: one column for each lobe, "not known" in several words, dates beside days. (Patients of a
# public table, without names.)

# %%
import pandas as pd

raw = pd.read_csv(table, dtype=str)
print(f"{len(raw)} patients, {raw.shape[1]} columns")
raw[["Pathological N stage", "%GG", "Tumor Location (choice=RUL)", "Weight (lbs)", "Recurrence Location"]].sample(
    5, random_state=4
)

# %%
unknown = raw.isin(["Not Collected", "Not Assessed", "Unknown", "Not collected"]).sum()
unknown[unknown > 0].sort_values(ascending=False).head(6)

# %% [markdown]
# ## What does it become?
# The reader turns it into our columns, and lists what it could not place and where the table contradicts itself.

# %%
public = nsclc_radiogenomics.read(table)
public

# %% [markdown]
# The study is a folder like any other, without CT.

# %%
folder = nsclc_radiogenomics.write_study(table, os.environ.get("ONLM_RADIOGENOMICS_STUDY", "radiogenomics"))
sorted(path.name for path in folder.glob("*.*"))

# %% [markdown]
# ## How did the 116 come about?
# Nearest to clinical stage I in this table: pT1a to pT2a, M0, pathological N known.

# %%
from onlm_lab.runs import read_csv

flow = read_csv(folder / "surrogate_flow.csv")
flow[flow["centre"] == "all"]

# %% [markdown]
# The first rule left those with a known pathological N. This is what the pathologist found in them, before T and M were
# asked for:

# %%
public.cohort.patients["pathological_n"].value_counts()

# %% [markdown]
# ## What could not be mapped?
# Nothing is dropped in silence: every value without a place is listed, with the number of patients and the reason.

# %%
unmapped = read_csv(folder / "unmapped.csv")
print(f"{len(unmapped)} entries; also {len(read_csv(folder / 'inconsistent.csv'))} contradictions inside the table.")
unmapped.sort_values("count", ascending=False).head(12)

# %% [markdown]
# ## Is it sound, and who is in?
# Reading a study checks every cell, and says all faults at once. The protocol is the surrogate's: a registration's
# rules (clinical N0, PET/CT, consent) cannot be asked of this table. What could be asked was asked above.

# %%
from onlm_lab.cohort import load_cohort, screen
from onlm_lab.study import load_study

cohort = load_cohort(folder)
screen(cohort, load_study(folder).protocol)

# %% [markdown]
# ## From the table to a tested model
# The same steps as for any study: check, screen, train, analyse, report. Without images there is one model, `clinical`.

# %%
from onlm_lab import pipeline

run = pipeline.run(folder, say=print)
study = run.study
", ".join(study.training.predictors)

# %% [markdown]
# ## Who has nodal metastasis?

# %%
from onlm_lab.panels.cohort import baseline_table

labelled = run.patients[run.patients["onlm"].notna()]
baseline_table(labelled, by="onlm", columns=["age_years", "sex", "smoking", "histology", "nodule_type"])

# %% [markdown]
# ## Does the risk separate N+ from N0?
# Surrogate label, partly post-operative predictors, out-of-fold risks. With so few N+ the interval is the result.

# %%
from onlm_lab.panels import performance as panels
from onlm_lab.panels.patients import of_model, tested

every = tested(run.rows())  # the clinical model, and the baselines beside it
rows = of_model(every, model="clinical")
roc = panels.roc_panel(every)
print(roc.sentence)
roc.figure

# %% [markdown]
# ## Do the risks mean what they say?

# %%
calibration = panels.calibration_panel(rows)
print(calibration.sentence)
calibration.figure

# %% [markdown]
# The average is right, because the calibrator has seen the share of N+. Beyond it there is nothing: all risks lie close
# together, and the slope's interval reaches from far below 0 to far above 1, so a higher risk need not mean more N+. A
# model that knows nothing can still be right on average.

# %% [markdown]
# ## Would acting on it help?
# The decision curve weighs N+ patients found against needless work-ups.

# %%
import numpy as np

decision = panels.decision_panel(rows, thresholds=np.linspace(*study.analysis.threshold_range, 39), n_bootstrap=100)
print(decision.sentence)
decision.figure

# %% [markdown]
# Where the curve lies on or between "work up everybody" and "nobody", the model adds nothing to either; a gain of a
# hair at a threshold or two, within the interval, is chance.

# %% [markdown]
# ## Could it have worked?
# Honest planning asks before, not after: how many patients would a model with these predictors need, if it reached an
# AUC of 0.7 (Riley 2020)?

# %%
from onlm_lab.summarising import summarise

needed = summarise(folder, c_statistic=0.7).table("Sample size of development")
print(*needed.attrs["notes"][:2], sep="\n")
needed[["criterion", "n", "n_events"]].round()

# %% [markdown]
# ## Did patients with nodal metastasis recur more often?
# First the label itself: recurrence by what the pathologist found.

# %%
recurred = labelled.assign(recurred=labelled["recurrence_state"] == 1)
counts = recurred.groupby("onlm")["recurred"].agg(["sum", "count"])
counts.rename(index={0.0: "N0", 1.0: "N+"}, columns={"sum": "recurred", "count": "patients"})

# %% [markdown]
# ## Does a higher predicted risk go with more recurrence?
# One thing first: this model does not separate N+ from N0, and 90 % of its risks lie between the first and the last
# number below. Nothing is to be expected of it here, and a difference would be chance or something other than N+.

# %%
print(f"At the study's threshold {rows['predicted_positive'].sum():.0f} of {len(rows)} are predicted high risk.")
rows["risk"].quantile([0.05, 0.5, 0.95])

# %% [markdown]
# The study's threshold, set for 95 % sensitivity, leaves no low-risk group, so we compare the halves at the median,
# a cut chosen in these very patients.

# %%
from onlm_lab.panels.outcomes import incidence_panel, outcome_panel

cut = float(rows["risk"].median())
halves = outcome_panel(run.rows(), model="clinical", endpoint="recurrence", arm="surgery", threshold=cut)
print(halves.sentence)
halves.figure

# %% [markdown]
# No cut is needed for the hazard ratio per standard deviation of the risk, nor for the AUC: of a patient with the event
# by three years and one without, how often had the first the higher risk? 0.5 is chance.

# %%
from onlm_lab import analysis
from onlm_lab.panels.hazards import with_risk_unit

per_sd, unit = with_risk_unit(rows)
for endpoint in study.analysis.endpoints:
    cause = 1 if f"{endpoint}_state" in rows else None
    hr = analysis.cox(per_sd, endpoint=endpoint, covariates=[unit], cause=cause).table.iloc[0]
    auc = analysis.time_dependent_auc(rows, endpoint=endpoint, horizons_days=[1095]).iloc[0]
    print(f"{endpoint:<11} HR {hr['hr']:.2f} ({hr['low']:.2f} to {hr['high']:.2f})", end="; ")
    print(f"AUC {auc['value']:.2f} ({auc['low']:.2f} to {auc['high']:.2f}), {auc['n_cases']} with the event by 3 years")

# %% [markdown]
# And C, over all pairs of patients whose order is known up to then:

# %%
for endpoint in ("os", "rfs"):
    c = analysis.uno_c(rows, endpoint=endpoint, tau_days=1095)
    print(f"{endpoint}: C {c.value:.2f} ({c.low:.2f} to {c.high:.2f})")

# %% [markdown]
# Every hazard ratio's interval holds 1. Survival lies the wrong way round: those with the higher risk died less often.
# That is no finding about N+. The risk of a model that does not separate tells nothing, and the report says so.

# %% [markdown]
# What the pathologist found can be asked too. Death competes with recurrence, so we show cumulative incidence.
# More than half of the N+ patients had adjuvant therapy. Observational: an association, not an effect.

# %%
found = rows.assign(found=rows["onlm"].map({0: "found N0", 1: "found N+"}))
recurrence = incidence_panel(found, endpoint="recurrence", by="found", who="surgery, surrogate label")
print(recurrence.sentence)
recurrence.figure

# %% [markdown]
# And in the nodes themselves:

# %%
regional = incidence_panel(found, endpoint="regional", by="found", who="surgery, surrogate label")
print(regional.sentence)
regional.figure

# %% [markdown]
# ## And survival?

# %%
from onlm_lab.panels.outcomes import survival_panel

survival = survival_panel(found, endpoint="os", by="found", who="surgery, surrogate label")
print(survival.sentence)
survival.figure

# %% [markdown]
# ## The same number from lifelines
# Every table here is an ordinary DataFrame: an endpoint is a column of days and a column of events. Any other package
# goes on from there, and two packages that agree are a check of both.

# %%
from lifelines import KaplanMeierFitter

positive = found[found["found"] == "found N+"]
fitted = KaplanMeierFitter().fit(positive["os_days"], event_observed=positive["os_event"])
ours = survival.table.set_index("group").loc["found N+", "survival"]
print(f"Alive at 3 years, found N+: lifelines {fitted.predict(1095):.6f}, here {ours:.6f}.")
assert abs(fitted.predict(1095) - ours) < 1e-12

# %% [markdown]
# ## By how much does recurrence differ?
# Cause-specific hazard of recurrence, found N+ against found N0, death competing.

# %%
analysis.cox(rows, endpoint="recurrence", covariates=["onlm"], cause=1).table

# %% [markdown]
# ## What may be said
# A clinical-only model on a surrogate label with a partly post-operative predictor, tested internally in one small
# cohort. It shows that the way from a real table to an honest number is open; it says nothing about occult metastasis
# before surgery. The report repeats this on its first page, with the licence.

# %%
print(study.study.licence)
(run.folder / "report.html").relative_to(folder)
