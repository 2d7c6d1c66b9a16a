"""Which part of a picture moves the logit: Grad-CAM and occlusion, by captum, on plain modules.

    maps = saliency(network, batch, backbone=network.backbone, kind="grad_cam")        # (B,V,H,W)

Both are in units of the logit and signed: what is positive raises the risk. Nothing is normalised, so that the maps of
two patients may be compared.

grad_cam   Selvaraju et al. 2017 (doi:10.1109/ICCV.2017.74), without its ReLU, at the backbone's last map. Scaled so
           that the mean over a view's pixels is what the map adds to the logit: exactly where the map is averaged and
           the rest is linear, else by the slope at this patient.
occlusion  Zeiler and Fergus 2014 (doi:10.1007/978-3-319-10590-1_53): the logit as it is less the logit with a square of
           one view hidden in all its channels at once, as the mean over the squares that cover a pixel. What is hidden
           becomes the mean of its channel over that view: neither air nor tissue, and no brighter or darker as a whole.

A network takes a `Batch` whose image is scaled planes (B,V,C,H,W) or what its backbone makes of them (B,V,F), as
OnlmModel and FrozenNetwork do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from captum.attr import LayerAttribution, LayerGradCam, Occlusion
from torch import Tensor, nn

from onlm_lab.errors import OnlmError
from onlm_lab.learning.features import FrozenFeatures
from onlm_lab.learning.model import Batch

KINDS = ("grad_cam", "occlusion")
WINDOW_FRACTION = 0.25  # edge of the hidden square, of the picture's; the next one lies half an edge beside
PLANES_AT_ONCE = 24


def saliency(network: nn.Module, batch: Batch, *, backbone: nn.Module, kind: str = "grad_cam") -> Tensor:
    """What each pixel of each view adds to the logit, float32 (B,V,H,W); NaN for a patient without CT.

    Args:
        network: in eval mode, Batch -> logit (B,).
        batch: image is scaled planes (B,V,C,H,W).
        backbone: the part of it that sees planes, (B*V,C,H,W) -> (B*V,F).
        kind: "grad_cam" or "occlusion".

    Raises:
        OnlmError: the backbone has no map of the picture (grad_cam).
        ValueError: another kind, or a network that is being trained.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is '{kind}'; wanted {' or '.join(KINDS)}.")
    if network.training:
        raise ValueError("The network is in training mode, where chance has a say; call .eval() first.")
    absent = batch.image.flatten(1).isnan().any(dim=1)  # (B,)
    batch = batch._replace(image=batch.image.nan_to_num())
    found = (_grad_cam if kind == "grad_cam" else _occlusion)(network, batch, backbone=backbone)
    return torch.where(absent[:, None, None, None], torch.nan, found.detach().float())


def _grad_cam(network: nn.Module, batch: Batch, *, backbone: nn.Module) -> Tensor:
    planes = batch.image
    place = find_map(backbone, planes[:1, 0])

    def logit(image: Tensor) -> Tensor:
        return network(batch._replace(image=image))

    with tapped(place) as tap:
        map_ = LayerGradCam(logit, tap).attribute(planes, relu_attributions=False)  # (B*V,1,h,w)
    map_ = map_ * (map_.shape[-2] * map_.shape[-1])  # from a sum over the map's cells to a mean
    whole = LayerAttribution.interpolate(map_, tuple(planes.shape[-2:]), interpolate_mode="bilinear")
    return whole.reshape(planes.shape[:2] + planes.shape[-2:])


