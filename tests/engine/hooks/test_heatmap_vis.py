"""Pictures of what every branch sees."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from common import CODEC, make_model, shake
from mmengine.dataset import pseudo_collate
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from runs import Noise
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from okdhp_mm.engine import BranchVisualizationHook
from okdhp_mm.engine.hooks import heatmap_vis
from okdhp_mm.engine.hooks.heatmap_vis import (
    choose_keypoints,
    draw_strips,
    encode_target,
)
from okdhp_mm.errors import UserError
from okdhp_mm.keypoint_names import names_of
from okdhp_mm.models.teachers import Teacher


def pictures(trained):
    return sorted(Path(trained.work_dir).glob('*/vis_data/vis_image/*.png'))


def test_pictures_of_every_validation_lie_on_disk(trained):
    """Batch 0 of two, two samples of it, after steps 3 and 6."""
    names = [file.name for file in pictures(trained)]
    assert names == [f'heatmaps_0_{sample}_{step}.png' for sample in (0, 1) for step in (3, 6)]


def images_of(hook, model, dataset, batches):
    """Return what the hook shows of some validation batches of a dataset's first three samples."""
    shown = {}
    data = pseudo_collate([dataset[index] for index in range(3)])
    runner = SimpleNamespace(
        model=model,
        iter=7,
        val_dataloader=SimpleNamespace(dataset=dataset),
        visualizer=SimpleNamespace(
            add_image=lambda name, image, step: shown.update({(name, step): image})
        ),
    )
    for batch_idx in range(batches):
        hook.after_val_iter(runner, batch_idx, data)
    return shown, data


def test_the_visualizer_gets_rgb_of_the_chosen_samples_of_every_so_manieth_batch():
    model, dataset = make_model().eval(), Noise(3)
    hook = BranchVisualizationHook(interval=2, samples=2, keypoints=['nose'])
    shown, data = images_of(hook, model, dataset, 3)
    assert list(shown) == [(f'heatmaps_{b}_{index}', 7) for b in (0, 2) for index in (0, 1)]
    strips = draw_strips(model, data, [0], list(names_of(dataset.metainfo)))
    for index in (0, 1):
        assert np.array_equal(shown[f'heatmaps_0_{index}', 7], strips[index][..., ::-1])
        assert not np.array_equal(strips[index], strips[index][..., ::-1])


@pytest.mark.parametrize('deployed', [True, False])
def test_the_averaged_copy_is_drawn_where_it_is_validated(deployed):
    model = make_model(ema=dict(momentum=0.5), test_cfg=dict(ema=deployed)).eval()
    shake(model.ema.module)
    dataset = Noise(3)
    shown, data = images_of(
        BranchVisualizationHook(samples=3, keypoints=['nose']), model, dataset, 1
    )
    drawn, other = model, model.ema.module
    if deployed:
        drawn, other = other, drawn
    strips = [
        draw_strips(part, data, [0], list(names_of(dataset.metainfo)))[0][..., ::-1]
        for part in (drawn, other)
    ]
    assert np.array_equal(shown['heatmaps_0_0', 7], strips[0])
    assert not np.array_equal(strips[0], strips[1])


