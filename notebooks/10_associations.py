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
# # Supplement: what does the predicted risk go with?
#
# The public NSCLC Radiogenomics cohort: the risk of a clinical model against molecular and pathological markers. Four
# words stay with every number below.
#
# - **Surrogate**: the table has no clinical N. Pathological N stands alone, so some N+ patients may have been known to
#   be N+ before surgery.
# - **Partly post-operative**: histology, one of the predictors, comes from the resection.
# - **Exploratory**: no hypothesis was registered, and the cohort is small. Nothing here confirms anything.
# - **Association, not mechanism**: the risk is arithmetic on the predictors. A marker that goes with it may only go
#   with smoking or histology, and says nothing of how cancer reaches a node.
#
# Research use only.

# %% [markdown]
# ## Methods in short
# Risk: out of fold, from models that did not see the patient. Effect: by how many SD the log odds of risk differ
# with the marker; least squares with HC3 standard errors (MacKinnon and White 1985). Odds ratio of a marker per SD:
# maximum likelihood, or Firth's penalty where fewer than ten patients a coefficient carry it. One P a marker, adjusted
# over the markers by Benjamini and Hochberg (false discovery rate) and by Holm. A level of fewer than five patients
# gives no number.

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
from onlm_lab import pipeline
from onlm_lab.cohort import nsclc_radiogenomics

folder = nsclc_radiogenomics.write_study(table, os.environ.get("ONLM_RADIOGENOMICS_STUDY", "radiogenomics"))
run = pipeline.run(folder, say=print)
print("Predictors:", ", ".join(run.study.training.predictors))
nsclc_radiogenomics.CITATION

# %% [markdown]
# ## Whose risk, and which?
# The clinical model, out of fold.

# %%
from onlm_lab.panels.patients import of_model, tested

rows = of_model(tested(run.rows()), model="clinical")
print(f"{len(rows)} patients, {rows['onlm'].sum():.0f} N+")
rows[["risk", "risk_raw"]].quantile([0.05, 0.25, 0.5, 0.75, 0.95])

# %% [markdown]
# The model separates N+ from N0 no better than chance, and calibration does what it should with such a score: it gives
# nearly everybody the same risk. Nothing can be learned from what is left of `risk`, so everything below asks
# `risk_raw`, the score before calibration. Each fold is a model of its own, with its own level, so the fold is adjusted
# for.

# %%
from onlm_lab import analysis

asked = rows.assign(risk=rows["risk_raw"], fold="fold " + rows["fold"].astype(int).astype(str))
auc = analysis.roc(asked).auc_logit
print(f"AUC of the score: {auc}, {auc.method}.")

# %% [markdown]
# ## Which markers does the table have, and in whom?
# Mutations and translocation from resected tissue; invasion and grade from the pathologist. Grade in its five steps
# from G1 to G3. Absent from the table: PD-L1, ROS1, spread through air spaces, Ki-67. The public TCGA table has EGFR,
# KRAS and ALK only, with EGFR as "mutated or not known", and was not used here.

# %%
markers = ["egfr_mutated", "kras_mutated", "alk_translocated", "lvi", "pleural_invasion", "grade"]
grades = {"grade": ["G1", "G1-G2", "G2", "G2-G3", "G3"]}
confounders = ["age_years", "sex", "smoking", "fold"]
found = analysis.associations(asked, markers=markers, adjust=confounders, ordered=grades)
found.levels.loc[found.levels["n"] > 0, ["marker", "level", "n", "n_events"]]

# %% [markdown]
# **Who was tested at all?** Not a random part: mostly adenocarcinomas. Those with a result do not stand for everybody.

# %%
tested_for = asked["egfr_mutated"].notna().map({True: "EGFR known", False: "EGFR not known"})
shares = asked.assign(adenocarcinoma=asked["histology"] == "adenocarcinoma", never_smoker=asked["smoking"] == "never")
grouped = shares.groupby(tested_for)[["onlm", "adenocarcinoma", "never_smoker", "age_years"]]
grouped.mean().round(2).assign(n=grouped.size())

# %% [markdown]
# ## With which markers does the score go?
# Age, sex and smoking are declared confounders, and they are predictors of the model too. The adjusted effect is
# therefore what the score says of the marker beyond them: through lobe, nodule type, pack-years and histology. First
# the unit, in risk:

# %%
import math

