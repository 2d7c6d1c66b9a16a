"""timm, imported with a guard against a torchvision that does not fit the installed torch.

timm imports torchvision. Beside a CPU build of torch, the torchvision wheel of the Python Package Index fails at import
("operator torchvision::nms does not exist"), because it registers fake versions of compiled operators that are not
there. Nothing here uses those operators. An empty module in place of `torchvision._meta_registrations` lets the rest of
torchvision load; where torchvision fits, the real module has been imported before and nothing is replaced.
"""

from __future__ import annotations

import sys
import types
from types import ModuleType

REGISTRATIONS = "torchvision._meta_registrations"


def import_timm() -> ModuleType:
    """timm, ready to use."""
    if "timm" not in sys.modules and REGISTRATIONS not in sys.modules:
        sys.modules[REGISTRATIONS] = types.ModuleType(REGISTRATIONS)
    import timm

    return timm
