"""What the CT viewer says. {names} are filled in the browser."""

from __future__ import annotations

EMPTY = "No CT is shown."
GONE = "The CT of this patient is no longer on disk. Open the patient again: it is written anew."
DAMAGED = "The written CT of this patient is damaged ({what}). Open the patient again: it is written anew."
KINDS = {"grad_cam": "Grad-CAM", "occlusion": "Occlusion"}

TEXTS = {
    "axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal", "three_planes": "Three planes",
    "lung": "Lung", "mediastinum": "Mediastinum", "soft": "Tumour, soft tissue", "bone": "Bone",
    "own_window": "own choice", "centre": "Centre", "width": "Width", "centre_label": "Window centre in HU",
    "width_label": "Window width in HU", "planes": "Planes", "window": "Window", "tools": "Tools",
    "to_tumour": "To the tumour", "measure": "Measure", "clear_measures": "Remove distances", "crosshair": "Crosshair",
    "outline": "Tumour outline", "smaller": "\u2212", "larger": "+", "smaller_title": "Smaller",
    "larger_title": "Larger", "whole": "Whole picture", "maps": "Saliency", "off": "Off", "alpha": "Opacity of the map",
    "to_map": "To the map", "help": "Mouse and keys", "empty": EMPTY, "loading": "loading",
    "too_large": "This CT is too large for the browser.",
    "axial_slider": "Axial slice", "coronal_slider": "Coronal slice", "sagittal_slider": "Sagittal slice",
    "head": "{plane}: slice {slice} of {all}, {axis} = {mm} mm", "slice_value": "Slice {slice} of {all}",
    "canvas": "{plane} CT, slice {slice} of {all}. Arrow up and down change the slice; question mark lists the keys.",
    "said": "{plane}, slice {slice} of {all}, {mm} mm. Window {preset}: centre {centre}, width {width} HU.",
    "hu_pointer": "{hu} HU under the pointer", "hu_cross": "{hu} HU at the crosshair",
    "measuring": "Measuring: click two points.", "measured_off": "Measuring is off.",
    "first_point": "First point of the distance.", "distance": "Distance {mm} mm.",
    "arriving": "{n} of {all} slices are here; the others are on their way.",
    "oblique": "The scan lies {degrees} degrees off the patient's axes and is shown as it was scanned: directions and "
    "positions in mm are nearly right, distances are.",
    "lowers": "{least}: lowers the risk", "raises": "{limit}: raises the risk",
    "legend": "What each place adds to the logit of the model's risk; clear where it adds little.",
    "scale_run": "One scale for all patients of the run.", "scale_patient": "The scale is this patient's own.",
    "shared_map": "One map for three planes: the model sees them as the colours of one picture.",
    "map_elsewhere": "{plane}: the map lies in slice {slices}.", "no_map_here": "{plane}: the model has no such view.",
    "keys": [
        ["wheel, \u2191 \u2193", "next and previous slice (up: to the head, the back, the left)"],
        ["Page Up, Page Down", "ten slices"],
        ["Home, End", "first and last slice"],
        ["1 2 3", "axial, coronal, sagittal plane"],
        ["click, Shift + arrows", "moves the crosshair, and the other planes with it"],
        ["right button or Shift + drag", "window: sideways its width, up and down its centre"],
        ["L M S B", "window for lung, mediastinum, soft tissue, bone"],
        ["Ctrl + wheel, + \u2212 0", "larger, smaller, whole picture; drag moves it"],
        ["R", "begins a distance at the crosshair, and ends it there"],
        ["Esc", "removes the distances"],
        ["T", "to the tumour"],
        ["O H C", "outline, saliency map, crosshair on or off"],
    ],
}  # fmt: skip