def test_pictures_land_in_tensorboard(trained):
    (events,) = Path(trained.work_dir).glob('*/vis_data/events.*')
    accumulator = EventAccumulator(str(events), size_guidance={'images': 0})
    accumulator.Reload()
    assert accumulator.Tags()['images'] == ['heatmaps_0_0', 'heatmaps_0_1']
    last = accumulator.Images('heatmaps_0_0')[-1]
    shown = cv2.imdecode(np.frombuffer(last.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, cv2.imread(str(pictures(trained)[1])))


def test_the_picture_shows_branches_ensemble_and_target(monkeypatch):
    model = make_model().eval()
    dataset = Noise(2)
    data = pseudo_collate([dataset[0], dataset[1]])
    seen = []
    monkeypatch.setattr(
        heatmap_vis, 'heatmap_strip', lambda image, **shown: seen.append((image, shown))
    )
    draw_strips(model, data, [3, 4], ['name'] * 17)
    with torch.no_grad():
        inputs = model.data_preprocessor(data, training=False)['inputs']
        outputs = model.head.outputs(model.backbone(inputs))
    for index, (image, shown) in enumerate(seen):
        assert np.array_equal(image.transpose(2, 0, 1), data['inputs'][index].numpy())
        assert np.allclose(shown['branch_heatmaps'], outputs.final_heatmaps[:, index])
        assert np.allclose(shown['ensemble'], outputs.ensemble[index])
        assert shown['target'].shape == shown['ensemble'].shape
        assert shown['keypoint_indices'] == [3, 4]
    assert len(seen) == 2


class Constant(Teacher):
    """A teacher that always says the same."""

    def forward(self, images, data_samples):
        return torch.full((len(images), 17, 16, 16), 0.25)


class OnTrainingSamples(Constant):
    """A teacher that cannot teach on validation samples, such as pseudo-labels."""

    on_any_image = False


@pytest.mark.parametrize('kind', [Constant, OnTrainingSamples, None])
def test_a_teacher_is_not_called_an_ensemble(monkeypatch, kind):
    model = make_model().eval()
    teaches = kind is Constant
    if kind:
        model.teacher = kind()
        model.teacher.init_weights()
    seen = []
    monkeypatch.setattr(heatmap_vis, 'heatmap_strip', lambda image, **shown: seen.append(shown))
    draw_strips(model, pseudo_collate([Noise(1)[0]]), [3], ['name'] * 17)
    assert seen[0]['ensemble_title'] == ('teacher' if teaches else 'ensemble')
    assert (seen[0]['ensemble'] == 0.25).all() == teaches


def test_a_box_of_a_detector_has_no_target(monkeypatch):
    model = make_model().eval()
    found, labeled = Noise(2)[0], Noise(2)[1]
    # As BaseCocoStyleDataset fills them in.
    found['data_samples'].gt_instances.keypoints = np.zeros((1, 17, 2), np.float32)
    found['data_samples'].gt_instances.keypoints_visible = np.ones((1, 17), np.float32)
    seen = []
    monkeypatch.setattr(heatmap_vis, 'heatmap_strip', lambda image, **shown: seen.append(shown))
    draw_strips(model, pseudo_collate([found, labeled]), [3], ['name'] * 17)
    assert seen[0]['target'] is None
    assert seen[1]['target'].max() > 0.5


def test_simcc_is_drawn_as_the_product_of_its_distributions(monkeypatch):
    codec = dict(type='SimCCLabel', input_size=(64, 64), sigma=4.0)
    simcc = dict(
        type='SimCCHead',
        in_channels=64,
        out_channels=17,
        input_size=(64, 64),
        in_featuremap_size=(2, 2),
        deconv_out_channels=None,
        decoder=codec,
    )
    model = make_model('resnet', head=simcc).eval()
    seen = []
    monkeypatch.setattr(heatmap_vis, 'heatmap_strip', lambda image, **shown: seen.append(shown))
    draw_strips(model, pseudo_collate([Noise(1)[0]]), [3], ['name'] * 17)
    (shown,) = seen
    assert shown['branch_heatmaps'].shape == (3, 17, 16, 16)
    assert np.allclose(shown['ensemble'].sum((-2, -1)), 1)
    assert shown['target'].shape == (17, 16, 16)


@pytest.mark.parametrize('codec', [MSRAHeatmap, UDPHeatmap])
def test_the_target_is_where_the_keypoint_is_in_the_crop(codec):
    sample = Noise(1)[0]['data_samples']
    codec = dict(CODEC, type=codec.__name__)
    target = encode_target(sample, make_model(codec=codec).head.adapter)[0]
    corner = sample.input_center - sample.input_scale / 2
    inside = (sample.gt_instances.keypoints[0] - corner) / sample.input_scale
    peaks = [np.unravel_index(maps.argmax(), maps.shape)[::-1] for maps in target.numpy()]
    assert np.abs(peaks - inside * 16).max() <= 1.5, (
        'rounded, and by conventions half a pixel apart'
    )


def test_keypoints_are_chosen_by_name_or_spread():
    names = ['nose', 'left_wrist', 'knee']
    assert choose_keypoints(['knee', 'nose'], names) == [2, 0]
    assert choose_keypoints(None, [str(k) for k in range(17)]) == [4, 8, 12]
    assert choose_keypoints(None, ['one']) == [0]
    with pytest.raises(UserError, match=r"\['tail'\] do not exist; the data set has nose, left"):
        choose_keypoints(['tail', 'nose'], names)


@pytest.mark.parametrize('wrong', [dict(interval=0), dict(samples=0)])
def test_numbers_are_positive(wrong):
    with pytest.raises(UserError, match='at least 1'):
        BranchVisualizationHook(**wrong)
