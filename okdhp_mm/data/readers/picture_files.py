"""Find the picture that a file of labels names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from ...errors import UserError


def find_picture(images: Path, name: str, labels: Path) -> str:
    """Return the path of a picture inside the folder: the name in the labels, or its last parts.

    Tools name pictures from the folder of their project, e.g. ``labeled-data/video/img1.png``.

    Args:
        images: Folder of the pictures.
        name: Name of the picture in the labels.
        labels: File of the labels, to name in errors.

    Raises:
        UserError: If the folder does not have the picture.
    """
    parts = (PureWindowsPath(name) if '\\' in name else PurePosixPath(name)).parts
    for start in range(len(parts)):
        file = Path(*parts[start:])
        if not file.is_absolute() and (images / file).is_file():
            return file.as_posix()
    raise UserError(f'{labels} names the picture {name}, which does not exist in {images}.')
