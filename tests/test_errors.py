"""Mistakes of users end in one sentence, and bugs in code keep their traceback."""

import copy
import logging
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmpose.registry import MODELS

from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.cli.options import merge_options
from okdhp_mm.cli.runner import build_runner
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import CodeError, UserError, as_user_error, is_own
from okdhp_mm.io.config import read_config
from okdhp_mm.recipes.convert import build, read_stock

DEMO = Path(__file__).parents[1] / 'configs' / 'okdhp' / 'demo.py'


@pytest.fixture(autouse=True)
def no_debug(monkeypatch):
    monkeypatch.delenv('OKDHP_DEBUG', raising=False)


@pytest.fixture
def demo(tmp_path):
    """The demo's training config, with two drawn persons."""
    annotations = write_coco(tmp_path, 'train', 2, seed=0)
    cfg = read_config(DEMO)
    cfg.work_dir = str(tmp_path / 'run')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = f'{annotations.parents[1]}/'
    return cfg


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of a contributor, which configs can import."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(MODELS.module_dict)

    def write(text, name='own_module'):
        (tmp_path / f'{name}.py').write_text(text)
        return str(tmp_path / f'{name}.py')

    yield write
    for name in set(MODELS.module_dict) - before:
        del MODELS.module_dict[name]
    sys.modules.pop('own_module', None)


def printed(use):
    """Return what a tool prints when `use` fails."""
    with pytest.raises(SystemExit) as caught, errors_in_one_sentence():
        use()
    return caught.value.code


AGGREGATOR = """from mmpose.registry import MODELS
from okdhp_mm.models.aggregators import MeanAggregator


@MODELS.register_module()
class Own(MeanAggregator):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        {bug}
"""


@pytest.mark.parametrize(
    ('bug', 'kind'),
    [
        ("{}['missing']", 'KeyError'),
        ('1 + None', 'TypeError'),
        ('len()', 'TypeError'),
        ("raise KeyError('of my own')", 'KeyError'),
        ("dict(a=1, **{'a': 2})", 'TypeError'),
    ],
)
def test_a_bug_in_a_contributors_part_shows_its_traceback(demo, module, bug, kind):
    file = module(AGGREGATOR.format(bug=bug))
    demo.custom_imports = dict(imports=['own_module'], allow_failed_imports=False)
    Config(demo.to_dict()).dump(Path(file).with_name('own.py'))
    cfg = read_config(Path(file).with_name('own.py'))
    merge_options(cfg, {'model.aggregator': dict(type='Own')})
    text = printed(lambda: build_runner(cfg, 'train'))
    sentence, _, trace = text.partition('\n\n')
    assert sentence.startswith('error: ')
    assert f'cannot be built ({kind} in {file}, line 9: ' in sentence
    assert trace.startswith('Traceback')
    assert f'line 9, in __init__\n    {bug}' in trace


@pytest.mark.parametrize(
    ('bug', 'kind', 'line'),
    [
        ('a = 1\nb = num_joints\n', 'NameError', 2),
        ('\n\na = dict(b=[1])\na["b"][3]\n', 'IndexError', 4),
        ('a = 1 / 0', 'ZeroDivisionError', 1),
        ("raise RuntimeError('no')", 'RuntimeError', 1),
        ("open('not_there.txt')", 'FileNotFoundError', 1),
    ],
)
@pytest.mark.parametrize('inherited', [False, True])
def test_a_bug_in_a_config_is_shown_with_its_line(tmp_path, bug, kind, line, inherited):
    (tmp_path / 'bug.py').write_text(bug)
    (tmp_path / 'own.py').write_text("_base_ = './bug.py'\n")
    file = tmp_path / ('own.py' if inherited else 'bug.py')
    text = printed(lambda: read_config(file))
    assert f'{file} cannot be read ({kind} in {tmp_path}/bug.py, line {line}: ' in text
    assert 'Traceback' in text
    with pytest.raises(CodeError, match=f'{kind} in {tmp_path}/bug.py, line {line}: '):
        read_stock(str(file))


