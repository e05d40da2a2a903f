"""Report what is installed, patched and broken, and the commands that repair it.

`python -m okdhp_mm doctor` works even if any of the packages that it checks is missing. The
exit code is 1 if mmpose cannot work, else 0.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import platform
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..parser import command_parser
from . import compat
from ._mmcv_ext import COMPILE_COMMAND

OK, PATCHED, NOTE, BROKEN = 'ok', 'patched', 'note', 'broken'
INSTALL_XTCOCOTOOLS = (
    'pip install "setuptools<82" wheel cython numpy && pip install --no-build-isolation '
    '--no-cache-dir --no-binary xtcocotools --force-reinstall --no-deps xtcocotools'
)


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        subject: The checked part.
        status: `OK`; `PATCHED`: lacks something that a patch replaces; `NOTE`: mmpose works without
            it; `BROKEN`: mmpose does not.
        detail: Versions, or what is wrong.
        repair: The command that repairs it.
    """

    subject: str
    status: str
    detail: str
    repair: str = ''


def version_of(*distributions: str) -> str:
    """Name the first of the distributions that is installed, and its version; '' if none is."""
    for name in distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f'{name} {metadata.version(name)}'
    return ''


def why_not_importable(module: str) -> str:
    """Import a module; return '' or, in one line, why that failed."""
    try:
        # Messages of the imported packages would hide the report.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            importlib.import_module(module)
    # A broken installation may raise anything (xtcocotools: ValueError, mmpose: AssertionError).
    except Exception as error:
        return ' '.join(f'{type(error).__name__}: {error}'.split())
    return ''


def check_package(
    subject: str,
    distributions: tuple[str, ...],
    module: str,
    install: str,
    repair: str = '',
    status: str = BROKEN,
) -> Finding:
    """Check that one package is installed and can be imported.

    Args:
        subject: The name to report.
        distributions: The distributions that provide it.
        module: Module to import.
        install: The command that installs it.
        repair: The command for one that is installed and does not import; default: `install`.
        status: The status of a package that is missing or does not import.
    """
    version = version_of(*distributions)
    problem = why_not_importable(module)
    if not problem:
        return Finding(subject, OK, version or 'of unknown version')
    if not version:
        return Finding(subject, status, 'not installed', install)
    return Finding(subject, status, f'{version} does not import: {problem}', repair or install)


def check_python() -> Finding:
    """Check that the version of Python is a tested one."""
    version = f'{platform.python_version()} ({sys.executable})'
    if (3, 10) <= sys.version_info < (3, 13):
        return Finding('python', OK, version)
    return Finding('python', NOTE, f'{version} is untested', 'use Python 3.10, 3.11 or 3.12')


def check_mmcv_ops() -> Finding:
    """Check the operators of mmcv: compiled, replaced by the stand-in, or broken."""
    subject = 'mmcv ops'
    if importlib.util.find_spec('mmcv') is None:
        return Finding(subject, BROKEN, 'no mmcv', 'pip install onedl-mmcv')
    problem = why_not_importable('mmcv.ops')
    if problem:
        return Finding(subject, BROKEN, f'mmcv.ops does not import: {problem}', COMPILE_COMMAND)
    ext = sys.modules[compat.MMCV_EXT]
    if not getattr(ext, 'IS_STAND_IN', False):
        return Finding(subject, OK, f'compiled ({ext.__file__})')
    # Without the patch, too, if the stand-in lies inside mmcv; then there is nothing to report.
    where = 'by okdhp_mm.env.compat' if compat.is_active() else f'by {ext.__file__}'
    detail = f'not compiled, replaced {where}: heatmap models work, a call of an operator fails'
    return Finding(subject, PATCHED, detail, f'only if an operator is needed: {COMPILE_COMMAND}')


def check_mmpose() -> list[Finding]:
    """Check that mmpose imports and has the configs that ours inherit from."""
    mmpose = check_package(
        'mmpose',
        ('mmpose',),
        'mmpose.apis',
        'pip install --no-build-isolation "setuptools<82" chumpy six mmpose==1.3.2',
        'repair what is listed above, else: pip install --force-reinstall --no-deps mmpose==1.3.2',
    )
    findings = [mmpose]
    spec = importlib.util.find_spec('mmpose')
    if spec is not None and spec.origin is not None:
        index = Path(spec.origin).with_name('.mim') / 'model-index.yml'
        if index.exists():
            findings.append(Finding('mmpose .mim', OK, str(index.parent)))
        else:
            findings.append(
                Finding(
                    'mmpose .mim',
                    BROKEN,
                    f'{index} is missing, so that configs cannot inherit from mmpose::...; '
                    'an editable install of mmpose leaves it out',
                    'pip install --force-reinstall --no-deps mmpose==1.3.2',
                )
            )
    return findings


