"""Another view for each branch, or one for all."""

import copy

import pytest
import torch
from common import batch, make_model, run

from okdhp_mm.errors import UserError
from okdhp_mm.models.augment import PhotometricViews
from okdhp_mm.structures import BranchViews

IMAGES = torch.randn(2, 3, 32, 24, generator=torch.Generator().manual_seed(1))
NOTHING = dict(brightness=0, contrast=0, color=0, hide=0)


def views_of(num_views=3, **settings):
    views = PhotometricViews(**settings)(IMAGES, num_views)
    assert isinstance(views, BranchViews)
    return views.images


def test_views_and_images_differ_from_each_other():
    views = views_of()
    assert views.shape == (3, 2, 3, 32, 24)
    assert all((views[i] != views[j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))


def test_without_any_change_every_view_is_the_image():
    views = views_of(**NOTHING)
    torch.testing.assert_close(views, IMAGES.expand(3, *IMAGES.shape))


def test_one_view_for_all_is_a_batch_like_any_other():
    torch.manual_seed(0)
    own = views_of(1)
    torch.manual_seed(0)
    view = PhotometricViews(same=True)(IMAGES, 3)
    assert view.shape == IMAGES.shape
    torch.testing.assert_close(view, own[0])
    assert (view != IMAGES).flatten(1).any(-1).all(), 'each image is changed'


@pytest.mark.parametrize('change', ['brightness', 'contrast', 'color'])
def test_a_change_of_colors_is_one_line_per_channel_of_an_image(change):
    """y = a x + b, so that no pixel moves; within the largest changes that were asked for."""
    torch.manual_seed(0)
    views = views_of(**NOTHING | {change: 0.5})
    assert ((views - IMAGES).abs() > 1e-3).flatten(2).any(-1).all(), 'each image is changed'
    for view in views:
        for image, changed in zip(IMAGES, view, strict=True):
            lines = []
            for before, after in zip(image, changed, strict=True):
                x = torch.stack((before.flatten(), torch.ones(before.numel())), 1)
                line = torch.linalg.lstsq(x, after.flatten()[:, None]).solution
                torch.testing.assert_close(x @ line, after.flatten()[:, None], rtol=1e-3, atol=1e-4)
                slope, offset = line.flatten().tolist()
                assert 0.5 - 1e-3 <= slope <= 1.5 + 1e-3
                assert abs(offset) <= 0.5 + 1e-3
                lines.append(line)
            alike = all(torch.allclose(line, lines[0], atol=1e-3) for line in lines)
            assert alike == (change != 'color')


def test_a_rectangle_is_hidden_and_the_rest_is_left():
    torch.manual_seed(3)
    views = views_of(8, **NOTHING | dict(hide=0.9))
    hidden = (views == 0).all(2)
    assert hidden.any() and not hidden.all()
    for mask in hidden.flatten(0, 1):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        if len(rows):
            box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert box.all(), 'it is a rectangle'
    rest = ~hidden[:, :, None].expand_as(views)
    torch.testing.assert_close(views[rest], IMAGES.expand_as(views)[rest])


@pytest.mark.parametrize('split', ['whole', 'layer3'])
def test_each_branch_sees_its_own_view(split):
    model = make_model('resnet', split=split).eval()
    views = torch.randn(3, 2, 3, 64, 64)
    together = model.backbone(BranchViews(views))
    for m, view in enumerate(views):
        alone = model.backbone(view, [m])
        torch.testing.assert_close(together.branches[m][-1], alone.branches[m][-1])
    shared = sum(model.backbone(view, []).shared for view in views) / 3
    torch.testing.assert_close(together.shared, shared)


@pytest.mark.parametrize('split', ['whole', 'layer3'])
def test_a_clip_is_not_taken_for_views(split):
    model = make_model('resnet', split=split).eval()
    for shape in ((3, 2, 3, 64, 64), (3, 64, 64)):
        message = rf'images \(B, 3, H, W\), not a tensor of shape \({shape[0]}, '
        with pytest.raises(UserError, match=message):
            model.backbone(torch.randn(shape))
    for shape in ((2, 2, 3, 64, 64), (3, 3, 64, 64)):
        with pytest.raises(UserError, match='do not have one view .* for each of the 3 branches'):
            model.backbone(BranchViews(torch.randn(shape)))


@pytest.mark.parametrize(('same', 'leading'), [(False, (3, 2)), (True, (2,))])
def test_the_training_learns_from_the_views(same, leading):
    model = make_model('resnet', views=dict(type='PhotometricViews', same=same))
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    data = batch()
    run(model, 'loss', data)
    plain = model.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    (views,) = seen
    assert isinstance(views, torch.Tensor if same else BranchViews)
    views = views if same else views.images
    assert views.shape == (*leading, *plain.shape[1:])
    assert (views != plain).flatten(-3).any(-1).all(), 'each image is changed'


@pytest.mark.parametrize('same', [False, True])
def test_only_the_training_changes_images(same):
    model = make_model('resnet', views=dict(type='PhotometricViews', same=same)).eval()
    first, second = (run(model, 'predict')[0].pred_instances.keypoints for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize(
    'settings', [dict(hide=1), dict(contrast=-0.1), dict(color=1.5), dict(brightness=-1)]
)
def test_changes_out_of_range_are_refused(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        PhotometricViews(**settings)
