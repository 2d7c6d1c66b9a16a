# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A CT's way from the hospital to the cube that a model sees
#
# Everything below is **MADE-UP DATA**: CT of painted chests, in real DICOM files as five kinds of scanner would write
# them. There is no patient behind them. Research use only.
#
# What arrives is a folder of files without an order. What is wanted is the right series of each patient, in Hounsfield
# units (HU) and millimetres, without anything that names the patient, and a cube around the tumour.

# %% [markdown]
# ## A small trial with CT
# Fourteen patients of five hospitals, seconds to make.

# %%
from pathlib import Path

from onlm_lab import virtual

folder = virtual.write_trial(Path("made_up_ct"), n_patients=14, n_centres=5, seed=34)
sorted(path.name for path in folder.iterdir())

# %% [markdown]
# ## What does a hospital's disc look like?
# With your own disc you skip this part. All files of three patients in one folder, under numbers, without endings,
# beside a text of the viewer. The headers bear a name and a birth date.

# %%
import pydicom

disc = Path("disc")
disc.mkdir(exist_ok=True)
three = ["MT-0002", "MT-0005", "MT-0006"]
for number, path in enumerate(path for who in three for path in sorted((folder / "ct" / who).rglob("*.dcm"))):
    header = pydicom.dcmread(path)
    header.PatientName, header.PatientBirthDate = "NOBODY^MADE UP", "19500101"
    header.save_as(disc / f"IM{number:04}")
(disc / "README.TXT").write_text("Viewer: start VIEWER.EXE", encoding="ascii")
(disc / "IM0070").unlink()  # one slice was lost on the way

# %% [markdown]
# And of one patient a second, thick series, as most scanners send it:

# %%
thin = [pydicom.dcmread(path) for path in (folder / "ct" / "MT-0006" / "chest").glob("*.dcm")]
for number, header in enumerate(sorted(thin, key=lambda one: one.ImagePositionPatient[2])[::3]):
    header.SeriesInstanceUID, header.SOPInstanceUID = f"{header.SeriesInstanceUID}.9", f"{header.SOPInstanceUID}.9"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.PatientName, header.SliceThickness, header.SeriesDescription = "NOBODY^MADE UP", 9, "CHEST 9"
    header.save_as(disc / f"IM9{number:03}")

# %% [markdown]
# ## Which series are there?
# Every file is opened, whatever it is called. Slices are put in order, and their distance measured, by their positions
# in the patient: compare `spacing_mm` with the `thickness_mm` of the header.

# %%
import pandas as pd

from onlm_lab import imaging

pd.options.display.max_colwidth = 100
found = imaging.find_series(disc)
print(f"{found.attrs['n_files']} files, {found.attrs['n_not_dicom']} of them no DICOM; {len(found)} series:")
found[["manufacturer", "kind", "n_slices", "spacing_mm", "thickness_mm", "kernel", "faults"]]

# %% [markdown]
# ## Which one is taken, and why?
# A sentence a series. A rule decides, the same in every hospital, and it never asks how well a model likes the result.

# %%
chosen = imaging.choose_series(found)
for series in chosen.join(found["manufacturer"]).itertuples():
    print(f"{series.manufacturer}: {series.reason}")

# %% [markdown]
# ## What is done about a fault?
# What is not sound is refused, and the message says where it is wrong. Ask for the whole series first.

# %%
from onlm_lab.errors import SeriesError

lost = found.loc[found["faults"].map(lambda codes: "missing_slices" in codes), "uid"].item()
try:
    imaging.read_series(disc, lost)
except SeriesError as refused:
    print(refused)

# %% [markdown]
# If it cannot be had, a study may say in `[imaging.faults]` that a small hole is filled from its neighbours. It is then
# counted, and stays with the scan as a warning.

# %%
mended = imaging.read_series(disc, lost, treatments={"missing_slices": "interpolate"})
print(f"{mended.acquisition['n_filled']} slice filled; warnings: {', '.join(mended.acquisition['warnings'])}")

# %% [markdown]
# ## What in these files tells who the patients are?
# Nothing of this may leave the hospital. The list shows names of elements, never values.

