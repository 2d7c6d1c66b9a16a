"""The report of a run: one self-contained HTML file that a tired clinician can read."""

from onlm_lab.report.write import write_report

__all__ = ["write_report"]
