"""Adapter of a pose model of another program: what it takes and what it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
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
    skeleton: Sequence[Sequence[str]] = ()

    def problem(self) -> str | None:
        """Return what is wrong with a value, if something is."""
        names = self.keypoint_names
        sides = is_numbers(self.input_size, 2) and all(
            isinstance(side, int) and side > 0 for side in self.input_size
        )
        rules = dict(
            keypoint_names=(
                is_texts(names) and 0 < len(set(names)) == len(names),
                'a list of different names',
            ),
            output=(self.output in OUTPUTS, f'one of {", ".join(OUTPUTS)}'),
            input_size=(sides, '[width, height]'),
            mean=(is_numbers(self.mean, 3), 'three numbers'),
            std=(is_numbers(self.std, 3) and 0 not in self.std, 'three numbers, none of them 0'),
            channels=(self.channels in ('RGB', 'BGR'), "'RGB' or 'BGR'"),
            padding=(is_numbers([self.padding], 1) and self.padding > 0, 'a positive number'),
            outputs=(is_texts(self.outputs), 'a list of names'),
            columns=(
                is_texts(self.columns) and {'x', 'y'} <= set(self.columns),
                "a list with 'x' and 'y'",
            ),
            unit=(self.unit in ('pixel', 'image'), "'pixel' or 'image'"),
            sigmoid=(isinstance(self.sigmoid, bool), 'true or false'),
        )
        for name, (is_right, expected) in rules.items():
            if not is_right:
                return f'`{name}` is {getattr(self, name)!r}, but must be {expected}'
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
