"""File backend of mmengine whose files are complete or as before."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from .atomic import write_bytes

ATOMIC = 'okdhp_atomic'


class AtomicBackend(LocalBackend):
    """Local files that are replaced in one step, see :mod:`okdhp_mm.io.atomic`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a binary file."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write a text file."""
        self.put(obj.encode(encoding), filepath)


register_backend(ATOMIC, AtomicBackend, force=True)
