"""Saliency on plain modules: it finds what was planted, with the sign and size that are said, by the weights alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from onlm_lab.errors import OnlmError
from onlm_lab.learning.backbone_import import import_timm
from onlm_lab.learning.features import FrozenFeatures
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.learning.saliency import KINDS, WINDOW_FRACTION, find_map, saliency

PX, N_VIEWS, SPOT = 32, 2, 8


class Small(nn.Module):
    """Two convolutions and the mean of their map: (N,1,H,W) -> (N,8)."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.last = nn.ReLU()

    def forward(self, planes):
        return self.last(self.maps(planes)).mean(dim=(2, 3))


def spots(n: int, *, seed: int):
    """Noise with a striped square at either side, upright; in N+ one of view 0 lies on its side: where (n,2)."""
    rng = np.random.default_rng(seed)
    planes = rng.normal(0, 0.2, (n, N_VIEWS, 1, PX, PX)).astype(np.float32)
    onlm = np.arange(n) % 2 == 0
    stripes = np.tile(np.where(np.arange(SPOT) % 4 < 2, 1.5, -1.5), (SPOT, 1))
    where = np.empty((n, 2), dtype=int)
    for i in range(n):
        odd = rng.integers(0, 2)
        for v in range(N_VIEWS):
            for side in range(2):
                y, x = rng.integers(0, PX - SPOT), side * PX // 2 + rng.integers(0, PX // 2 - SPOT)
                lies = onlm[i] and v == 0 and side == odd
                planes[i, v, 0, y : y + SPOT, x : x + SPOT] += stripes.T if lies else stripes
                if v == 0 and side == odd:
                    where[i] = y, x
    return batch_of(torch.from_numpy(planes), onlm=torch.from_numpy(onlm).float()), where


def batch_of(planes, *, onlm=None):
    n = len(planes)
    nothing = torch.zeros(n, 0)
    return Batch(planes, nothing, nothing, torch.zeros(n) if onlm is None else onlm, tuple(map(str, range(n))))


def network_on(backbone, *, n_features):
    return OnlmModel(n_clinical=0, n_features=n_features, backbone=backbone, project=False, width=0)


