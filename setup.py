"""Packaging of okdhp_mm.

`mim` looks for configs, tools and the model index in `<package>/.mim`. They are put there in the
built wheel only, so that the source tree never holds copies. The distribution is called
okdhp-mmpose, not okdhp_mm, and has no console script: with either of these onedl-mim takes a wrong
folder for the package.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithMim(build_py):
    """Build the package, and `okdhp_mm/.mim` in it."""

    def run(self):
        """Build."""
        super().run()
        if self.editable_mode:
            # This folder becomes site-packages.
            self.forward(Path(self.get_finalized_command('install').install_lib))
        else:
            self.copy(Path(self.build_lib))

    def copy(self, root):
        """Copy configs, tools and model index."""
        target = root / 'okdhp_mm' / '.mim'
        # What an earlier build left must not slip into this one.
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for part in ('configs', 'tools'):
            ignored = shutil.ignore_patterns('__pycache__', '*.pyc')
            shutil.copytree(ROOT / part, target / part, ignore=ignored)
        shutil.copy2(ROOT / 'model-index.yml', target)

    def forward(self, root):
        """Write files that forward to the checkout, for an editable install.

        openmim looks in `<site-packages>/okdhp_mm`, which an editable install leaves out. It has no
        `__init__.py`, so that Python prefers the package itself, further down its path.
        """
        target = root / 'okdhp_mm' / '.mim'
        (target / 'tools').mkdir(parents=True)
        for tool in (ROOT / 'tools').glob('*.py'):
            run = f'import runpy\n\nrunpy.run_path({str(tool)!r}, run_name="__main__")\n'
            (target / 'tools' / tool.name).write_text(run)
        metafiles = sorted((ROOT / 'configs').glob('*/metafile.yml'))
        imports = ''.join(f'  - {path}\n' for path in metafiles)
        (target / 'model-index.yml').write_text(f'Import:\n{imports}')


def description() -> str:
    """Return README for a package index, where its relative links would not resolve."""
    text = (ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else ''
    text = re.sub(r'!\[([^]]*)\]\((?!https?:)[^)]*\)', r'*\1*', text)
    return re.sub(r'\[([^]]*)\]\((?!https?:)[^)]*\)', r'\1', text)


setup(
    name='okdhp-mmpose',
    version=re.search(r"'(.+)'", (ROOT / 'okdhp_mm' / 'version.py').read_text()).group(1),
    description='Online knowledge distillation for human pose estimation (OKDHP) in MMPose 1.x',
    long_description=description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    author='The okdhp_mm developers',
    keywords='pose estimation, keypoint detection, knowledge distillation, OKDHP, MMPose',
    project_urls={
        'Paper': 'https://arxiv.org/abs/2108.02092',
        'MMPose': 'https://github.com/open-mmlab/mmpose',
    },
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['okdhp_mm', 'okdhp_mm.*']),
    package_data={'okdhp_mm': ['py.typed']},
    # Spelled out so that an editable install is a plain path entry (see forward).
    package_dir={'': '.'},
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.1',
        'torchvision',
        'numpy',
        'mmpose>=1.2,<2',
        'tensorboard',  # the configs log to it
        # Imported by mmpose and mmengine, which do not declare them.
        'six',
        'setuptools; python_version >= "3.12"',
    ],
    extras_require={
        # Not in install_requires: mmengine, mmcv and mmdet exist under two distribution names each
        # that install the same modules, and pip would put one over the other, compiled ops and all.
        'mm': ['onedl-mmengine>=0.10.12', 'onedl-mmcv>=2.3.6', 'onedl-mmdetection>=3.5.1'],
        # For the student as a graph; where it only runs, onnxruntime alone.
        'onnx': ['onnx', 'onnxscript', 'onnxruntime'],
        # For ViTPose, whose backbone is mmpretrain's.
        'vit': ['mmpretrain>=1.2'],
        # For TrackingMetric. On Python 3.11 it asks for numpy>=2.3.2: with constraints.txt, install
        # it with --no-deps.
        'track': ['trackeval>=1.3'],
        # For files of SLEAP: .slp and analysis HDF5.
        'sleap': ['h5py'],
        # For BlazePose and other TFLite models as teachers.
        'tflite': ['ai-edge-litert>=1.0'],
        # For `make docs`.
        'docs': ['mkdocs-material>=9.5', 'mkdocstrings[python]>=0.27'],
        'test': [
            'pytest',
            'pytest-xdist',
            'ruff',
            'mypy',
            'openmim',
            'setuptools<82',
            'onnx',
            'onnxscript',
            'onnxruntime',
            'h5py',
        ],
    },
    cmdclass={'build_py': BuildWithMim},
)
