"""Read the files of SLEAP that are HDF5: a project or its predictions (.slp), or an analysis (.h5).

A project keeps tables of frames, of instances (an animal in a frame, labeled or predicted) and of
their points. An analysis, written by `File > Export Analysis HDF5`, is an array over all tracks and
frames of a video.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...errors import UserError, reason_of

if TYPE_CHECKING:
    import h5py

Rows: TypeAlias = Iterator[tuple[str, str, np.ndarray]]
"""Frame, track, and x, y, score (K, 3) of each animal; the score of a label is NaN."""
LABELED = 0
"""Type of an instance that a person made or corrected."""
PIXEL_CENTER = 1.1
"""Version of a project since which the center of the first pixel is at 0, instead of its corner."""
ANALYSIS_AXES = ('track', 'xy', 'node', 'frame')


def parse(path: Path) -> tuple[list[str], Rows]:
    """Return the names of the keypoints, and the animals of all frames.

    In a frame of a project, a label replaces the prediction that it corrects, and that of its
    track.

    Raises:
        UserError: If h5py is missing, or the file is not one of SLEAP, or damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError(f'{path} is an HDF5 file, which needs h5py: pip install h5py') from error
    try:
        file = h5py.File(path, 'r')
    except OSError as error:
        raise UserError(f'{path} is not an HDF5 file ({error}).') from error
    with file:
        try:
            if 'instances' in file and 'frames' in file:
                names, rows = _parse_project(path, file)
            elif 'track_occupancy' in file:
                names, rows = _parse_analysis(file)
            else:
                raise UserError(
                    f'{path} has neither the tables of a SLEAP project nor a SLEAP analysis. Of '
                    'DeepLabCut, name the CSV: analyze_videos(..., save_as_csv=True).'
                )
            # Read here, so that a damaged file ends before anything is written.
            return names, iter(list(rows))
        except UserError:
            raise
        except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            raise UserError(
                f'{path} is not a complete file of SLEAP ({reason_of(error)}). Save it again.'
            ) from error


def _parse_project(path: Path, file: h5py.File) -> tuple[list[str], Rows]:
    meta = json.loads(file['metadata'].attrs['json'])
    if len(meta['skeletons']) != 1:
        raise UserError(
            f'{path} has {len(meta["skeletons"])} skeletons. Save a file with one skeleton.'
        )
    names = [meta['nodes'][node['id']]['name'] for node in meta['skeletons'][0]['nodes']]
    tracks = [json.loads(text)[1] for text in file['tracks_json'][:]]
    frames, instances = file['frames'][:], file['instances'][:]
    frames = frames[frames['instance_id_end'] > frames['instance_id_start']]
    pictures = _pictures(path, file, frames)
    shift = 0.0 if file['metadata'].attrs['format_id'] >= PIXEL_CENTER else 0.5
    labeled, predicted = file['points'][:], file['pred_points'][:]

    def points_of(instance: np.void) -> np.ndarray:
        by_hand = instance['instance_type'] == LABELED
        found = (labeled if by_hand else predicted)[
            instance['point_id_start'] : instance['point_id_end']
        ]
        score = np.full(len(found), np.nan) if by_hand else found['score']
        points = np.column_stack((found['x'] - shift, found['y'] - shift, score)).astype(float)
        # The editor keeps the place of a keypoint that was marked as not visible.
        points[~found['visible'].astype(bool)] = np.nan
        return points

    def read() -> Rows:
        for frame in frames:
            first, last = frame['instance_id_start'], frame['instance_id_end']
            for instance in _valid(instances[first:last], first):
                track = tracks[instance['track']] if instance['track'] >= 0 else ''
                number = int(frame['frame_idx'])
                yield pictures[number] if pictures else str(number), track, points_of(instance)

    return names, read()


def _pictures(path: Path, file: h5py.File, frames: np.ndarray) -> list[str]:
    """Return the pictures of the video, none if it is a film."""
    used = np.unique(frames['video'])
    if len(used) > 1:
        raise UserError(
            f'{path} has poses of {len(used)} videos. Save each video in a file of its own.'
        )
    videos = [json.loads(text)['backend'] for text in file['videos_json'][:]]
    # A project with embedded pictures numbers its videos in another way.
    return videos[used[0]].get('filenames', []) if len(used) and used[0] < len(videos) else []


def _valid(instances: np.ndarray, first: int) -> list[np.void]:
    """Return the instances of a frame without the predictions that a label replaces."""
    labels = instances[instances['instance_type'] == LABELED]
    tracks = set(labels['track'].tolist()) - {-1}
    corrected = set(labels['from_predicted'].tolist())
    return [
        instance
        for place, instance in enumerate(instances)
        if instance['instance_type'] == LABELED
        or (instance['track'] not in tracks and first + place not in corrected)
    ]


def _parse_analysis(file: h5py.File) -> tuple[list[str], Rows]:
    points = _arranged(file['tracks'], ANALYSIS_AXES, ('frame', 'track', 'node', 'xy'))
    scores = _arranged(file['point_scores'], ('track', 'node', 'frame'), ('frame', 'track', 'node'))
    names = [name.decode() for name in file['node_names'][:]]
    # A video of one animal has no names of tracks.
    tracks = [name.decode() for name in file['track_names'][:]] or ['']
    cells = np.concatenate((points, scores[..., None]), -1)
    return names, (
        (str(number), track, animal)
        for number, animals in enumerate(cells)
        for track, animal in zip(tracks, animals, strict=True)
    )


def _arranged(data: Any, usual: tuple[str, ...], order: tuple[str, ...]) -> np.ndarray:
    """Return an array with its axes in an order; newer files name their axes."""
    axes = json.loads(data.attrs['dims']) if 'dims' in data.attrs else list(usual)
    return np.transpose(data[:], [axes.index(name) for name in order])
