"""DKD on tiny films: frames, tracks, losses and wrong input."""

import copy

import numpy as np
import pytest
import torch
from common import PREPROCESSOR, build, head, resnet, shake, stock_model
from films import CODEC, KEYPOINTS, film_dataset, write_film
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmpose.datasets.transforms import TopdownAffine
from mmpose.structures import PoseDataSample

from okdhp_mm.errors import UserError
from okdhp_mm.video.clips import ClipDataset
from okdhp_mm.video.clips.structures import Clip
from okdhp_mm.video.dkd.crops import warp_between
from okdhp_mm.video.dkd.kernels import area_pool, localize
from okdhp_mm.video.dkd.simple import move

STRIDE_4 = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
ROTATE = [dict(type='RandomFlip'), dict(type='RandomBBoxTransform', rotate_factor=60)]


def initializer():
    """A tiny stock model of three keypoints."""
    return stock_model(
        'resnet',
        backbone=resnet(**STRIDE_4),
        head=head(8, CODEC, deconv=None, out_channels=KEYPOINTS),
        data_preprocessor=PREPROCESSOR,
    )


def dkd(**changes):
    return ConfigDict(
        dict(
            type='DKDPoseEstimator',
            initializer=initializer(),
            backbone=resnet(**STRIDE_4, base_channels=4),
            distillator=dict(channels=8, kernel_size=3),
            freeze_initializer=False,
        )
        | changes
    )


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp('film'), absent=[(1, 0, 4)])


@pytest.fixture(scope='module')
def tracks(film):
    """Whole tracks of 6, 6, 4, 1 and 6 frames."""
    dataset = ClipDataset(film_dataset(film, targets=False))
    return [dataset[index] for index in range(len(dataset))]


@pytest.fixture(scope='module')
def clips(film):
    dataset = ClipDataset(film_dataset(film, ROTATE), frames=3)
    return [dataset[index] for index in range(4)]


def prepared(model, clips, training=False):
    return model.data_preprocessor(pseudo_collate(copy.deepcopy(clips)), training)


def predict(model, clips):
    model.eval()
    with torch.no_grad():
        found = model(**prepared(model, clips), mode='predict')
    return [
        np.concatenate([sample.pred_instances.keypoints for sample in clip.data_samples])
        for clip in found
    ]


def test_the_first_frame_is_that_of_the_initializer_bit_for_bit(tracks):
    model = shake(build(dkd())).eval()
    stock = model.initializer
    found = predict(model, tracks)
    for clip, poses in zip(tracks, found, strict=True):
        data = dict(inputs=[clip.inputs[0]], data_samples=[copy.deepcopy(clip.data_samples[0])])
        with torch.no_grad():
            (alone,) = stock.test_step(data)
        assert np.array_equal(poses[:1], alone.pred_instances.keypoints)


def test_tracks_do_not_reach_each_other(tracks):
    model = shake(build(dkd()))
    found = predict(model, tracks)
    assert [len(poses) for poses in found] == [len(clip.inputs) for clip in tracks]
    for order in ([4, 2, 0, 3, 1], [1, 0, 4, 3, 2]):
        permuted = predict(model, [tracks[index] for index in order])
        for index, poses in zip(order, permuted, strict=True):
            assert np.allclose(poses, found[index], atol=1e-3)
    for clip, poses in zip(tracks, found, strict=True):
        (alone,) = predict(model, [clip])
        assert np.allclose(alone, poses, atol=1e-3)


def test_the_state_matters(tracks):
    """Without it, the test above would say nothing."""
    model = shake(build(dkd()))
    long, other = tracks[0], tracks[1]
    mixed = Clip([other.inputs[0], *long.inputs[1:]], long.data_samples)
    a, b = predict(model, [long])[0], predict(model, [mixed])[0]
    assert not np.allclose(a[1:], b[1:], atol=1e-3)


