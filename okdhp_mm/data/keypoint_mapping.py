"""Find the keypoints of a teacher that the keypoints of a student correspond to, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError, join_names
from ..io.data_files import read_json

OPTION = '--teacher-keypoints'
EXAMPLE = f'{OPTION} STUDENT_NAME=TEACHER_NAME ...'


def map_keypoints(
    ours: Sequence[str], theirs: Sequence[str], renamed: Mapping[str, str | None], teacher: str
) -> list[int | None]:
    """Return the index of the teacher's keypoint for every keypoint of the student.

    Equal names correspond. ``None`` stands for a keypoint that the teacher does not have.

    Args:
        ours: Names of the student's keypoints.
        theirs: Names of the teacher's keypoints.
        renamed: Names of the teacher by names of the student, where they differ; None for a
            keypoint that must not be taught.
        teacher: The teacher, to name in errors.

    Raises:
        UserError: If a name does not exist, or no keypoint corresponds.
    """
    for kind, names, known in (
        ('student', renamed.keys(), ours),
        (f'teacher {teacher}', filter(None, renamed.values()), theirs),
    ):
        if unknown := [name for name in names if name not in known]:
            raise UserError(
                f'{OPTION}: the {kind} has no keypoint {unknown[0]!r}. Its keypoints are '
                f'{join_names(known, 40)}.'
            )
    wanted = [renamed.get(name, name) for name in ours]
    indices = [theirs.index(name) if name in theirs else None for name in wanted]
    if all(index is None for index in indices):
        raise UserError(
            f'The teacher {teacher} has none of the keypoints of the student by name: '
            f'{join_names(theirs)}, not {join_names(ours)}. Say which correspond by {EXAMPLE}'
        )
    return indices


def read_renamed(given: Sequence[str]) -> dict[str, str | None]:
    """Return names of the teacher by names of the student from the arguments of an option.

    Args:
        given: ``STUDENT_NAME=TEACHER_NAME`` each, or one JSON file with such pairs in an object.

    Raises:
        UserError: If they have another form.
    """
    if len(given) == 1 and '=' not in given[0]:
        content: Any = read_json(Path(given[0]))
        if not isinstance(content, dict) or not all(
            name is None or isinstance(name, str) for name in content.values()
        ):
            raise UserError(
                f'{given[0]} must be an object with names, {{"STUDENT_NAME": "TEACHER_NAME"}}, or '
                'null for a keypoint that must not be taught.'
            )
        return content
    if wrong := [pair for pair in given if '=' not in pair]:
        raise UserError(f'{OPTION} {wrong[0]} has no "=". Write {EXAMPLE}')
    return {name: other or None for name, _, other in (pair.partition('=') for pair in given)}
