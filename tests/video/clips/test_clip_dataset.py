"""Clips: which frames they have, and that their frames share the augmentation."""

import json

import numpy as np
import pytest
import torch
from common import build  # noqa: F401  (registers)
from films import KEYPOINTS, film_dataset, write_film
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from okdhp_mm.data.files import check_data
from okdhp_mm.errors import UserError
from okdhp_mm.video.clips import ClipDataPreprocessor, ClipDataset
from okdhp_mm.video.clips.structures import Clip

AUGMENT = [
    dict(type='RandomFlip', direction='horizontal'),
    # Draws numbers for persons with enough keypoints only.
    dict(type='RandomHalfBody', min_total_keypoints=3, prob=0.5),
    dict(type='RandomBBoxTransform', rotate_factor=90),
    dict(type='PhotometricDistortion'),
]


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp('film'), absent=[(1, 0, 2)])


def images_of(clip):
    return [sample.img_path[-15:] for sample in clip.data_samples]


def tracks_of(dataset):
    return {
        (clip.data_samples[0].img_path[-15:-9], clip.data_samples[0].raw_ann_info['track_id']): [
            int(name[-8:-4]) for name in images_of(clip)
        ]
        for clip in dataset
    }


def test_whole_tracks_are_cut_at_holes(film):
    clips = ClipDataset(film_dataset(film))
    frames = [(tuple(int(n[-8:-4]) for n in images_of(clip))) for clip in clips]
    assert sorted(frames) == [(0, 1), (0, 1, 2, 3, 4, 5)] + 2 * [(0, 1, 2, 3, 4, 5)] + [(3, 4, 5)]


def test_a_clip_is_of_one_person(film):
    for clip in ClipDataset(film_dataset(film), frames=3):
        assert isinstance(clip, Clip)
        assert len({sample.raw_ann_info['track_id'] for sample in clip.data_samples}) == 1
        assert len({name.rpartition('/')[0] for name in images_of(clip)}) == 1
        numbers = [int(name[-8:-4]) for name in images_of(clip)]
        assert numbers == list(range(numbers[0], numbers[0] + 3))


@pytest.mark.parametrize(
    ('settings', 'count'),
    [
        # Three tracks of six frames, one of two and one of three.
        (dict(frames=3), 3 * 2 + 1),
        (dict(frames=3, step=1), 3 * 4 + 1),
        # Every second frame: two runs of three in six; the hole leaves 1, 3, 5 and 0 and 4.
        (dict(frames=3, stride=2), 3 * 2 + 1),
    ],
)
def test_number_of_clips(film, settings, count):
    assert len(ClipDataset(film_dataset(film), **settings)) == count


def test_frames_of_a_clip_share_the_augmentation(film):
    dataset = ClipDataset(film_dataset(film, AUGMENT), frames=6)
    np.random.seed(0)
    seen = set()
    for _ in range(10):
        clip = dataset[0]
        # The dots move with their box, so that equal crops show them at equal places.
        places = [s.gt_instances.transformed_keypoints for s in clip.data_samples]
        assert max(abs(place - places[0]).max() for place in places) < 1e-3
        assert len({(s.flip, s.input_rotation) for s in clip.data_samples}) == 1
        seen.add((clip.data_samples[0].flip, clip.data_samples[0].input_rotation))
    assert len(seen) > 5, 'clips differ'
    assert {flip for flip, _ in seen} == {True, False}


def test_another_seed_gives_other_clips_and_the_same_seed_the_same(film):
    dataset = ClipDataset(film_dataset(film, AUGMENT), frames=3)

    def first(seed):
        np.random.seed(seed)
        return torch.stack([*dataset[0].inputs])

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_a_video_of_one_person_needs_no_identity(tmp_path):
    film = write_film(tmp_path, videos=1, persons=1, tracks=False)
    assert len(ClipDataset(film_dataset(film))) == 1


