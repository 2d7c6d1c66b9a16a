"""What the user chose on the cohort page, and nothing else."""

from __future__ import annotations

from traitlets import Dict, Tuple, Unicode

from onlm_lab.app.state import Choices


class CohortState(Choices):
    """The choices behind the cohort page.

    Attributes:
        tab: which tab is open.
        centre: whose flow is drawn; "": all centres.
        rule: of which rule the patients left out are counted by centre.
        limit: which limit of the protocol moves; "": there is none.
        limit_values: limit -> the value tried.
        stack: what the bars of the what-if are divided by: arm or label.
        people: eligible, or everyone in the files.
        group: what Table 1 compares.
        columns: what Table 1 shows.
        missing: predictors, or every column.
        follow_by: whose follow-up is compared.
        reference_by: by what the reference standard is divided.
    """

    ADDRESS = (
        "tab", "centre", "rule", "limit", "limit_values", "stack", "people", "group", "columns", "missing",
        "follow_by", "reference_by",
    )  # fmt: skip
    tab = Unicode("Who is in")
    centre = Unicode("")
    rule = Unicode("")
    limit = Unicode("")
    limit_values = Dict()
    stack = Unicode("arm")
    people = Unicode("eligible")
    group = Unicode("")
    columns = Tuple()
    missing = Unicode("predictors")
    follow_by = Unicode("centre")
    reference_by = Unicode("treatment")
