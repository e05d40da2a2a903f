"""Hard views: the maps of the moved image are the moved maps."""

import itertools

import numpy as np
import pytest
import torch
from common import NUM_KEYPOINTS, build, head

from okdhp_mm.errors import UserError
from okdhp_mm.models.geometry import flat_peaks, inverse, refined
from okdhp_mm.models.hard_views import HardViews
from okdhp_mm.models.heads.adapters import find_adapter
from okdhp_mm.models.unlabeled import UnlabeledTeaching, mirrored_back

SIZE = (64, 96)
HEATMAP_CODECS = dict(
    msra=dict(type='MSRAHeatmap', sigma=2, unbiased=True, heatmap_size=(16, 24)),
    udp=dict(type='UDPHeatmap', sigma=2, heatmap_size=(16, 24)),
    dark_udp=dict(type='UDPHeatmap', sigma=3, heatmap_size=(32, 48)),
)
SIMCC = dict(type='SimCCLabel', sigma=4.0, simcc_split_ratio=2.0)
STILL = dict(brightness=0, contrast=0, color=0, hide=0)
PLAIN = dict(rotation=0, scale=0, shift=0, flip=0, joints=0, photometric=STILL)
SWAPS = [0, *itertools.chain(*([i + 1, i] for i in range(1, NUM_KEYPOINTS, 2)))]


def adapter_of(codec):
    codec = dict(codec, input_size=SIZE)
    if codec['type'] == 'SimCCLabel':
        parts = dict(
            type='SimCCHead', in_channels=64, out_channels=NUM_KEYPOINTS, input_size=SIZE,
            in_featuremap_size=(2, 3), simcc_split_ratio=2.0, deconv_out_channels=None,
            decoder=codec,
        )  # fmt: skip
        return find_adapter(build(parts))
    return find_adapter(build(head(64, codec)))


def keypoints(persons=3, seed=0):
    """Places well inside the image."""
    places = np.random.default_rng(seed).uniform(0.3, 0.7, (persons, NUM_KEYPOINTS, 2))
    return (places * SIZE).astype(np.float32)


def encoded(adapter, places):
    visible = np.ones((1, NUM_KEYPOINTS), np.float32)
    return torch.cat([adapter.encode(person[None], visible) for person in places])


def move(adapter, maps, **changes):
    """One view of noise with maps, and what moved them."""
    images = torch.randn(len(maps), 3, *SIZE[::-1])
    views = HardViews(**PLAIN | changes)
    state = torch.get_rng_state()
    moved = views(images, maps[None], adapter, SWAPS)
    torch.set_rng_state(state)
    linear, offset, flipped = views._draw((1, len(maps)), images, adapter.rotates, SWAPS)
    return images, moved, linear, offset, flipped


def moved_places(places, linear, offset, flipped):
    places = inverse(linear, torch.from_numpy(places) - offset[:, None])
    return torch.stack(
        [person[SWAPS] if flip else person for person, flip in zip(places, flipped, strict=True)]
    ).numpy()


MOVES = dict(
    rotation=dict(rotation=40), shift=dict(shift=0.15), flip=dict(flip=1.0),
    all=dict(rotation=40, shift=0.1, flip=0.5),
)  # fmt: skip


@pytest.mark.parametrize('move_name', MOVES)
@pytest.mark.parametrize('codec', HEATMAP_CODECS.values(), ids=HEATMAP_CODECS)
def test_moved_labels_are_the_labels_of_the_moved_image(codec, move_name):
    torch.manual_seed(1)
    adapter, places = adapter_of(codec), keypoints()
    _, moved, *how = move(adapter, encoded(adapter, places), **MOVES[move_name])
    expected = encoded(adapter, moved_places(places, *how))
    # Linear interpolation lowers a peak of sigma 2 by up to 6 %.
    assert (moved.maps[0] - expected).abs().max() < 0.08
    assert (moved.maps[0] - encoded(adapter, places)).abs().max() > 0.3, 'something moved'


