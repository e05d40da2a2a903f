"""Registries of this package: extension points that mmpose's own registries do not have.

Register a class in your own file and import the file with ``custom_imports`` in the config.
"""

from mmengine.registry import Registry

SPLITS = Registry('split family', scope='okdhp_mm', locations=['okdhp_mm.models.backbones.splits'])
"""Split families: how a backbone is cut into a trunk and branches."""
