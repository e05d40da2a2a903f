"""Give the poses of a video identities, from a file or found by a student, and write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from ..deploy.inference.detectors import Detector
from ..deploy.inference.engines import Engine
from ..deploy.inference.run import infer
from ..deploy.inference.sources import VIDEO_SUFFIXES
from ..deploy.inference.writers import check_absent
from ..errors import UserError
from .formats import FALLBACK_RATE, WRITERS, check_rate, read_poses
from .modes import build_tracker
from .track import draw_video, smooth_video, track_video


@dataclass(frozen=True)
class Tracked:
    """Account of a tracking.

    Attributes:
        files: The written files, except the poses before tracking.
        identities: Number of persons.
        poses: Number of poses, also of those without an identity.
        frames: Number of frames.
        moved: Mean distance that smoothing moved the keypoints, in body heights.
        notes: Sentences on the poses that were found.
        complete: Whether the whole video was read.
        speed: Sentence on the frames per second of finding the poses.
    """

    files: Sequence[Path]
    identities: int
    poses: int
    frames: int
    moved: float
    notes: Sequence[str] = ()
    complete: bool = True
    speed: str = ''

    def __str__(self):
        return f'{self.identities} identities for {self.poses} poses in {self.frames} frames'


def track(
    source: Path,
    out_dir: Path,
    engine: Engine | None = None,
    *,
    detector: Detector | None = None,
    detect_every: int = 1,
    film: Path | None = None,
    formats: Iterable[str] = ('json',),
    mode: str = 'online',
    settings: Mapping[str, Any] | None = None,
    smoother: str = 'none',
    rate: float | None = None,
    force: bool = False,
) -> Tracked:
    """Give the poses of a video identities, and write them.

    Args:
        source: A .json file with poses, see :data:`~.formats.LAYOUTS`, or a video.
        out_dir: Folder for all files.
        engine: Finds the poses in a video.
        detector: Finds the persons in a video. Without it, a frame is taken as one person.
        detect_every: Detect in every so many frames; between, boxes follow the poses.
        film: Video to draw over; by default the source, if it is one.
        formats: Names of :data:`~.formats.WRITERS`.
        mode: See :func:`~.modes.build_tracker`.
        settings: Settings of the tracker.
        smoother: One of :data:`~.track.SMOOTHERS`.
        rate: Frames per second; by default those of the file with poses, else of the film.
        force: Whether to replace files.

    Raises:
        UserError: If an input cannot be used or a file exists.
    """
    settings = settings or {}
    has_poses = source.suffix.lower() == '.json'
    _check_source(source, engine, has_poses)
    build_tracker(mode, **settings)  # A wrong setting must not wait for the poses.
    if rate is not None:
        check_rate(rate)
    poses = source if has_poses else out_dir / 'predictions' / f'{source.stem}.json'
    film = film or (None if has_poses else source)
    targets = {
        name: out_dir / f'{source.stem}_{name}.{"csv" if name == "csv" else "json"}'
        for name in formats
    }
    drawn = out_dir / f'{source.stem}_tracks.mp4'
    written = [*targets.values(), *([drawn] if film else []), *([] if has_poses else [poses])]
    _check_targets(written, [source, film], force)
    out_dir.mkdir(parents=True, exist_ok=True)
    found = None
    if not has_poses:
        assert engine is not None  # see _check_source
        found = infer(
            source, engine, out_dir, detector=detector, detect_every=detect_every, force=force
        )
    video = read_poses(poses, rate, _rate_of(film) if film else FALLBACK_RATE)
    identities = track_video(video, mode, **settings)
    moved = smooth_video(video, smoother)
    for name, target in targets.items():
        WRITERS[name](target, video)
    if film:
        draw_video(film, video, drawn)
    return Tracked(
        files=[*targets.values(), *([drawn] if film else [])],
        identities=identities,
        poses=sum(len(frame.ids) for frame in video.frames),
        frames=len(video.frames),
        moved=moved,
        notes=found.notes if found else (),
        complete=found is None or found.complete,
        speed=found.speed if found else '',
    )


def _check_source(source: Path, engine: Engine | None, has_poses: bool) -> None:
    if not source.is_file():
        raise UserError(
            f'{source} is not a file. For a camera or a URL, run '
            '`python -m okdhp_mm infer --track`.'
        )
    if has_poses and engine:
        raise UserError(
            f'{source} already has poses, and --student finds them in a video. Omit --student, or '
            'name the video.'
        )
    if not has_poses and source.suffix.lower() not in VIDEO_SUFFIXES:
        raise UserError(
            f'{source} is neither a .json file with poses nor a video. Videos end in '
            f'{" ".join(sorted(VIDEO_SUFFIXES))}.'
        )
    if not has_poses and engine is None:
        raise UserError(
            f'{source} is not a .json file with poses. To find the poses in a video, name a '
            'student: --student FOLDER.'
        )


def _check_targets(files: Sequence[Path], sources: Iterable[Path | None], force: bool) -> None:
    read = {source.resolve() for source in sources if source}
    for file in files:
        if file.resolve() in read:
            raise UserError(f'{file} is read and would be replaced. Choose another --out.')
    if not force:
        check_absent(files)


def _rate_of(film: Path) -> float:
    video = cv2.VideoCapture(str(film))
    rate, opened = video.get(cv2.CAP_PROP_FPS), video.isOpened()
    video.release()
    if not opened:
        raise UserError(f'{film} cannot be read: it is missing, damaged or not a video.')
    return rate if 0 < rate < 1000 else FALLBACK_RATE
