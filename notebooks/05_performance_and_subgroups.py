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
# # How good is it, and in whom? What one may say, and what not
#
# Everything below is **MADE-UP DATA**: patients, CT and outcomes come from a generator whose truth is known. Nothing
# about a real patient or treatment can be learnt from it. Research use only.
#
# Each figure comes with two sentences: the one that a careful clinician may say, and the one that he may not, though
# the figure seems to invite it.

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
# Every risk below is out-of-fold: it comes from models that never saw the patient. We judge one model, the one that the
# study named before it was trained.

# %%
from onlm_lab.figures.theme import MADE_UP
from onlm_lab.panels import performance as panels
from onlm_lab.panels.patients import models_of, of_model, tested

study = run.study
rows = tested(run.rows())
model = models_of(rows, first=study.primary_model)[0]
one = of_model(rows, model=model)
print(f"{model}: {len(one)} patients with a label, {one['onlm'].sum():.0f} of them N+.")

# %% [markdown]
# ## Does the risk separate N+ from N0?

# %%
roc = panels.roc_panel(one, mark=MADE_UP)
print("May say:", roc.sentence)
roc.figure

# %% [markdown]
# **May not say:** "it is right in so many of 100 patients." The AUC compares one N+ with one N0; it knows no threshold
# and no share of N+. Nor: "so it will be in our hospital", which no out-of-fold result can tell.

# %% [markdown]
# ## Of those called positive, how many are N+?

# %%
precision = panels.precision_panel(one, mark=MADE_UP)
print("May say:", precision.sentence)
precision.figure

# %% [markdown]
# **May not say:** "a positive patient is N+." Where N+ are few, most of those called positive are N0 even with a good
# model, and in a hospital with fewer N+ it is worse.

# %% [markdown]
# ## What does the threshold do to a thousand patients?
# It was fixed on training patients for 95 % sensitivity. What it reaches in others is a result, not a target.

# %%
point = panels.operating_panel(one, model=model, mark=MADE_UP)
print("May say:", point.sentence)
point.figure

# %% [markdown]
# **May not say:** "a negative patient has clean nodes." Some N+ are called negative: read how many, and the far end of
# the interval. Nor may anybody now look for the threshold that would have looked best here.

# %% [markdown]
# Other thresholds, named beforehand by their meaning ("we would dissect more above 10 %"):

# %%
from onlm_lab import analysis

points = analysis.operating_points(one, rules=[0.05, 0.10, 0.20]).table
points[["threshold", "n_tp", "n_fp", "n_tn", "n_fn", "sensitivity", "specificity", "ppv", "npv"]].round(2)

# %% [markdown]
# ## Do the risks mean what they say?

# %%
calibration = panels.calibration_panel(one, mark=MADE_UP)
print("May say:", calibration.sentence)
calibration.figure

# %% [markdown]
# **May not say:** "this patient's risk is 20 %, give or take 3." Calibration is of groups. And the risk is that of N+
# at surgery: it is no risk of recurrence or of death.

# %%
ici = analysis.calibration_intervals(one, n_resamples=200).table.set_index("measure").loc["ici"]
print(f"Off the diagonal by {ici.value:.3f} on average ({ici.low:.3f} to {ici.high:.3f}).")
print(f"Chance alone makes about {ici.bias:.3f} of that in {len(one)} patients: no curve is ever on the line.")

# %% [markdown]
# Only here can we look behind it: the risk that the world itself gave each patient, by quarters of the predicted one.

# %%
import pandas as pd

from onlm_lab.virtual import oracle

truth = oracle.oracle_predictions(folder, one["patient_id"])["risk_full"].to_numpy()
quarters = pd.qcut(one["risk"], 4, labels=["lowest quarter", "second", "third", "highest quarter"])
means = one.assign(true_risk=truth).groupby(quarters, observed=True)[["risk", "true_risk", "onlm"]].mean().round(2)
means.rename(columns={"risk": "predicted", "true_risk": "true risk", "onlm": "found N+"})

