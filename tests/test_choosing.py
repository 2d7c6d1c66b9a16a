"""The series of a patient is chosen by rule; of every series somebody can read why it was taken or left out."""

from __future__ import annotations

import made_ct
import numpy as np
import pandas as pd
import pytest
from made_ct import Scan

from onlm_lab.imaging import Rule, acquisition_dates, choose_series, find_series, search
from onlm_lab.imaging.kernels import kernel_class
from onlm_lab.imaging.kinds import kind_of, said_by_description, said_by_image_type

NAN = float("nan")


def row(uid, **more):
    said = {
        "uid": uid, "patient_digest": "p", "kind": "axial", "faults": (), "thickness_mm": 1.0, "spacing_mm": 1.0,
        "coverage_mm": 300.0, "kernel": "B70f", "n_slices": 300, "study_uid": "day one",
    }  # fmt: skip
    return said | more


def chosen(*rows, **options):
    """The chosen uid (or None), and the reasons by uid."""
    found = choose_series(pd.DataFrame(list(rows)), **options).set_index("uid")
    taken = found.index[found["chosen"]].tolist()
    return (taken[0] if taken else None), found["reason"].to_dict()


def test_the_thin_lung_series_is_taken_and_each_other_one_is_told_why_not():
    taken, why = chosen(
        row("thick", thickness_mm=5.0, spacing_mm=5.0), row("soft", kernel="B30f"), row("lung"),
        row("unnamed", kernel="XY"), row("short", coverage_mm=40.0), row("very thick", thickness_mm=7.0),
        row("scout", kind="localizer"), row("mpr", kind="reformat"), row("bolus", kind="bolus_tracking"),
        row("dose", kind="dose_page"), row("holes", faults=("missing_slices",)),
        row("less", coverage_mm=250.0),
    )  # fmt: skip
    assert taken == "lung"
    assert why == {
        "lung": "chosen: the only day with a usable series; 1 mm thick, kernel B70f (lung), 300 slices",
        "soft": "not chosen: its kernel is soft, another one's lung",
        "unnamed": "not chosen: its kernel is unknown, another one's lung",
        "thick": "not chosen: 5 mm thick, another one 1 mm",
        "less": "not chosen: shows 250 mm of the body, another one 300 mm",
        "short": "left out: shows 40 mm of the body, less than 100 mm",
        "very thick": "left out: 7 mm thick, more than 5 mm",
        "scout": "left out: a localizer (scout, topogram)",
        "mpr": "left out: a reformat (MPR) or a plane other than axial",
        "bolus": "left out: the tracking of a contrast bolus",
        "dose": "left out: a dose page or protocol page",
        "holes": "left out: slices within the series are missing",
    }


def test_thin_goes_before_the_kernel_and_the_kernel_before_a_fraction_of_a_millimetre():
    assert chosen(row("thin soft", kernel="B30f"), row("thick lung", thickness_mm=5.0))[0] == "thin soft"
    assert chosen(row("1.0 soft", kernel="B30f"), row("1.25 lung", thickness_mm=1.25))[0] == "1.25 lung"
    assert chosen(row("1.25", thickness_mm=1.25), row("0.6", thickness_mm=0.6, spacing_mm=0.6))[0] == "0.6"


def test_the_wanted_kernel_is_a_setting_and_so_are_own_names():
    rows = (row("lung"), row("soft", kernel="B30f"))
    assert chosen(*rows, rule=Rule(kernel="soft"))[0] == "soft"
    assert chosen(row("a", kernel="B30f"), row("b", kernel="B70f"), rule=Rule(kernel="any"))[0] == "a"
    own = Rule(lung_kernels=("YC*",))
    assert chosen(row("soft", kernel="B30f"), row("own", kernel="YC(0)"), rule=own)[0] == "own"


def test_the_closest_before_treatment_is_taken_and_never_one_after_it():
    rows = (row("old"), row("near", thickness_mm=3.0, study_uid="day two"), row("after", study_uid="day three"))
    taken, why = chosen(*rows, days_before_treatment={"old": 40.0, "near": 5.0, "after": -60.0})
    assert taken == "near" and why["near"].startswith("chosen: made 5 days before treatment, the closest")
    assert why["after"] == "left out: made 60 days after treatment began"
    assert why["old"] == "not chosen: made 40 days before treatment, another one 5"
    taken, why = chosen(
        row("old"), days_before_treatment={"old": 40.0}, rule=Rule(max_days_before_treatment=30)
    )  # fmt: skip
    assert taken is None and why["old"] == "left out: made 40 days before treatment, more than 30"
    assert chosen(row("day of"), days_before_treatment={"day of": 0.0})[0] == "day of"