# %%
told = imaging.identifying_elements(disc)
told.loc[told["n_files"] > 0, ["name", "n_files", "kind"]]

# %% [markdown]
# ## A copy that may leave
# Study ids for names, moved dates, new UIDs that still belong together; the pixels stay as they are. `hospital.key`
# stays in the hospital: with it the next delivery gets the same ids.

# %%
copy = imaging.deidentify(disc, "copy", secret="hospital.key")
print(f"{copy.n_copied} of {copy.n_files} files copied, {copy.n_patients} patients, {copy.n_series} series.")
print(f"Is nothing of the profile left? {copy.sound}")
print(f"For a person to look at: {', '.join(copy.may_show_letters['name'])}.")
one = pydicom.dcmread(next(path for path in copy.folder.rglob("*.dcm")))
print(f"Name now: {one.PatientName}; birth date: {one.get('PatientBirthDate') or 'gone'}; {one.DeidentificationMethod}")

# %% [markdown]
# What it does not do: it reads no letters in the pictures themselves, and a CT of the head still shows a face.

# %% [markdown]
# ## A CT as numbers: HU, millimetres, the patient's axes
# We go on with the trial's own folder. The scanner of this patient wrote feet first, in another order than the names of
# its files.

# %%
who = "MT-0002"
volume = imaging.read_series(folder / "ct" / who)
names = sorted((folder / "ct" / who).rglob("*.dcm"))
heights = [float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]) for path in names]
as_read = volume.to_patient_mm([[k, 0, 0] for k in range(volume.shape[0])])[:, 2]
print(f"Heights by file name: {heights[:3]} ...; as read, from the feet up: {as_read[:3].tolist()} ...")
print(f"{volume.shape} voxels (z, y, x) of {volume.spacing_mm} mm, {volume.hu.min()} to {volume.hu.max()} HU")

# %% [markdown]
# ## Where is the tumour?
# A point in the patient's millimetres or a contour drawn by a radiologist (RTSTRUCT, SEG, NIfTI, NRRD) says it. Both
# speak of the patient and not of slice numbers, so they can be held against each other.

# %%
from onlm_lab.runs import read_csv

annotation = read_csv(folder / "annotations.csv").set_index("patient_id").loc[who]
point = tuple(float(annotation[f"tumour_{axis}_mm"]) for axis in "xyz")
mask = imaging.read_mask(folder / annotation["mask_path"], volume)
centre = imaging.centre_of_mass_mm(mask, volume)
print(f"Point {point}; centre of the contour ({', '.join(f'{at:.1f}' for at in centre)}); {mask.sum()} voxels")

# %% [markdown]
# The same reader shows the whole chest, with the tumour in the middle of each plane:

# %%
from onlm_lab import figures, patches
from onlm_lab.figures.theme import MADE_UP

whole = patches.PatchSpec(size_mm=280, spacing_mm=2)
figures.plot_patch(imaging.cut_patch(volume, centre, whole), spacing_mm=2, mark=MADE_UP)

# %% [markdown]
# ## Is the CT good enough?
# Proxies with limits that are settings of a study, no clinical thresholds. Nobody is left out by the score; the reasons
# are shown to a person.

# %%
quality = imaging.assess_quality(volume, centre_mm=centre, size_mm=64.0, tumour_mask=mask)
print(f"{quality.score:.0%} of the checks passed. Noise {quality.noise_hu:.0f} HU. {' '.join(quality.reasons)}")

# %% [markdown]
# ## What does the CT say of the tumour?
# Which HU divides solid from ground glass is disputed, so the ratio of solid to whole diameter (CTR) is measured at
# several cuts.

# %%
facts = imaging.measure_tumour(mask, volume)
place = imaging.locate_tumour(volume, lungs=imaging.find_lungs(volume, tumour=mask), mask=mask)
table = facts.as_dict() | place.as_dict()
shown = ["longest_axial_mm", "solid_axial_mm", "ctr", "ctr_low", "ctr_high", "mean_hu", "volume_ml", "side"]
pd.Series(table)[[*shown, "distance_to_pleura_mm"]].to_frame("measured")

