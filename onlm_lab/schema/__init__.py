"""What every column is called, its unit, range and timing; and the one door by which a spreadsheet comes in.

    rows = read_table("clinical.csv", table="clinical")     # DataError with every fault at once
    write_table(rows, "copy.csv")                           # the same bytes for the same table

Inside a DataFrame: text and categories are str (missing: None); numbers, integers and booleans are float64 (missing:
NaN; booleans 0.0 and 1.0), so that every statistic takes them as they are. `PatientRows`, `FollowupRows`,
`AnnotationRows`, `Predictions` and `AnalysisRows` are pandera schemas built from the same table of columns.
"""

from __future__ import annotations

from typing import Any

from onlm_lab.schema.checking import check, check_known_patients, pandera_schema, unknown_patients
from onlm_lab.schema.dictionary import (
    COLUMNS,
    DESCRIPTORS,
    ENDPOINTS,
    KEYS,
    N_STAGES,
    NUMERIC,
    SITES,
    STAGES,
    T_STAGES,
    TREATMENTS,
    Column,
    column,
    columns,
    declared,
    nearest,
)
from onlm_lab.schema.document import (
    TABLES,
    Entry,
    dictionary_csv,
    dictionary_entries,
    dictionary_html,
    dictionary_text,
)
from onlm_lab.schema.reading import Reading, distinct, read, read_table, try_source
from onlm_lab.schema.redcap_design import entered_in_redcap, redcap_design
from onlm_lab.schema.settings import plain_settings, settings_faults
from onlm_lab.schema.sources import Lost, Source, dates_by_patient, lost_columns, open_source
from onlm_lab.schema.template import template_workbook
from onlm_lab.schema.workbooks import sheet_names
from onlm_lab.schema.writing import table_text, write_table

__all__ = [
    "COLUMNS",
    "DESCRIPTORS",
    "ENDPOINTS",
    "KEYS",
    "NUMERIC",
    "N_STAGES",
    "SITES",
    "STAGES",
    "TABLES",
    "TREATMENTS",
    "T_STAGES",
    "Column",
    "Entry",
    "Lost",
    "Reading",
    "Source",
    "check",
    "check_known_patients",
    "column",
    "columns",
    "dates_by_patient",
    "declared",
    "dictionary_csv",
    "dictionary_entries",
    "dictionary_html",
    "dictionary_text",
    "distinct",
    "entered_in_redcap",
    "lost_columns",
    "nearest",
    "open_source",
    "plain_settings",
    "read",
    "read_table",
    "redcap_design",
    "settings_faults",
    "sheet_names",
    "table_text",
    "template_workbook",
    "try_source",
    "unknown_patients",
    "write_table",
]

_SCHEMAS = {
    "PatientRows": "clinical",
    "FollowupRows": "followup",
    "AnnotationRows": "annotations",
    "Predictions": "predictions",
    "AnalysisRows": "analysis",
}


def __getattr__(name: str) -> Any:
    """The pandera schemas, built when first asked for: pandera takes half a second to import."""
    if name in _SCHEMAS:
        return pandera_schema(tuple(columns(_SCHEMAS[name]).values()))
    raise AttributeError(f"module 'onlm_lab.schema' has no attribute '{name}'")