# %% [markdown]
# ## Would acting on it help?
# The decision curve weighs N+ found against needless work-ups. The threshold says how many needless ones you would
# accept for one found: 10 % means nine.

# %%
decision = panels.decision_panel(
    rows, thresholds=study.analysis.thresholds, models=[model, "clinical"], n_bootstrap=200, mark=MADE_UP
)
print("May say:", decision.sentence)
decision.figure

# %%
benefit = panels.benefit_difference_panel(
    rows, model=model, other="clinical", thresholds=study.analysis.thresholds, n_bootstrap=200, mark=MADE_UP
)
print("May say:", benefit.sentence)
benefit.figure

# %% [markdown]
# **May not say:** "the model saves so many patients." Net benefit counts decisions, as if each were carried out and
# each N+ found were worth the same. Nor: "it is better", at thresholds where the band of the difference holds zero.

# %% [markdown]
# ## In whom does it fail? Subgroups
# Small groups are shown without a number. One test a factor asks whether the risk works alike in all its levels; the
# tests are corrected for their number.

# %%
from onlm_lab.panels import subgroups

factors = subgroups.columns_of(one, wanted=study.analysis.subgroups)
forest = subgroups.subgroup_panel(one, model=model, columns=factors, bins=study.analysis.bins, mark=MADE_UP)
print("May say:", forest.sentence)
forest.figure

# %% [markdown]
# **May not say:** "it works in all groups." Where it says "too few" nothing was tested, and no evidence of a difference
# is not evidence of none.

# %% [markdown]
# ## Is anybody served worse? Gaps between groups
# The same threshold for all: how many N+ are found in each group? Chance alone makes a gap, the wider the smaller the
# groups, so each gap is held against what chance gives.

# %%
from onlm_lab.panels import groups

wanted = [name for name in study.analysis.fairness if name in one]
gaps = groups.fairness_panel(one, model=model, columns=wanted, bins=study.analysis.bins, n_resamples=200, mark=MADE_UP)
print("May say:", gaps.sentence)
gaps.figure

# %% [markdown]
# **May not say:** "the model is fair", for want of a significant gap: with so few N+ a group, a large gap could hide.
# Nor "it is unfair", for a gap that chance would give. And equal sensitivity, equal false alarms and equal meaning of a
# positive cannot all hold where the share of N+ differs (Chouldechova 2017, doi:10.1089/big.2016.0047).

# %% [markdown]
# ## Does it hold in every hospital?
# Each centre's AUC, pooled by random effects (REML, Hartung-Knapp), and below it the interval in which the AUC of a new
# centre is expected. A centre with fewer than five N+ is shown and not pooled.

# %%
centres = groups.centres_panel(one, model=model, mark=MADE_UP)
print("May say:", centres.sentence)
centres.figure

# %% [markdown]
# **May not say:** "the pooled AUC is what a new hospital will see." For that there is the interval below it. And all
# these centres taught the model: a centre that it never saw is another question (`scheme = "leave_one_centre_out"`,
# external testing).

# %% [markdown]
# ## The same where there are enough patients
# Few N+ leave most of these questions open. So we ask once more in 3,000 patients of ten hospitals, tables only, with
# the risk that the world itself used (the oracle's) in the place of a model's. The right answer is known: that risk
# works alike in everybody.

# %%
from onlm_lab.cohort import load_cohort, screen
from onlm_lab.study import load_study

big = virtual.write_trial(Path("big_trial"), n_patients=3000, n_centres=10, seed=5, tables_only=True)
everyone = load_cohort(big).patients
status = screen(load_cohort(big), load_study(big).protocol).status.set_index("patient_id")["status"]
known = everyone[(everyone["patient_id"].map(status) == "eligible") & everyone["onlm"].notna()].reset_index(drop=True)
known["risk"] = oracle.oracle_predictions(big, known["patient_id"])["risk_full"].to_numpy()
print(f"{len(known)} eligible patients with a label, {known['onlm'].sum():.0f} of them N+.")

