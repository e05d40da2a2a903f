"""Stand-in for `mmcv._ext`, the compiled operators that a pure-Python mmcv lacks.

mmpose imports `mmcv.ops` for a few of its heads, and `mmcv.ops` checks that every operator has a
name here. So every name exists and only a *call* fails; heatmap models call none of them.

This file imports nothing of okdhp_mm: `python -m okdhp_mm doctor --install-mmcv-stand-in`
copies it to `mmcv/_ext.py`, where it has to work alone.
"""

IS_STAND_IN = True

# --no-cache-dir: pip would otherwise take the op-less wheel that it built the first time.
COMPILE_COMMAND = (
    'MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir --force-reinstall '
    '--no-deps onedl-mmcv'
)


def get_compiler_version():
    """Answer `mmcv.utils.collect_env()`, which should not fail."""
    return 'n/a'


get_compiling_cuda_version = get_compiler_version


def __getattr__(name):
    # Dunders stay absent: importlib and inspect ask for __path__, __wrapped__ and the like.
    if name.startswith('__'):
        raise AttributeError(name)

    def operator(*args, **kwargs):
        raise RuntimeError(
            f'the operator {name!r} needs mmcv with compiled ops, which this mmcv lacks; '
            f'build them with: {COMPILE_COMMAND}'
        )

    return operator
