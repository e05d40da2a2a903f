"""Adapter of a pose model of another program: what it takes and what it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ....errors import UserError
from ....io.data_files import read_json

GRAPHS = ('.onnx', '.tflite')
"""Suffixes of the models that an adapter describes."""
OUTPUTS = ('heatmaps', 'simcc', 'points')
COLUMNS = ('x', 'y', 'score')


@dataclass(frozen=True)
class Adapter:
    """Description of a pose model's input and output, written as a JSON object.

    Attributes:
        keypoint_names: Names of the keypoints, in the order of the output.
        output: 'heatmaps' (one output, (1, K, H, W)), 'simcc' (two outputs, the bins of x and of
            y), or 'points' (one output with the columns of every keypoint).
        input_size: Width and height of the input.
        mean: Subtracted from the pixels, which are 0 to 255.
        std: Divides them then.
        channels: Order of the colors, 'RGB' or 'BGR'.
        padding: Size of the crop relative to the box.
        outputs: Names of the outputs to read, in their order; by default the first ones.
        columns: Columns of a point: 'x', 'y', 'score' and any other names, which are skipped.
        unit: What 1 means for points: 'pixel' of the input, or 'image' (its width and height).
        sigmoid: Whether scores are logits.
        skeleton: Pairs of keypoint names to draw a line between.
    """

    keypoint_names: Sequence[str]
    output: str
    input_size: Sequence[int]
    mean: Sequence[float] = (123.675, 116.28, 103.53)
    std: Sequence[float] = (58.395, 57.12, 57.375)
    channels: str = 'RGB'
    padding: float = 1.25
    outputs: Sequence[str] = ()
    columns: Sequence[str] = COLUMNS
    unit: str = 'pixel'
    sigmoid: bool = False
    skeleton: Sequence[Sequence[str]] = field(default=())

    def problem(self) -> str | None:
        """Return what is wrong with a value, if something is."""
        names = self.keypoint_names
        if not is_texts(names) or not names or len(set(names)) < len(names):
            return f'`keypoint_names` is {names!r}, but must be a list of different names'
        if self.output not in OUTPUTS:
            return f'`output` is {self.output!r}, but must be one of {", ".join(OUTPUTS)}'
        if not is_numbers(self.input_size, 2) or not all(
            isinstance(side, int) and side > 0 for side in self.input_size
        ):
            return f'`input_size` is {self.input_size!r}, but must be [width, height]'
        for name, value in (('mean', self.mean), ('std', self.std)):
            if not is_numbers(value, 3) or (name == 'std' and 0 in value):
                return f'`{name}` is {value!r}, but must be three numbers'
        if self.channels not in ('RGB', 'BGR'):
            return f"`channels` is {self.channels!r}, but must be 'RGB' or 'BGR'"
        if not is_numbers([self.padding], 1) or not self.padding > 0:
            return f'`padding` is {self.padding!r}, but must be a positive number'
        if not is_texts(self.outputs):
            return f'`outputs` is {self.outputs!r}, but must be a list of names'
        if not is_texts(self.columns) or not {'x', 'y'} <= set(self.columns):
            return f"`columns` is {self.columns!r}, but must have 'x' and 'y' in it"
        if self.unit not in ('pixel', 'image'):
            return f"`unit` is {self.unit!r}, but must be 'pixel' or 'image'"
        if not isinstance(self.sigmoid, bool):
            return f'`sigmoid` is {self.sigmoid!r}, but must be true or false'
        for link in self.skeleton:
            if not is_texts(link) or len(link) != 2 or not set(link) <= set(names):
                return f'`skeleton` has {link!r}, but its entries are pairs of keypoint names'
        return None

    @property
    def links(self) -> list[list[int]]:
        """Return the skeleton as pairs of indices."""
        names = list(self.keypoint_names)
        return [[names.index(start), names.index(end)] for start, end in self.skeleton]


def read_adapter(file: Path) -> Adapter:
    """Read an adapter from JSON.

    Raises:
        UserError: If it cannot be read, an entry is missing or unknown, or a value is wrong.
    """
    content = read_json(file)
    known = [entry.name for entry in fields(Adapter)]
    if not isinstance(content, dict):
        raise UserError(f'{file} holds a {type(content).__name__}, but an adapter is an object.')
    if unknown := sorted(set(content) - set(known)):
        raise UserError(f'{file}: `{unknown[0]}` does not exist. Use {", ".join(known)}.')
    if missing := [name for name in known[:3] if name not in content]:
        raise UserError(
            f'{file}: `{missing[0]}` is missing. An adapter needs {", ".join(known[:3])}.'
        )
    adapter = Adapter(**content)
    if problem := adapter.problem():
        raise UserError(f'{file}: {problem}.')
    return adapter


def is_texts(value: Any) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)


def is_numbers(value: Any, count: int) -> bool:
    """Return whether a value is a list of so many finite numbers."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == count
        and all(type(part) in (int, float) and math.isfinite(part) for part in value)
    )
