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
# # Lesson 6: Immortal time
#
# Everything below is **MADE-UP DATA** from a world whose truth is known. Research use only. About 25 minutes.
#
# **Aim.** You can see when a treatment seems to protect only because patients had to live until it began, and you can
# start the clock where the comparison is fair (a landmark).
#
# **What you need to know.** Hazard ratios: below 1 means fewer events in the treated. Time zero is the day of surgery.
# The endpoint is recurrence or death, whichever comes first.
#
# In this world adjuvant treatment **changes nothing**: the true hazard ratio is 1, and who is to be treated is drawn by
# lot at surgery. Whoever finds an effect has found a mistake.
#
# **How a lesson goes.** Four rounds, each: *predict*, run the next cell (Shift+Enter), *move* a slider, *check
# yourself*. Do not run everything at once: a prediction made after the answer teaches little. Your answers stay beside
# this notebook.

# %%
from onlm_lab import teaching
from onlm_lab.teaching import immortal

lesson = teaching.Lesson("immortal")
lesson

# %% [markdown]
# ## Round 1: Treated or not, counted from surgery
# 600 made-up patients found N+ at surgery. Six of ten are to have adjuvant treatment, which begins 120 days after
# surgery on average, sooner in some and later in others.

# %%
lesson.predict("naive")

# %%
from onlm_lab import analysis, figures

rows = immortal.draw_patients(waiting_days=120, seed=20)
naive = analysis.cox(rows, endpoint="rfs", covariates=["adjuvant"]).table.iloc[0]
print(f"Hazard ratio {naive.hr:.2f} ({naive.low:.2f} to {naive.high:.2f}), P = {naive.p_value:.2g}")
lesson.reveal("naive")

# %% [markdown]
# It looks like a finding. And the treatment does nothing at all. What went wrong?

# %% [markdown]
# ## Look at the patients
# A bar a patient, from surgery on. A cross: recurrence or death. Look for a cross on a striped part (waiting for
# treatment). Then look at the crossed bars: these patients were to be treated as well.

# %%
immortal.plot_waiting(rows)

# %%
early = immortal.early_events(rows, by_day=180)
print(f"By day 180 {early['n_events']} patients had an event; {early['n_treated']} of them had begun treatment.")
lesson.check("before", mistakes={"early": early["n_events"], "early_treated": early["n_treated"]})

# %%
lesson.check("why")

# %% [markdown]
# ## Round 2: Let them wait longer
# The same patients, who live exactly as long. Only the treatment begins later.

# %%
lesson.predict("longer")

# %%
for days in (10, 60, 120, 240):
    ratio = immortal.naive_ratio(immortal.draw_patients(waiting_days=days, seed=20))
    print(f"Treatment begins after {days:3d} days on average: hazard ratio counted from surgery {ratio:.2f}")
lesson.reveal("longer")

# %% [markdown]
# ## Round 3: Start the clock when the treatment is known
# On day 180 we look who is alive and free of recurrence. Treated is who has begun by then, and we count from there.

# %%
lesson.predict("landmark")

# %%
found = immortal.effect(rows, days=[90, 180, 300])
fair = found.table.set_index("day").loc[180.0]
side = "below" if fair.high < 1 else "above" if fair.low > 1 else "one"
lesson.reveal("landmark", truth=side)

# %%
figures.plot_landmark(found, who="found N+ at surgery", mark="MADE-UP DATA")

# %% [markdown]
# **Move** both sliders. The upper line follows the waiting time; where does the lower one stay? Try a landmark so early
# that hardly anybody has begun, and one so late that few are left: what becomes of the interval?

# %%
immortal.explore_waiting(seed=20)

# %%
lesson.check("left_out")

# %% [markdown]
# ## Round 4: Five ways to compare the same patients
# All five are found in papers. The truth is 1 in each.

# %%
ways = immortal.ways_of_counting(rows)
immortal.plot_ways(ways)

# %%
lesson.check("fair")

# %% [markdown]
# onlm_lab refuses to compare a treatment from time zero when it began later, and says what to do:

# %%
from onlm_lab.errors import OnlmError
from onlm_lab.teaching.lesson import Sentence

try:
    analysis.compare_treatments(rows, endpoint="rfs", treatment="adjuvant", horizon_days=1095)
except OnlmError as refused:
    said = Sentence(str(refused))
said

# %% [markdown]
# One made-up world is one throw of the dice. Twenty more, each with its own patients:

# %%
worlds = [immortal.effect(immortal.draw_patients(waiting_days=120, seed=s)).table for s in range(101, 121)]
n_naive = sum(w.high[0] < 1 for w in worlds)
n_covers = sum(w.low[1] <= 1 <= w.high[1] for w in worlds)
print(
    f"Of 20 worlds {n_naive} show a 'protection' counted from surgery; in {n_covers} the landmark's interval covers 1."
)

# %%
lesson.check("elsewhere")

# %% [markdown]
# ## In five sentences
# 1. Who is treated later must first live until then: that time is immortal, and it is no merit of the treatment.
# 2. Counted from time zero it makes any later treatment look protective, the more so the longer patients wait.
# 3. It is not confounding, and more patients or adjusting for age do not remove it.
# 4. A landmark sorts patients by what is known on its day and counts from there; it answers for those who got so far.
# 5. Ask of every group when it was known who belongs to it: responders, completed courses, second operations.
#
# The landmark removes immortal time, not confounding: in a hospital nobody drew lots.
#
# ## What to read
# - Anderson, Cain and Gelber. Analysis of survival by tumor response. J Clin Oncol 1983.
#   [doi.org/10.1200/JCO.1983.1.11.710](https://doi.org/10.1200/JCO.1983.1.11.710)
# - Suissa. Immortal time bias in pharmacoepidemiology. Am J Epidemiol 2008.
#   [doi.org/10.1093/aje/kwm324](https://doi.org/10.1093/aje/kwm324)

# %%
lesson.progress()

# %%
lesson.reset()
