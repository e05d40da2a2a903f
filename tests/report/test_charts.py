"""Curves become SVG that can stand in a page."""

import re
from xml.etree import ElementTree

import pytest

from okdhp_mm.report.charts import COLORS, line_chart

CURVE = {1: 0.5, 2: 0.25, 3: 0.125}


@pytest.mark.parametrize('name', ['a$b$', '$\\frac', '<script>&"', '_hidden', '%s {x}', 'ключ'])
def test_any_name_is_drawn_as_it_is(name):
    svg = line_chart({name: CURVE, 'other': CURVE}, 'epoch')
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.text]
    assert name.lstrip('_') in texts
    assert '<script' not in svg


def test_a_chart_refers_to_nothing_outside():
    svg = line_chart({'loss': CURVE}, 'iteration')
    addresses = set(re.findall(r'https?://[^"\s]+', svg))
    assert addresses <= {'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'}


def test_charts_of_one_page_share_no_ids():
    one, other = line_chart({'loss': CURVE}, 'x'), line_chart({'lr': CURVE}, 'x')
    ids = [set(re.findall(r'id="((?:p|m)[0-9a-f]{8,})"', svg)) for svg in (one, other)]
    assert ids[0] and ids[1] and not ids[0] & ids[1]


def test_a_branch_has_the_same_color_in_every_chart():
    for curves in (['branch1', 'branch0'], ['branch0', 'branch1', 'ensemble'], ['branch1']):
        svg = line_chart(dict.fromkeys(curves, CURVE), 'epoch')
        assert COLORS[1] in svg
    assert COLORS[0] not in svg


@pytest.mark.parametrize(
    ('values', 'ticks'),
    [((1e-6, 1e-2), {'0.0001'}), ((0.0, 1e-2), set()), ((0.5, 0.6), {'0.50', '0.60'})],
)
def test_only_positive_values_over_decades_have_a_logarithmic_axis(values, ticks):
    svg = line_chart({'loss': dict(enumerate(values))}, 'x', log_scale=True)
    texts = {element.text for element in ElementTree.fromstring(svg).iter() if element.text}
    assert ticks <= texts
    assert ('1e-05' in texts) == (values[0] == 1e-6)
