"""Registries of this package: extension points that mmpose's own registries do not have.

Register a class in your own file and import the file with ``custom_imports`` in the config.
"""

from typing import Any

from mmengine.registry import Registry

SPLITS = Registry('split family', scope='okdhp_mm', locations=['okdhp_mm.models.backbones.splits'])
"""Split families: how a backbone is cut into a trunk and branches."""

HEAD_ADAPTERS = Registry(
    'head adapter', scope='okdhp_mm', locations=['okdhp_mm.models.heads.adapters']
)
"""Head adapters: how the output of a stock head is read."""

GRAPH_DECODERS = Registry(
    'graph decoder', scope='okdhp_mm', locations=['okdhp_mm.deploy.onnx.decoders']
)
"""Graph decoders: how a codec decodes inside an exported graph."""


def find_match(registry: Registry, part: object) -> type[Any] | None:
    """Return the registered class whose ``matches`` accepts a part of the student, or None.

    A class that was registered later is asked first, so that yours can replace one of ours.
    """
    classes = reversed(registry.module_dict.values())
    return next((kind for kind in classes if kind.matches(part)), None)
