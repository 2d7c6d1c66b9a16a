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
# # Lesson 4: Leakage: find the planted leak
#
# Everything below is **MADE-UP DATA** from a world whose truth is known. Research use only. About 25 minutes.
#
# **Aim.** You can read how an AUC was made and say where the label may have leaked in: a column from after surgery, a
# patient on both sides, features or thresholds chosen on the test patients, a hospital that stands for the label.
#
# **What you need to know.** An AUC of 0.5 is chance, 1 is perfect (lesson 1). A model is taught on some patients and
# tested on others. N+ means that the pathologist found cancer in lymph nodes that looked clean.
#
# **How a lesson goes.** Four rounds, each: *predict*, run the next cell (Shift+Enter), *move* a slider, *check
# yourself*. Do not run everything at once: a prediction made after the answer teaches little. Your answers stay beside
# this notebook.

# %%
from onlm_lab import teaching
from onlm_lab.teaching import leakage, leakage_sliders

lesson = teaching.Lesson("leakage")
lesson

# %% [markdown]
# ## Round 1: Five teams, five AUCs
# Five teams were asked for a model that predicts hidden nodal disease before surgery. This is how they describe it:

# %%
leakage_sliders.teams_in_words()

# %% [markdown]
# And this is what they hand in. Nobody lied, and every number was computed correctly.

# %%
handed_in = leakage.scores()
leakage_sliders.plot_scores(handed_in, revealed=False)

# %%
lesson.predict("honest")

# %% [markdown]
# Now 2,000 new patients come, as patients come: before surgery, nobody has seen them, and Team E's model is taken to a
# fourth hospital.

# %%
lesson.reveal("honest")

# %%
leakage_sliders.plot_scores(handed_in)

# %% [markdown]
# Four of the five fall. Let us find each leak.

# %% [markdown]
# ## Round 2: The column that knows too much
# Team B's table, eight of its patients. Read the columns and ask of each: *when* was it known?

# %%
team_b = leakage.hand_in("Team B")
team_b.tested[[*team_b.columns, "onlm"]].sample(8, random_state=5)

# %%
lesson.check("column")

# %% [markdown]
# onlm_lab looks for it by itself. An AUC above 0.95 is a reason to look for a leak, and each column is tried alone:

# %%
from onlm_lab import analysis
from onlm_lab.teaching.lesson import Sentence

auc = analysis.roc(team_b.tested).auc
Sentence(analysis.suspicion(auc, model_id="Team B", predictors=team_b.columns, rows=team_b.tested))

# %% [markdown]
# ## Round 3: A patient on both sides, and features picked too early
# Team C's forest reaches about 0.7 in new patients. We let some of its test patients also teach it, by another CT.

# %%
lesson.predict("shared")

# %%
test, new = (analysis.roc(rows).auc.value for rows in leakage.with_shared_patients(0.5))
lesson.reveal("shared", truth=test, mistakes={"new": new})

# %% [markdown]
# **Move** the slider from 0 to 100 %. Which of the two curves moves?

# %%
leakage_sliders.explore_shared()

# %%
lesson.check("repair_c")

# %% [markdown]
# onlm_lab also looks for rows that are probably one person (`onlm check` does the same). In Team C's rows:

# %%
import pandas as pd

from onlm_lab.cohort.duplicates import find_duplicates

team_c = leakage.hand_in("Team C")
rows = pd.concat([team_c.taught, team_c.tested]).drop(columns=["risk", "model_id"])
pairs = find_duplicates(rows)
print(f"{len(pairs)} pairs look like one person, such as {pairs.patient_a[0]} and {pairs.patient_b[0]}.")

# %% [markdown]
# Team D had 2,000 texture features. In this world they are noise: the true AUC of any model of them is 0.5.

# %%
lesson.predict("noise")

# %%
before, within = (analysis.roc(rows).auc.value for rows in leakage.with_picked_features(2000))
lesson.reveal("noise", truth="high" if before > 0.75 else "little" if before > 0.55 else "half")

# %% [markdown]
# **Move** the number of features, then draw other patients. Only one of the two curves stays near the diagonal.

# %%
leakage_sliders.explore_picking()

# %%
lesson.check("repair_d")

# %% [markdown]
# ## Round 4: The hospital, and the threshold
# Team E split by patient, used nothing but the CT, and picked nothing. Look inside each hospital:

# %%
from onlm_lab import figures

by_hospital = analysis.by_centre(leakage.hand_in("Team E").tested)
figures.plot_centres(by_hospital, mark="MADE-UP DATA")

# %%
lesson.check("hospital")

# %% [markdown]
# Last, a leak that every team may add: the threshold. It is Team A's honest model, tested on a few patients. One way
# chooses the threshold on these test patients, the other brings it from the patients who taught the model.

# %%
leakage_sliders.explore_thresholds()

# %%
lesson.check("threshold")

# %% [markdown]
# onlm_lab remembers on whom a threshold was chosen, and marks what is then only apparent:

# %%
few = leakage.hand_in("Team A").tested.head(60)
point = analysis.operating_point(few, threshold=analysis.choose_threshold(few, rule="youden"))
print(
    f"sensitivity {point.sensitivity.value:.2f}, specificity {point.specificity.value:.2f}, apparent: {point.apparent}"
)

# %%
lesson.check("modest")

# %% [markdown]
# ## In five sentences
# 1. A leak is knowledge that the model will not have when it is used; nobody has to cheat for it.
# 2. Ask of each column when it was known, and by whom it was written.
# 3. Deal patients and not rows, and look for one person under two ids.
# 4. Whatever looks at a label (picking features, thresholds, calibration) belongs inside the training part.
# 5. Look inside each hospital and at one that taught nothing: an AUC may be the hospital's and not the tumour's.
#
# How onlm_lab deals patients, locks a test set and finds look-alikes: docs/splits.md.
#
# ## What to read
# - Kapoor and Narayanan. Leakage and the reproducibility crisis in machine-learning-based science. Patterns 2023.
#   [doi.org/10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804)
# - Ambroise and McLachlan. Selection bias in gene extraction. PNAS 2002.
#   [doi.org/10.1073/pnas.102102699](https://doi.org/10.1073/pnas.102102699)
# - Zech and others. Variable generalization performance of a deep learning model to detect pneumonia. PLoS Med 2018.
#   [doi.org/10.1371/journal.pmed.1002683](https://doi.org/10.1371/journal.pmed.1002683)

# %%
lesson.progress()

# %%
lesson.reset()
