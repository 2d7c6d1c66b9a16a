"""A process's progress bars become the notebook's own, and nothing else that it says is lost."""

from __future__ import annotations

import subprocess
import sys
import warnings

import nbformat
import pytest

from onlm_lab import processes
from onlm_lab.relayed_bars import Bar, in_notebook, read_bar, relay

BARS = """
import sys, time
from tqdm import tqdm
for _ in tqdm(range(3), desc="training", unit="model", mininterval=0): time.sleep(0.01)
print("left out: something", file=sys.stderr)
for _ in tqdm(range(2), desc="  report", unit="section", mininterval=0): pass
for _ in tqdm([], desc="features", unit="part"): pass
sys.exit(3)
"""


def child(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stderr=subprocess.PIPE)


@pytest.mark.parametrize("line, bar", [
    ("training:  50%|█████     | 9/18 [00:06<00:07,  1.19model/s]", Bar("training", 9, 18, "model")),
    ("  CT: 100%|██████████| 215/215 [01:00<00:00,  3.57patient/s]   ", Bar("  CT", 215, 215, "patient")),
    ("training:  61%|██████    | 11/18 [00:08<00:07,  1.03s/model]", Bar("training", 11, 18, "model")),
    ("report:   0%|          | 0/24 [00:00<?, ?section/s]", Bar("report", 0, 24, "section")),
    ("  left out: the baseline image_facts: no image facts.", None), ("", None), ("50% of 18 patients", None),
])  # fmt: skip
def test_a_line_of_tqdm_is_told_from_every_other_line(line, bar):
    assert read_bar(line) == bar


def test_other_lines_are_passed_on_and_an_empty_bar_is_not_drawn(capsys):
    process = child(BARS)
    relay(process)
    assert process.wait() == 3
    said = capsys.readouterr().err
    assert "left out: something\n" in said and "features" not in said
    assert "training: 100%" in said and "  report: 100%" in said


def test_the_last_words_of_a_process_without_a_line_break_are_not_lost(capsys):
    process = child("import sys; sys.stderr.write('first\\nlast words')")
    relay(process)
    assert capsys.readouterr().err == "first\nlast words\n" and process.wait() == 0


def test_a_process_that_leaves_another_behind_is_not_waited_for_beyond_its_end(capsys):
    left = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])"
    process = child(left + "; sys.stderr.write('done\\n')")
    relay(process)
    assert process.wait(timeout=10) == 0 and capsys.readouterr().err == "done\n"


def test_outside_a_notebook_a_process_writes_to_the_terminal_itself(capfd):
    assert not in_notebook()
    assert processes.run_child([sys.executable, "-c", "import sys; sys.stderr.write('plain'); sys.exit(5)"]) == 5
    assert capfd.readouterr().err == "plain"


def test_in_a_notebook_the_bars_are_widgets_and_the_exit_code_comes_back():
    code = f"import sys\nfrom onlm_lab import processes\nprint(processes.run_child([sys.executable, '-c', {BARS!r}]))"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jupyter's own packages, not of ours
        from nbclient import NotebookClient

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    kind = "application/vnd.jupyter.widget-view+json"
    assert sum(kind in o.get("data", {}) for o in outputs) == 2
    streams = [(o["name"], o["text"]) for o in outputs if o.output_type == "stream"]
    assert streams == [("stderr", "left out: something\n"), ("stdout", "3\n")]
