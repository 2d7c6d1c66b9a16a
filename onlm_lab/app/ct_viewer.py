"""A whole CT on a page: our own widget with canvases, which maps the written volume and sends what is looked at.

The browser asks for blocks of slices around the current one, nearest first, and holds int16 HU, so that window and HU
stay honest. Here nothing is read but the slices asked for, out of the mapped file; nothing is decoded.

    viewer = CtViewer()
    viewer.load(path, layers=saliency_layers(shown, facts))   # path of `onlm volume`
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets

from onlm_lab.app import ct_viewer_texts as texts
from onlm_lab.errors import OnlmError
from onlm_lab.learning.placed import NORMAL, PLANES, Layer

_HERE = Path(__file__).parent
_PARTS = ("ct_viewer_store.js", "ct_viewer_pane.js", "ct_viewer_controls.js", "ct_viewer.js", "ct_viewer_hands.js")
_MOST_SLICES = 256  # that one request may ask for
_TOLD = (
    "shape",
    "spacing_mm",
    "first_mm",
    "oblique_degrees",
    "centre_voxel",
    "mask_box",
    "why_no_centre",
    "why_no_mask",
)
_tokens = itertools.count(1)


class CtViewer(anywidget.AnyWidget):
    """A CT in three planes with window, tumour outline, saliency maps and a ruler.

    Attributes:
        plane: axial, coronal or sagittal: the large one.
        three_planes: whether all three are shown where there is room.
        slice_axial, slice_coronal, slice_sagittal: index along z (from the feet), y (from the front), x (from the
            patient's right).
        window_centre_hu, window_width_hu: what lies between black and white.
        mask_shown: the outline of the tumour.
        saliency: name of the map that is shown (see `saliency_names`); empty: off, as it is after every `load`.
        saliency_alpha: its opacity, 0 to 1.
        busy: something is under way; `sentence` says what.
        sentence: what is under way, or what is wrong.
        volume: what the browser must know of the CT; empty where none is shown.
        layers: the maps without their numbers.
    """

    _esm = "\n".join((_HERE / part).read_text(encoding="utf-8") for part in _PARTS)
    _css = _HERE / "ct_viewer.css"
    SAID: ClassVar[tuple[str, ...]] = ("texts", "sentence")  # in the reader's language
    texts = traitlets.Dict(texts.TEXTS).tag(sync=True)
    plane = traitlets.Enum(PLANES, default_value="axial").tag(sync=True)
    three_planes = traitlets.Bool(True).tag(sync=True)
    slice_axial = traitlets.Int(0).tag(sync=True)
    slice_coronal = traitlets.Int(0).tag(sync=True)
    slice_sagittal = traitlets.Int(0).tag(sync=True)
    window_centre_hu = traitlets.Float(-600.0).tag(sync=True)
    window_width_hu = traitlets.Float(1500.0).tag(sync=True)
    mask_shown = traitlets.Bool(True).tag(sync=True)
    saliency = traitlets.Unicode("").tag(sync=True)
    saliency_alpha = traitlets.Float(0.6, min=0.0, max=1.0).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    sentence = traitlets.Unicode("").tag(sync=True)
    volume = traitlets.Dict().tag(sync=True)
    layers = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.sent_bytes = 0  # of voxels, mask and maps
        self._hu: np.ndarray | None = None
        self._mask: np.ndarray | None = None
        self._maps: tuple[np.ndarray, ...] = ()
        self.on_msg(_answer)

    @property
    def saliency_names(self) -> tuple[str, ...]:
        """What `saliency` may be, beside off."""
        return tuple(dict.fromkeys(layer["name"] for layer in self.layers))

    def load(self, path: Path, *, layers: Sequence[Layer] = ()) -> bool:
        """Show a written CT from its tumour on, without any map; window and plane stay as they were.

        Args:
            path: the .npy of `onlm volume`.
            layers: of `saliency_layers`; none: the page offers no map.

        Returns:
            Whether it is shown; if not, `sentence` says why.
        """
        try:
            facts, hu, mask = open_volume(Path(path))
        except OnlmError as error:
            self.clear(sentence=str(error))
            return False
        middle = facts["centre_voxel"] or [(n - 1) / 2 for n in facts["shape"]]
        at = [min(max(round(place), 0), n - 1) for place, n in zip(middle, facts["shape"], strict=True)]
        self._hu, self._mask, self._maps = hu, mask, tuple(_plain(layer.values) for layer in layers)
        with self.hold_sync():
            self.saliency = ""
            self.slice_axial, self.slice_coronal, self.slice_sagittal = at
            self.layers = _described(layers)
            self.volume = {name: facts[name] for name in _TOLD} | {"token": next(_tokens)}
            self.busy, self.sentence = False, ""
        return True

    def clear(self, *, sentence: str = "", busy: bool = False) -> None:
        """Show no CT, and say why or what is under way."""
        self._hu, self._mask, self._maps = None, None, ()
        with self.hold_sync():
            self.saliency, self.layers, self.volume = "", [], {}
            self.busy, self.sentence = busy, sentence

    def answer(self, content: Mapping[str, Any]) -> None:
        """Send what the browser asked for; what is not of the CT that is shown now is not answered."""
        hu = self._hu
        if hu is None or content.get("volume") != self.volume.get("token"):
            return
        kind = content.get("kind")
        if kind == "slices":
            first, n = content.get("first"), content.get("n")
            if _is_index(first, len(hu)) and _is_index(n, _MOST_SLICES + 1) and 1 <= n <= len(hu) - first:
                self._give(content, [hu[first : first + n]])
        elif kind == "plane":
            axis, index = NORMAL.get(str(content.get("plane"))), content.get("index")
            if axis is not None and _is_index(index, hu.shape[axis]):
                self._give(content, [hu.take(index, axis=axis)])
        elif kind == "mask" and self._mask is not None:
            self._give(content, [self._mask])
        elif kind == "layers" and self._maps:
            self._give(content, list(self._maps))

    def _give(self, content: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> None:
        buffers = [memoryview(np.ascontiguousarray(array)).cast("B") for array in arrays]
        self.sent_bytes += sum(buffer.nbytes for buffer in buffers)
        self.send(dict(content), buffers=buffers)


def open_volume(path: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray | None]:
    """A written CT: its facts, its voxels mapped from disk (int16, z,y,x), and its mask (uint8, in its box; or None).

    Raises:
        OnlmError: it is gone or damaged.
    """
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        hu = np.load(path, mmap_mode="r", allow_pickle=False)
        box = facts["mask_box"]
        mask = None if box is None else np.load(path.with_suffix(".mask"), allow_pickle=False)
        missing = [name for name in _TOLD if name not in facts]
    except FileNotFoundError:
        raise OnlmError(texts.GONE) from None
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise OnlmError(texts.DAMAGED.format(what=type(error).__name__)) from error
    wrong = [
        *(f"no {name}" for name in missing),
        *(["not int16 voxels"] if hu.dtype != np.dtype("<i2") or hu.ndim != 3 or not hu.flags.c_contiguous else []),
        *(["another shape"] if list(hu.shape) != facts.get("shape") else []),
        *(["another mask"] if mask is not None and not _fits(mask, box) else []),
    ]
    if wrong:
        raise OnlmError(texts.DAMAGED.format(what=", ".join(wrong)))
    return facts, hu, mask


def _fits(mask: np.ndarray, box: Sequence[Sequence[int]]) -> bool:
    return mask.dtype == np.uint8 and list(mask.shape) == [last - first for first, last in box]


def _described(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    windows = {kind: {layer.window for layer in layers if layer.kind == kind} for kind in texts.KINDS}
    return [
        {
            "name": texts.KINDS[layer.kind] + (f", {layer.window}" if len(windows[layer.kind]) > 1 else ""),
            "plane": layer.plane, "centre_mm": list(layer.centre_mm), "edge_mm": layer.edge_mm, "limit": layer.limit,
            "scale": layer.scale, "is_shared": layer.is_shared,
        }
        for layer in layers
    ]  # fmt: skip


def _plain(values: np.ndarray) -> np.ndarray:
    """A map as the browser reads it; what is not a number says nothing."""
    return np.nan_to_num(np.asarray(values, dtype="<f4"), nan=0.0, posinf=0.0, neginf=0.0)


def _is_index(value: Any, n: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n


def _answer(viewer: CtViewer, content: Any, buffers: list[Any]) -> None:
    if isinstance(content, Mapping):
        viewer.answer(content)