@pytest.mark.parametrize('changes', [dict(shift=0.15), dict(flip=1.0), dict(shift=0.1, flip=0.5)])
def test_moved_distributions_are_those_of_the_moved_image(changes):
    torch.manual_seed(1)
    adapter, places = adapter_of(SIMCC), keypoints()
    assert not adapter.rotates
    _, moved, *how = move(adapter, encoded(adapter, places), rotation=40, **changes)
    expected = encoded(adapter, moved_places(places, *how))
    # The codec rounds to whole bins, before and after the move: 16 % of a peak of sigma 4.
    assert (moved.maps[0] - expected).abs().max() < 0.16 * expected.max()
    assert (moved.maps[0] - encoded(adapter, places)).abs().max() > 0.3 * expected.max()


@pytest.mark.parametrize('codec', [*HEATMAP_CODECS.values(), SIMCC], ids=[*HEATMAP_CODECS, 'simcc'])
def test_peaks_move_with_the_image_and_its_size(codec):
    torch.manual_seed(2)
    adapter, places = adapter_of(codec), keypoints()
    maps = encoded(adapter, places)
    maps = maps.log().clamp(min=-50) if codec is SIMCC else maps
    _, moved, *how = move(adapter, maps, rotation=30, scale=0.25, shift=0.1, flip=0.5)
    found, heights = adapter.peaks(moved.maps[0])
    step = 4.5 if codec is not SIMCC else 1
    assert np.abs(found.numpy() - moved_places(places, *how)).max() < step
    assert moved.inside.all()
    assert 0.8 < moved.heights.min() <= moved.heights.max() <= 1.05
    assert heights.min() > 0.5


@pytest.mark.parametrize('codec', [*HEATMAP_CODECS.values(), SIMCC], ids=[*HEATMAP_CODECS, 'simcc'])
def test_labels_are_drawn_where_the_codec_draws_them(codec):
    adapter, teaching = adapter_of(codec), UnlabeledTeaching()
    teaching.attach(adapter)
    places = keypoints()
    drawn = teaching._labels(adapter, torch.from_numpy(places)[None])[0]
    labels = encoded(adapter, places)
    assert drawn.shape == labels.shape
    # A label between two pixels is interpolated, so it is a little lower.
    assert (drawn - labels).abs().max() < 0.1 * labels.max()
    assert (adapter.peaks(drawn)[0] - torch.from_numpy(places)).abs().max() < 1.1


@pytest.mark.parametrize('codec', [*HEATMAP_CODECS.values(), SIMCC], ids=[*HEATMAP_CODECS, 'simcc'])
def test_labels_of_the_mirror_image_are_moved_back_to_those_of_the_image(codec):
    adapter, places = adapter_of(codec), keypoints()
    mirrored = places[:, SWAPS].copy()
    mirrored[..., 0] = SIZE[0] - 1 - mirrored[..., 0]
    images = torch.zeros(len(places), 3, *SIZE[::-1])
    back = mirrored_back(adapter, encoded(adapter, mirrored), images, SWAPS)
    labels = encoded(adapter, places)
    assert (back - labels).abs().max() < 0.1 * labels.max()


def test_a_peak_is_moved_toward_its_higher_neighbor():
    maps = torch.zeros(1, 2, 4, 5)
    maps[0, 0, 1, 2], maps[0, 0, 1, 3], maps[0, 0, 0, 2] = 1, 0.5, 0.5
    maps[0, 1, 3, 4] = 1  # in the corner: nothing is beyond it
    (x, y), _ = flat_peaks(maps)
    assert torch.stack(refined(maps, x, y), -1).tolist() == [[[2.25, 0.75], [4.0, 3.0]]]