def _occlusion(network: nn.Module, batch: Batch, *, backbone: nn.Module) -> Tensor:
    """Every view is hidden in alone, so that only its own features are computed again."""
    n_views, n_channels, height, width = batch.image.shape[1:]
    planes = batch.image.flatten(0, 1)  # (B*V,C,H,W)
    with torch.no_grad():
        seen = backbone(planes.contiguous(memory_format=torch.channels_last)).unflatten(0, (-1, n_views))  # (B,V,F)

    def logit(hidden: Tensor, rows: Tensor) -> Tensor:  # planes (R,C,H,W), of which of the B*V each is (R,) -> (R,)
        owner, view = rows // n_views, rows % n_views
        views = seen[owner].clone()  # (R,V,F)
        views[torch.arange(len(rows)), view] = backbone(hidden.contiguous(memory_format=torch.channels_last))
        return network(Batch(views, batch.clinical[owner], batch.missing[owner], batch.onlm[owner], ()))

    window = [max(1, round(edge * WINDOW_FRACTION)) for edge in (height, width)]
    found = Occlusion(logit).attribute(
        planes,
        sliding_window_shapes=(n_channels, *window),
        strides=(n_channels, *(max(1, edge // 2) for edge in window)),
        baselines=planes.mean(dim=(2, 3), keepdim=True).expand_as(planes),
        additional_forward_args=torch.arange(len(planes)),
        perturbations_per_eval=max(1, PLANES_AT_ONCE // len(planes)),
    )  # (B*V,C,H,W), the same in all channels
    return found[:, 0].unflatten(0, (-1, n_views))


@dataclass(frozen=True, eq=False)
class Place:
    """Where in a backbone the last map of the picture comes out, and in which form.

    Attributes:
        layer: whose output it is.
        form: "NCHW", "NHWC", or "tokens" (N,L,C).
        n_prefix: tokens before those of the picture.
    """

    layer: nn.Module
    form: str
    n_prefix: int = 0

    def to_grid(self, found: Tensor) -> Tensor:  # -> (N,C,h,w)
        if self.form == "NCHW":
            return found
        if self.form == "NHWC":
            return found.permute(0, 3, 1, 2)
        tokens = found[:, self.n_prefix :]
        edge = round(tokens.shape[1] ** 0.5)
        return tokens.transpose(1, 2).unflatten(2, (edge, -1))

    def from_grid(self, grid: Tensor, *, found: Tensor) -> Tensor:  # -> the form of `found`
        if self.form == "NCHW":
            return grid
        if self.form == "NHWC":
            return grid.permute(0, 2, 3, 1)
        return torch.cat([found[:, : self.n_prefix], grid.flatten(2).transpose(1, 2)], dim=1)


@contextmanager
def tapped(place: Place) -> Iterator[nn.Module]:
    """A module that the map passes through as (N,C,h,w) while this lasts; gradients begin there."""
    tap = nn.Identity()

    def through(_layer: nn.Module, _given: object, found: Tensor) -> Tensor:
        grid = tap(place.to_grid(found).detach().requires_grad_())
        return place.from_grid(grid.clone(), found=found)  # a copy: what follows may write into it

    handle = place.layer.register_forward_hook(through)
    try:
        yield tap
    finally:
        handle.remove()


def find_map(backbone: nn.Module, planes: Tensor) -> Place:
    """The last place where a backbone holds a map of the picture, of more than one cell, that its features hang on.

    Of a timm model by its `feature_info`, last first; of any other module (or where that leads nowhere) by its layers'
    outputs, last first, which may be of one branch only. A transformer that reads its class token only is so looked at
    before its last block: the picture's own tokens are not read after it.

    Args:
        backbone: (N,C,H,W) -> (N,F), in eval mode.
        planes: one picture (1,C,H,W) to try it with.

    Raises:
        OnlmError: there is none.
    """
    for place in _candidates(backbone, planes):
        with tapped(place) as tap:
            grids: list[Tensor] = []
            tap.register_forward_hook(lambda _m, _i, grid, kept=grids: kept.append(grid))
            with torch.enable_grad():
                features = backbone(planes)
            if len(grids) != 1 or min(grids[0].shape[-2:]) < 2:  # not passed, or passed again and again
                continue
            slope = None
            if features.requires_grad:  # squares: a plain sum is constant behind a layer norm
                slope = torch.autograd.grad(features.square().sum(), grids[0], allow_unused=True)[0]
            if slope is not None and bool(slope.any()):
                return place
    size = " x ".join(map(str, planes.shape[-2:]))
    raise OnlmError(
        f"Grad-CAM needs a map of the picture, and {type(backbone).__name__} has none of 2 x 2 cells or more for "
        f"{size} pixels. Set a larger [model] image_px, name another backbone, or use occlusion, which needs none."
    )


def _candidates(backbone: nn.Module, planes: Tensor) -> Iterator[Place]:
    """Places that may hold a map, last first."""
    module = backbone
    if isinstance(backbone, FrozenFeatures):
        if backbone.maps:  # it reads no later one
            yield Place(backbone.tap, "NCHW")
            return
        module = backbone.module
    told = getattr(module, "feature_info", ())
    told = getattr(told, "info", told)
    layers = dict(module.named_modules())
    named = [(layers[i["module"]], i.get("num_chs")) for i in told if i.get("module") in layers]
    outputs = _outputs(module, planes)
    shapes = {id(layer): shape for layer, shape in outputs}
    n_prefix = int(getattr(module, "num_prefix_tokens", 0))
    for layer, n_channels in reversed(named):
        place = _place(layer, shapes.get(id(layer), ()), n_channels=n_channels, n_prefix=n_prefix)
        if place is not None:
            yield place
    for layer, shape in reversed(outputs):
        if len(shape) == 4 and _is_of_picture(shape[2:], planes.shape[2:]):
            yield Place(layer, "NCHW")


def _is_of_picture(cells: tuple[int, ...], pixels: tuple[int, ...]) -> bool:
    """Whether cells divide the picture by one whole number, as strides do: not tokens by tokens, or tokens by heads."""
    return any(all(-(-p // step) == c for c, p in zip(cells, pixels, strict=True)) for step in range(1, max(pixels)))


def _place(layer: nn.Module, shape: tuple[int, ...], *, n_channels: int | None, n_prefix: int) -> Place | None:
    if len(shape) == 4:
        last = n_channels is not None and shape[1] != n_channels and shape[3] == n_channels
        return Place(layer, "NHWC" if last else "NCHW")
    if len(shape) == 3:
        for prefix in (n_prefix, 0):
            n_tokens = shape[1] - prefix
            if n_tokens > 0 and round(n_tokens**0.5) ** 2 == n_tokens:
                return Place(layer, "tokens", prefix)
    return None


def _outputs(module: nn.Module, planes: Tensor) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Each layer and the shape of its (tensor) output, in the order in which they come out."""
    found: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(layer: nn.Module, _given: object, out: object) -> None:
        if isinstance(out, Tensor):
            found.append((layer, tuple(out.shape)))

    handles = [layer.register_forward_hook(note) for layer in module.modules()]
    try:
        with torch.no_grad():
            module(planes)
    finally:
        for handle in handles:
            handle.remove()
    return found