def test_reinitialization(tracks):
    model = shake(build(dkd(reinitialize_every=2)))
    whole = predict(model, tracks[:1])[0]
    second = Clip(tracks[0].inputs[2:], tracks[0].data_samples[2:])
    assert np.array_equal(predict(model, [second])[0], whole[2:])


def test_the_loss_trains_all_parts(clips):
    torch.manual_seed(0)
    model = build(dkd())
    model.init_weights()
    losses = model(**prepared(model, clips, True), mode='loss')
    assert set(losses) == {'loss_kpt'}
    losses['loss_kpt'].backward()
    # Only the tests' own initializer is trained here; by default it is frozen.
    assert {n for n, p in model.named_parameters() if p.grad is None} == set()
    assert all(p.grad.abs().sum() > 0 for p in model.distillator.distill.parameters())


@pytest.mark.parametrize('distillator', ['PoseKernels', 'PreviousHeatmaps'])
def test_it_learns_a_clip(clips, distillator):
    torch.manual_seed(0)
    model = build(dkd(distillator=dict(type=distillator, channels=16)))
    model.init_weights()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = prepared(model, clips, True)
    values = []
    for _ in range(60):
        loss = model(**batch, mode='loss')['loss_kpt']
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.3 * values[0]


def test_the_discriminator_trains_neither_side_with_the_loss_of_the_other(clips):
    model = build(dkd(discriminator=dict()))
    losses = model(**prepared(model, clips, True), mode='loss')
    assert set(losses) == {'loss_kpt', 'loss_discriminator', 'loss_adversarial'}
    adversary = [*model.discriminator.parameters()]
    others = [*model.distillator.parameters(), *model.backbone.parameters()]

    def gradients(loss, parameters):
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        return [gradient for gradient in found if gradient is not None]

    assert gradients(losses['loss_discriminator'], adversary)
    assert not gradients(losses['loss_discriminator'], others)
    assert gradients(losses['loss_adversarial'], others)
    assert not gradients(losses['loss_adversarial'], adversary)


def crop_of(center, scale, rotation, points):
    """Return the sample of a crop, and where points of the image are in it, from -1 to 1."""
    results = dict(
        img=np.zeros((64, 64, 3), np.uint8),
        bbox_center=np.array([center], np.float32),
        bbox_scale=np.array([scale], np.float32),
        bbox_rotation=np.array([rotation], np.float32),
        keypoints=points[None],
    )
    results = TopdownAffine(input_size=(48, 64)).transform(results)
    sample = PoseDataSample(metainfo=dict(input_rotation=rotation))
    names = ('input_center', 'input_scale', 'input_size')
    sample.set_metainfo({name: results[name] for name in names})
    return sample, 2 * results['transformed_keypoints'][0] / (48, 64) - 1


def test_places_in_the_last_crop():
    points = np.random.default_rng(0).uniform(0, 64, (5, 2)).astype(np.float32)
    last, before = crop_of((30, 20), (30, 40), 40.0, points)
    current, now = crop_of((35, 26), (36, 48), 25.0, points)
    (warp,) = warp_between([last], [current]).numpy()
    assert np.allclose(now @ warp[:, :2].T + warp[:, 2], before, atol=1e-3)


def test_heatmaps_move_with_the_crop():
    heatmaps = torch.rand(1, 2, 8, 8)
    # The new crop begins one cell further right: what was at x + 1 is at x.
    warp = torch.tensor([[[1.0, 0.0, 2 / 8], [0.0, 1.0, 0.0]]])
    assert torch.allclose(move(heatmaps, warp)[..., :-1], heatmaps[..., 1:], atol=1e-5)
    assert move(heatmaps, None) is heatmaps