# %%
from onlm_lab import figures

levels = analysis.by_subgroup(known, columns=study.analysis.subgroups, bins=study.analysis.bins)
tests = levels.interaction.dropna(subset="p_value").sort_values("p_value")
said = f"{(tests['p_holm'] < 0.05).sum()} of {len(tests)} tests are significant after Holm's correction"
print(f"May say: {said} (smallest P {tests['p_value'].iloc[0]:.2f}, {tests['column'].iloc[0]}).")
figures.plot_subgroups(levels, mark=MADE_UP)

# %% [markdown]
# **May not say:** "it works better in women", or in never-smokers, because one AUC stands to the right of the other.
# In this world neither sex nor smoking has anything to do with the nodes: what differs here is chance.

# %%
looked = ["sex", "smoking", "age_years"]
cuts = {"age_years": study.analysis.bins["age_years"]}
seen = analysis.fairness(known, columns=looked, bins=cuts, threshold=0.1, n_resamples=200)
least = seen.gaps.sort_values("p_value").iloc[0]
print(f"May say: of {len(seen.gaps)} gaps, {(seen.gaps['p_holm'] < 0.05).sum()} are larger than chance makes them.")
print(f"Smallest P: {least.p_value:.3f} ({least.measure} by {least.column}); after Holm {least.p_holm:.2f}.")
figures.plot_fairness(seen, measure="oe_ratio", mark=MADE_UP)

# %% [markdown]
# **May not say:** "risks are too high in women and too low in men, P = 0.01." Who looks at so many gaps finds one with
# a small P; Holm's correction counts the looks. We know that this one is chance.

# %%
pooled = analysis.by_centre(known)
print(f"May say: over {pooled.n_pooled} centres the AUC is {pooled.pooled}; a new one's: {pooled.prediction_interval}.")
figures.plot_centres(pooled, mark=MADE_UP)

# %% [markdown]
# **May not say:** "the last hospital is the worst, something is wrong there." One of ten is always the last. The
# same rule made the nodes in all ten; the spread is what chance makes of some twenty N+ each.

# %%
without = analysis.leave_one_out(known)
values = without.table["value"]
print(f"May say: whichever hospital is left out, the pooled AUC is {values.min():.2f} to {values.max():.2f}.")
figures.plot_leave_one_out(without, mark=MADE_UP)

# %% [markdown]
# **May not say:** "so it will hold in an eleventh hospital." This asks whether one hospital carries the mean. What a
# new one may see is the interval of the figure above, and only if it is like these ten.

# %% [markdown]
# ## Whom does it get wrong?

# %%
from onlm_lab.panels.robustness import mistakes_panel

mistakes = mistakes_panel(one, model=model, mark=MADE_UP)
print("May say:", mistakes.sentence)
mistakes.figure

# %% [markdown]
# **May not say:** "they are misjudged because of their CTR." It describes who is predicted wrongly; it names no cause.
# Look at their CT (`app.cases(run)`) before you believe any.

# %% [markdown]
# Could anybody have found them? Only here do we know what the world's own risk was.

# %%
called = one["predicted_positive"].map({1: "called positive", 0: "called negative"})
found = one["onlm"].map({1: "N+", 0: "N0"}).rename("pathologist found")
true_risk = pd.Series(truth, index=one.index)
true_risk.groupby([found, called]).agg(patients="size", median_true_risk="median").round(2)

# %% [markdown]
# An N0 may have had a high true risk, and an N+ a low one: a risk is not a verdict. A model that never errs on such
# patients has seen their labels.

# %% [markdown]
# ## In one paragraph
# All that one may say, with its numbers, and nothing more:

# %%
print(roc.sentence, calibration.sentence, point.sentence, centres.sentence, sep="\n\n")
print("\nOut-of-fold results of one made-up trial. Nothing is known of other hospitals, and nobody was treated by it.")
