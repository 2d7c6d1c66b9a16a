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
# # Lesson 2: Calibration - does 20 % mean 20 in 100?
#
# **MADE-UP DATA**: the patients come from a generator whose truth is known. Nothing about a real patient can be
# learnt from them. Research use only. About 25 minutes.
#
# **Aim.** A model tells a patient "your risk of hidden nodal disease is 20 %". Afterwards you can say what that
# promises, read a calibration curve, tell risks that are too high from risks that are too extreme, and name what
# spoils them.
#
# **What you need to know.** Lesson 1: the AUC knows the order of the risks only. N+ is a patient whose lymph nodes
# hold cancer, N0 one whose nodes do not.
#
# Four rounds: *predict*, run (Shift+Enter), *move*, *check yourself*.

# %%
from onlm_lab import analysis, figures, teaching
from onlm_lab.figures.theme import MADE_UP
from onlm_lab.teaching import calibration as about

lesson = teaching.Lesson("calibration")
lesson

# %% [markdown]
# ## Round 1: what does a risk of 20 % promise?
# An honest model told each of a thousand patients about the same: 20 %. We look at their nodes.

# %%
lesson.predict("promise")

# %%
same = about.patients_given(0.20)
print(f"{len(same):,} patients with a risk near 20 %: {same['onlm'].sum()} are N+")
lesson.reveal("promise", truth=same["onlm"].mean())

# %% [markdown]
# **Move.** Ask for other risks. Then ask the two other models: which promises do they keep, and where?

# %%
about.explore_one_risk()

# %%
lesson.check("one_patient")

# %% [markdown]
# ## Round 2: reading a calibration curve
# Across: the risk that was predicted. Upwards: how many were in fact N+. On the dotted diagonal a model keeps its
# word. The points are tenths of the patients, the band is the 95 % interval of the curve.

# %%
patients = about.made_up_patients()
figures.plot_calibration(analysis.assess_calibration(patients), mark=MADE_UP)

# %% [markdown]
# Now every risk is raised: a patient at 20 % reads 36 %. Where will the curve lie?

# %%
lesson.predict("above_below")

# %%
raised = about.reckoned(patients, shift=0.8)
found = analysis.assess_calibration(raised)
print(f"Predicted on average {raised['risk'].mean():.0%}, found {raised['onlm'].mean():.0%}: O:E {found.oe_ratio}")
lesson.reveal("above_below")

# %%
figures.plot_calibration(found, mark=MADE_UP)

# %% [markdown]
# Two numbers sum it up. **O:E** is the number of N+ observed over the number expected (the sum of the risks): below 1
# the risks are too high. The **slope** is 1 where the risks spread as they should: below 1 they are too extreme, the
# high ones too high *and* the low ones too low.
#
# **Move** one slider at a time. Which of the two numbers follows which slider? And the AUC?

# %%
about.explore_shift_and_stretch()

# %%
lesson.check("oe")

# %%
lesson.check("tilted")

# %% [markdown]
# ## Round 3: a model that has seen too little
# Twenty N+ and eighty N0 patients, eight measurements of each. A regression learns from them. In these very patients
# everything fits. Then 2,000 new patients come.

# %%
lesson.predict("few")

# %%
own, new = about.taught_on(20)
for name, rows in (("its own 100 patients", own), ("2,000 new patients", new)):
    found = analysis.assess_calibration(rows)
    print(f"{name}: slope {found.slope.value:.2f}, AUC {analysis.roc(rows).auc.value:.2f}")
lesson.reveal("few")

# %% [markdown]
# It took chance for knowledge: some of the eight measurements are mere noise. **Move** the number of patients that it
# learns from. How many N+ patients does it take until the slope in new patients comes near 1?

# %%
about.explore_few_patients()

# %%
lesson.check("at_home")

# %% [markdown]
# ## Round 4: a model that was taught on as many N0 as N+
# N+ is the minority, so somebody "balanced" the data: of the N0 patients he threw away three of four, until there was
# one for each N+. Then the model goes to new patients, of whom 20 in 100 are N+.

# %%
lesson.predict("balanced")

# %%
rows = about.balanced(1.0)
print(f"Predicted on average {rows['risk'].mean():.0%}; found {rows['onlm'].mean():.0%}; AUC {analysis.roc(rows).auc}")
print(f"Taught on all patients as they come: AUC {analysis.roc(about.balanced(4.0)).auc}")
lesson.reveal("balanced", truth=rows["risk"].mean())

# %% [markdown]
# **Move** the number of N0 patients that are kept. Then update the intercept (one number, added to the log odds of
# everybody) on other patients, and look at O:E and at the AUC.

# %%
about.explore_balancing()

# %%
lesson.check("recalibrated")

# %%
lesson.check("elsewhere")

# %% [markdown]
# ## In five sentences
# 1. A risk of 20 % promises that of 100 such patients about 20 are N+; a single patient can neither keep nor break
#    it.
# 2. The calibration curve shows it: below the diagonal the risks are too high, above it too low.
# 3. O:E says whether they are right on average, the slope whether they are too extreme; the AUC sees neither.
# 4. Few patients to learn from make risks too extreme, and thrown-away N0 patients make them too high.
# 5. An update on the patients of the place mends both, the order stays; and calibration read off from the patients
#    who taught the model proves nothing.
#
# **The question to ask.** "Calibrated in whom: in the patients who taught the model, or in others?"

# %% [markdown]
# ## What to read
# - Van Calster et al. Calibration: the Achilles heel of predictive analytics. BMC Medicine 2019.
#   https://doi.org/10.1186/s12916-019-1466-7
# - Steyerberg et al. Validation and updating of predictive logistic regression models. Statistics in Medicine 2004
#   (the updates). https://doi.org/10.1002/sim.1844
# - van den Goorbergh et al. The harm of class imbalance corrections for risk prediction models. Journal of the
#   American Medical Informatics Association 2022 (round 4). https://doi.org/10.1093/jamia/ocac093

# %% [markdown]
# ## How far did you come?

# %%
lesson.progress()

# %% [markdown]
# To begin again, or to leave the machine to the next student:

# %%
lesson.reset()