def test_the_repeated_pose_stays_where_it_was_in_the_image(tracks):
    model = build(dkd(distillator=dict(type='LastHeatmaps')))
    # A clear peak, which an untrained initializer does not have.
    peaks = np.array([[[20.0, 30.0], [40.0, 32.0], [24.0, 44.0]]])
    encoded = model.codec.encode(peaks, np.ones((1, KEYPOINTS)))['heatmaps']
    model.initial_heatmaps = lambda images: torch.from_numpy(encoded)[None]
    (found,) = predict(model, tracks[:1])
    # The box moves by five pixels in this track.
    assert abs(found - found[0]).max() < 1


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(reinitialize_every=0), 'reinitialize_every=0'),
        (dict(test_cfg=dict(flip_test=True)), 'flip_test=True needs the state'),
        (
            dict(backbone=resnet()),
            r'features of \(2, 2\).* heatmaps of \(16, 16\)',
        ),
        (dict(initializer='absent.py'), 'absent.py'),
        (dict(initializer=dict(type='TopdownPoseEstimator')), 'not the config of a model'),
        (dict(distillator=dict(kernel_size=4)), 'kernel_size=4 must be odd'),
    ],
)
def test_wrong_configs_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        build(dkd(**changes))


def test_a_frozen_initializer_needs_weights(tmp_path):
    with pytest.raises(UserError, match='keeps random weights'):
        build(dkd(freeze_initializer=True)).init_weights()


def test_the_initializer_is_loaded_and_frozen(tmp_path, clips):
    trained = shake(build(initializer()))
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'large.pth')
    model = build(dkd(freeze_initializer=True, initializer_checkpoint=str(tmp_path / 'large.pth')))
    model.init_weights()
    model.train()
    before = copy.deepcopy(model.initializer.state_dict())
    model(**prepared(model, clips, True), mode='loss')['loss_kpt'].backward()
    after = model.initializer.state_dict()
    for name, value in trained.state_dict().items():
        assert torch.equal(value, after[name]) and torch.equal(before[name], after[name]), name
    assert all(p.grad is None for p in model.initializer.parameters())


def test_the_checkpoint_of_the_initializer_alone_is_refused():
    """mmengine would test with random weights in place of those that are missing."""
    model = build(dkd())
    state = model.state_dict()
    build(dkd()).load_state_dict(state, strict=False)
    name = next(name for name in state if name.startswith('backbone.') and state[name].ndim == 4)
    for other in (
        model.initializer.state_dict(),
        {each: value for each, value in state.items() if each != name},
        state | {name: state[name][:1]},
    ):
        with pytest.raises(UserError, match='The checkpoint is of another model: .* tensors diff'):
            build(dkd()).load_state_dict(other, strict=False)


def test_the_checkpoint_of_another_network_is_refused(tmp_path):
    other = build(stock_model('resnet'))
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
    model = build(dkd(initializer_checkpoint=str(tmp_path / 'other.pth')))
    with pytest.raises(UserError, match='other.pth is not a checkpoint of model.initializer'):
        model.init_weights()


def test_clips_of_one_frame_are_refused(clips):
    model = build(dkd())
    single = [Clip(clips[0].inputs[:1], clips[0].data_samples[:1])]
    with pytest.raises(UserError, match='at least two frames'):
        model(**prepared(model, single, True), mode='loss')
    with pytest.raises(UserError, match='equal length'):
        model(**prepared(model, [clips[0], *single], True), mode='loss')


def test_localization_is_the_convolution_of_each_track_with_its_own_kernels():
    features, kernels = torch.randn(3, 4, 6, 7), torch.randn(3, 4, 5, 5)
    expected = torch.nn.functional.conv2d(
        features.flatten(0, 1)[None], kernels.flatten(0, 1)[:, None], padding=2, groups=12
    )
    expected = expected.view(3, 4, 6, 7) / 25
    assert torch.allclose(localize(features, kernels), expected, atol=1e-5)


@pytest.mark.parametrize('size', [3, 5])
def test_pooling_is_adaptive_where_both_exist(size):
    maps = torch.randn(2, 3, 15, 30)
    expected = torch.nn.functional.adaptive_avg_pool2d(maps, size)
    assert torch.allclose(area_pool(maps, size), expected, atol=1e-5)
    ones = area_pool(torch.ones(1, 1, 6, 7), size)
    assert torch.allclose(ones, torch.ones_like(ones))
