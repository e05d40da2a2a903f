"""The checks of ``benchmarks/reliability.py``, one module each.

A module has ``RUNS``, the number of runs of a complete check, and
``check(runs: int, folder: Path) -> Iterator[Row]``, which may write into an empty folder.
"""
