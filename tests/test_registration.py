"""Importing the package registers its names, in a fresh interpreter."""

import subprocess
from pathlib import Path

import pytest
from common import python

from okdhp_mm.env import compat

REGISTERED = {
    'MODELS': [
        'OKDHPTopdownPoseEstimator',
        'BranchedBackbone',
        'MultiBranchHead',
        'FAU',
        'MeanAggregator',
        'KLHeatmapLoss',
        'Distiller',
        'SupervisedTerm',
        'DistillTerm',
    ],
    'HOOKS': ['BranchVisualizationHook', 'DistillProgressHook', 'DistillReportHook'],
    'METRICS': ['MultiOutputMetric'],
    'TASK_UTILS': ['GaussianRampUp'],
}
LOOK = '\n'.join(
    f'assert registry.{registry}.get({name!r}) is not None, {name!r}'
    for registry, names in REGISTERED.items()
    for name in names
)
# An op-less mmcv made to work, without our registration.
PATCH = (
    f'import sys; sys.path.insert(0, {str(Path(compat.__file__).parent)!r})\n'
    'import compat; compat.apply(); sys.path.pop(0)'
)
ABSENT = '\n'.join(
    f'assert {name!r} not in registry.{registry}.module_dict, {name!r}'
    for registry, names in REGISTERED.items()
    for name in names
)


def fresh(code, *arguments):
    result = subprocess.run(python('-c', code, *arguments), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize(
    'code',
    [
        f'import okdhp_mm\nfrom mmpose import registry\n{LOOK}',
        'import okdhp_mm\nimport mmpose.registry as registry\n'
        f'import mmpose.models, mmpose.evaluation, mmpose.engine, mmpose.apis\n{LOOK}',
        # The host first: without ours nothing is there, with it everything.
        f'{PATCH}\nimport mmpose.apis\nfrom mmpose import registry\n{ABSENT}\n'
        f'import okdhp_mm\n{LOOK}',
    ],
    ids=['ours alone', 'ours first', 'the host first'],
)
def test_importing_the_package_registers_every_name(code):
    fresh(code)


def test_a_config_registers_by_its_custom_imports():
    fresh(
        'from mmengine.config import Config\n'
        "Config.fromstring(\"custom_imports = dict(imports=['okdhp_mm'], "
        "allow_failed_imports=False)\", '.py')\n"
        f'from mmpose import registry\n{LOOK}'
    )


def test_the_arguments_of_a_program_do_not_matter():
    fresh(f'import okdhp_mm\nfrom mmpose import registry\n{LOOK}', 'okdhp_mm.env.doctor', 'doctor')
