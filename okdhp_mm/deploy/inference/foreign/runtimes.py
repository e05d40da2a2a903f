"""Run an ONNX or TFLite file: a batch of crops in, named arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ....errors import UserError, as_user_error
from ..runtime import onnxruntime_errors, open_session

THREADS = 2
"""Threads of a TFLite file."""


class Runtime(Protocol):
    """A network that was read from a file.

    Attributes:
        channels_first: Whether it takes (N, 3, H, W) instead of (N, H, W, 3).
        batch: Number of crops that it takes at once; None for any.
        size: (width, height) of the input; None for a side that the file leaves open.
    """

    channels_first: bool
    batch: int | None
    size: tuple[int | None, int | None]

    def __call__(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name, in the order of the file.

        Args:
            crops: float32, in the layout of the network.
        """


class OnnxRuntime:
    """An ONNX file in onnxruntime.

    Args:
        file: The file.
        device: 'cpu' or 'cuda:N'; None takes the CPU.

    Raises:
        UserError: If it does not run, or takes something else than one batch of images.
    """

    def __init__(self, file: Path, device: str | None = None):
        self.file, self.session = file, open_session(file, device)
        inputs = self.session.get_inputs()
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
        self.name = inputs[0].name
        self.channels_first, self.batch, self.size = read_shape(file, len(inputs), shape)
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name, see :class:`Runtime`."""
        with onnxruntime_errors(self.file):
            found = self.session.run(self.outputs, {self.name: crops})
        return dict(zip(self.outputs, found, strict=True))


class TfliteRuntime:
    """A TFLite file in the interpreter of ai-edge-litert.

    Args:
        file: The file.

    Raises:
        UserError: If the package is missing, the file is broken, or it takes something else than
            one batch of images.
    """

    def __init__(self, file: Path):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise UserError(
                f'{file} needs ai-edge-litert, which cannot be imported ({error}): '
                'pip install ai-edge-litert'
            ) from None
        with as_user_error(f'{file} is not a TFLite file that runs here', RuntimeError, ValueError):
            self.interpreter = Interpreter(str(file), num_threads=THREADS)
            self.interpreter.allocate_tensors()
        inputs = self.interpreter.get_input_details()
        self.input = inputs[0]['index']
        shape = [int(side) for side in inputs[0]['shape']]
        self.channels_first, self.batch, self.size = read_shape(file, len(inputs), shape)
        self.outputs = {
            each['name']: each['index'] for each in self.interpreter.get_output_details()
        }

    def __call__(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name, see :class:`Runtime`."""
        self.interpreter.set_tensor(self.input, crops)
        self.interpreter.invoke()
        return {name: self.interpreter.get_tensor(at) for name, at in self.outputs.items()}


def open_runtime(file: Path, device: str | None = None) -> Runtime:
    """Open an ONNX or TFLite file.

    Raises:
        UserError: If it cannot be run.
    """
    return TfliteRuntime(file) if file.suffix == '.tflite' else OnnxRuntime(file, device)


def read_shape(
    file: Path, inputs: int, shape: Sequence[int | None]
) -> tuple[bool, int | None, tuple[int | None, int | None]]:
    """Return channels_first, batch and size of a :class:`Runtime`.

    Raises:
        UserError: If the input is not a batch of images.
    """
    if inputs != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise UserError(
            f'{file} takes {inputs} inputs, the first of shape {shape}; a pose model takes one '
            'batch of crops with three channels.'
        )
    first = shape[1] == 3
    height, width = (shape[2], shape[3]) if first else (shape[1], shape[2])
    return first, shape[0], (width, height)
