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
# # From a hospital's spreadsheets to a cohort that a protocol let in
#
# Everything below is **MADE-UP DATA**: a generator whose truth is known made the patients, and we planted the mistakes.
# Nothing about a real patient or treatment can be learnt from it. Research use only.
#
# The tables of a hospital have their own column names, another unit, and slips of the finger. We read them, have every
# fault listed at once, mend them, let the protocol decide who is in, and look at who is left.

# %% [markdown]
# ## What does a hospital send?
# With your own data you skip this part. An Excel workbook with the hospital's words, sizes in cm, and a column of
# remarks that must not come in; a follow-up table as CSV with semicolons.

# %%
from onlm_lab import virtual

trial = virtual.draw_trial(n_patients=1000, n_centres=4, seed=3)
right = trial.clinical.astype(object).rename(
    columns={"patient_id": "Pat. no.", "centre": "Hospital", "sex": "Gender", "total_diameter_mm": "Size cm"}
)
right["Gender"] = right["Gender"].map({"male": "M", "female": "F"})
right["Size cm"] = trial.clinical["total_diameter_mm"].div(10).round(2).astype(object)
right["Remarks"] = "called on Tuesday"
followup = trial.followup.rename(columns={"patient_id": "Pat. no."})

# %% [markdown]
# Seven mistakes of the kind that every table has:

# %%
mistakes = {
    (3, "age_years"): 710,
    (10, "Gender"): "m?",
    (25, "Size cm"): "2.1 x 1.8",
    (40, "solid_diameter_mm"): 77,
    (57, "Pat. no."): "MT-0057",
    (80, "pathological_n"): "pN1",
    (101, "nodes_examined"): -3,
}

# %%
from pathlib import Path

sheet = right.copy()
for (row, column), wrong in mistakes.items():
    sheet.loc[row, column] = wrong
folder = Path("hospital")
folder.mkdir(exist_ok=True)
sheet.to_excel(folder / "clinical.xlsx", index=False)
followup.to_csv(folder / "followup.csv", index=False, sep=";")
sheet.iloc[:3, :9]

# %% [markdown]
# ## What do their words mean here?
# `study.toml` says it, and nothing is guessed. `onlm dictionary` prints every column of ours with unit and allowed
# words.

# %%
settings = """[study]
name = "A made-up hospital"
made_up = true
[data]
clinical = "clinical.xlsx"
annotations = ""  # no CT yet
ct = ""
[training]
models = ["clinical"]
"""

# %%
mapping = """
[mapping]
ignore = ["Remarks"]
columns = {"Pat. no." = "patient_id", Hospital = "centre", Gender = "sex", "Size cm" = "total_diameter_mm"}
values.sex = {M = "male", F = "female"}
factors.total_diameter_mm = 10  # they measure in cm
[columns.lvi]  # a column of their own: when is it known?
type = "boolean"
timing = "post_treatment"
"""

# %% [markdown]
# ## What is wrong with the tables?
# All faults at once, each with what was wanted, what came and in which row. Nothing is repaired in silence.

# %%
from onlm_lab.cohort import load_cohort
from onlm_lab.errors import DataError

(folder / "study.toml").write_text(settings + mapping, encoding="utf-8")
try:
    load_cohort(folder)
except DataError as error:
    refused = error
print(*refused.faults, sep="\n")

# %% [markdown]
# The same as a list to send back, a line a cell (`onlm check` writes it to `work/faults.csv`):

# %%
import pandas as pd

pd.options.display.max_colwidth = 100
cells = [(f.column, r, v, f.wanted) for f in refused.details for r, v in zip(f.rows, f.values, strict=False)]
pd.DataFrame(cells, columns=["column", "row", "came", "wanted"])

# %% [markdown]
# ## Mending
# Somebody who knows the patient says what is right, in the source. We read again, and are told what was done on the
# way.

# %%
mended = sheet.copy()
for row, column in mistakes:
    mended.loc[row, column] = right.loc[row, column]
mended.to_excel(folder / "clinical.xlsx", index=False)
cohort = load_cohort(folder)
print(*cohort.notes, sep="\n")
cohort

# %% [markdown]
# Records may still disagree with each other. They are shown, never overruled; `matters` says that it may decide who is
# in.

# %%
from onlm_lab.cohort import disagreements

found = disagreements(cohort.patients)
found.groupby("what")["matters"].agg(patients="size", may_decide="sum").astype(int)

# %% [markdown]
# ## Who is in?
# The twelve rules of the registration NCT06684418, as code. Each passes, fails, or is undetermined where a value that
# matters is missing: a gap is never a pass.

# %%
from onlm_lab.cohort import screen
from onlm_lab.figures.theme import MADE_UP
from onlm_lab.panels import cohort as panels
from onlm_lab.study import load_study

study = load_study(folder)
screening = screen(cohort, study.protocol)
flow = panels.flow_panel(screening.flow, mark=MADE_UP)
print(flow.sentence)
flow.figure

# %% [markdown]
# How many each rule left out, by hospital: a rule that bites in one hospital alone is a question to that hospital.

# %%
panels.rule_by_centre(screening.flow)

# %% [markdown]
# Why one patient was left out stands in the log, rule by rule:

# %%
out = screening.status.query("status == 'excluded'").iloc[0]
log = screening.decisions.query("patient_id == @out.patient_id and outcome != 'pass'")
log[["patient_id", "rule", "outcome", "reason"]]

# %% [markdown]
# ## Did it find what we planted?
# Only here can we ask: the generator wrote down whom it made break a rule, and whom it made undetermined.

# %%
truth = trial.truth.set_index("patient_id")
status = screening.status.set_index("patient_id")["status"]
planted = pd.Series("eligible", index=truth.index).mask(truth["undetermined"] != "", "undetermined")
planted = planted.mask(truth["violations"] != "", "excluded").rename("planted")
pd.crosstab(planted, status.rename("found"))

