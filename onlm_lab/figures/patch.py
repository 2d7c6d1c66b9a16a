"""The three planes through a tumour, as the model sees them: grey values in HU, axes in millimetres."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures.theme import dress

PLANES = ("axial", "coronal", "sagittal")
AXES = (
    ("right to left (mm)", "front to back (mm)"),
    ("right to left (mm)", "feet to head (mm)"),
    ("front to back (mm)", "feet to head (mm)"),
)
LUNG_WINDOW_HU = (-1350.0, 150.0)  # level -600, width 1500


def plot_patch(
    patch: np.ndarray, *, spacing_mm: float, window_hu: tuple[float, float] = LUNG_WINDOW_HU, mark: str = ""
) -> go.Figure:
    """Where is the tumour, and what does it look like in three planes?

    Args:
        patch: (z, y, x) in HU, on the patient's axes: z towards the head, y towards the back, x to the left.
        spacing_mm: edge of a voxel.
        window_hu: lowest and highest grey value.
        mark: watermark, such as MADE-UP DATA.
    """
    centre = [n // 2 for n in patch.shape]
    planes = (patch[centre[0]], patch[:, centre[1]], patch[:, :, centre[2]])
    figure = make_subplots(rows=1, cols=3, subplot_titles=[p.capitalize() for p in PLANES], horizontal_spacing=0.09)
    width, depth = patch.shape[2] * spacing_mm, patch.shape[0] * spacing_mm
    subtitle = f"{width:.0f} mm across, {depth:.0f} mm high, voxels of {spacing_mm:g} mm"
    dress(figure, title="What does the tumour look like?", subtitle=subtitle, mark=mark, height=400)
    figure.update_layout(margin={"t": 100})
    for k, (plane, (across, along)) in enumerate(zip(planes, AXES, strict=True), start=1):
        rows, columns = ((np.arange(n) - (n - 1) / 2) * spacing_mm for n in plane.shape)
        image = go.Heatmap(
            z=np.rint(plane), x=columns, y=rows, zmin=window_hu[0], zmax=window_hu[1], colorscale="gray",
            showscale=k == 3, colorbar={"title": "HU"}, hovertemplate="%{x:.0f}, %{y:.0f} mm: %{z} HU<extra></extra>",
        )  # fmt: skip
        figure.add_trace(image, row=1, col=k)
        figure.update_xaxes(title_text=across, row=1, col=k, constrain="domain")
        # The back of the patient is below in an axial plane, as on every workstation.
        flipped = "reversed" if PLANES[k - 1] == "axial" else True
        figure.update_yaxes(
            title_text=along, row=1, col=k, scaleanchor=f"x{k if k > 1 else ''}", autorange=flipped, constrain="domain"
        )
    return figure
