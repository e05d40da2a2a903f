"""Account of an inference: what was read, found, assumed and drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

THRESHOLD = 0.3
"""Least score of a keypoint that is drawn."""
SLACK = 0.01
"""Share of the announced frames that may be missing: containers without a count estimate it."""


@dataclass
class Summary:
    """Account of an inference.

    Attributes:
        unit: 'picture' or 'frame'.
        threshold: Least score of a keypoint that is drawn.
        written: Number of pictures or frames with results.
        skipped: Files that could not be read.
        cut: Files that are incomplete.
        announced: Number of frames of a video that is incomplete.
        unused: Number of lists of boxes behind the last frame of a video.
        persons: Number of persons found.
        outside: Number of those with keypoints to draw that all lie outside of their picture.
        origins: Number of pictures or frames by the origin of the boxes in them.
        keypoints: Number of keypoints found.
        drawn: Number of those that were drawn.
        highest: Their highest score.
        seconds: Time that a video took, with reading and writing.
    """

    unit: str
    threshold: float = THRESHOLD
    written: int = 0
    skipped: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    announced: int | None = None
    unused: int = 0
    persons: int = 0
    outside: int = 0
    origins: Counter = field(default_factory=Counter)
    keypoints: int = 0
    drawn: int = 0
    highest: float = -math.inf
    seconds: float = 0

    def add(self, persons: Sequence[dict], origin: str, size: tuple[int, int]) -> None:
        """Count the persons of one picture or frame.

        Args:
            persons: Their poses.
            origin: Origin of their boxes.
            size: Width and height in pixels.
        """
        self.written += 1
        self.persons += len(persons)
        self.origins[origin] += 1
        for person in persons:
            scores = np.asarray(person['keypoint_scores'])
            self.keypoints += scores.size
            certain = scores >= self.threshold
            points = np.asarray(person['keypoints'])[certain]
            inside = (points >= 0) & (points < size)
            self.drawn += len(points)
            self.outside += bool(len(points)) and not inside.all(axis=1).any()
            self.highest = max(self.highest, float(scores.max(initial=-math.inf)))

    def end_of_video(self, source: str, announced: int) -> None:
        """Compare the number of frames with the one that the file announces, if it does."""
        if announced - self.written > max(1, SLACK * announced):
            self.announced = announced
            self.cut.append(source)

    @property
    def complete(self) -> bool:
        """Return whether the whole input was read."""
        return not (self.skipped or self.cut)

    @property
    def speed(self) -> str:
        """Return a sentence on the frames per second of a video; '' for pictures."""
        if not self.seconds or not self.written:
            return ''
        return f'{self.written / self.seconds:.3g} frames per second, with reading and writing'

    @property
    def notes(self) -> list[str]:
        """Return notes on the results for the user, a sentence each."""
        notes, whole = [], self.origins['whole image']
        if whole == self.written:
            notes.append(
                f'Each {self.unit} was taken as one person: no detector and no boxes were given '
                '(--detector, --boxes).'
            )
        elif whole:
            notes.append(
                f'{whole} of {self.written} {self.unit}s were taken as one person each: no '
                'detector and no boxes were given for them.'
            )
        if self.origins['detector']:
            notes.append(f'{self.persons} poses found in {self._count()}.')
        if self.keypoints and not self.drawn:
            notes.append(
                f'None of the {self.keypoints} keypoints reaches the threshold of '
                f'{self.threshold:g}, so none is drawn. The highest score is {self.highest:.2g}. '
                'Train for longer, or lower --threshold.'
            )
        if self.outside:
            notes.append(
                f'{self.outside} of {self.persons} poses lie outside of their {self.unit}, where '
                'nothing of them is drawn. Check their boxes: x1 y1 x2 y2 in pixels.'
            )
        if self.unused:
            notes.append(
                f'The video has {self.written} frames, so the last {self.unused} of the '
                f'{self.written + self.unused} lists of boxes were not used. Check that they are '
                'of this video.'
            )
        if self.announced:
            notes.append(
                f'{self.cut[0]} ends after {self.written} of {self.announced} frames: it is cut or '
                'damaged.'
            )
        elif self.cut:
            more = f' and {len(self.cut) - 1} more' if self.cut[1:] else ''
            notes.append(
                f'The lower part of {self.cut[0]}{more} is missing: the file is incomplete.'
            )
        return notes

    def __str__(self):
        skipped = f', {len(self.skipped)} skipped' if self.skipped else ''
        cut = f', {len(self.cut)} incomplete' if self.cut and not self.announced else ''
        return f'{self._count()}{skipped}{cut}'

    def _count(self) -> str:
        plural = '' if self.written == 1 else 's'
        of = f' of {self.announced}' if self.announced else ''
        return f'{self.written}{of} {self.unit}{plural}'
