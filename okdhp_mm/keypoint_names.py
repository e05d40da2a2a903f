"""Names of keypoints, and the pairs that a mirror swaps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

WORDS = (('left', 'right'), ('Left', 'Right'), ('LEFT', 'RIGHT'), ('L', 'R'))
SINGLE = re.compile(r'(?<![a-z])l(?![a-z])|^l|l$')
"""A small letter stands for a side alone between separators, or at one end of the name."""


def names_of(metainfo: dict) -> list[str]:
    """Return the names of the keypoints of a dataset."""
    return [name for _, name in sorted(metainfo['keypoint_id2name'].items())]


def find_flip_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of a left and a right keypoint, in the order of ``names``.

    Names differ in left and right, L and R, or l and r (``left_eye``, ``eyeLeft``, ``L_eye``,
    ``earL``, ``eye_l``, ``lwrist``). Both must exist. Numbers may differ as well, as in
    ``paw2LF`` and ``paw3RF``, if that leaves one candidate.

    Args:
        names: Names of all keypoints.
    """
    pairs: list[tuple[str, str]] = []
    paired: set[str] = set()
    for simplify in (str, without_digits):
        for name in names:
            for mirrored in mirror_names(name):
                found = [other for other in names if simplify(other) == simplify(mirrored)]
                same = [other for other in names if simplify(other) == simplify(name)]
                if len(found) == len(same) == 1 and not paired & {name, found[0]}:
                    pairs.append((name, found[0]))
                    paired |= {name, found[0]}
    return sorted(pairs, key=lambda pair: min(map(names.index, pair)))


def mirror_names(name: str) -> Iterator[str]:
    """Yield the name with one word for the left replaced by that for the right."""
    for left, right in WORDS:
        for match in re.finditer(left, name):
            yield name[: match.start()] + right + name[match.end() :]
    for match in SINGLE.finditer(name):
        yield name[: match.start()] + 'r' + name[match.end() :]


def without_digits(name: str) -> str:
    """Return a name without its digits."""
    return re.sub(r'\d', '', name)
