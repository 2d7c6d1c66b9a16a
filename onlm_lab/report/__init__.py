"""The report of a run: one self-contained HTML file that a tired clinician can read."""

from onlm_lab.report.write import CHECKLIST_FILE, write_report

__all__ = ["CHECKLIST_FILE", "write_report"]
