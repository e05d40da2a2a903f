"""The layer that makes a branch's heatmaps, and what goes into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor, nn


class Tap:
    """Keeps the input of a layer until it is taken, so that no feature map outlives its step."""

    def __init__(self, layer: nn.Module):
        self._kept: Tensor | None = None
        layer.register_forward_pre_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._kept = inputs[0]

    def take(self) -> Tensor:
        """The layer's last input."""
        kept, self._kept = self._kept, None
        return kept


@dataclass(frozen=True)
class LastLayer:
    """The layer that makes a branch's final heatmaps.

    Attributes:
        layer: The layer.
        in_shape: Shape of what goes into it for one image, (C, H, W).
    """

    layer: nn.Module
    in_shape: tuple[int, ...]


def find_last_layer(
    modules: Iterable[nn.Module], run: Callable[[], Tensor]
) -> tuple[Tensor, LastLayer | None]:
    """The layer whose output is what ``run`` returns: the very tensor, not an equal one.

    Args:
        modules: Where to look; among them layers with parameters count.
        run: Runs the network.

    Returns:
        What ``run`` returns, and the layer; None if no single one makes it.
    """
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []
    handles = [
        module.register_forward_hook(
            lambda layer, inputs, output: calls.append((layer, inputs[0], output))
        )
        for module in modules
        if not list(module.children()) and list(module.parameters())
    ]
    result = run()
    for handle in handles:
        handle.remove()
    for layer, feature, output in calls:
        if output is result:
            return result, LastLayer(layer, tuple(feature.shape[1:]))
    return result, None