@pytest.mark.parametrize(
    ('bug', 'kind'),
    [
        ('from json import nothing', 'ImportError'),
        ('import not_installed', 'ModuleNotFoundError'),
        ('nothing', 'NameError'),
    ],
)
def test_a_bug_in_an_imported_module_is_shown_with_its_line(module, tmp_path, bug, kind):
    file = module(f'\n{bug}\n')
    (tmp_path / 'own.py').write_text("custom_imports = dict(imports=['own_module'])")
    text = printed(lambda: read_config(tmp_path / 'own.py'))
    assert f'own.py cannot be read ({kind} in {file}, line 2: ' in text
    assert 'Traceback' in text
    assert ('pip install not_installed' in text) == ('not_installed' in bug)


def test_a_bug_in_a_contributors_backbone_is_shown_by_the_converter(module):
    file = module('def own(bug):\n    return eval(bug)\n')
    from own_module import own

    MODELS.register_module(name='Own')(own)
    text = printed(lambda: build(dict(type='Own', bug='{}[1]'), 'stock.py'))
    assert f'KeyError in {file}, line 2: 1' in text
    assert 'Traceback' in text
    with pytest.raises(AttributeError), errors_in_one_sentence():
        build(dict(type='Own', bug='bug.nothing'), 'stock.py')


@pytest.mark.parametrize(
    'option',
    [
        {'model.aggregator.type': 'MeanAgg'},
        {'model.branchs': 4},
        {'train_cfg.max_epoch': 3},
        {'optim_wrapper.optimizer.type': 'Adamm'},
        {'optim_wrapper.optimizer.learning_rate': 1.0},
        {'model.backbone.type': 'mmnone.ViT'},
        {'train_dataloader.dataset.type': 'CocoData'},
        {'visualizer': dict(name='other', vis_backends=[dict(type='NoBackend')])},
        {'default_hooks.timer': dict(type='NoHook')},
    ],
)
def test_a_users_mistake_shows_no_traceback(demo, option):
    merge_options(demo, option)
    text = printed(lambda: build_runner(demo, 'train'))
    assert re.fullmatch('error: [^\n]* cannot be built [^\n]*', text)


def test_a_host_that_stumbles_over_a_config_shows_its_traceback(demo):
    del demo.train_dataloader['dataset']
    text = printed(lambda: build_runner(demo, 'train'))
    assert text.startswith('error: ')
    assert 'Traceback' in text


@pytest.mark.parametrize(
    ('options', 'key'),
    [
        (dict(a=[dict(b=1)]), 'a.b'),
        (dict(a=[dict(b=1)]), 'a.3.b'),
        (dict(a=1), 'a.b'),
        (dict(a='text'), 'a.b.c'),
    ],
)
def test_an_option_without_a_place_shows_no_traceback(options, key):
    text = printed(lambda: merge_options(Config(options), {key: 1}))
    assert re.fullmatch('error: --cfg-options [^\n]* cannot be merged [^\n]*', text)


@pytest.mark.parametrize('value', ['1', 'yes'])
def test_debugging_always_shows_the_traceback(value, monkeypatch, tmp_path):
    monkeypatch.setenv('OKDHP_DEBUG', value)
    for use in (lambda: read_config('nowhere.py'), lambda: tmp_path.write_text('')):
        sentence, _, trace = printed(use).partition('\n\n')
        assert sentence.startswith('error: ')
        assert trace.startswith('Traceback')


def interrupted_in_a_host():
    try:
        raise KeyboardInterrupt
    except:  # noqa: E722 (as mmengine where it formats a config)
        raise SyntaxError('Failed to format the config file')  # noqa: B904


@pytest.mark.parametrize('wrapped', [False, True])
def test_ctrl_c_stays_ctrl_c_in_hosts_that_catch_it(wrapped):
    def use():
        with as_user_error('The config cannot be read', *[Exception] * wrapped):
            interrupted_in_a_host()

    assert printed(use) == 'error: Interrupted. The files written so far are complete.'


