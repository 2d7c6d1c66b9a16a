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
# # Lesson 7: Subgroup fishing: twenty null subgroups
#
# Everything below is **MADE-UP DATA** from a world whose truth is known. Research use only. About 20 minutes.
#
# **Aim.** You can say how many "findings" twenty subgroups yield when there is nothing, ask for the test that fits the
# question (interaction), and read P values adjusted by Holm and by Benjamini and Hochberg.
#
# **What you need to know.** A hazard ratio below 1 favours the new treatment. A P value below 0.05 has a chance of 5 %
# when there is no effect.
#
# A randomised trial of a new treatment that **does nothing**. The subgroups are made of the last two digits of a record
# number, so that no biology can be behind them.
#
# **How a lesson goes.** Four rounds, each: *predict*, run the next cell (Shift+Enter), *move* a slider, *check
# yourself*. Do not run everything at once: a prediction made after the answer teaches little. Your answers stay beside
# this notebook.

# %%
from onlm_lab import teaching
from onlm_lab.teaching import fishing
from onlm_lab.teaching.lesson import Sentence

lesson = teaching.Lesson("fishing")
lesson

# %% [markdown]
# ## Round 1: How many trials have something to show?

# %%
lesson.predict("any")

# %%
share = fishing.long_run(200)
print(f"200 made-up trials of 1,600 patients: at least one of twenty P values below 0.05 in {share:.0%}.")
print(f"By the formula, 1 − 0.95²⁰: {fishing.chance_of_any(20):.0%}.")
lesson.reveal("any", truth=fishing.chance_of_any(20))

# %% [markdown]
# One such trial. Arrows and bold type mark P < 0.05.

# %%
rows = fishing.draw_trial(seed=46)
fished = fishing.fish(rows)
fishing.plot_fished(fished, p_interaction=fishing.interaction_p(rows))

# %%
Sentence(fishing.say_fished(fished, p_interaction=fishing.interaction_p(rows)))

# %%
lesson.check("write")

# %% [markdown]
# ## Round 2: Would a larger trial help?

# %%
lesson.predict("larger")

# %%
small, large = fishing.long_run(150, n=1600), fishing.long_run(150, n=8000)
print(f"At least one P < 0.05 in {small:.0%} of small trials and in {large:.0%} of large ones.")
lesson.reveal("larger")

# %% [markdown]
# **Move** and cast the net yourself. Take other trials first (the last slider): some have a catch and some have none.
# Then change the number of subgroups and the number of patients. What becomes of the hazard ratios that are caught?

# %%
fishing.explore_subgroups()

# %% [markdown]
# ## Round 3: "It works here and not there"
# A trial in which the treatment truly works, and works alike (hazard ratio 0.7) in a large and in a small subgroup.

# %%
lesson.predict("one_sided")

# %%
alike = fishing.two_sizes(seed=1)
fishing.plot_fished(fishing.fish(alike), p_interaction=fishing.interaction_p(alike), truth=0.7)

# %%
lesson.reveal("one_sided")

# %%
lesson.check("test")

# %% [markdown]
# ## Round 4: What Holm and Benjamini-Hochberg do
# Back to the trial without effect. The five smallest P values, before and after:

# %%
fished.nsmallest(5, "p_value")[["subgroup", "hr", "p_value", "p_holm", "p_bh"]].round(3)

# %%
lesson.check("holm")

# %% [markdown]
# And when something is there? In the next trial the treatment truly works in five of the twenty subgroups.

# %%
lesson.predict("found")

# %%
fishing.plot_rules(fishing.some_real(n_real=5))

# %%
lesson.reveal("found")

# %%
lesson.check("promise")

# %%
lesson.check("credible")

# %% [markdown]
# In a run of onlm_lab the subgroup table has one interaction test a column, adjusted over the columns by both;
# subgroups with too few patients have no number at all.
#
# ## In five sentences
# 1. Twenty tests of nothing find something in 64 % of trials, in small trials and in large ones.
# 2. "Significant here and not there" compares certainties; the interaction test compares effects.
# 3. Count the tests and show them all, with their intervals.
# 4. Holm guards against even one false finding, Benjamini-Hochberg limits the false share of what is called.
# 5. A subgroup finding becomes credible by what was said before looking, and by new patients.
#
# ## What to read
# - Wang and others. Statistics in medicine: reporting of subgroup analyses in clinical trials. N Engl J Med 2007.
#   [doi.org/10.1056/NEJMsr077003](https://doi.org/10.1056/NEJMsr077003)
# - ISIS-2. Lancet 1988: aspirin and the signs of the zodiac.
#   [doi.org/10.1016/S0140-6736(88)92833-4](https://doi.org/10.1016/S0140-6736%2888%2992833-4)
# - Gelman and Stern. The difference between "significant" and "not significant" is not itself statistically
#   significant. Am Stat 2006. [doi.org/10.1198/000313006X152649](https://doi.org/10.1198/000313006X152649)
# - Benjamini and Hochberg. Controlling the false discovery rate. J R Stat Soc B 1995.
#   [doi.org/10.1111/j.2517-6161.1995.tb02031.x](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x)

# %%
lesson.progress()

# %%
lesson.reset()
