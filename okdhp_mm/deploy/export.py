"""``student.onnx`` beside an exported student: built, checked, written."""

from __future__ import annotations

from pathlib import Path

from .check import TOLERANCE, Agreement, agreement, crops_of
from .graph import build_onnx
from .student import GRAPH, load_student


def export_onnx(folder: Path, decode: bool = False, check_images: str | None = None) -> Agreement:
    """Write ``student.onnx`` beside an exported student, if it gives what PyTorch gives.

    Args:
        folder: Where ``student.py`` and ``student.pth`` are.
        decode: Whether the graph gives keypoints and scores instead of maps.
        check_images: Folder of pictures to compare on; None draws figures.

    Raises:
        UserError: If there is no student, packages are missing, the codec cannot be decoded in a
            graph, or the pictures cannot be read.
    """
    student = load_student(folder)
    crops = crops_of(student, check_images)
    model, tapped = build_onnx(student, decode)
    found = agreement(student, tapped.SerializeToString(), crops)
    if found.farthest > TOLERANCE or found.contested.all():
        raise AssertionError(f'the ONNX graph is not the student: {found}')
    (folder / GRAPH).write_bytes(model.SerializeToString())
    return found
