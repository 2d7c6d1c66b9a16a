"""What every hazard model reads: whose hazard, the covariates as numbers, strata and clusters as groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import Columns, columns_of, list_of, outcome_among
from onlm_lab.analysis.covariates import Design, design_matrix
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup
from onlm_lab.analysis.partial_likelihood import CoxFit, RiskSets, fit_cox, risk_sets
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError


@dataclass(frozen=True, eq=False)
class HazardRows:
    """The complete patients of one hazard model.

    Attributes:
        followup: their rows, days and states.
        event: (n,) bool, the cause whose hazard is wanted.
        stratum: (n,) numbers of the strata.
        design: the covariates as a matrix.
        competing: the endpoint has competing events.
        said: cause and strata in words, to go after a method's name.
    """

    followup: Followup
    event: np.ndarray
    stratum: np.ndarray
    design: Design
    competing: bool
    said: str
    _fits: dict[tuple[int, ...], CoxFit] = field(default_factory=dict, repr=False)

    @property
    def n_events(self) -> int:
        return int(self.event.sum())

    @cached_property
    def sets(self) -> RiskSets:
        """The risk sets, without covariates: models of these patients need not sort them again."""
        return risk_sets(np.empty((len(self.event), 0)), self.followup.days, self.event, self.stratum)

    def fit(self, columns: Sequence[int] | None = None) -> CoxFit:
        """Cox's model of some columns of the design (None: of all), fitted once."""
        chosen = tuple(range(self.design.x.shape[1]) if columns is None else columns)
        if chosen not in self._fits:
            self._fits[chosen] = fit_cox(
                self.design.x[:, chosen], self.followup.days, self.event, stratum=self.stratum, sets=self.sets
            )
        return self._fits[chosen]


def read_hazard(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    covariates: Columns,
    strata: str | Columns | None = None,
    cluster: str | None = None,
    cause: int | None = None,
    model: str | None = None,
) -> HazardRows:
    """The patients in whom endpoint, covariates, strata and cluster are known; the others are counted.

    Raises:
        OnlmError: a covariate that is absent, constant, a combination of others or part of the endpoint; a missing or
            impossible cause.
    """
    cause = _cause(rows, endpoint, cause)
    competing = endpoint_kind(rows, endpoint=endpoint) == "state"
    by = list_of(strata, word="strata")
    columns = _columns(endpoint, covariates, by, cluster)
    followup = read_followup(rows, endpoint=endpoint, columns=columns, model=model)

    def read() -> HazardRows:
        stratum = numbers_of(followup.rows, by)
        named = " and ".join(by)
        design = design_matrix(followup.rows, covariates=covariates, stratum=stratum, strata=named or None)
        said = (f", cause {cause}" if competing else "") + (f", stratified by {named}" if named else "")
        return HazardRows(followup, followup.state == cause, stratum, design, competing, said)

    if isinstance(rows, Patients):
        return rows.once(("hazard", endpoint, cause, tuple(covariates), tuple(by), cluster), read)
    return read()


def numbers_of(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """The group of each row, 0, 1, ...: each combination of the columns' values is one."""
    codes = np.zeros(len(rows), dtype=int)
    for column in columns:
        own = pd.factorize(rows[column].astype(str))[0]
        codes = np.unique(codes * (own.max() + 1) + own, return_inverse=True)[1]
    return codes


def _cause(rows: pd.DataFrame | Patients, endpoint: str, cause: int | None) -> int:
    competing = endpoint_kind(rows, endpoint=endpoint) == "state"
    if competing and cause is None:
        raise OnlmError(
            f"'{endpoint}' has competing events ({endpoint}_state): name whose hazard is wanted, cause=1 (the event) "
            "or cause=2 (the competing event), or use fine_gray for the subdistribution hazard."
        )
    allowed = (1, 2) if competing else (None, 1)
    if cause not in allowed:
        wanted = "cause=1 or cause=2" if competing else f"no cause, as {endpoint}_event has one kind of event only"
        raise OnlmError(f"cox of '{endpoint}' takes {wanted}, got cause={cause!r}.")
    return 1 if cause is None else cause


def _columns(endpoint: str, covariates: Columns, strata: list[str], cluster: str | None) -> list[str]:
    names = columns_of(covariates)
    if cluster is not None and not isinstance(cluster, str):
        raise OnlmError(
            f"cluster must be one column, such as 'centre', got {cluster!r}. Combine several into one first."
        )
    for name in names:
        if name in strata or outcome_among([name], endpoint=endpoint):
            raise OnlmError(f"'{name}' cannot be a covariate: it is part of the endpoint or the strata. Leave it out.")
    own = outcome_among([*strata, *([cluster] if cluster else [])], endpoint=endpoint)
    if own:
        raise OnlmError(f"'{own}' can be neither strata nor cluster: it is the outcome. Leave it out.")
    return list(dict.fromkeys([*names, *strata, *([cluster] if cluster else [])]))
