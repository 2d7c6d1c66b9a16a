"""What a page may show to readers who may not see single patients: counts in fives, nothing that rests on fewer.

Each panel name has a policy (`policies.POLICIES`), which builds a new panel from suppressed numbers and constant words;
nothing of the old figure, table, sentence or notes passes through. A panel without a policy is not shown.
"""

from onlm_lab.panels.shared.grid import threshold_grid as threshold_grid
from onlm_lab.panels.shared.patient import safe_model as safe_model
from onlm_lab.panels.shared.policies import Refusal as Refusal
from onlm_lab.panels.shared.policies import as_shared as as_shared
from onlm_lab.panels.shared.tiles import shared_tiles as shared_tiles

__all__ = ["Refusal", "as_shared", "safe_model", "shared_tiles", "threshold_grid"]