def test_series_of_several_days_are_not_chosen_from_when_the_day_of_treatment_is_not_known():
    rows = (row("one"), row("two", study_uid="day two"))
    taken, why = chosen(*rows)
    assert taken is None and "of 2 different days, and the day of treatment is not known" in why["one"]
    assert chosen(*rows, same_day={"one": 737000, "two": 737000})[0] == "one"  # two studies of one day
    assert chosen(*rows, days_before_treatment={"two": 3.0})[0] == "two"


def test_equal_series_are_told_and_taken_by_their_uid_not_by_their_order():
    taken, why = chosen(row("b"), row("a"))
    assert taken == "a" and why["a"].endswith("; 1 more like it, the first by its UID was taken")
    assert why["b"] == "not chosen: like the chosen one, whose UID comes first"


def test_each_patient_has_a_choice_and_files_that_do_not_say_whose_they_are_have_none():
    found = choose_series(pd.DataFrame([row("a"), row("b", patient_digest="q"), row("c", patient_digest="")]))
    assert found["chosen"].tolist() == [True, True, False]
    assert found["reason"].iloc[2] == "not chosen: its files do not say whose it is"
    assert list(found.columns) == ["uid", "patient_digest", "chosen", "reason"]


def test_what_a_study_mends_can_be_chosen():
    faulty = row("tilted", faults=("gantry_tilt",))
    assert chosen(faulty)[0] == "tilted"
    refuse = Rule(treatments={"gantry_tilt": "refuse"})
    assert chosen(faulty, rule=refuse) == (
        None, {"tilted": "left out: the gantry was tilted, so that the slices form a sheared stack"}
    )  # fmt: skip
    holes = row("holes", faults=("missing_slices",))
    assert chosen(holes)[0] is None
    assert chosen(holes, rule=Rule(treatments={"missing_slices": "interpolate"}))[0] == "holes"


def test_a_series_of_unknown_thickness_is_never_chosen():
    taken, why = chosen(row("a", thickness_mm=NAN, spacing_mm=NAN))
    assert taken is None and why["a"] == "left out: neither thickness nor distance of its slices is known"


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        ("B70f", "lung"), ("B60s", "lung"), ("B30f", "soft"), ("Bl57d", "lung"), ("Br40d", "soft"), ("I70f\\3", "lung"),
        ("LUNG", "lung"), ("BONEPLUS", "lung"), ("STANDARD", "soft"), ("STD+", "soft"), ("FC51", "lung"),
        ("FC03", "soft"), ("B_SHARP_C", "lung"), ("B_SOFT_B", "soft"), ("L", "lung"), ("YA", "unknown"),
        ("", "unknown"),
    ],
)  # fmt: skip
def test_a_kernel_is_known_by_its_makers_name(kernel, found):
    assert kernel_class(kernel) == found


def kind(**said):
    facts = {
        "modality": "CT", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "hint": "", "grey": True, "in_hu": True, "normal_along_body": 1.0, "n_slices": 100, "n_places": 100,
    }  # fmt: skip
    return kind_of(**(facts | said))


def test_what_is_no_stack_of_axial_slices_is_known_by_words_or_by_geometry():
    assert kind() == "axial"
    assert kind(modality="PT") == "not_ct"
    assert kind(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), n_slices=2, n_places=2) == "localizer"
    assert kind(image_type=("DERIVED", "SECONDARY", "SCREEN SAVE"), normal_along_body=None) == "picture"
    assert kind(image_type=("DERIVED", "SECONDARY", "SCREEN SAVE"), hint="dose_page") == "dose_page"
    assert kind(grey=False) == "picture"
    assert kind(sop_class_uid="1.2.840.10008.5.1.4.1.1.7") == "picture"
    assert kind(image_type=("DERIVED", "SECONDARY", "MPR")) == "reformat"
    assert kind(normal_along_body=0.05) == "reformat" and kind(normal_along_body=0.9) == "axial"
    assert kind(image_type=("DERIVED", "PRIMARY", "AXIAL", "MAX_IP")) == "projection"
    assert kind(hint="bolus_tracking", n_slices=12, n_places=1) == "bolus_tracking"
    assert kind(n_slices=12, n_places=1) == "bolus_tracking"
    assert kind(hint="bolus_tracking") == "axial"  # "chest after bolus" names a scan of the chest
    assert kind(n_slices=400, n_places=40) == "repeated"
    assert kind(in_hu=False) == "not_hounsfield"
    assert kind(normal_along_body=None) == "not_placed"