def test_a_log_without_room_prints_no_traceback(capsys):
    logger = logging.getLogger('full')
    logger.addHandler(logging.FileHandler('/dev/full'))
    with errors_in_one_sentence():
        logger.error('x')
    assert 'Traceback' not in capsys.readouterr().err
    assert logging.raiseExceptions


def test_a_kind_that_is_not_named_passes_unchanged():
    with pytest.raises(OSError, match='^gone$'), as_user_error('no', KeyError, TypeError):
        raise OSError('gone')
    with pytest.raises(UserError, match='^mine$') as caught, as_user_error('no', ValueError):
        raise UserError('mine')
    assert not isinstance(caught.value, CodeError)


def test_installed_files_and_those_of_this_package_are_not_the_users_own():
    import argparse

    import mmengine
    import torch

    import okdhp_mm

    for part in (argparse, mmengine, torch, okdhp_mm):
        assert not is_own(part.__file__)
    assert is_own(__file__)
    assert is_own('configs/own.py')


PACKAGES = dict(
    WandbVisBackend='wandb',
    MLflowVisBackend='mlflow',
    AimVisBackend='aim',
    ClearMLVisBackend='clearml',
    NeptuneVisBackend='neptune',
    DVCLiveVisBackend='dvclive',
)


@pytest.mark.parametrize('backend', PACKAGES)
def test_a_backend_without_its_package_is_refused_with_the_command(demo, backend):
    package = PACKAGES[backend]
    if find_spec(package):
        pytest.skip(f'{package} is installed')
    merge_options(demo, {'visualizer': dict(name=backend, vis_backends=[dict(type=backend)])})
    text = printed(lambda: build_runner(demo, 'train'))
    assert re.fullmatch(
        f'error: [^\n]* cannot be built [^\n]*pip install (-U )?{package}\\b.*', text
    )


@pytest.mark.parametrize(
    ('change', 'package', 'command'),
    [
        (
            {'val_evaluator': dict(_delete_=True, type='PoseTrack18Metric', ann_file='a.json')},
            'poseval',
            'pip install git+https://github.com/svenkreiss/poseval.git',
        ),
        (
            {'train_dataloader.dataset.pipeline': [dict(type='Albumentation', transforms=[])]},
            'albumentations',
            'pip install albumentations',
        ),
        (
            {'model.backbone': dict(_delete_=True, type='mmpretrain.VisionTransformer')},
            'mmpretrain',
            'pip install mmpretrain',
        ),
        (
            {'model.backbone': dict(_delete_=True, type='mmcls.VisionTransformer')},
            'mmpretrain',
            'write mmpretrain.VisionTransformer',
        ),
    ],
)
def test_a_part_without_its_package_is_refused_with_the_command(demo, change, package, command):
    if find_spec(package):
        pytest.skip(f'{package} is installed')
    demo.val_dataloader = copy.deepcopy(demo.train_dataloader)
    merge_options(demo, change)
    text = printed(lambda: build_runner(demo, 'train', 'val'))
    assert re.fullmatch('error: [^\n]* cannot be built [^\n]*', text)
    assert command in text


@pytest.mark.parametrize(
    ('part', 'remedy'),
    [
        (None, 'load_from=FILE'),
        ('backbone', 'model.backbone.init_cfg.checkpoint'),
        ('head', 'model.backbone.init_cfg.checkpoint'),
    ],
)
def test_a_checkpoint_out_of_reach_is_refused_before_the_training(demo, part, remedy):
    source = 'http://127.0.0.1:9/a.pth'  # a port that refuses every connection
    if part:
        demo.model[part].init_cfg = dict(type='Pretrained', checkpoint=source)
    else:
        demo.load_from = source
    text = printed(lambda: build_runner(demo, 'train'))
    assert re.fullmatch(f'error: Cannot get the pretrained weights {source}: [^\n]*', text)
    assert remedy in text
