"""Temporal teaching: on unlabeled video, the teacher sees the next or the previous frame.

An arm of benchmarks/label_efficiency.py, compared with the method that it changes. Frames t and
t + 1 of an unlabeled person come together, cut out by the same box with the same augmentation. The
teacher's maps of one frame teach the branches on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmpose.registry import DATA_SAMPLERS, DATASETS, MODELS
from torch import Tensor, nn

from okdhp_mm.datasets.mixed_sampler import MixedSampler
from okdhp_mm.datasets.unlabeled import UnlabeledDataset
from okdhp_mm.models import OKDHPTopdownPoseEstimator
from okdhp_mm.models.unlabeled import UnlabeledTeaching


@DATASETS.register_module()
class FramePairs(UnlabeledDataset):
    """Persons, then the same persons one frame later in the same order.

    The annotations need ``track_id``. Frames are pictures of one folder with a number as name. A
    person without a next frame is left out. The random numbers of the first frame are used again
    for the second, so both must be loaded one after the other by one process.
    """

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Return a person with its place: folder, track and frame."""
        person = super().parse_data_info(raw_data_info)
        if person is not None:
            frame = Path(person['img_path'])
            track = raw_data_info['raw_ann_info']['track_id']
            person['place'] = frame.parent, track, int(frame.stem)
        return person

    def load_data_list(self) -> list[dict]:
        """Return all persons, then those of the next frames with the boxes of the first ones."""
        places = {person['place']: person for person in super().load_data_list()}
        pairs = []
        for (video, track, frame), person in places.items():
            if following := places.get((video, track, frame + 1)):
                pairs.append((person, following | dict(bbox=person['bbox'])))
        return [first for first, _ in pairs] + [second for _, second in pairs]

    def prepare_data(self, idx: int):
        """Augment the second frame of a pair like the first."""
        if idx < len(self) // 2:
            self.state = np.random.get_state()
        else:
            np.random.set_state(self.state)
        return super().prepare_data(idx)


@DATA_SAMPLERS.register_module()
class PairSampler(MixedSampler):
    """Sampler that puts both frames of a pair next to each other."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.count //= 2

    def _unlabeled(self) -> Iterator[int]:
        for index in super()._unlabeled():
            yield index
            yield index + self.count


class TemporalTeaching(UnlabeledTeaching):
    """Teaching in which the frames of a pair exchange the teacher's maps."""

    def _teachers(self, model: nn.Module, images: Tensor) -> Tensor:
        maps = super()._teachers(model, images)
        return maps.unflatten(1, (-1, 2)).flip(2).flatten(1, 2)


@MODELS.register_module()
class TemporalEstimator(OKDHPTopdownPoseEstimator):
    """Estimator with temporal teaching."""

    def __init__(self, *args, unlabeled: dict, **kwargs):
        super().__init__(*args, unlabeled=unlabeled, **kwargs)
        self.unlabeled = TemporalTeaching(**unlabeled)
        self.unlabeled.attach(self.head.adapter)


def teach_over_time(cfg: Config) -> None:
    """Let a training with unlabeled images pair frames, in place."""
    cfg.model.type = TemporalEstimator.__name__
    cfg.train_dataloader.dataset.datasets[1].type = FramePairs.__name__
    cfg.train_dataloader.sampler.type = PairSampler.__name__
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.custom_imports.imports = [*cfg.custom_imports.imports, 'temporal']
