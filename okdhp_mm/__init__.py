"""okdhp_mm: online knowledge distillation for MMPose.

Importing it registers its models, hooks and metrics in mmpose's registries; a config does so by
``custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)``. The functions of the
public API, ``__all__``, are imported at their first use.
"""

import importlib
import warnings
from typing import Any

from .env import compat, noise, versions
from .version import __version__

_API = {
    'convert_config': 'recipes.convert',
    'apply_method': 'recipes.methods',
    'export_student': 'student.export',
    'export_all': 'student.zoo',
    'load_student': 'student.load',
    'generalization_gap': 'student.generalization_gap',
    'infer': 'deploy.inference.run',
    'TorchEngine': 'deploy.inference.engines',
    'OnnxEngine': 'deploy.inference.engines',
    'load_checkpoint': 'io.checkpoint',
    'UserError': 'errors',
    'SPLITS': 'registry',
    'HEAD_ADAPTERS': 'registry',
    'GRAPH_DECODERS': 'registry',
}

__all__ = ['__version__', *_API]

compat.apply()

# `python -m okdhp_mm doctor` imports this package first and must run without a working mmpose.
if problem := versions.mmpose_problem():
    warnings.warn(
        f'okdhp_mm registers nothing, because mmpose does not import ({problem}). '
        '`python -m okdhp_mm doctor` lists the commands that repair it.',
        RuntimeWarning,
        stacklevel=2,
    )
else:
    versions.check_mmpose()
    with noise.quiet():
        # Imported for registration.
        from . import data, engine, evaluation, models, video  # noqa: F401
        from .datasets import mixed_sampler, unlabeled  # noqa: F401


def __getattr__(name: str) -> Any:
    """Import a name of the public API."""
    if name not in _API:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_API[name]}', __name__), name)
