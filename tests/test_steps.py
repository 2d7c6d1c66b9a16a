"""A step is done when its inputs are the same and its outputs are there; never otherwise."""

from __future__ import annotations

import os

import pytest

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.steps import Step, digest, file_digest, folder_digest, locked, write_text


def test_a_finished_step_is_done_until_its_inputs_change_or_an_output_is_lost(tmp_path):
    out = tmp_path / "out.csv"
    write_text(out, "a\n1\n")
    step = Step(name="screen", folder=tmp_path, inputs="one")
    assert not step.done()
    step.finish(outputs=[out], seconds=0.0)
    assert step.done()
    assert not Step(name="screen", folder=tmp_path, inputs="two").done()
    out.unlink()
    assert not step.done()


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "folder", "text")
    assert not list(tmp_path.glob(".*"))


def test_a_digest_follows_the_content_of_a_file_and_not_its_name(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("x")
    assert digest(one) == digest(two)
    two.write_text("y")
    assert digest(one) != digest(two)
    assert file_digest(tmp_path / "nowhere") == "absent"


def test_a_folder_digest_sees_a_new_a_changed_and_a_lost_file(tmp_path):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "slice"
    seen = [folder_digest(tmp_path)]
    for change in (lambda: file.write_text("1"), lambda: file.write_text("22"), lambda: os.utime(file, ns=(1, 1))):
        change()
        seen.append(folder_digest(tmp_path))
    assert len(set(seen)) == 4
    file.unlink()
    assert folder_digest(tmp_path) == seen[0]


def test_a_second_process_on_the_same_study_is_told_to_wait(tmp_path):
    with locked(tmp_path), pytest.raises(OnlmError, match="Another onlm command is at work"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_damaged_note_means_that_the_step_is_done_again(tmp_path):
    step = Step(name="screen", folder=tmp_path, inputs="one")
    step.finish(outputs=[], seconds=0.0)
    assert step.done()
    step.note.write_text("{", encoding="utf-8")
    assert not step.done()


def test_a_link_to_nowhere_is_no_obstacle_to_a_folders_digest(tmp_path):
    before = folder_digest(tmp_path)
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path)
    assert folder_digest(tmp_path) != before


def test_another_fault_of_the_disk_is_named_and_a_fault_of_ours_is_not_hidden(tmp_path):
    with (
        pytest.raises(OnlmError, match=r"'a' could not be written: Permission denied"),
        steps.whole_or_not(tmp_path / "a"),
    ):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(ZeroDivisionError), steps.whole_or_not(tmp_path / "a") as half:
        half.write_text("begun")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_folder_of_parts_is_kept_for_the_same_inputs_and_emptied_for_others(tmp_path):
    folder = steps.folder_for(tmp_path / "parts", inputs="a")
    (folder / "part").write_text("done")
    assert (steps.folder_for(folder, inputs="a") / "part").is_file()
    assert not (steps.folder_for(folder, inputs="b") / "part").exists()