@pytest.fixture(scope="module")
def taught():
    """A network that has learnt to tell them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = network_on(Small(), n_features=8)
        batch, _ = spots(256, seed=1)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(120):
            loss = nn.functional.binary_cross_entropy_with_logits(network(batch), batch.onlm)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert float(loss.detach()) < 0.1
    return network.eval()


def hits(maps, where):
    """Share of pictures whose highest pixel, in view 0, lies in the planted square."""
    peak = maps[:, 0].flatten(1).argmax(dim=1).numpy()
    inside = np.abs(np.stack([peak // PX, peak % PX], axis=1) - where - (SPOT - 1) / 2).max(axis=1)
    return float((inside <= SPOT / 2 + 1).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_planted_is_found_where_it_is_and_raises_the_logit(taught, kind):
    batch, where = spots(60, seed=2)
    positive = (batch.onlm == 1).numpy()
    maps = saliency(taught, batch, backbone=taught.backbone, kind=kind)
    assert maps.shape == (60, N_VIEWS, PX, PX) and maps.dtype == torch.float32
    assert hits(maps[positive], where[positive]) > 0.9
    peak = maps.amax(dim=(2, 3))
    assert (peak[positive, 0] > 0).all()
    assert float(peak[positive, 0].mean()) > 3 * float(peak[positive, 1].mean()), "the view without it"


def drawn_anew(network, *, part, seed):
    """A copy with other weights of the same spread in its head or its backbone."""
    other = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    for name, value in other.named_parameters():
        if name.startswith("backbone.") == (part == "backbone"):
            spread = float(value.detach().std()) if value.numel() > 1 else 0.0
            value.data = spread * torch.randn(value.shape, generator=generator)
    return other


def likeness(before, after):
    """Mean rank correlation of two sets of maps, picture by picture."""
    pairs = zip(before.flatten(1), after.flatten(1), strict=True)
    return float(np.mean([spearmanr(a, b).statistic for a, b in pairs]))


def edges(network, batch, *, backbone, kind):
    """No saliency at all: how steep the picture is."""
    plane = batch.image[:, :, 0]
    return plane.diff(dim=2)[..., :-1].abs() + plane.diff(dim=3)[:, :, :-1].abs()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["head", "backbone"])
def test_other_weights_change_the_map(taught, kind, part):
    """The sanity check of Adebayo et al. 2018 (arXiv:1810.03292): a map that stays as it is when the weights are drawn
    anew shows the picture, not the model. Edges do stay."""
    batch, where = spots(12, seed=4)
    positive = np.flatnonzero(batch.onlm == 1)
    batch = batch_of(batch.image[positive])

    def compare(make):
        before = make(taught, batch, backbone=taught.backbone, kind=kind)[:, 0]
        alike, found = [], []
        for seed in range(32):  # half of the heads like the square, half do not
            other = drawn_anew(taught, part=part, seed=seed)
            after = make(other, batch, backbone=other.backbone, kind=kind)
            alike.append(likeness(before, after[:, 0]))
            if make is saliency:
                found.append(hits(after, where[positive]))
        return alike, found

    alike, found = compare(saliency)
    assert abs(np.mean(alike)) < 0.3
    before = hits(saliency(taught, batch, backbone=taught.backbone, kind=kind), where[positive])
    assert before == 1 and np.mean(found) < 0.75, "what was planted is not found any more"
    assert np.mean(compare(edges)[0]) > 0.999, "and this check can fail"


@pytest.mark.parametrize("n_views", [1, 3])
def test_where_the_rest_is_linear_the_mean_of_grad_cam_is_what_the_picture_adds_to_the_logit(n_views):
    torch.manual_seed(0)
    network = network_on(Small(), n_features=8).eval()
    nn.init.normal_(network.image_linear.weight)
    batch = batch_of(torch.randn(5, n_views, 1, PX, PX))
    found = saliency(network, batch, backbone=network.backbone).mean(dim=(2, 3)).sum(dim=1)
    logit = network(batch) - network.bias
    torch.testing.assert_close(found, logit.detach(), rtol=1e-4, atol=1e-6)
    twice = copy.deepcopy(network)
    twice.image_linear.weight.data *= 2  # nothing is normalised away
    torch.testing.assert_close(
        saliency(twice, batch, backbone=twice.backbone), 2 * saliency(network, batch, backbone=network.backbone)
    )


def test_occlusion_is_the_logit_less_that_with_a_square_of_one_view_hidden_as_the_mean_over_squares():
    torch.manual_seed(0)
    network = network_on(Small(), n_features=8).eval()
    nn.init.normal_(network.image_linear.weight)
    batch = batch_of(torch.randn(2, 2, 1, PX, PX))
    edge = round(PX * WINDOW_FRACTION)
    total, covered = torch.zeros(2, PX, PX), torch.zeros(PX, PX)
    with torch.no_grad():
        for y in range(0, PX - edge + 1, edge // 2):
            for x in range(0, PX - edge + 1, edge // 2):
                planes = batch.image.clone()
                planes[:, 1, :, y : y + edge, x : x + edge] = planes[:, 1].mean(dim=(2, 3), keepdim=True)
                less = network(batch) - network(batch._replace(image=planes))
                total[:, y : y + edge, x : x + edge] += less[:, None, None]
                covered[y : y + edge, x : x + edge] += 1
    found = saliency(network, batch, backbone=network.backbone, kind="occlusion")
    torch.testing.assert_close(found[:, 1], total / covered, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_patient_without_ct_has_no_map_and_changes_nobody_elses(taught, kind):
    batch, _ = spots(3, seed=5)
    planes = batch.image.clone()
    planes[1] = torch.nan
    found = saliency(taught, batch._replace(image=planes), backbone=taught.backbone, kind=kind)
    assert found[1].isnan().all()
    whole = saliency(taught, batch, backbone=taught.backbone, kind=kind)
    torch.testing.assert_close(found[[0, 2]], whole[[0, 2]])


@pytest.mark.parametrize(
    ("name", "form", "n_prefix", "layer"),
    [
        ("test_resnet", "NCHW", 0, "layer4"),
        ("test_mambaout", "NHWC", 0, "stages.3"),
        ("test_vit", "tokens", 1, "blocks.4"),  # of six: its class token alone is read after the last
        ("test_vit_relpos", "tokens", 0, "blocks.8"),
    ],
)
def test_the_last_map_of_a_backbone_of_any_form_is_found_and_left_as_it_was(name, form, n_prefix, layer):
    torch.manual_seed(0)
    backbone = import_timm().create_model(name, num_classes=0, in_chans=1).eval()
    px = backbone.pretrained_cfg["input_size"][-1]
    planes = torch.randn(2, 1, 1, px, px)
    place = find_map(backbone, planes[:1, 0])
    assert (place.form, place.n_prefix) == (form, n_prefix)
    assert place.layer is dict(backbone.named_modules())[layer]
    network = network_on(backbone, n_features=backbone(planes[:1, 0]).shape[1]).eval()
    nn.init.normal_(network.image_linear.weight)
    batch = batch_of(planes)
    before = network(batch)
    maps = saliency(network, batch, backbone=backbone)
    assert maps.isfinite().all() and float(maps.std(dim=(2, 3)).min()) > 0
    assert torch.equal(network(batch), before)
    assert not any(module._forward_hooks for module in backbone.modules())
    grid = place.to_grid(torch.randn(2, 7, 5, 5) if form != "tokens" else torch.randn(2, 25 + n_prefix, 7))
    assert grid.shape[0] == 2


def test_tokens_become_the_grid_that_they_were_cut_from():
    backbone = import_timm().create_model("test_vit", num_classes=0, in_chans=1).eval()
    px = backbone.pretrained_cfg["input_size"][-1]
    place = find_map(backbone, torch.randn(1, 1, px, px))
    edge = px // 16
    tokens = torch.arange(edge * edge).float().reshape(1, -1, 1) + 100  # row by row, as a picture is read
    found = torch.cat([torch.zeros(1, 1, 1), tokens], dim=1)
    grid = place.to_grid(found)
    assert grid[0, 0, 0].tolist() == [100 + k for k in range(edge)] and float(grid[0, 0, 1, 0]) == 100 + edge
    assert torch.equal(place.from_grid(grid, found=found), found)


def test_frozen_features_are_looked_at_where_they_say():
    backbone = FrozenFeatures(import_timm().create_model("test_resnet", num_classes=0, in_chans=1)).eval()
    assert find_map(backbone, torch.randn(1, 1, PX, PX)).layer is backbone.tap


class Attending(nn.Module):
    """No map of the picture, though its weights of tokens by tokens (B,1,L,L) look like one."""

    def __init__(self):
        super().__init__()
        self.keep, self.whole = nn.Identity(), nn.Linear(PX * PX, 50)

    def forward(self, planes):
        found = self.whole(planes.flatten(1))
        return self.keep((found[:, :, None] * found[:, None]).unsqueeze(1)).mean(dim=3).flatten(1)


@pytest.mark.parametrize("backbone", [Attending(), nn.Sequential(nn.Flatten(), nn.Linear(PX * PX, 50))])
def test_a_backbone_without_a_map_is_said_and_occlusion_needs_none(backbone):
    torch.manual_seed(0)
    network = network_on(backbone, n_features=50).eval()
    nn.init.normal_(network.image_linear.weight)
    batch = batch_of(torch.randn(2, 1, 1, PX, PX))
    with pytest.raises(
        OnlmError, match=r"has none of 2 x 2 cells or more for 32 x 32 pixels\. Set a larger .*occlusion"
    ):
        saliency(network, batch, backbone=backbone)
    assert float(saliency(network, batch, backbone=backbone, kind="occlusion").std()) > 0


def test_a_network_in_training_or_another_kind_is_refused(taught):
    batch, _ = spots(2, seed=1)
    with pytest.raises(ValueError, match=r"kind is 'lime'; wanted grad_cam or occlusion"):
        saliency(taught, batch, backbone=taught.backbone, kind="lime")
    with pytest.raises(ValueError, match=r"in training mode"):
        saliency(copy.deepcopy(taught).train(), batch, backbone=taught.backbone)