def test_words_of_descriptions_and_image_types_are_read_whatever_their_case():
    assert said_by_description("Topogram 0.6 T20s") == "localizer"
    assert said_by_description("DOSE REPORT") == "dose_page"
    assert said_by_description("PreMonitoring 10.0") == "bolus_tracking"
    assert said_by_description("Thorax 1.0 B70f") == ""
    assert said_by_image_type(("original", "primary", "localizer")) == "localizer"


def test_the_kinds_of_series_on_a_real_disc_like_folder(tmp_path):
    chest = made_ct.slices(Scan(shape=(8, 6, 6), series="chest"))
    scout = made_ct.slices(Scan(shape=(1, 6, 6), series="scout"))
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    coronal = made_ct.slices(Scan(shape=(8, 6, 6), series="cor", column=(0.0, 0.0, -1.0)))
    track = made_ct.slices(Scan(shape=(1, 6, 6), series="track"))
    track = [*track, *(made_ct.slices(Scan(shape=(1, 6, 6), series="track", field=lambda x, y, z, k=k: 0 * x + k))[0]
                       for k in range(1, 5))]  # fmt: skip
    for name, made in (("a", chest), ("b", scout), ("c", coronal), ("d", track)):
        made_ct.write(tmp_path / name, made)
    kinds = find_series(tmp_path).set_index("path")["kind"].to_dict()
    assert kinds == {"a": "axial", "b": "localizer", "c": "reformat", "d": "bolus_tracking"}


def test_days_are_read_from_the_files_and_stand_in_no_table(tmp_path):
    for name, day in (("one", "20200301"), ("two", "20200410"), ("three", "no date")):
        made = made_ct.slices(Scan(shape=(3, 4, 4), series=name))
        for data in made:
            data.add_new(0x00080022, "LO" if day == "no date" else "DA", day)
        made_ct.write(tmp_path / name, made)
    found = search(tmp_path)
    uids = {members[0].file.split("/")[0]: uid for uid, members in found.series.items()}
    dates = acquisition_dates(found, list(found.series))
    assert (dates[uids["two"]] - dates[uids["one"]]).days == 40 and uids["three"] not in dates
    assert "2020" not in find_series(tmp_path).drop(columns=["uid", "study_uid"]).to_csv()
    assert np.isfinite(find_series(tmp_path)["spacing_mm"]).all()


def test_what_shows_much_less_of_the_body_than_another_of_that_day_is_not_taken():
    whole = row("whole", thickness_mm=1.25, spacing_mm=1.25, coverage_mm=299.0)
    taken, why = chosen(whole, row("coronary", thickness_mm=0.6, spacing_mm=0.6, coverage_mm=119.0))
    assert taken == "whole" and why["coronary"] == "not chosen: shows 119 mm of the body, another one 299 mm"
    wide = {"rows": 512, "columns": 512}
    chest = row("chest", thickness_mm=1.0, spacing_mm=1.0, pixel_spacing_mm=0.7, **wide)
    taken, why = chosen(chest, row("spine", thickness_mm=0.75, spacing_mm=0.75, pixel_spacing_mm=0.27, **wide))
    assert taken == "chest" and why["spine"] == "not chosen: shows 138 mm across the body, another one 280 mm"


def test_what_was_measured_goes_before_what_was_computed_from_it():
    source = row("source", thickness_mm=1.25, spacing_mm=1.25, image_type="ORIGINAL\\PRIMARY\\AXIAL")
    taken, why = chosen(source, row("thinner", image_type="DERIVED\\SECONDARY\\AXIAL"))
    assert taken == "source" and "computed from another series" in why["thinner"]


def test_the_last_digits_of_a_spacing_decide_nothing():
    assert chosen(row("five", thickness_mm=5.0, spacing_mm=5.000000000000004))[0] == "five"
    lung = row("lung", thickness_mm=1.5, spacing_mm=1.5000000000000004, kernel="B70f")
    assert chosen(lung, row("soft", thickness_mm=1.5, spacing_mm=1.5, kernel="B30f"))[0] == "lung"