middle, sd = asked["risk"].median(), found.risk_sd
higher = 1 / (1 + math.exp(-math.log(middle / (1 - middle)) - sd))
print(f"One SD of the log odds is {sd:.2f}: from a score of {middle:.3f} to one of {higher:.3f}.")

# %%
from onlm_lab import figures

names = {"egfr_mutated": "EGFR mutated", "kras_mutated": "KRAS mutated", "alk_translocated": "ALK translocated"}
figures.plot_associations(found, names=names)

# %%
usable = found.tests[found.tests["adjusted"] & found.tests["p_value"].notna()]
least = usable.loc[usable["p_bh"].idxmin()]
n_found = (usable["p_bh"] < 0.05).sum()
print(f"Adjusted, {n_found} of {len(usable)} markers go with the score at a false discovery rate of 5 %.")
print(f"The smallest adjusted P is that of {least['marker']}: {least['p_bh']:.2f} (Holm {least['p_holm']:.2f}).")

# %%
kras = found.tests[(found.tests["marker"] == "kras_mutated") & ~found.tests["adjusted"]].iloc[0]
print(f"Unadjusted, KRAS has P = {kras['p_value']:.3f}, after Benjamini-Hochberg {kras['p_bh']:.2f}.")

# %% [markdown]
# One nominal P below 0.05 among five markers is no surprise. Tumours of smokers carry KRAS mutations more often,
# smoking is a predictor, and half the difference is gone once age, sex, smoking and the fold are adjusted for. That is
# how an association without a mechanism may look.

# %% [markdown]
# **Table S1.** One test a marker; what could not be tested says why, and is not counted among the tests.

# %%
found.tests.round(3)

# %% [markdown]
# No association found is not the absence of one. The intervals are the result: differences of about half a SD remain
# possible for most markers, of nearly a whole one for lymphovascular invasion (grade: per step of five).

# %%
wide = found.effects[found.effects["adjusted"]].set_index("marker")[["effect", "low", "high"]]
wide.assign(half_width=(wide["high"] - wide["low"]) / 2).round(2)

# %% [markdown]
# ## How much more frequent is a marker where the score is high?

# %%
figures.plot_marker_odds(found, names=names)

# %% [markdown]
# **Table S2.** The method of each odds ratio, and the AUC of the score for the marker. Intervals here are of one marker
# at a time; their number is counted in Table S1 only.

# %%
found.binary.drop(columns="note").round(2)

# %% [markdown]
# ## Do the markers go with nodal metastasis itself?
# The label instead of the score, without any model: Firth's logistic regression, a yes-or-no marker at a time, of those
# with enough patients. All markers here are known only after surgery; none could predict.

# %%
import pandas as pd

from onlm_lab.analysis.subgroup import adjust_p_values

alone = [analysis.firth(asked, covariates=[m]) for m in usable["marker"] if m != "grade"]
itself = pd.concat([m.table.iloc[[1]].assign(n=m.n, n_events=m.n_events) for m in alone], ignore_index=True)
itself["p_bh"] = adjust_p_values(itself["p_value"], method="bh")
itself[["covariate", "n", "n_events", "odds_ratio", "low", "high", "p_value", "p_bh"]].round(3)

# %%
lvi = itself.set_index("covariate").loc["lvi"]
print(
    f"Lymphovascular invasion: odds ratio of N+ {lvi['odds_ratio']:.1f} ({lvi['low']:.1f} to {lvi['high']:.1f}), "
    f"P after Benjamini-Hochberg {lvi['p_bh']:.4f}; {lvi['n']:.0f} patients, {lvi['n_events']:.0f} N+."
)

# %% [markdown]
# Vessels invaded in the specimen and cancer in the nodes are two findings of one pathology report. That they go
# together is known, and is no discovery of this table; it shows that the data can show an association where there is
# one. The score, which knows nothing of the vessels, does not carry it.

# %% [markdown]
# ## What may be said
# - In 116 patients with a surrogate label, the score of a clinical model that does not separate N+ from N0 went with no
#   marker that the table has, once the number of tests was counted. Of a score without information nothing else
#   was to be expected.
# - Markers are missing not at random; two patients have an ALK translocation, too few for a number.
# - Adjustment cannot mend what was not measured, and adjusting for predictors of the score removes part of what it
#   says.
# - No mechanism was shown, and none can be shown this way. With a model that predicts, and images, the same three calls
#   ask the question in earnest.

# %%
for note in found.notes:
    print("-", note)
print(run.study.study.licence)
