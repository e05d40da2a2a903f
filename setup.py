"""Packaging of okdhp_mm.

`mim` looks for configs, tools and the model index in `<package>/.mim`. The two commands below put
them there inside the built wheel only, so that the source tree never holds copies. The
distribution is called okdhp-mmpose, not okdhp_mm, and has no console script: with either of them
onedl-mim resolves the package to a wrong folder.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Adds `okdhp_mm/.mim` to a build; an editable install reads the checkout instead."""

    def run(self):
        """Builds the package, then copies what `mim` needs beside it."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'okdhp_mm', '.mim')
        # What an earlier build left must not slip into this one.
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for part in MIM_PARTS:
            if (ROOT / part).is_dir():
                ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
                shutil.copytree(ROOT / part, target / part, ignore=ignore)
            else:
                shutil.copy2(ROOT / part, target / part)


class EditableWithMim(editable_wheel):
    """Adds to an editable install what `mim` (openmim) looks for in site-packages.

    openmim takes `<site-packages>/okdhp_mm` for the package root, which an editable install does
    not create. So it gets one that only forwards to the checkout. Without an `__init__.py`, Python
    prefers the real package.
    """

    def run(self):
        """Writes the forwarding files, then builds the editable wheel."""
        import sysconfig

        forward = ROOT / 'build' / 'editable_mim'
        shutil.rmtree(forward, ignore_errors=True)
        (forward / 'tools').mkdir(parents=True)
        for tool in sorted((ROOT / 'tools').glob('*.py')):
            (forward / 'tools' / tool.name).write_text(
                f'import runpy\n\nrunpy.run_path({str(tool)!r}, run_name="__main__")\n'
            )
        metafiles = sorted((ROOT / 'configs').glob('*/metafile.yml'))
        (forward / 'model-index.yml').write_text(
            'Import:\n' + ''.join(f'  - {path}\n' for path in metafiles)
        )
        # data_files is the one part of an editable wheel that may hold files of our choice.
        paths = sysconfig.get_paths()
        site = Path(paths['purelib']).relative_to(paths['data'])
        folders = {forward: '.mim', forward / 'tools': '.mim/tools'}
        self.distribution.data_files = [
            (
                str(site / 'okdhp_mm' / name),
                [
                    str(path.relative_to(ROOT))
                    for path in sorted(folder.iterdir())
                    if path.is_file()
                ],
            )
            for folder, name in folders.items()
        ]
        super().run()


setup(
    name='okdhp-mmpose',
    version=re.search(r"'(.+)'", (ROOT / 'okdhp_mm' / 'version.py').read_text()).group(1),
    description='Online knowledge distillation for human pose estimation (OKDHP) in MMPose 1.x',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['okdhp_mm', 'okdhp_mm.*']),
    # Spelled out so that an editable install is a plain path entry (see EditableWithMim).
    package_dir={'': '.'},
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.0',
        'torchvision',
        'numpy',
        'mmpose>=1.3.2,<1.4',
        'six',  # mmpose imports it and does not declare it
    ],
    extras_require={
        # Not in install_requires: mmengine, mmcv and mmdet exist under two distribution names each
        # that install the same modules, and pip would put one over the other, compiled ops and all.
        'mm': ['onedl-mmengine>=0.10.12', 'onedl-mmcv>=2.3.6', 'onedl-mmdetection>=3.5.1'],
        'test': ['pytest', 'ruff', 'openmim', 'setuptools<82'],
    },
    cmdclass={'build_py': BuildWithMim, 'editable_wheel': EditableWithMim},
)
