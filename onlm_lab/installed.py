"""Where the files lie that come with the package but are no Python modules: dashboards, notebooks, lessons."""

from __future__ import annotations

import site
import sys
import sysconfig
from pathlib import Path

from onlm_lab.errors import OnlmError

CHECKOUT = Path(__file__).resolve().parent.parent


def roots() -> tuple[Path, ...]:
    """Where a wheel may have put its `share`: the environment, the user's own folder, or beside the packages."""
    return Path(sysconfig.get_path("data")), Path(sys.prefix), Path(site.getuserbase()), CHECKOUT


def shipped_folder(name: str, *, holding: str) -> Path:
    """The folder of files that came with the package.

    A checkout has it beside the package; a wheel puts it under `share/onlm_lab` of the environment, of the user
    (`pip install --user`), or of a folder that was named (`pip install --target`, which puts it beside the packages).

    Args:
        name: of the folder: "dashboards", "notebooks", "notebooks/teaching".
        holding: name of a file that must be in it, so that an empty or a foreign folder is not taken.

    Raises:
        OnlmError: no such folder was installed.
    """
    shared = Path("share") / "onlm_lab" / name
    for folder in (CHECKOUT / name, *(root / shared for root in roots())):
        if (folder / holding).is_file():
            return folder
    raise OnlmError(f"'{name}' is not installed: no {holding} was found in it. Install onlm_lab again.")