def test_a_hole_that_is_too_wide_to_be_mended_is_not_chosen():
    holed = row("holed", faults=("missing_slices",), refused=("missing_slices",))
    rule = Rule(treatments={"missing_slices": "interpolate"})
    thick = row("thick", thickness_mm=3.0, spacing_mm=3.0)
    assert chosen(holed, thick, rule=rule)[0] == "thick"
    assert chosen(row("narrow", faults=("missing_slices",)), thick, rule=rule)[0] == "narrow"


@pytest.mark.parametrize(
    ("description", "image_type", "kind"),
    [
        ("Chest 1.0 for MPR", ("ORIGINAL", "PRIMARY", "AXIAL"), "axial"),
        ("Thorax_MIP_10mm", ("DERIVED", "SECONDARY", "AXIAL"), "projection"),
        ("Thorax_MPR_ax", ("DERIVED", "SECONDARY", "AXIAL"), "reformat"),
        ("Lung MIPs", ("DERIVED", "SECONDARY"), "projection"),
        ("最大密度投影", ("DERIVED", "SECONDARY"), "projection"),
        ("4D Ave-IP", ("DERIVED", "SECONDARY"), "projection"),
    ],
)
def test_words_tell_a_projection_unless_it_says_that_it_was_measured(description, image_type, kind):
    found = kind_of(
        modality="CT", sop_class_uid="1.2.840.10008.5.1.4.1.1.2", image_type=image_type,
        hint=said_by_description(description), grey=True, in_hu=True, normal_along_body=1.0, n_slices=100, n_places=100,
    )  # fmt: skip
    assert found == kind


def test_a_date_is_found_in_any_file_and_in_the_old_form_and_a_placeholder_is_none(tmp_path):
    made = made_ct.slices(Scan())
    for data in made[1:]:
        data.AcquisitionDate, data.SeriesDate = "19000101", "20200312"
        data.add_new(0x00080020, "LO", "2020.03.09")  # StudyDate as ACR-NEMA wrote it
    found = search(made_ct.write(tmp_path / "ct", made))
    (day,) = acquisition_dates(found, list(found.series)).values()
    assert day.isoformat() == "2020-03-09"


def test_an_undated_series_has_the_day_of_its_study(tmp_path):
    for name, date, study in (("a", "20200601", "1.2.3"), ("b", "", "1.2.3"), ("c", "", "1.2.4")):
        made = made_ct.slices(Scan(series=name))
        for data in made:
            data.StudyInstanceUID, data.StudyDate = study, date
        made_ct.write(tmp_path / "ct" / name, made)
    found = search(tmp_path / "ct")
    days = acquisition_dates(found, list(found.series))
    assert sorted(found.series[uid][0].study_uid for uid in days) == ["1.2.3", "1.2.3"]


def test_another_part_of_the_body_is_taken_only_where_nothing_else_is():
    head = row("head", body_part="HEAD")
    taken, why = chosen(head, row("chest", thickness_mm=3.0, body_part="CHEST"))
    assert taken == "chest" and why["head"] == "not chosen: of another part of the body (HEAD) than another one"
    assert chosen(head)[0] == "head"  # what the protocol was called
    assert chosen(row("both", body_part="CHEST_ABDOMEN"), row("thick", thickness_mm=3.0, body_part=""))[0] == "both"


@pytest.mark.parametrize("text", ["AC CT WB 5.0 B19f", "CTAC", "CT Attenuation Corr", "kV CBCT", "Cone beam"])
def test_a_ct_for_attenuation_or_positioning_is_left_out(tmp_path, text):
    made = made_ct.slices(Scan())
    for data in made:
        data.SeriesDescription = text
    assert find_series(made_ct.write(tmp_path / "ct", made))["kind"].tolist() == ["support"]


def test_a_stray_localizer_under_the_uid_of_the_slices_is_named_as_one(tmp_path):
    made = made_ct.slices(Scan())
    made[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    table = find_series(made_ct.write(tmp_path / "ct", made))
    assert table["kind"].tolist() == ["axial"] and "localizer" in table["faults"][0]


def test_contrast_is_told_with_the_choice():
    assert "kernel B70f (lung), with contrast, 300 slices" in chosen(row("a", contrast=True))[1]["a"]
    assert "kernel B70f (lung), without contrast, 300 slices" in chosen(row("a", contrast=False))[1]["a"]


def test_faults_go_before_a_few_millimetres_more():
    lossy = row("lossy", coverage_mm=119.0, faults=("lossy_compression",))
    taken, why = chosen(lossy, row("plain", coverage_mm=118.0))
    assert taken == "plain" and why["lossy"] == "not chosen: it has more faults than another one"
