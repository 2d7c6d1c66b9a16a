"""The pictures that a run saved of a patient, as the model saw them: grey values, and on them what moves the risk."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from onlm_lab.app.state import Choices
from onlm_lab.figures import theme
from onlm_lab.learning.explained import Explained, Picture

KINDS = {"None": "", "Grad-CAM": "grad_cam", "Occlusion": "occlusion"}
# Ends and middle of cividis (Nuñez et al. 2018, doi:10.1371/journal.pone.0199239), equally spaced.
CIVIDIS = np.array([
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120), (165, 156, 116),
    (195, 179, 105), (225, 204, 85), (254, 232, 56),
], dtype=float)  # fmt: skip
MOST_COVER = 0.7  # of the grey values that a map hides where it is strongest
ATTENTION = "Attention is the weight of a view in the model, not its importance."
MAP = (
    "Yellow raises the risk, dark blue lowers it, in one scale for all patients of the run. A map shows what moves the "
    "model's number, not where cancer is."
)
NO_MAP = "There is no such map of this patient: occlusion is computed for some patients only."
_SIZE = 220  # pixels of a picture on the page


def pictures_html(shown: Explained, *, kind: str, limits: Mapping[str, float], state: Choices) -> str:
    """A patient's pictures with their attention, as HTML; a map over them where one is chosen.

    Args:
        shown: of `read_explained`.
        kind: grad_cam, occlusion, or "" for none.
        limits: by kind, what the end of the colours stands for.
        state: in whose language.
    """
    views = []
    for picture in shown.pictures:
        said = state.say("attention {share} of this patient's views").format(
            share=theme.percent(float(shown.attention[picture.view]))
        )
        name = html.escape(picture.name)
        over = kind if kind in picture.maps else ""
        views.append(
            f"<figure><img width='{_SIZE}' height='{_SIZE}' alt='{html.escape(picture.name, quote=True)}' "
            f"src='data:image/png;base64,{_png(picture, kind=over, limit=limits.get(over, 0.0))}'>"
            f"<figcaption>{name}; {html.escape(said)}</figcaption></figure>"
        )
    told = [state.say(ATTENTION)]
    if kind:
        told.insert(0, state.say(MAP if kind in shown.kinds else NO_MAP))
    notes = "".join(f"<li>{html.escape(one)}</li>" for one in told)
    return f"<div class='onlm-views'>{''.join(views)}</div><ul class='onlm-notes'>{notes}</ul>"


def coloured(picture: Picture, *, kind: str, limit: float) -> np.ndarray:
    """uint8 (H,W,3): grey values, and over them a map whose colour says how much each pixel adds to the logit."""
    grey = np.repeat(picture.pixels[:, :, None].astype(float), 3, axis=2)
    if not kind or limit <= 0:
        return grey.astype(np.uint8)
    share = np.clip(picture.maps[kind] / limit, -1, 1)
    place = (share + 1) / 2 * (len(CIVIDIS) - 1)
    steps = np.arange(len(CIVIDIS))
    colour = np.stack([np.interp(place, steps, CIVIDIS[:, k]) for k in range(3)], axis=2)
    cover = MOST_COVER * np.abs(share)[:, :, None]
    return np.rint((1 - cover) * grey + cover * colour).astype(np.uint8)


def _png(picture: Picture, *, kind: str, limit: float) -> str:
    image = Image.fromarray(coloured(picture, kind=kind, limit=limit))
    image = image.resize((2 * _SIZE, 2 * _SIZE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
