"""Frozen features of any backbone: which maps count, what is taken of them, and what the projection keeps."""

from __future__ import annotations

import pytest
import torch
from sklearn.decomposition import PCA

from onlm_lab.learning.backbone_import import import_timm
from onlm_lab.learning.features import FrozenFeatures, Projection, frozen_rows


def backbone(name, *, px=32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = import_timm().create_model(name, pretrained=False, num_classes=0, in_chans=3)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "px", "n_scales"),
    [("test_resnet", 32, 2), ("test_convnext", 32, 2), ("test_vit", 160, 1), ("test_efficientnet", 32, 2)],
)
def test_the_maps_of_the_two_scales_before_the_coarsest_are_taken_whole_and_in_their_middle(name, px, n_scales):
    module = backbone(name)
    extractor = FrozenFeatures(module).eval()
    planes = torch.randn(2, 3, px, px, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = extractor(planes)
        maps = module.forward_intermediates(planes, output_fmt="NCHW", intermediates_only=True)
    sizes = sorted({m.shape[-1] for m in maps}, reverse=True)
    wanted = []
    for size in (sizes[:-1] or sizes)[-2:]:
        last = [m for m in maps if m.shape[-1] == size][-1]
        edge = size // 4
        wanted += [last.mean((2, 3)), last[:, :, edge : size - edge, edge : size - edge].mean((2, 3))]
    assert len(extractor.maps) == n_scales
    assert torch.allclose(found, torch.cat(wanted, dim=1), atol=1e-6)


def test_a_backbone_that_gives_no_maps_gives_its_last_features():
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5))
    planes = torch.randn(2, 3, 2, 2)
    assert torch.equal(FrozenFeatures(plain)(planes), plain(planes))


def test_the_last_map_can_be_looked_at():
    extractor = FrozenFeatures(backbone("test_resnet")).eval()
    seen = []
    extractor.tap.register_forward_hook(lambda *given: seen.append(given[2].shape))
    extractor(torch.zeros(1, 3, 32, 32))
    assert len(seen) == 1 and len(seen[0]) == 4


def test_every_view_has_its_own_row_of_features():
    extractor = FrozenFeatures(backbone("test_resnet")).eval()
    planes = torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    rows = frozen_rows(planes, extractor=extractor, mean=0.5, std=0.5)
    alone = frozen_rows(planes[1:, 2:3], extractor=extractor, mean=0.5, std=0.5)
    assert rows.shape[:2] == (2, 4) and torch.allclose(rows[1, 2], alone[0, 0], atol=1e-5)


@pytest.mark.parametrize("n", [40, 3])  # more rows than features, and fewer
def test_the_projection_keeps_the_main_directions_that_scikit_learn_finds(n):
    features = torch.randn(n, 3, 12, generator=torch.Generator().manual_seed(3)) @ torch.randn(
        12, 12, generator=torch.Generator().manual_seed(4)
    )
    found = Projection.fit(features, n_components=5).apply(features).flatten(0, 1)
    rows = features.flatten(0, 1)
    standard = ((rows - rows.mean(0)) / rows.std(0)).numpy()
    wanted = torch.from_numpy(PCA(5).fit_transform(standard))
    for k in range(5):
        assert abs(float(torch.corrcoef(torch.stack([found[:, k], wanted[:, k].float()]))[0, 1])) == pytest.approx(
            1, abs=1e-4
        )
    assert float(found.var(dim=0).sum()) == pytest.approx(16, rel=0.01)  # as much as 16 standardised columns
