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
# # Lesson 5: Competing risks, and why SBRT has no label
#
# Everything below is **MADE-UP DATA** from a world whose truth is known. Research use only. About 25 minutes.
#
# **Aim.** You can say what share of patients will have an event when other events come first, and what a patient after
# stereotactic radiotherapy (SBRT) can and cannot tell about the lymph nodes.
#
# **What you need to know.** Kaplan-Meier curves and censoring. N+ means that the pathologist found cancer in lymph
# nodes that looked clean; after SBRT no nodes are taken out, so there is no pathologist's answer.
#
# **How a lesson goes.** Four rounds, each: *predict*, run the next cell (Shift+Enter), *move* a slider, *check
# yourself*. Do not run everything at once: a prediction made after the answer teaches little. Your answers stay beside
# this notebook.

# %%
from onlm_lab import teaching
from onlm_lab.teaching import competing

lesson = teaching.Lesson("competing")
lesson

# %% [markdown]
# ## Round 1: Who dies cannot recur
# 2,000 made-up patients after SBRT. The nodes fail at a rate of 6 % a year. Some patients die of something else first.
# We ask: how many will have a recurrence in the nodes by 5 years?

# %%
lesson.predict("deaths")

# %% [markdown]
# Solid: the cumulative incidence (Aalen and Johansen). Dotted: 1 − Kaplan-Meier, deaths counted as lost to follow-up.
# **Move** the rate of death up from 0, slowly.

# %%
competing.explore_death()

# %%
for rate in (0.0, 0.1, 0.2, 0.4):
    row = competing.overstated(rate).table.iloc[0]
    truth = competing.true_incidence(death_per_year=rate, years=5)
    read = f"1 − Kaplan-Meier {row['one_minus_km']:.0%}, cumulative incidence {row['incidence']:.0%}"
    print(f"Deaths {rate:.0%} a year: {read}, truth {truth:.0%}")
lesson.reveal("deaths")

# %% [markdown]
# ## By hand, with ten patients
# The same once more, small enough to count.

# %%
lesson.check("ten")

# %%
lesson.check("dead")

# %% [markdown]
# onlm_lab refuses the wrong curve where other events compete:

# %%
from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.teaching.lesson import Sentence

try:
    analysis.kaplan_meier(competing.draw_sbrt(100, death_per_year=0.1, seed=1), endpoint="regional")
except OnlmError as refused:
    said = Sentence(str(refused))
said

# %% [markdown]
# ## Round 2: No look is not a negative
# Now patients after surgery, whose nodes were examined, and patients after SBRT, whose nodes were not. Somebody fills
# the empty cells of the SBRT patients with N0, "because nothing was found". The model's risks are exactly right here.

# %%
lesson.predict("share")

# %%
table = competing.sbrt_as_negative(0.5).set_index("way")
lesson.reveal("share", truth=table.loc["SBRT counted as N0", "found_fraction"])

# %% [markdown]
# In the next table oe_ratio is the number of N+ found over the number that the model expects: 1 is right.

# %%
table[["n", "n_positive", "found_fraction", "expected_fraction", "oe_ratio"]].round(2)

# %%
lesson.predict("direction")

# %% [markdown]
# **Move** the share of SBRT. Then change who is given SBRT, and watch the dashed curve ("SBRT counted as N0").

# %%
competing.explore_sbrt()

# %%
for whom in competing.TO_WHOM:
    auc = competing.sbrt_as_negative(0.4, to_whom=whom).set_index("way")["auc"]
    print(f"SBRT {whom}: AUC {auc['SBRT counted as N0']:.2f}, in truth {auc['the hidden truth']:.2f}")
lesson.reveal("direction")

# %% [markdown]
# ## What would a model learn from such rows?
# SBRT patients are older. In this world age says nothing about the nodes: the true odds ratio is 1. A model is
# taught on rows counted in three ways:

# %%
competing.plot_ages(competing.odds_by_age(competing.draw_both_arms(3000, share_sbrt=0.4, seed=1)))

# %%
lesson.check("age")

# %% [markdown]
# ## Round 3: Is recurrence in the nodes a label?
# 1,500 made-up SBRT patients. Only this world knows whose nodes held hidden disease.

# %%
lesson.predict("missed")

# %%
sbrt = competing.draw_by_nodes(1500, seed=1)
missed = competing.recurrence_as_label(sbrt, years=2)["missed_fraction"]
lesson.reveal("missed", truth=missed, mistakes={"recurred": 1 - missed})

# %% [markdown]
# **Move** the year: wait longer. Does the wrong label become a right one?

# %%
competing.explore_horizon(sbrt)

# %% [markdown]
# ## Round 4: What SBRT patients can say
# They cannot say whether the model was right about N+. They can say whether a higher risk goes with more recurrence in
# the nodes, death and other recurrence competing. Nobody needs their hidden label for that.

# %%
from onlm_lab import figures

curves = analysis.cumulative_incidence(sbrt, endpoint="regional", by="predicted_group")
figures.plot_incidence(curves, who="SBRT", until_days=5 * 365.25, mark="MADE-UP DATA")

# %% [markdown]
# The risk on the curves is that of N+, the curves are of recurrence. 25 % risk of N+ is not 25 % recurrence.

# %%
lesson.check("use")

# %% [markdown]
# ## In five sentences
# 1. Who dies first can no longer have the event: that is a competing event and not a loss to follow-up.
# 2. 1 − Kaplan-Meier answers for a world without other deaths, and overstates the more, the more die first.
# 3. After SBRT nobody looked at the nodes, so the label is missing by design: no N0, no N+.
# 4. Counted as N0 these patients make N+ look rare, move the AUC up or down, and teach a model who was irradiated.
# 5. They test a model by what becomes of them, with cumulative incidence; a recurrence in the nodes is not the label.
#
# ## What to read
# - Putter, Fiocco and Geskus. Tutorial in biostatistics: competing risks and multi-state models. Stat Med 2007.
#   [doi.org/10.1002/sim.2712](https://doi.org/10.1002/sim.2712)
# - Austin, Lee and Fine. Introduction to the analysis of survival data in the presence of competing risks. Circulation
#   2016. [doi.org/10.1161/CIRCULATIONAHA.115.017719](https://doi.org/10.1161/CIRCULATIONAHA.115.017719)
# - Gooley and others. Estimation of failure probabilities in the presence of competing risks. Stat Med 1999.
#   [doi.org/10.1002/(SICI)1097-0258(19990330)18:6<695::AID-SIM60>3.0.CO;2-O](https://doi.org/10.1002/%28SICI%291097-0258%2819990330%2918%3A6%3C695%3A%3AAID-SIM60%3E3.0.CO%3B2-O)

# %%
lesson.progress()

# %%
lesson.reset()
