"""The day of treatment of each patient, from the hospital's own column of dates: to choose a CT by, kept nowhere."""

from __future__ import annotations

import datetime

from onlm_lab import schema
from onlm_lab.cohort.tables import read_settings
from onlm_lab.study import Study

# Where [mapping.dates] names the date of treatment: our column, and the end of its span that is time zero.
_NAMED = (
    ("ct_to_treatment_days", "end"), ("followup_days", "start"), ("recurrence_days", "start"),
    ("last_imaging_days", "start"), ("adjuvant_start_days", "start"),
)  # fmt: skip


def treatment_dates(study: Study) -> dict[str, datetime.date]:
    """The date of treatment of every patient whose table has one, by patient_id.

    Nothing without a date of treatment in [mapping.dates]: days alone do not say which of several CT is meant. No
    date leaves the process that asked for it.

    Raises:
        DataError: the table cannot be opened.
    """
    spans = study.mapping.dates
    named = next((getattr(spans[column], end) for column, end in _NAMED if column in spans), "")
    if not named:
        return {}
    data, mapping = read_settings(study)
    found: dict[str, datetime.date] = {}
    for table, file in (("clinical", study.data.clinical), ("followup", study.data.followup)):
        if file:
            source = schema.open_source(study.path(file), table=table, data=data, mapping=mapping)
            for patient, day in schema.dates_by_patient(source, named, data=data, mapping=mapping).items():
                found.setdefault(patient, day)
    return found
