"""R's numbers for the tests around hazard models (made by reference/make_hazards.R), and the tables they belong to."""

import json

import numpy as np
from survival_reference import REFERENCE, table

R = json.loads((REFERENCE / "hazards.json").read_text(encoding="utf-8"))
FIRTH = json.loads((REFERENCE / "firth_hazard.json").read_text(encoding="utf-8"))
LUNG = table("lung").dropna(subset=["age", "sex", "ecog"]).reset_index(drop=True)
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
BOTH = LUNG.assign(half=np.where((np.arange(len(LUNG)) + 1) % 3 == 0, "a", "b"))
GRADE = LUNG[LUNG["ecog"] < 3].assign(ecog=lambda d: d["ecog"].astype(int).astype(str)).reset_index(drop=True)
PBC = table("pbc")
BASIC = ["age", "sex", "ecog"]