# %% [markdown]
# ## Who is undetermined, and what is missing?
# A short list of cells to look up. `alone` counts the patients for whom that column is the only open one.

# %%
counts = panels.look_up_counts(screening.undetermined)
print(f"{(status == 'undetermined').sum()} patients could still come in. What to look up:")
counts

# %% [markdown]
# ## What if one limit moved?
# How many more patients would come in, and of which kind, if the protocol asked for another KPS? Decide such a thing
# before the outcomes are known, and write down that you looked.

# %%
from onlm_lab.cohort import what_if

moved = what_if(cohort, study.protocol, limit="min_kps", values=[50, 60, 70, 80, 90])
panel = panels.what_if_panel(moved, value=80, mark=MADE_UP)
print(panel.sentence)
panel.figure

# %% [markdown]
# ## Another protocol?
# Rules are words in `study.toml`. A trial of small solid tumours, say, with limits that have names, so that `what_if`
# can move them too:

# %%
protocol = """
[protocol]
name = "small and solid"
rules = ["nsclc_confirmed", "small", "consent"]
limits = {largest_mm = 20, least_ctr = 0.5}
[[protocol.own]]
name = "small"
text = "At most {largest_mm} mm, CTR above {least_ctr}, cN0 M0"
passes = 'total_diameter_mm <= largest_mm and ctr > least_ctr and clinical_n == "N0" and clinical_m == "M0"'
"""

# %%
import shutil

small = Path(shutil.copytree(folder, "small_and_solid", dirs_exist_ok=True))
(small / "study.toml").write_text(settings + mapping + protocol, encoding="utf-8")
other = screen(load_cohort(small), load_study(small).protocol)
print(panels.flow_panel(other.flow).sentence)
other.rules[["name", "text"]]

# %% [markdown]
# ## What does a label need?
# `onlm` is 1 where clean-looking nodes (cN0) turned out to hold cancer, and 0 only where at least one node was examined
# and none did. Everybody else has no label, and a reason.

# %%
eligible = cohort.patients[cohort.patients["patient_id"].map(status) == "eligible"].reset_index(drop=True)
label = eligible["onlm"].map({1: "N+", 0: "N0"}).fillna("none: " + eligible["onlm_missing_reason"].fillna(""))
pd.crosstab(label.rename("label"), eligible["arm"])

# %% [markdown]
# After SBRT nobody looks at the nodes: these patients have **no label**, and counting them as N0 would be an invention.

# %% [markdown]
# ## What is an N0 worth?
# As much as was looked at. How the label was made, by extent of surgery:

# %%
from onlm_lab.cohort import reference_standard

standard = reference_standard(eligible, by="treatment")
standard[["treatment", "n", "n_labelled", "n_positive", "positive_fraction", "nodes_median"]].round(2)

# %% [markdown]
# Few nodes can miss the disease. Only here do we know of how many patients that is true: those who are N+ in truth, and
# what the pathologist called them.

# %%
found = cohort.patients[cohort.patients["onlm"].notna()]  # eligible or not
hidden = found[found["patient_id"].map(truth["true_n"]) != "N0"]
examined = pd.cut(hidden["nodes_examined"], [0, 5, 10, 99], labels=["1-5 nodes", "6-10 nodes", "11 or more"])
pd.crosstab(examined, hidden["onlm"].map({1: "called N+", 0: "called N0"}))

# %% [markdown]
# A model is taught that such patients are N0, and is called wrong where it is right. How many nodes an N0 wants is your
# decision: `[label] min_nodes` has no default; once it is set, the analyses show the results with and without the
# doubtful.

# %% [markdown]
# ## Who are they? Table 1
# SMD is the difference of two groups in standard deviations: unlike a P value it does not grow with the number of
# patients. Below 0.1 two groups are commonly called alike (Austin 2009, doi:10.1002/sim.3697).

# %%
labelled = eligible[eligible["onlm"].notna()]
shown = ["age_years", "sex", "smoking", "nodule_type", "total_diameter_mm", "ctr", "cea_ng_ml", "suv_max"]
panels.baseline_table(labelled, by="onlm", columns=shown)

# %% [markdown]
# ## What is missing, and where?
# A hospital that never measures something is another problem than a cell that somebody forgot. SUVmax is missing where
# no PET/CT was done: that is a choice of the doctors, and may itself tell something about the patient.

# %%
from onlm_lab import figures
from onlm_lab.cohort import missing_by

predictors = ["cea_ng_ml", "suv_max", "smoking", "pack_years", "kps", "central_location"]
missing = missing_by(eligible, by="centre", columns=predictors)
share = missing[missing["group"] == "all"].set_index("column")["fraction"]
print(f"CEA is missing in {share['cea_ng_ml']:.0%} of the eligible patients, SUVmax in {share['suv_max']:.0%}.")
figures.plot_missing(missing, mark=MADE_UP)

# %% [markdown]
# ## Are they enough?
# Asked before training: how many patients does a model with twelve parameters want, if we hope for an AUC of 0.75
# (Riley 2019, doi:10.1002/sim.7992)?

# %%
from onlm_lab import analysis

n, n_events = len(labelled), int(labelled["onlm"].sum())
size = analysis.sample_size_binary(n_parameters=12, prevalence=n_events / n, c_statistic=0.75, n=n, n_events=n_events)
print(size.sentence)
size.criteria[["means", "n", "n_events"]].round(0)

# %% [markdown]
# What to say: so many were screened, so many were eligible, so many have a label, and the study is this far from the
# size that it wants. What not to say: that those without a label are N0, or that the undetermined are in.
