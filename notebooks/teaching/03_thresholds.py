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
# # Lesson 3: Thresholds and net benefit
#
# **MADE-UP DATA**: the patients come from a generator whose truth is known. Nothing about a real patient can be
# learnt from them. Research use only. About 30 minutes.
#
# **Aim.** Somebody wants to act on a risk: work up the nodes of everybody above a threshold. Afterwards you can say
# what a threshold does to a hundred patients, what a sensitivity of 95 % costs, read a decision curve, and see when a
# model does more harm than no model.
#
# **What you need to know.** Lessons 1 and 2. *Called positive*: the risk is at the threshold or above it, and the
# patient gets a work-up (invasive staging, say). It finds the N+; for an N0 patient it was needless. *Sensitivity*:
# of the N+, how many are called positive. *Specificity*: of the N0, how many are left alone. *PPV*: of those called
# positive, how many are N+.
#
# Four rounds: *predict*, run (Shift+Enter), *move*, *check yourself*.

# %%
from onlm_lab import analysis, teaching
from onlm_lab.teaching import thresholds as about

lesson = teaching.Lesson("thresholds")
lesson

# %% [markdown]
# ## Round 1: a threshold and a hundred patients
# The thousand patients of lesson 1: 200 are N+, the risks are honest. A patient is called positive at a risk of 20 %
# or more.

# %%
patients = about.made_up_patients()
point = analysis.operating_point(patients, threshold=0.20)
print(f"Sensitivity {point.sensitivity.value:.0%}, specificity {point.specificity.value:.0%}")

# %% [markdown]
# So 73 of 100 N+ patients are found. Now turn it round: you have only the patients who were called positive before
# you.

# %%
lesson.predict("ppv")

# %%
print(f"Called positive: {point.n_tp} N+ and {point.n_fp} N0; PPV {point.ppv.value:.0%}")
lesson.reveal("ppv", truth=point.ppv.value, mistakes={"sensitivity": point.sensitivity.value})

# %%
about.plot_hundred_at(point)

# %% [markdown]
# Count: green circles and red crosses are the N+, orange squares the N0 patients with a needless work-up.

# %%
lesson.check("which_number")

# %% [markdown]
# ## Round 2: "we want to find 95 %"
# Missing an N+ patient is bad, so the team lowers the threshold until 95 of 100 N+ patients are found. At 20 % it was
# 23 of all 100 patients who were N0 and worked up for nothing.

# %%
lesson.predict("price")

# %%
low = analysis.choose_threshold(patients, rule="sensitivity", target=0.95)
wide = analysis.operating_point(patients, threshold=low)
print(f"Threshold {low:.1%}: sensitivity {wide.sensitivity.value:.0%}, specificity {wide.specificity.value:.0%}")
print(f"Per 100 patients: {100 * wide.n_tp / wide.n:.0f} found, {100 * wide.n_fp / wide.n:.0f} needless")
lesson.reveal("price", truth=wide.n_fp / wide.n)

# %% [markdown]
# **Move** the threshold yourself. Each N+ patient found in addition costs more needless work-ups than the one before:
# watch the last number of the sentence.

# %%
about.explore_threshold()

# %%
lesson.check("promised")

# %% [markdown]
# ## Round 3: what is a needless work-up worth?
# No statistic can say which threshold is right: it depends on how bad a missed N+ patient is and how bad a needless
# work-up. But the threshold itself *says* what you think. Whoever acts from a risk of 10 % on works up 100 patients
# with a risk of just 10 %, finds 10 N+, and finds that worth it.

# %%
lesson.predict("exchange")

# %%
for threshold in (0.05, 0.10, 0.20, 0.50):
    print(f"Acting from {threshold:.0%} on: {about.exchange(threshold):.0f} needless work-ups for one N+ found")
lesson.reveal("exchange", truth=about.exchange(0.10))

# %% [markdown]
# **Net benefit** takes you at your word: N+ patients found, minus needless work-ups at your own price, per patient.
# The decision curve shows it for every threshold, beside two plans that need no model: work up everybody, or nobody.
#
# **Move** the threshold and follow the sum in the sentence. Below which threshold does the model hardly gain anything
# over working up everybody? Why?

# %%
about.explore_net_benefit()

# %%
lesson.check("by_hand")

# %%
lesson.check("means")

# %% [markdown]
# ## Round 4: a good AUC, and worse than no model
# Lesson 2's trouble: in another hospital all risks come out too low, 8 % on average where 20 % are N+. The order is
# as it was, so the AUC still is 0.80. The team acts from 10 % on.

# %%
lesson.predict("too_low")

# %%
moved = about.moved_risks(-1.2)
table = about.curve_of(patients, moved).table.set_index(["threshold", "model_id"])["net_benefit"]
print(f"AUC {analysis.roc(moved).auc}; per 100 patients, at a threshold of 10 %:")
for name in ("the model", "risks moved", "treat_all"):
    print(f"  {name}: net benefit {100 * table[0.10, name]:.1f}")
lesson.reveal("too_low")

# %% [markdown]
# **Move** the risks back to honest, and then too high. On which side of the curve does each kind of fault do harm?

# %%
about.explore_wrong_risks()

# %%
lesson.check("below_all")

# %%
lesson.check("who_chooses")

# %% [markdown]
# ## In five sentences
# 1. A threshold turns risks into four kinds of patients: found, missed, worked up for nothing, left alone.
# 2. Sensitivity starts from the N+, the predictive value from those called positive: they answer different questions.
# 3. Each further N+ patient found costs more needless work-ups than the one before; "95 % sensitivity" has a price
#    per 100 patients, and only other patients show whether it holds.
# 4. A threshold says what you think a needless work-up is worth, and net benefit reckons with it: at 10 %, nine for
#    one.
# 5. A model with a good AUC and wrong risks can do worse than working up everybody: calibrate before you act.
#
# **The question to ask.** "At which threshold would you act, why there, and what does that do to 100 patients?"

# %% [markdown]
# ## What to read
# - Vickers and Elkin. Decision curve analysis: a novel method for evaluating prediction models. Medical Decision
#   Making 2006. https://doi.org/10.1177/0272989X06295361
# - Vickers, van Calster and Steyerberg. A simple, step-by-step guide to interpreting decision curve analysis.
#   Diagnostic and Prognostic Research 2019. https://doi.org/10.1186/s41512-019-0064-7
# - Pauker and Kassirer. The threshold approach to clinical decision making. New England Journal of Medicine 1980
#   (round 3). https://doi.org/10.1056/NEJM198005153022003

# %% [markdown]
# ## How far did you come?

# %%
lesson.progress()

# %% [markdown]
# To begin again, or to leave the machine to the next student:

# %%
lesson.reset()
