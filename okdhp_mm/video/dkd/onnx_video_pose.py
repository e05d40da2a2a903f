"""Poses of tracks in a video from an exported DKD estimator, without torch and mmpose.

Needs numpy, opencv and onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...deploy.onnx_pose import OnnxPose, open_graph
from .graphs import INITIALIZER, INPUTS, OUTPUTS, STEP


@dataclass(frozen=True)
class TrackState:
    """State of one track: heatmaps (K, H, W), features (C, H, W), frames since the initializer."""

    heatmaps: np.ndarray
    features: np.ndarray
    age: int


class OnnxVideoPose:
    """Finds the poses of tracks, frame by frame, with one state for each track.

    The initializer runs for a track that was not in the last frame, the small network for all
    others. A track that is missing in a frame loses its state, so that memory is bounded by the
    number of persons in a frame.

    Args:
        folder: Folder with ``initializer.onnx`` and ``dkd_step.onnx``.
        reinitialize_every: Run the initializer on every so many frames of a track; by default what
            the estimator was configured with.
        threads: Number of CPU threads; 0 leaves it to onnxruntime.
        providers: Execution providers of onnxruntime.

    Attributes:
        states: State of each track of the last frame, by its identity.

    Raises:
        ValueError: If a graph is missing or broken, or the graphs are of different students.
    """

    def __init__(
        self,
        folder: str | Path,
        reinitialize_every: int | None = None,
        threads: int = 0,
        providers: Sequence[str] = ('CPUExecutionProvider',),
    ):
        files = [Path(folder) / name for name in (INITIALIZER, STEP)]
        if missing := [file.name for file in files if not file.is_file()]:
            raise ValueError(
                f'{folder} has no {" and no ".join(missing)}: name the folder that '
                '`python -m okdhp_mm export CONFIG CHECKPOINT FOLDER` wrote for a DKD config.'
            )
        self.initializer = OnnxPose(files[0], threads, providers)
        self.step = open_graph(files[1], threads, providers)
        if [entry.name for entry in self.step.get_outputs()] != list(OUTPUTS):
            raise ValueError(f'{files[1]} is not the graph of a DKD step: export it again.')
        given = self.step.get_modelmeta().custom_metadata_map.get('reinitialize_every', '')
        self.reinitialize_every = reinitialize_every or (int(given) if given else None)
        pixels, heatmaps, features = (entry.shape[1:] for entry in self.step.get_inputs())
        first = self.initializer.session
        outputs = [entry.shape[1:] for entry in first.get_outputs()]
        if [pixels] != [entry.shape[1:] for entry in first.get_inputs()] or outputs[2:] != [
            heatmaps
        ]:
            raise ValueError(
                f'{INITIALIZER} and {STEP} in {folder} are of different students: the step needs '
                f'heatmaps of {heatmaps} (K, H, W). Export both again.'
            )
        self.empty = TrackState(np.zeros(heatmaps, np.float32), np.zeros(features, np.float32), 0)
        self.states: dict[int, TrackState] = {}

    def reset(self) -> None:
        """Forget all tracks: another video begins."""
        self.states = {}

    def __call__(
        self, image: np.ndarray, boxes: Sequence[Sequence[float]], track_ids: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the poses in the next frame of the video.

        Args:
            image: As for :class:`~okdhp_mm.deploy.onnx_pose.OnnxPose`.
            boxes: N boxes around persons, x1 y1 x2 y2 each.
            track_ids: N identities, e.g. of a tracker of boxes. -1 has no identity: such a person
                is new in every frame.

        Returns:
            Keypoints in pixels of the image, (N, K, 2), and their scores, (N, K).

        Raises:
            ValueError: If an identity is given twice, or the numbers of boxes and identities
                differ.
        """
        ids = [int(identity) for identity in track_ids]
        named = [identity for identity in ids if identity >= 0]
        if len(ids) != len(boxes) or len(set(named)) < len(named):
            raise ValueError(
                f'track_ids={ids} for {len(boxes)} boxes: give each box one identity, each once.'
            )
        if not ids:
            self.states = {}
            return self.initializer.no_poses()
        crops, corner, size = self.initializer.crops(image, boxes)
        states = [self.states.get(identity) for identity in ids]
        new = np.array([state is None or self._expired(state) for state in states])
        last = [
            self.empty if fresh or state is None else state
            for fresh, state in zip(new, states, strict=True)
        ]
        # New tracks too: they need the features.
        fed = crops, np.stack([s.heatmaps for s in last]), np.stack([s.features for s in last])
        found = self.step.run(list(OUTPUTS), dict(zip(INPUTS, fed, strict=True)))
        keypoints, scores, heatmaps, features = found
        if new.any():
            outputs = self.initializer.session.run(None, {'input': crops[new]})
            keypoints[new], scores[new], heatmaps[new] = outputs
        self.states = {
            identity: TrackState(heatmaps[n], features[n], 1 if new[n] else last[n].age + 1)
            for n, identity in enumerate(ids)
            if identity >= 0
        }
        return keypoints / self.initializer.input_size * size + corner, scores

    def _expired(self, state: TrackState) -> bool:
        return self.reinitialize_every is not None and state.age >= self.reinitialize_every
