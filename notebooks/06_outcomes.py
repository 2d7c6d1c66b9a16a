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
# # What became of the patients, and what a treatment comparison can and cannot say
#
# Everything below is **MADE-UP DATA**: patients and outcomes come from a generator whose truth is known. Nothing about
# a real patient or treatment can be learnt from it. Research use only.
#
# Two questions. Does a predicted risk of hidden nodal disease (N+) say what becomes of patients, above all after SBRT,
# where nobody looks at the nodes? And when a treatment seems to help those patients, does it? In this world adjuvant
# treatment changes nothing at all: whoever finds an effect has found a mistake.

# %% [markdown]
# ## Who are the patients?
# A made-up trial of 1,500 patients, tables only, screened by the protocol like a real one.

# %%
from pathlib import Path

from onlm_lab import virtual
from onlm_lab.cohort import load_cohort, screen
from onlm_lab.study import load_study

folder = Path("made_up_outcomes")
if not (folder / "study.toml").is_file():
    virtual.write_trial(folder, n_patients=1500, n_centres=5, seed=2, tables_only=True)
patients = load_cohort(folder).patients
status = screen(load_cohort(folder), load_study(folder).protocol).status.set_index("patient_id")["status"]

# %% [markdown]
# The predicted risk is the oracle's: the risk that the made-up world itself used, better than any model could be. A
# model of yours takes its place with the `risk` column of its predictions. High risk is 20 % or more.

# %%
import pandas as pd

from onlm_lab.figures.theme import MADE_UP
from onlm_lab.virtual import oracle

rows = patients[patients["patient_id"].map(status) == "eligible"].reset_index(drop=True)
rows = rows.assign(risk=oracle.oracle_predictions(folder, rows["patient_id"])["risk_full"])
rows["predicted_group"] = pd.cut(rows["risk"], [0, 0.2, 1], right=False, labels=["low risk", "high risk"])
sbrt, surgery = (rows[rows["arm"] == arm] for arm in ("sbrt", "surgery"))
pd.crosstab(rows["arm"], rows["predicted_group"])

# %% [markdown]
# ## After SBRT: do the nodes fail where the risk is high?
# These patients have no pathological N to be right about. Death and other recurrence compete with recurrence in the
# nodes, so we count cumulative incidence and not 1 minus Kaplan-Meier.

# %%
from onlm_lab import analysis, figures

regional = analysis.cumulative_incidence(sbrt, endpoint="regional", by="predicted_group")
figures.plot_incidence(regional, who="SBRT", until_days=5 * 365.25, mark=MADE_UP)

# %%
at = regional.at(days=[1095]).query("cause == 1").set_index("group")["incidence"]
ratio = analysis.fine_gray(sbrt, endpoint="regional", covariates=["predicted_group"]).table.iloc[0]
gray = regional.gray_test.set_index("cause")["p_value"][1]
print(f"SBRT, regional recurrence by 3 years: {at['low risk']:.0%} at low risk, {at['high risk']:.0%} at high risk.")
print(
    f"Gray P = {gray:.2g}; subdistribution hazard ratio {ratio['hr']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f})."
)

# %% [markdown]
# That is what the truth says: in this world hidden nodal disease multiplies regional recurrence after SBRT more than
# tenfold, as nothing was taken out.

# %% [markdown]
# ## After surgery: does the risk say who relapses?
# The nodes were taken out and many patients found N+ had adjuvant treatment, so the groups may come closer.

# %%
relapse = analysis.kaplan_meier(surgery, endpoint="rfs", by="predicted_group")
free = relapse.at(days=[1095]).set_index("group")["survival"]
print(
    f"Surgery, alive and free of recurrence at 3 years: {free['low risk']:.0%} at low risk, "
    f"{free['high risk']:.0%} at high risk; log-rank P = {relapse.log_rank.p_value:.2g}."
)
figures.plot_survival(relapse, who="surgery", mark=MADE_UP)

# %% [markdown]
# ## SBRT or surgery: can they be compared?
# Nobody drew lots. Older and frailer patients were given SBRT, so first we look how unlike the patients are, and give
# most weight to those who could have had either treatment (overlap weights).

# %%
from onlm_lab.analysis.treatment_pairs import SURGERY_OR_SBRT

both = analysis.treatment_arms(rows, arms=SURGERY_OR_SBRT)
known = ["age_years", "sex", "kps", "total_diameter_mm", "nodule_type"]
balance = analysis.overlap_weights(both, treatment="treatment_compared", covariates=known)
print(balance.notes[-1])
figures.plot_balance(balance, mark=MADE_UP)