def test_two_persons_without_identities_are_refused(tmp_path):
    film = write_film(tmp_path, videos=1, frames=2, tracks=False)
    with pytest.raises(UserError, match='two persons with track_id=None'):
        ClipDataset(film_dataset(film))


def changed(folder, key, **changes):
    """Return a film of one video whose first entry of a kind is changed."""
    film = write_film(folder, videos=1)
    content = json.loads((film / 'labels.json').read_text())
    content[key][0] |= changes
    (film / 'labels.json').write_text(json.dumps(content))
    return film


@pytest.mark.parametrize(
    ('key', 'changes', 'message'),
    [
        ('images', dict(frame_id='first'), "Image 1 .* has frame_id='first'"),
        (
            'images',
            dict(frame_id=None),
            'Image 1 .* has frame_id=None, which must be a whole number',
        ),
        ('images', dict(frame_id=0.5), 'frame_id=0.5'),
        ('images', dict(frame_id=3), "Images 1 and 4 .* are both frame 3 of video 'video0'"),
        ('annotations', dict(track_id=[1]), r'Annotation 1 .* has track_id=\[1\]. Give it a whole'),
        ('annotations', dict(track_id=float('nan')), 'track_id=nan'),
        ('annotations', dict(track_id=1), 'two persons with track_id=1'),
    ],
)
def test_wrong_places_are_refused(tmp_path, key, changes, message):
    with pytest.raises(UserError, match=message):
        ClipDataset(film_dataset(changed(tmp_path, key, **changes)))


@pytest.mark.parametrize(
    'changes',
    [
        dict(keypoints=3 * KEYPOINTS * [0], num_keypoints=0),
        dict(bbox=[5, 5, 0, 0]),
    ],
    ids=['nothing labeled', 'no area'],
)
def test_persons_that_mmpose_skips_are_holes(tmp_path, changes):
    film = changed(tmp_path, 'annotations', **changes)
    assert sorted(len(track) for track in ClipDataset(film_dataset(film)).clips) == [5, 6]


def test_a_clip_config_is_checked_as_that_of_its_stock_dataset(tmp_path):
    def check(**changes):
        film = changed(tmp_path / str(len(list(tmp_path.iterdir()))), 'annotations', **changes)
        dataset = dict(type='ClipDataset', dataset=film_dataset(film))
        check_data(Config(dict(train_dataloader=dict(dataset=dataset))), 'train')

    check()
    with pytest.raises(UserError, match='keypoints'):
        check(keypoints=3 * KEYPOINTS * [float('nan')])
    with pytest.raises(UserError, match='4 keypoints'):
        check(keypoints=3 * (KEYPOINTS + 1) * [1])


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(frames=True), 'frames=True must be a number'),
        (dict(frames='4'), "frames='4' must be a number"),
        (dict(frames=7), 'no 7 consecutive frames .* longest track has 6'),
        (dict(frames=0), 'frames=0 must be a number above zero'),
        (dict(stride=1.5), 'stride=1.5'),
    ],
)
def test_wrong_settings_are_refused(film, settings, message):
    with pytest.raises(UserError, match=message):
        ClipDataset(film_dataset(film), **settings)


def test_batches_are_arranged_by_frame(film):
    dataset = ClipDataset(film_dataset(film))
    clips = [dataset[index] for index in range(len(dataset))]
    lengths = [len(clip.inputs) for clip in clips]
    batch = ClipDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3)(pseudo_collate(clips))['clips']
    assert [len(frame.data_samples) for frame in batch.frames] == [
        sum(length > t for length in lengths) for t in range(6)
    ]
    for t, frame in enumerate(batch.frames):
        for index, image, sample in zip(
            batch.order, frame.inputs, frame.data_samples, strict=False
        ):
            assert torch.equal(image, clips[index].inputs[t].float())
            assert sample.id == clips[index].data_samples[t].id


def test_single_images_are_refused():
    images = dict(inputs=[torch.zeros(3, 8, 8)], data_samples=[])
    with pytest.raises(UserError, match='needs clips, but the data loader gives single images'):
        ClipDataPreprocessor()(images)
