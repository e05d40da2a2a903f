"""Readers of labels: COCO JSON, and files of other tools, which become COCO JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import UserError
from ...io.data_files import read_json
from .cvat import read_cvat
from .deeplabcut import read_table
from .label_studio import read_label_studio

__all__ = ['read_cvat', 'read_label_studio', 'read_labels', 'read_table']


def read_labels(path: Path, images: Path) -> tuple[Any, list[str]]:
    """Read a file of labels as content of a COCO JSON.

    A CSV is of DeepLabCut or Lightning Pose, an XML of CVAT, a JSON with a list of Label Studio,
    and any other JSON is in COCO's layout.

    Args:
        path: The file.
        images: Folder of the pictures.

    Returns:
        The content, and sentences about a file of another tool than COCO.

    Raises:
        UserError: If the file cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix == '.csv':
        content, note = read_table(path, images)
        return content, [note]
    if not path.is_file():
        raise UserError(f'The annotations {path} do not exist.')
    if suffix == '.xml':
        return read_cvat(path, images)
    content = read_json(path)
    if isinstance(content, list):
        return read_label_studio(path, images, content)
    return content, []
