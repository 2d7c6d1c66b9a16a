"""Whether a page is shared, and what it then lets through: every panel, tile, count and message of a page passes here.

A page is shared where served.is_shared() says so, as `onlm dashboards --shared` sets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.served import is_shared

if TYPE_CHECKING:
    from onlm_lab.app.state import ViewState
    from onlm_lab.learning.coefficients import ClinicalModel
    from onlm_lab.panels.card import Card as PrintedCard
    from onlm_lab.panels.judged import Judged
    from onlm_lab.panels.panel import Panel
    from onlm_lab.panels.performance import Tile

WITHHELD = (
    "This cannot be shown here: something that it needs is missing, or the patients are too few. The page that the "
    "study itself uses says which."
)


def shown(build: Callable[[], Panel | PrintedCard | None]) -> Panel | PrintedCard | None:
    """The panel that a card makes, as its readers may see it.

    Raises:
        OnlmError: what the panel says where it cannot be made; on a shared page, why it is not shown.
    """
    panel = build()
    if panel is None or not is_shared():
        return panel
    from onlm_lab.panels import shared

    found = shared.as_shared(panel)
    if isinstance(found, shared.Refusal):
        raise OnlmError(found.sentence)
    return found


def message(text: str) -> str:
    """A sentence to the user; on a shared page without those that hold a number, which may be one of patients."""
    return WITHHELD if is_shared() and any(c.isdigit() for c in text) else text


def messages(texts: Iterable[str]) -> list[str]:
    """Sentences beside each other; on a shared page those alone that hold no number."""
    return [text for text in texts if not is_shared() or not any(c.isdigit() for c in text)]


def count(n: int) -> str:
    """A count of patients in a page's own words: '1,465'; '<5' or to the nearest five on a shared page."""
    if not is_shared():
        return f"{n:,}"
    from onlm_lab.panels.shared.counts import said

    return said(n)


def filters(rows: pd.DataFrame, *, columns: Sequence[str], bins: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """What a page may restrict its patients to (panels.only.choices).

    On a shared page a level has, and leaves, at least twenty patients in each testing set: the others are everybody
    less these.

    Args:
        rows: of a run.
        columns, bins: as panels.only.choices.
    """
    from onlm_lab.panels import only, patients

    sets = [patients.tested(rows, split=split) for split in patients.splits_of(rows)]
    everywhere = pd.concat(sets)
    if not is_shared():
        return only.choices(everywhere, columns=columns, bins=bins)
    from onlm_lab.panels.shared.counts import FEWEST_LEFT as LEAST

    def offered(found: pd.DataFrame) -> dict[str, str]:
        return only.choices(found, columns=columns, bins=bins, least=LEAST, least_others=LEAST, say=count)

    safe = set.intersection(*(set(offered(one).values()) for one in sets))
    return {words: value for words, value in offered(everywhere).items() if value in safe}


def clinical_model(model: ClinicalModel, *, rows: Callable[[], pd.DataFrame]) -> ClinicalModel:
    """A clinical model as a page may speak of it; `rows` gives its training patients.

    Raises:
        OnlmError: on a shared page, where they are too few.
    """
    if not is_shared():
        return model
    from onlm_lab.panels.shared import safe_model

    return safe_model(model, rows())


def tiles(judged: Judged, *, model: str, threshold: float | None) -> tuple[Tile, ...]:
    """The tiles of the performance page."""
    from onlm_lab.panels import performance

    if not is_shared():
        return performance.tiles(judged, model=model, threshold=threshold)
    from onlm_lab.panels.shared import shared_tiles

    return shared_tiles(judged, model=model, threshold=threshold)


def thresholds(rows: pd.DataFrame, *, state: ViewState) -> Callable[[], tuple[float, ...]] | None:
    """What gives the positions that the threshold of a page may have, with the model that is chosen; None: any."""
    if not is_shared():
        return None
    from onlm_lab.panels.shared import threshold_grid

    known: dict[str, tuple[float, ...]] = {}

    def grid() -> tuple[float, ...]:
        if state.model not in known:
            known[state.model] = threshold_grid(rows, model=state.model)
        return known[state.model]

    return grid
