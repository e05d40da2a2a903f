"""Quantize a student's graph to 8 bits, except its last layers.

Weights are signed, per output channel; activations unsigned, between the extremes that they have on
real crops: the kinds that x86-64 processors multiply fastest. The last layer and the
decoder stay float, because they read places off small differences.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import onnx

BATCH = 8
WEIGHTED = ('Conv', 'Gemm', 'MatMul')


def quantize(model: onnx.ModelProto, map_names: tuple[str, ...], crops: Tensor) -> onnx.ModelProto:
    """Return a copy of a graph that computes in 8 bits, up to the layer that gives the maps.

    Args:
        model: A student's graph; it stays as it is.
        map_names: The names of its maps, outputs or not.
        crops: Normalized inputs to measure the ranges of the activations, (N, 3, H, W).
    """
    # Here, so that the tools start where it is missing, and say so.
    from onnx import load
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'int8.onnx')
        # It recommends to optimize the graph beforehand, which the exporter has done.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                # It moves the weights of what it is given to another file.
                copy.deepcopy(model),
                file,
                _Batches(crops),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                nodes_to_quantize=before_last_layer(model, map_names),
            )
        finally:
            logging.disable(logging.NOTSET)
        small = load(str(file))
    small.metadata_props.add(key='precision', value='8 bits; the last layer and the decoder float')
    return small


def before_last_layer(model: onnx.ModelProto, map_names: tuple[str, ...]) -> list[str]:
    """Names of the nodes that the layers which give the maps need."""
    makers = {output: node for node in model.graph.node for output in node.output}
    last, before = _upstream(makers, map_names, WEIGHTED)
    found, _ = _upstream(makers, before, ())
    return [node.name for node in model.graph.node if node.name in found - last]


def _upstream(
    makers: dict[str, onnx.NodeProto], values: tuple[str, ...] | list[str], until: tuple[str, ...]
) -> tuple[set[str], list[str]]:
    """Return the names of the nodes that values come from, and the inputs where the search ends."""
    names: set[str] = set()
    open_, ends = list(values), list[str]()
    while open_:
        node = makers.get(open_.pop())
        if node is not None and node.name not in names:
            names.add(node.name)
            (ends if node.op_type in until else open_).extend(node.input)
    return names, ends


class _Batches:
    """Crops as the calibration asks for them, one dictionary of inputs after the other."""

    def __init__(self, crops: Tensor):
        self.batches: Iterator[np.ndarray] = (batch.numpy() for batch in crops.split(BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {'input': batch}
