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
# # Lesson 1: AUC and what it does not say
#
# **MADE-UP DATA**: the patients come from a generator whose truth is known. Nothing about a real patient can be
# learnt from them. Research use only. About 25 minutes.
#
# **Aim.** A paper says that its model "reached an AUC of 0.80". Afterwards you can say in one sentence what that
# means, name four things that it does not tell, and ask the question that the AUC leaves open.
#
# **What you need to know.** N+ is a patient whose lymph nodes hold cancer, N0 one whose nodes do not. A model gives
# each patient a risk of N+ between 0 and 100 %. That is all.
#
# **How a lesson goes.** Four rounds, each: *predict*, run the next cell (Shift+Enter), *move* a slider, *check
# yourself*. Do not run everything at once: a prediction made after the answer teaches little. A wrong one teaches
# most.

# %%
from onlm_lab import analysis, teaching
from onlm_lab.teaching import auc

lesson = teaching.Lesson("auc")
lesson

# %% [markdown]
# ## Round 1: what does the number count?
# A thousand made-up patients, tested by a model. We look at the first few, and ask for the AUC.

# %%
patients = auc.made_up_patients()
found = analysis.roc(patients)
print(f"{found.n:,} patients, {found.n_events} of them N+; AUC {found.auc}")
patients.head(4)

# %% [markdown]
# Now we draw one N+ patient and one N0 patient by chance and compare their two risks; then another such pair, and so
# on, 2,000 times.

# %%
lesson.predict("pairs")

# %%
share = auc.share_of_pairs(patients, n_pairs=2000)
lesson.reveal("pairs", truth=share)

# %% [markdown]
# **Move.** Push N+ and N0 apart, and watch the AUC. Then test on fewer N+ patients: 20, 10, 5. What happens to the
# interval, and how would you feel about a paper that gives no interval?

# %%
auc.explore_distance()

# %% [markdown]
# **Check yourself.** You may try as often as you like.

# %%
lesson.check("meaning")

# %% [markdown]
# ## Round 2: does a good AUC mean that a risk of 20 % is 20 %?
# Somebody made a mistake in the software: every risk comes out at half of what it was. A patient at 40 % now reads 20
# %.

# %%
lesson.predict("halved")

# %%
halved = patients.assign(risk=patients["risk"] / 2)
print(f"AUC as it was: {analysis.roc(patients).auc}\nAUC halved:    {analysis.roc(halved).auc}")
print(f"Mean risk: {halved['risk'].mean():.0%}; found N+: {halved['onlm'].mean():.0%}")
lesson.reveal("halved")

# %% [markdown]
# **Move.** Make all risks higher or lower, closer together or further apart. Nobody changes places in the order. Can
# you find any place of the two sliders at which the AUC changes?

# %%
auc.explore_same_order()

# %%
lesson.check("what_is_wrong")

# %% [markdown]
# ## Round 3: the same model in another hospital
# So far 20 of 100 patients were N+. A second hospital sees the same kinds of patients, but of 100 only 5 are N+.
# (That the kinds are the same is a strong wish: round 4.) Both hospitals call a patient positive at a risk of 20 % or
# more.

# %%
lesson.predict("rare")

# %%
rare, common = auc.patients_at(0.05), auc.patients_at(0.20)
for name, rows in (("20 % N+", common), (" 5 % N+", rare)):
    point = analysis.operating_point(rows, threshold=0.20)
    print(f"{name}: AUC {analysis.roc(rows).auc}; sensitivity {point.sensitivity.value:.0%}; PPV {point.ppv.value:.0%}")
lesson.reveal("rare")

# %% [markdown]
# PPV, the positive predictive value, is the share of N+ among those *called positive*. **Move** the share of N+ and
# watch the orange squares: they are patients called positive who are N0.

# %%
auc.explore_prevalence()

# %% [markdown]
# **Check yourself** with pencil and paper. In a third hospital 10 of 100 patients are N+. At this threshold the model
# finds 73 of 100 N+ patients (sensitivity) and leaves 71 of 100 N0 patients alone (specificity). Think of 1,000
# patients: how many are N+, how many of them are called positive, and how many N0 are called positive too?

# %%
lesson.check("ppv")

# %% [markdown]
# ## Round 4: the same model, easier patients
# A third team tests this very model. Beside our thousand patients it has a thousand small nodules that are hardly
# solid, in which nobody would expect N+. The model gives them risks near zero, and it is right.

# %%
lesson.predict("easy")

# %%
more = auc.with_easy_patients(1000)
print(f"Our 1,000 patients: AUC {analysis.roc(patients).auc}\nWith 1,000 easy ones: AUC {analysis.roc(more).auc}")
lesson.reveal("easy")

# %% [markdown]
# **Move.** Add more of them, or none. The dashed curve is our thousand patients alone.

# %%
auc.explore_easy_patients()

# %%
lesson.check("what_moves")

# %%
lesson.check("too_good")

# %% [markdown]
# ## In five sentences
# 1. An AUC is a share of pairs: how often an N+ patient has a higher risk than an N0 patient.
# 2. It needs no threshold, so it does not say how many patients are called right, found or missed.
# 3. It knows the order only, so it does not say whether a risk of 20 % means 20 in 100: that is calibration (lesson
#    2).
# 4. It belongs to a model *and* to the patients it was tested on: easy patients raise it, few patients blur it.
# 5. What it leaves open is whether anybody should act on the risk: that needs a threshold and its price (lesson 3).
#
# **The question to ask.** "In which patients, with what interval, and how are the risks calibrated?"
#
# ## What to read
# - Hanley and McNeil. The meaning and use of the area under a receiver operating characteristic (ROC) curve.
#   Radiology 1982. https://doi.org/10.1148/radiology.143.1.7063747
# - DeLong et al. Comparing the areas under two or more correlated receiver operating characteristic curves.
#   Biometrics 1988 (the intervals above). https://doi.org/10.2307/2531595
# - Ransohoff and Feinstein. Problems of spectrum and bias in evaluating the efficacy of diagnostic tests. New England
#   Journal of Medicine 1978 (round 4). https://doi.org/10.1056/NEJM197810262991705

# %% [markdown]
# ## How far did you come?

# %%
lesson.progress()

# %% [markdown]
# To begin again, or to leave the machine to the next student:

# %%
lesson.reset()
