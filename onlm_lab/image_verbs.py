"""What the verbs of `onlm` that are about CT do, and what they say."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Say = Callable[[str], None]
_IN_LIST = ["keyword", "tag", "n_files", "name", "kind"]  # the rest goes to --out
_OF_SERIES = ["path", "modality", "kind", "n_slices", "spacing_mm", "thickness_mm", "kernel", "faults", "chosen"]


def series(words: argparse.Namespace, say: Say) -> None:
    """`onlm series DIR`: every series of a folder, and which one the rule would choose."""
    from onlm_lab import imaging, schema, sources
    from onlm_lab.study import Imaging, Study, load_study

    study = load_study(words.study) if words.study else Study(words.folder, imaging=Imaging())
    headers = imaging.search(words.folder, workers=words.workers, progress=True)
    found = imaging.series_table(headers, treatments=study.imaging.faults)
    dates = imaging.acquisition_dates(headers, found["uid"].tolist())
    same_day = {uid: day.toordinal() for uid, day in dates.items()}
    chosen = imaging.choose_series(found, rule=sources.rule_of(study), same_day=same_day)
    table = found.drop(columns="patient_digest").assign(
        chosen=chosen["chosen"].astype(int), reason=chosen["reason"], contrast=found["contrast"].astype(int),
        lossy=found["lossy"].astype(int), faults=found["faults"].map("; ".join), stacks=found["stacks"].map("; ".join),
        refused=found["refused"].map("; ".join),
    )  # fmt: skip
    n = found.attrs
    said = f"{_counted(len(found), 'series', '')} in {_counted(n['n_files'], 'file')}"
    others = [f"{n[key]:,} {what}" for key, what in
              (("n_not_dicom", "not DICOM"), ("n_unreadable", "broken"), ("n_without_series", "without a series"))
              if n[key]]  # fmt: skip
    say(f"{said}{f' ({chr(44).join(others)})' if others else ''}.")
    if len(table):
        say(table[_OF_SERIES].to_string(index=False))
    for row in table.itertuples():
        if row.modality == "CT" and (words.why or row.chosen):
            say(f"{row.path}: {row.reason}")
    if words.out:
        schema.write_table(table, words.out)
        say(f"Table: {words.out}")


def volume(words: argparse.Namespace, say: Say) -> None:
    """`onlm volume PATIENT`: one whole CT on disk."""
    from pathlib import Path

    from onlm_lab.errors import OnlmError
    from onlm_lab.study import load_study
    from onlm_lab.volumes import write_volume

    if len(words.names) > 2:
        raise OnlmError("Wanted a patient, or a study and a patient: onlm volume [STUDY] PATIENT.")
    *folder, patient = words.names
    written = write_volume(load_study(Path(folder[0]) if folder else Path()), patient)
    size = " x ".join(str(n) for n in written.facts["shape"])
    spacing = " x ".join(f"{value:.2f}" for value in written.facts["spacing_mm"])
    say(f"{written.path}")
    say(f"int16 HU (z,y,x), {size} voxels of {spacing} mm{'' if written.is_new else '; it was there already'}")
    box, centre = written.facts["mask_box"], written.facts["centre_voxel"]
    if centre is not None:
        say(f"the tumour's centre is at voxel z, y, x = {', '.join(f'{at:.1f}' for at in centre)}")
    if box is not None:
        say(f"{written.path.with_suffix('.mask').name}: its mask, in the box {' x '.join(f'{a}-{b}' for a, b in box)}")
    for why in filter(None, (written.facts["why_no_centre"], written.facts["why_no_mask"])):
        say(why)
    if written.facts["warnings"]:
        say(f"read with: {', '.join(written.facts['warnings'])}")


def privacy(words: argparse.Namespace, say: Say) -> None:
    """`onlm privacy DIR`: what in a folder tells who the patients are."""
    from onlm_lab import imaging, schema

    found = imaging.identifying_elements(words.folder, workers=words.workers, progress=True)
    n = found.attrs
    present = found[found["n_files"] > 0]
    if present.empty:
        say(f"Nothing of the basic profile is filled in {_counted(n['n_files'], 'file')}.")
    else:
        say(f"Filled, or at risk, in {_counted(n['n_files'], 'file')}; values are not shown:")
        say(present[_IN_LIST].to_string(index=False))
    if n["n_own_copies"]:
        n_replaced = int((found["n_replaced"] > 0).sum())
        say(
            f"Made by `onlm deidentify`: {_counted(n['n_own_copies'], 'file')}; {n_replaced} elements hold what it put "
            "there (moved dates, new UIDs, study ids) and are not listed."
        )
    others = n["n_identity_removed"] - n["n_own_copies"]
    if others:
        say(f"Of these say that the identity was removed: {others:,}. What is listed is there all the same.")
    for what, said in (
        ("n_not_dicom", "Not DICOM, not looked at"), ("n_broken", "Broken, not looked into"),
        ("n_closed_folders", "Folders that may not be entered"), ("n_directories", "DICOMDIR, a list of patients"),
    ):  # fmt: skip
        if n[what]:
            say(f"{said}: {n[what]:,}.")
    say("Not looked for: letters in the pixels themselves, faces in CT of the head.")
    if words.out:
        schema.write_table(found, words.out)
        say(f"List: {words.out}")


def deidentify(words: argparse.Namespace, say: Say) -> int:
    """`onlm deidentify DIR OUT`: a copy without it; 2 where nothing was copied or something is left."""
    from onlm_lab import imaging, schema

    if words.left_out:
        imaging.refuse_inside(words.left_out, outside=(words.copy,), what="The list of files", option="--left-out")
    made = imaging.deidentify(
        words.folder, words.copy, secret=words.secret, ids=words.ids, link=words.link,
        annotations=words.annotations, keep_burned_in=words.keep_burned_in, workers=words.workers, progress=True,
    )  # fmt: skip
    if made.new_secret:
        say(f"A new secret is in {words.secret}. Keep it in the hospital, for the next delivery.")
    there = f", {made.n_copied - made.n_written:,} of them before" if made.n_written < made.n_copied else ""
    what = f"{_counted(made.n_patients, 'patient')}, {made.n_series:,} series"
    say(f"{made.n_copied:,} of {_counted(made.n_files, 'file')} copied{there}: {what}.")
    for why, n in made.left_out["why"].value_counts().items():
        say(f"Left out, {n:,}: {why}.")
    if made.n_patients_left_out:
        say(f"Left out altogether: {_counted(made.n_patients_left_out, 'patient')}.")
    if made.n_closed_folders:
        say(f"Not seen: {_counted(made.n_closed_folders, 'folder')} that may not be entered.")
    for row in made.done.itertuples():
        say(f"Done, {row.n:,}: {row.sentence}.")
    for note in made.notes:
        say(note)
    if len(made.region_names):
        shown = ", ".join(made.region_names["name"].head(40)) + (" ..." if len(made.region_names) > 40 else "")
        say(f"Look at the names of regions in the copy: {shown}")
    if words.left_out:
        schema.write_table(made.left_out, words.left_out)
    if not made.n_copied:
        say("Nothing was copied.")
        return 2
    for row in made.may_show_letters.itertuples():
        say(f"Look at {_counted(row.n_files, 'picture')} in the copy: {row.name}.")
    if not made.sound:
        said = made.findings[_IN_LIST].to_string(index=False)
        say(f"STILL THERE in the copy, do not give it away:\n{said}")
        return 2
    say(f"Checked: nothing of the basic profile is left in '{words.copy}' but moved dates, new UIDs and study ids.")
    return 0


def _counted(n: int, what: str, plural: str = "s") -> str:
    return f"{n:,} {what}{'' if n == 1 else plural}"
