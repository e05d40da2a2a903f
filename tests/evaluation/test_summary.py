"""The table at the end of a training or a test."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub

from okdhp_mm.evaluation.summary import branch_table, main_metric
from okdhp_mm.structures import ENSEMBLE


@pytest.fixture
def runner(request):
    """A runner whose three validations have been logged."""
    hub = MessageHub(request.node.name)
    for values in ([0.5, 0.4, 0.7], [0.6, 0.9, 0.8], [0.55, 0.7, 0.65]):
        for name, value in zip(['', 'branch1/', 'ensemble/'], values, strict=True):
            hub.update_scalar(f'val/{name}coco/AP', value)
            hub.update_scalar(f'val/{name}coco/AR', 1.0)
    return SimpleNamespace(
        cfg=Config(dict(default_hooks=dict(checkpoint=dict(save_best='coco/AP', rule='greater')))),
        model=SimpleNamespace(head=SimpleNamespace(branches=[0, 1]), test_cfg=dict()),
        message_hub=hub,
    )


def rows(table):
    return [line.split(maxsplit=3) for line in table.splitlines()]


def test_it_has_the_last_and_the_best_figure_of_every_output(runner):
    table = rows(branch_table(runner))
    assert table[0] == ['coco/AP', 'last', 'best']
    assert table[1] == ['branch0', '0.5500', '0.6000', 'deployed (model.test_cfg.branch)']
    assert table[2] == ['branch1', '0.7000', '0.9000', '<- best branch']
    assert table[3] == ['ensemble', '0.6500', '0.8000', 'needs every branch']


def test_a_better_branch_is_offered_with_a_warning(runner):
    table = branch_table(runner)
    assert 'branch1 is better than the deployed branch0 on these data' in table
    assert '`export --branch 1`' in table
    assert 'measure it on other data' in table


def test_nothing_is_offered_if_the_best_branch_is_deployed(runner):
    for name in ('', 'branch1/'):
        runner.message_hub.update_scalar(f'val/{name}coco/AP', 0.6 if name else 0.8)
    assert 'better' not in branch_table(runner)


def test_the_ensemble_is_never_the_best_branch(runner):
    for value in (1.0, 1.0):
        runner.message_hub.update_scalar('val/ensemble/coco/AP', value)
    table = rows(branch_table(runner))
    assert [row[0] for row in table if '<- best branch' in row[-1]] == ['branch1']


def test_the_deployed_output_has_the_stock_name_whichever_it_is(runner):
    hub = MessageHub('other')
    for name, value in {'': 0.9, 'branch0/': 0.1, 'branch1/': 0.2}.items():
        hub.update_scalar(f'val/{name}coco/AP', value)
    runner.message_hub = hub
    runner.model.test_cfg = dict(branch=ENSEMBLE)
    table = rows(branch_table(runner))
    assert table[3][:2] == ['ensemble', '0.9000']
    assert 'deployed' in ' '.join(table[3])
    assert table[2][-1].endswith('best branch')


def test_less_is_better_where_the_config_says_so(runner):
    runner.cfg.default_hooks.checkpoint.rule = 'less'
    table = rows(branch_table(runner))
    assert table[1][1:3] == ['0.5500', '0.5000']
    assert '<- best branch' in table[1][3]


@pytest.mark.parametrize('named', [None, 'auto', ['coco/AP', 'coco/AR'], 'coco/AP'], ids=str)
def test_the_main_metric_is_the_one_named_first_or_else_found_first(runner, named):
    runner.cfg.default_hooks.checkpoint.save_best = named
    assert rows(branch_table(runner))[0][0] == 'coco/AP'
    runner.cfg.default_hooks.checkpoint = None
    assert rows(branch_table(runner))[0][0] == 'coco/AP'


@pytest.mark.parametrize(
    ('named', 'rule', 'expected'),
    [
        ('auto', None, ('EPE', 'less')),
        (['PCK', 'EPE'], ['greater', 'less'], ('PCK', 'greater')),
        ('PCK', None, ('PCK', None)),
    ],
    ids=str,
)
def test_a_rule_that_nobody_gives_follows_from_the_metric(named, rule, expected):
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(save_best=named, rule=rule))))
    found = ['time', 'EPE', 'PCK', 'branch1/EPE', 'branch1/PCK', 'ensemble/EPE', 'ensemble/PCK']
    assert main_metric(cfg, found) == expected


def test_without_validation_or_branches_there_is_none(runner):
    assert branch_table(runner, 'test') == ''
    runner.model = SimpleNamespace()
    assert branch_table(runner) == ''


def test_a_real_training_ends_with_it(trained):
    table = rows(branch_table(trained))
    assert [row[0] for row in table[:5]] == ['PCK', 'branch0', 'branch1', 'branch2', 'ensemble']


def test_a_single_evaluation_has_no_best_column(runner):
    hub = MessageHub('single')
    for name in ('', 'branch1/', 'ensemble/'):
        hub.update_scalar(f'test/{name}coco/AP', 0.5)
    runner.message_hub = hub
    assert rows(branch_table(runner, 'test'))[0] == ['coco/AP', 'last']
