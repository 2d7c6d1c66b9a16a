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
# ## What does it become?
# The reader turns it into our columns; the study is a folder like any other, without CT.

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
everyone = nsclc_radiogenomics.read(table).cohort.patients
everyone["pathological_n"].value_counts()

# %% [markdown]
# ## What could not be mapped?
# Nothing is dropped in silence: every value without a place is listed, with the number of patients and the reason.

# %%
unmapped = read_csv(folder / "unmapped.csv")
print(f"{len(unmapped)} entries; also {len(read_csv(folder / 'inconsistent.csv'))} contradictions inside the table.")
unmapped.sort_values("count", ascending=False).head(12)

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
# ## Did patients with nodal metastasis recur more often?
# First the label itself: recurrence by what the pathologist found.

# %%
recurred = labelled.assign(recurred=labelled["recurrence_state"] == 1)
counts = recurred.groupby("onlm")["recurred"].agg(["sum", "count"])
counts.rename(index={0.0: "N0", 1.0: "N+"}, columns={"sum": "recurred", "count": "patients"})

# %% [markdown]
# ## Does a higher predicted risk go with more recurrence?
# That cannot be asked here. The study's threshold, set for 95 % sensitivity, calls nearly everybody high risk, and 90 %
# of the risks lie between the first and the last number below: so close together that a cut would compare chance.

# %%
print(f"At the study's threshold {rows['predicted_positive'].sum():.0f} of {len(rows)} are predicted high risk.")
rows["risk"].quantile([0.05, 0.5, 0.95])

# %% [markdown]
# So the curves divide by what the pathologist found. Death competes with recurrence, so we show cumulative incidence.
# More than half of the N+ patients had adjuvant therapy. Observational: an association, not an effect.

# %%
from onlm_lab.panels.outcomes import incidence_panel

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
from onlm_lab import analysis

analysis.cox(rows, endpoint="recurrence", covariates=["onlm"], cause=1).table

# %% [markdown]
# ## What may be said
# A clinical-only model on a surrogate label with a partly post-operative predictor, tested internally in one small
# cohort. It shows that the way from a real table to an honest number is open; it says nothing about occult metastasis
# before surgery. The report repeats this on its first page, with the licence.

# %%
print(study.study.licence)
(run.folder / "report.html").relative_to(folder)