# %% [markdown]
# After weighting the means are the same to the last digit, in what was measured. What was not measured stays as it was.

# %% [markdown]
# ## Is the difference the same at low and at high predicted risk?
# Each group is balanced on its own, and one test asks whether the hazard ratios differ. Three years on, how many have a
# recurrence in the nodes?

# %%
compared = analysis.compare_treatments(
    both, endpoint="regional", cause=1, treatment="treatment_compared", covariates=known,
    group="predicted_group", horizon_days=1095,
)  # fmt: skip
figures.plot_treatment_by_group(compared, mark=MADE_UP)

# %%
for group in compared.by_group.itertuples():
    ratio = f"hazard ratio {group.hr:.1f} ({group.low:.1f} to {group.high:.1f})"
    print(f"{group.group}: {ratio}, {100 * group.risk_difference:+.0f} points by 3 years")
print(f"Interaction P = {compared.interaction_p:.2g}")

# %%
figures.plot_weighted_curves(compared, group="high risk", until_days=5 * 365.25, mark=MADE_UP)

# %% [markdown]
# The hazard ratios are too uncertain to differ, but a similar ratio is more points where the risk is high: there a
# choice would matter most. In a hospital's data the same figure would not prove that surgery is better for patients at
# high risk: what made the doctors choose may be missing among the covariates.

# %% [markdown]
# ## Does adjuvant treatment protect patients found N+? The naive answer
# We ask whether those who had it stay free of recurrence longer, counted from the day of surgery.

# %%
positive = surgery[surgery["onlm"] == 1]
naive = analysis.cox(positive, endpoint="rfs", covariates=["adjuvant"]).table.iloc[0]
print(f"Naive: hazard ratio {naive['hr']:.2f} ({naive['low']:.2f} to {naive['high']:.2f}), P = {naive['p_value']:.2g}")

# %% [markdown]
# It seems to halve the hazard, and more. In this world it does nothing. What went wrong?

# %% [markdown]
# ## Why it is wrong: immortal time
# Treatment began weeks or months after surgery. Who relapsed or died in that time never had it and counts as untreated;
# who had it must have stayed free of recurrence until it began. The treated were immortal while they waited.

# %%
early = positive[positive["rfs_days"] <= 180]
start, n_early = positive["adjuvant_start_days"], int(early["rfs_event"].sum())
print(f"Treatment began on day {start.min():.0f} to {start.max():.0f}, half of it after day {start.median():.0f}.")
print(f"Of {n_early} patients who relapsed or died by day 180, {int(early['adjuvant'].sum())} had it.")

# %% [markdown]
# The comparison of treatments itself refuses to count such a treatment from time zero.

# %%
from onlm_lab.errors import OnlmError

try:
    analysis.compare_treatments(positive, endpoint="rfs", treatment="adjuvant", horizon_days=1095)
except OnlmError as refused:
    print(refused)

# %% [markdown]
# ## The landmark: start the clock when the treatment is known
# We take who is alive and free of recurrence on day 180, call treated who had started by then, and count from there.
# By day 180 about half of the treatments have begun and most patients are still there; other days are shown beside it,
# so that nobody need believe in one.

# %%
late = analysis.landmark(positive, day=180, endpoints=["rfs"])
effect = analysis.compare_landmarks(positive, endpoint="rfs", days=[90, 180, 300])
fair = effect.table.set_index("day").loc[180.0]
ratio = f"hazard ratio {fair['hr']:.2f} ({fair['low']:.2f} to {fair['high']:.2f})"
print(f"Landmark day 180: {ratio}, P = {fair['p_value']:.2g}")
print("; ".join(late.notes))
figures.plot_landmark(effect, who="surgery, N+", mark=MADE_UP)

# %% [markdown]
# The protection is gone, as it must be. One trial is one throw of the dice: of 600 made-up trials of 1,200 patients the
# naive comparison found a significant protection in 85 %, the landmark at day 180 a difference in 6 %, which is what
# chance alone gives.

# %% [markdown]
# ## And with the patients' other differences balanced?
# The landmark's rows go into any other call.

# %%
weighted = analysis.compare_treatments(
    late.rows, endpoint="rfs", treatment="adjuvant", covariates=["age_years", "pathological_n", "total_diameter_mm"],
    group="predicted_group", horizon_days=730,
)  # fmt: skip
print(f"Weighted, from day 180: hazard ratio {weighted.hazard_ratio}; interaction P = {weighted.interaction_p:.2g}")
figures.plot_weighted_curves(weighted, mark=MADE_UP)
