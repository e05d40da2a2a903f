"""Open ONNX files in onnxruntime on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UserError, as_user_error

if TYPE_CHECKING:
    import onnxruntime


@contextmanager
def onnxruntime_errors(file: Path) -> Iterator[None]:
    """Turn what onnxruntime raises over a file into a :class:`UserError`."""
    try:
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise UserError(f'ONNX files need onnxruntime ({error}): pip install onnxruntime') from None
    kinds = (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )
    with as_user_error(f'{file} does not run in onnxruntime', *kinds):
        yield


def providers_of(device: str | None) -> list:
    """Return onnxruntime's names of where to compute.

    Args:
        device: 'cpu', 'cuda' or 'cuda:N'; None takes the CPU.

    Raises:
        UserError: If onnxruntime cannot compute there.
    """
    import onnxruntime

    kind, _, number = (device or 'cpu').partition(':')
    if kind not in ('cpu', 'cuda') or not (number or '0').isdecimal():
        raise UserError(f'--device {device} cannot be used for ONNX files: use cpu or cuda:N.')
    if kind == 'cpu':
        return ['CPUExecutionProvider']
    if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
        raise UserError(
            f'--device {device} needs onnxruntime for GPUs: pip install onnxruntime-gpu instead of '
            'onnxruntime.'
        )
    return [('CUDAExecutionProvider', dict(device_id=int(number or 0))), 'CPUExecutionProvider']


def open_session(file: Path, device: str | None) -> onnxruntime.InferenceSession:
    """Open an ONNX file.

    Raises:
        UserError: If onnxruntime is missing or does not run the file.
    """
    with onnxruntime_errors(file):
        from ..onnx_pose import open_graph

        try:
            return open_graph(file, 0, providers_of(device))
        except ValueError as error:
            raise UserError(str(error)) from None