# %% [markdown]
# ## The cube that a model sees
# 64 mm around the annotated point (the contour's centre where none is given), voxels of 1 mm, on the patient's own axes
# whatever the scanner did.

# %%
spec = patches.PatchSpec(size_mm=64, spacing_mm=1)
patch = imaging.cut_patch(volume, point, spec)
figures.plot_patch(patch, spacing_mm=spec.spacing_mm, mark=MADE_UP)

# %% [markdown]
# Look at the two planes from the side: slices of 4 mm hold no more than this, and 1 mm voxels add nothing to it.

# %% [markdown]
# ## The same for the whole study
# `onlm prepare` (or this call) does all of the above for each eligible patient.

# %%
from onlm_lab import pipeline

for step in ("check", "screen", "prepare"):
    pipeline.perform(folder, name=step, say=print)

# %% [markdown]
# Where CT and spreadsheet disagree on a tumour, both are shown to a person, and neither is overruled:

# %%
read_csv(folder / "work" / "image_disagreements.csv").drop(columns="matters")

# %% [markdown]
# Our patient: the solid part is 10 mm in truth, yet the CT cannot tell it from the rest. Slices of 4 mm mix solid part,
# ground glass and lung, and none of the usual cuts in HU takes them apart.

# %% [markdown]
# ## Are the diameters right?
# Only here is the truth known: what the generator painted beside what was measured.

# %%
prepared = read_csv(folder / "work" / "prepared.csv").set_index("patient_id")
truth = read_csv(folder / "truth.csv").set_index("patient_id")
sizes = prepared.join(truth).dropna(subset=["ct_longest_axial_mm"])
over = sizes["ct_longest_axial_mm"] - sizes["true_total_diameter_mm"]
low, middle, high = over.quantile([0, 0.5, 1])
print(f"{len(sizes)} contours: measured minus painted {low:+.1f} to {high:+.1f} mm, median {middle:+.1f}.")
print(f"{prepared['ct_longest_axial_mm'].isna().sum()} patients have a point only: where, but not how large.")

# %%
import plotly.express as px

from onlm_lab.figures.theme import dress

said = {"true_total_diameter_mm": "painted (mm)", "ct_longest_axial_mm": "measured on the CT (mm)", "model": "scanner"}
shown = sizes.rename(columns=said)
points = px.scatter(shown, x="painted (mm)", y="measured on the CT (mm)", color="scanner", symbol="scanner")
points.add_shape(type="line", x0=8, y0=8, x1=36, y1=36, line_dash="dot")
dress(points, title="Is the longest diameter measured right?", subtitle="dotted: as painted", mark=MADE_UP)
points

# %% [markdown]
# A little too long, on every scanner, by about the width of a pixel. That is not nothing at a limit such as 20 or 30
# mm.

# %% [markdown]
# ## Look through them before you train
# `work/contact_sheet.html` has a strip like this for each patient, the doubtful first. The strip of our patient, with
# the tumour outlined, the scan from the front and the side, and slices from head to feet (MADE-UP DATA):

# %%
from IPython.display import Image

from onlm_lab.preparation import cache_folder
from onlm_lab.study import load_study

cache = patches.open_cache(cache_folder(load_study(folder)))
Image(cache.sheet(who))

# %% [markdown]
# ## The cache: cut once, kept by what it was made from
# A file a patient. Its key stands for the series, the contour, the settings and the reader: change a contour, and this
# patient alone is cut again. Training reads nothing but this folder.

# %%
cubes = cache.array()
print(f"{len(cache.patient_ids)} patients, {cubes.shape[1:]} voxels each, {cubes.nbytes / 1e6:.0f} MB, {cubes.dtype}")
print(f"The cube cut above is the patient's in the cache: {(abs(cache.load(who) - patch) <= 0.5).all()}")

# %%
import time

began = time.monotonic()
pipeline.perform(folder, name="prepare", say=print)
print(f"The second time: {time.monotonic() - began:.1f} s, nothing is cut anew.")

# %% [markdown]
# What to say: for so many patients there was a usable CT, these were the scanners and slices, and this is why the
# others were left out. What not to say: that a diameter, a CTR or a density means the same on every scanner.