def test_the_image_moves_like_its_maps():
    """A bright pixel of the image stays under the peak of its keypoint."""
    torch.manual_seed(3)
    adapter, places = adapter_of(HEATMAP_CODECS['udp']), keypoints(8)
    images = torch.zeros(8, 3, *SIZE[::-1])
    for image, (x, y) in zip(images, places[:, 0].round().astype(int), strict=True):
        image[:, y - 2 : y + 3, x - 2 : x + 3] = 1
    views = HardViews(**PLAIN | dict(rotation=40, scale=0.2, shift=0.1, flip=0.5))
    moved = views(images, encoded(adapter, places)[None], adapter, SWAPS)
    found, _ = adapter.peaks(moved.maps[0])
    for view, (x, y) in zip(moved.images.images[0], found[:, 0].round().long(), strict=True):
        bright = view[0].flatten().argmax()
        place = torch.stack([bright % SIZE[0], bright // SIZE[0]])
        assert (place - torch.stack([x, y])).abs().max() <= 6


def test_without_changes_the_view_is_the_image():
    adapter = adapter_of(HEATMAP_CODECS['msra'])
    maps = encoded(adapter, keypoints())
    images, moved, *_ = move(adapter, maps)
    torch.testing.assert_close(moved.images.images[0], images, rtol=0, atol=1e-4)
    torch.testing.assert_close(moved.maps[0], maps, rtol=0, atol=1e-4)


def test_a_peak_outside_the_view_is_told():
    torch.manual_seed(0)
    adapter = adapter_of(HEATMAP_CODECS['msra'])
    places = np.full((1, NUM_KEYPOINTS, 2), 4, np.float32)
    places[:, 1:] = np.array(SIZE) / 2
    maps = encoded(adapter, places).repeat(16, 1, 1, 1)
    _, moved, *_ = move(adapter, maps, shift=0.4)
    assert moved.inside[..., 1:].float().mean() > 0.9
    assert not moved.inside[..., 0].all()
    assert moved.inside[..., 0].any()


def test_without_pairs_nothing_is_mirrored():
    images = torch.randn(4, 3, *SIZE[::-1])
    maps = torch.rand(1, 4, NUM_KEYPOINTS, 24, 16)
    views = HardViews(**PLAIN | dict(flip=1.0))
    adapter = adapter_of(HEATMAP_CODECS['msra'])
    plain = views(images, maps, adapter, list(range(NUM_KEYPOINTS)))
    torch.testing.assert_close(plain.images.images[0], images, rtol=0, atol=1e-4)
    mirrored = views(images, maps, adapter, SWAPS)
    torch.testing.assert_close(mirrored.images.images[0], images.flip(-1), rtol=0, atol=1e-4)


def test_squares_hide_joints_and_little_else():
    torch.manual_seed(0)
    adapter = adapter_of(HEATMAP_CODECS['msra'])
    places = keypoints(4)
    maps = encoded(adapter, places)
    images = torch.ones(4, 3, *SIZE[::-1])
    views = HardViews(**PLAIN | dict(joints=3.0, joint_size=0.1))
    hidden = views(images, maps[None], adapter, SWAPS).images.images[0, :, 0] == 0
    assert 0 < hidden.float().mean() < 3 * 0.1 * 0.15 * 2
    views = HardViews(**PLAIN | dict(joints=NUM_KEYPOINTS))
    hidden = views(images, maps[None], adapter, SWAPS).images.images[0, :, 0] == 0
    for image, person in zip(hidden, places.round().astype(int), strict=True):
        assert all(image[y, x] for x, y in person)


def test_branches_see_views_of_their_own():
    adapter = adapter_of(HEATMAP_CODECS['msra'])
    maps = encoded(adapter, keypoints()).expand(3, -1, -1, -1, -1)
    images = torch.randn(3, 3, *SIZE[::-1])
    seen = HardViews()(images, maps, adapter, SWAPS).images.images
    assert seen.shape == (3, *images.shape)
    for first, second in itertools.combinations(seen, 2):
        assert (first - second).abs().mean() > 0.1


@pytest.mark.parametrize('wrong', [dict(scale=1.0), dict(flip=2), dict(joints=-1), dict(shift=-1)])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        HardViews(**wrong)
