"""Damaged and repaired installations, made from the installed one, for tests of the set-up."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import mmcv

ROOT = Path(__file__).parents[1]

# A module that can be compiled in a moment, for what only a compiled module shows.
TINY_EXTENSION = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_ext", NULL, -1, NULL};
PyMODINIT_FUNC PyInit__ext(void) { return PyModule_Create(&module); }
"""


def run(*command, cwd=ROOT, **environment):
    """Runs a command in a clean environment plus the given variables; returns what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith('PYTHON')}
    added = {key: str(value) for key, value in environment.items()}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **added},
        capture_output=True,
        text=True,
    )


def run_python(code, cwd=ROOT, **environment):
    return run(sys.executable, '-c', code, cwd=cwd, **environment)


def copy_opless_mmcv(folder):
    """Copies mmcv without compiled ops or stand-in; the folder goes on PYTHONPATH."""
    source = Path(mmcv.__file__).parent
    shutil.copytree(
        source, folder / 'mmcv', ignore=shutil.ignore_patterns('_ext*', '__pycache__', '*.so')
    )
    return folder


def compile_mmcv_ext(folder):
    """Compiles an `_ext` module without any operator into the folder."""
    source = folder / 'tiny.c'
    source.write_text(TINY_EXTENSION)
    target = folder / f'_ext{sysconfig.get_config_var("EXT_SUFFIX")}'
    include = sysconfig.get_path('include')
    subprocess.run(
        ['gcc', '-shared', '-fPIC', f'-I{include}', str(source), '-o', str(target)], check=True
    )
    return target