def check_mim() -> Finding:
    """Check the optional command `mim`, which needs the pkg_resources of an older setuptools."""
    install = (
        'pip install "setuptools<82" click colorama model-index pandas requests rich tabulate '
        '&& pip install --no-deps openmim==0.3.9'
    )
    return check_package('mim', ('openmim', 'onedl-mim'), 'mim.cli', install, status=NOTE)


def examine() -> Iterator[Finding]:
    """Check everything that mmpose needs, in the order of repair."""
    yield check_python()
    yield check_package('torch', ('torch',), 'torch', 'pip install torch torchvision')
    # A torchvision of another torch is found by importing it.
    yield check_package('torchvision', ('torchvision',), 'torchvision', 'pip install torchvision')
    yield check_package('numpy', ('numpy',), 'numpy', 'pip install numpy==2.2.6')
    # mmengine's runner imports distutils, which Python 3.12 leaves to setuptools.
    yield check_package(
        'setuptools', ('setuptools',), 'distutils.errors', 'pip install "setuptools<82"'
    )
    yield check_package(
        'opencv',
        ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python'),
        'cv2',
        'pip install opencv-python-headless',
        'pip install --force-reinstall --no-deps opencv-python-headless',
    )
    yield check_package(
        'mmengine', ('onedl-mmengine', 'mmengine'), 'mmengine.runner', 'pip install onedl-mmengine'
    )
    yield check_package(
        'mmcv', ('onedl-mmcv', 'mmcv', 'mmcv-lite'), 'mmcv', 'pip install onedl-mmcv'
    )
    yield check_mmcv_ops()
    # mmpose's rtmo_head imports it, even if no detector is used.
    yield check_package(
        'mmdet', ('onedl-mmdetection', 'mmdet'), 'mmdet.utils', 'pip install onedl-mmdetection'
    )
    # Its wheels are built against numpy 1 and do not load with numpy 2.
    yield check_package('xtcocotools', ('xtcocotools',), 'xtcocotools.coco', INSTALL_XTCOCOTOOLS)
    yield check_package('json_tricks', ('json-tricks',), 'json_tricks', 'pip install json-tricks')
    yield check_package('six', ('six',), 'six', 'pip install six')
    yield from check_mmpose()
    yield check_mim()


def install_stand_in() -> str:
    """Write the stand-in for `mmcv._ext` into mmcv, for stock tools that do not import okdhp_mm.

    Returns:
        The file written, or what made that unnecessary.

    Raises:
        RuntimeError: If mmcv is missing, or has an `_ext` of its own.
    """
    # Not find_spec('mmcv._ext'): that would import mmcv, which may be what is broken.
    spec = importlib.util.find_spec('mmcv')
    if spec is None or spec.origin is None:
        raise RuntimeError(
            'mmcv is not installed, so the stand-in has no place; run: pip install onedl-mmcv'
        )
    folder = Path(spec.origin).parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        compiled = folder / f'_ext{suffix}'
        if compiled.exists():
            raise RuntimeError(f'{compiled} has the compiled ops; nothing is replaced')
    target = folder / '_ext.py'
    if target.exists() and 'IS_STAND_IN' not in target.read_text():
        raise RuntimeError(f'{target} was not written by okdhp_mm; nothing is replaced')
    target.write_bytes(compat.MMCV_EXT_STAND_IN.read_bytes())
    return str(target)


def main(argv: list[str] | None = None) -> int:
    """Run the doctor; return its exit code."""
    parser = command_parser('doctor', __doc__, '', '--install-mmcv-stand-in', verbose=None)
    parser.add_argument(
        '--install-mmcv-stand-in',
        action='store_true',
        help='write mmcv/_ext.py, so that stock mmpose works with op-less mmcv without okdhp_mm',
    )
    if parser.parse_args(argv).install_mmcv_stand_in:
        try:
            print(f'wrote {install_stand_in()}')
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    compat.apply()
    findings = list(examine())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f'{finding.subject:<{width}}  {finding.status:<7}  {finding.detail}')
        if finding.repair:
            print(f'{"":<{width}}  {"":<7}  -> {finding.repair}')
    in_use = f'in use, {compat.REASON}' if compat.is_active() else 'not needed'
    print(f'patches:\n  {compat.MMCV_EXT}: {in_use}')
    broken = [finding.subject for finding in findings if finding.status == BROKEN]
    print(f'mmpose cannot work: repair {", ".join(broken)}' if broken else 'mmpose can work')
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
