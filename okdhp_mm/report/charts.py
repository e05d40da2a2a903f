"""Line charts as inline SVG, drawn by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullFormatter

COLORS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c6d31', '#666666')
"""Colors that color-blind readers can tell apart (Okabe and Ito)."""
STYLE = {
    'svg.fonttype': 'none',  # letters instead of outlines: smaller, and can be searched
    'text.parse_math': False,  # names of the user's metrics may have a dollar sign
    'font.family': 'sans-serif',
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.edgecolor': '#888888',
    'axes.grid': True,
    'grid.color': '#e4e4e4',
    'axes.axisbelow': True,
}
WITHOUT = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
"""Metadata that would differ between runs, or link to other sites."""
COLUMNS = 3
"""Columns of the legend."""
LOG_RATIO = 100
"""Ratio of the largest to the smallest value above which the axis is logarithmic."""


def line_chart(
    curves: Mapping[str, Mapping[int, float]], x_label: str, *, log_scale: bool = False
) -> str:
    """Return a chart of some curves as an ``<svg>`` element.

    Args:
        curves: Values by step, by the name in the legend. The first one is drawn on top.
        x_label: Name of the steps.
        log_scale: Use a logarithmic axis if the values are positive and span two decades.
    """
    # A Figure of its own leaves the backend and the figures of pyplot as they are.
    with rc_context(STYLE | {'svg.hashsalt': '|'.join([*curves, x_label])}):
        figure = Figure(figsize=(4.6, 2.8))
        # The layout engines of matplotlib take longer than all the rest.
        figure.subplots_adjust(left=0.12, right=0.98, top=0.92, bottom=bottom_margin(len(curves)))
        axes = figure.add_subplot()
        for index, (name, curve) in enumerate(curves.items()):
            # matplotlib leaves names that start with an underscore out of the legend.
            axes.plot(
                list(curve),
                list(curve.values()),
                label=name.lstrip('_') or name,
                color=color_of(name, index),
                linewidth=2.2 if index == 0 else 1.4,
                zorder=10 - index,
                marker='o' if len(curve) == 1 else None,
            )
        values = [value for curve in curves.values() for value in curve.values()]
        if log_scale and min(values) > 0 and max(values) > LOG_RATIO * min(values):
            axes.set_yscale('log')
            axes.yaxis.set_major_formatter(FormatStrFormatter('%g'))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.ticklabel_format(axis='y', scilimits=(-3, 4))
        locator = axes.xaxis.get_major_locator()
        assert isinstance(locator, MaxNLocator)  # the default of a linear axis
        locator.set_params(integer=True)
        axes.set_xlabel(x_label)
        if len(curves) > 1:
            figure.legend(loc='lower center', ncols=min(COLUMNS, len(curves)), frameon=False)
        file = io.StringIO()
        figure.savefig(file, format='svg', metadata=WITHOUT)
    svg = file.getvalue()
    return svg[svg.index('<svg') :]


def color_of(name: str, index: int) -> str:
    """Return the color of a curve: every branch has one of its own in all charts."""
    if index == 0 and not name.startswith('branch'):
        return COLORS[0]
    branch = re.match(r'branch(\d+)', name)
    others = -1 if re.search('ensemble|mean', name) else index
    return COLORS[(int(branch[1]) if branch else others) % len(COLORS)]


def bottom_margin(curves: int) -> float:
    """Return the share of the height for the label of the axis and the legend."""
    return 0.17 if curves < 2 else 0.26 if curves <= COLUMNS else 0.33
