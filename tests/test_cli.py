"""What the tools share: what a command line means, and errors that are told."""

import argparse
import importlib
import json
import os
from pathlib import Path

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.runner import amp
from mmpose.registry import MODELS

from okdhp_mm.cli import (
    add_cfg_options,
    build_runner,
    errors_in_one_sentence,
    expand_home,
    finite,
    merge_options,
    traceable_amp,
)
from okdhp_mm.commands import COMMANDS, train
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.io.config import read_config

ROOT = Path(__file__).parents[1]
MPII = str(ROOT / 'configs' / 'okdhp' / 'resnet18_mpii.py')


@pytest.fixture
def config_of():
    """The config that a command makes of its arguments."""

    def make(name, *arguments):
        command = importlib.import_module(COMMANDS[name].module)
        return command.config_from(command.parse_args(arguments))

    return make


def test_options_for_data_that_are_not_validated_on_do_no_harm(config_of):
    cfg = config_of('train', MPII, '--no-validate', '--cfg-options', 'val_dataloader.dataset.a=1')
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None


@pytest.mark.parametrize(
    ('arguments', 'load_from'),
    [
        ([], 'student.pth'),
        (['--from-scratch'], None),
        (['--from-scratch', '--resume'], None),
        (['--from-scratch', '--resume', 'epoch_3.pth'], 'epoch_3.pth'),
        (['--from-scratch', '--cfg-options', 'load_from=a.pth'], 'a.pth'),
    ],
)
def test_from_scratch_loads_nothing_but_what_it_goes_on_from(
    config_of, tmp_path, arguments, load_from
):
    second = tmp_path / 'second.py'
    second.write_text(f"_base_ = {MPII!r}\nload_from = 'student.pth'\n")
    assert config_of('train', str(second), *arguments).load_from == load_from


def test_a_training_can_start_from_weights_of_another_library(config_of, tmp_path, capsys):
    torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / 'theirs.pth')
    given = ('--work-dir', str(tmp_path / 'out'), '--pretrained', str(tmp_path / 'theirs.pth'))
    cfg = config_of('train', 'okdhp/mobilenetv2_mpii.py', *given)
    assert '260 of 260 tensors found by order and shape' in capsys.readouterr().out
    model = MODELS.build(cfg.model)
    model.init_weights()
    expected = torch.load(tmp_path / 'theirs.pth', weights_only=True)['features.0.0.weight']
    assert torch.equal(model.backbone.trunk.conv1.conv.weight, expected)
    with pytest.raises(UserError, match='do not fit ResNet'):
        config_of('train', 'okdhp/resnet18_mpii.py', *given)
    with pytest.raises(SystemExit):
        config_of('train', MPII, '--from-scratch', *given)
    (tmp_path / 'theirs.pth').unlink()
    resumed = config_of('train', 'okdhp/mobilenetv2_mpii.py', *given, '--resume')
    assert resumed.model.backbone.init_cfg == cfg.model.backbone.init_cfg


def test_options_for_an_evaluator_are_merged_before_the_dump_joins_it(config_of):
    option = ('--cfg-options', 'test_evaluator.metric.ann_file=own.json')
    own, dump = config_of('test', MPII, 'a.pth', '--dump', 'all.pkl', *option).test_evaluator
    assert own.metric.ann_file == 'own.json'
    assert dump == dict(type='DurableDumpResults', out_file_path='all.pkl')


def test_a_dump_joins_evaluators_in_a_tuple(config_of, tmp_path):
    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = {MPII!r}\ntest_evaluator = dict(type='AUC'), dict(type='EPE')\n")
    cfg = config_of('test', str(own), 'a.pth', '--dump', 'all.pkl')
    assert [metric['type'] for metric in cfg.test_evaluator] == ['AUC', 'EPE', 'DurableDumpResults']


def test_a_test_never_resumes(config_of, tmp_path):
    resumed = tmp_path / 'resumed.py'
    resumed.write_text(f'_base_ = {MPII!r}\nresume = True\n')
    cfg = config_of('test', str(resumed), 'a.pth')
    assert (cfg.resume, cfg.load_from) == (False, 'a.pth')


@pytest.mark.parametrize(
    ('tool', 'flag', 'missing'),
    [
        ('train', '--amp', 'optim_wrapper'),
        ('train', '--auto-scale-lr', 'auto_scale_lr'),
        ('train', '--show', 'default_hooks.visualization'),
        ('test', '--show-dir=pictures', 'default_hooks.visualization'),
        ('test', '--dump=all.pkl', 'test_evaluator'),
        ('test', '--badcase', 'default_hooks.badcase'),
        ('test', '--badcase', 'model.head.loss'),
        ('test', '--badcase', 'test_evaluator'),
    ],
)
@pytest.mark.parametrize('section', [True, False], ids=['the section', 'all of it'])
def test_a_flag_for_what_the_config_has_not_is_told(
    config_of, tmp_path, tool, flag, missing, section
):
    cfg = Config.fromfile(MPII).to_dict()
    if missing == 'test_evaluator':
        cfg['default_hooks']['badcase']['metric_type'] = 'accuracy'
    *path, name = missing.split('.') if section else missing.split('.')[:1]
    owner = cfg
    for key in path:
        owner = owner[key]
    del owner[name]
    Config(cfg).dump(tmp_path / 'own.py')
    arguments = (flag,) if tool == 'train' else ('a.pth', flag)
    with pytest.raises(
        UserError, match=f'{flag.split("=")[0]} .*requires {missing}, .*Add {missing}'
    ):
        config_of(tool, str(tmp_path / 'own.py'), *arguments)


def test_a_metric_for_bad_cases_of_the_users_own_is_kept(config_of, tmp_path):
    cfg = Config.fromfile(MPII)
    cfg.default_hooks.badcase.metric = dict(type='KeypointMSELoss')
    del cfg.model.head['loss']
    cfg.dump(tmp_path / 'own.py')
    badcase = config_of(
        'test', str(tmp_path / 'own.py'), 'a.pth', '--badcase'
    ).default_hooks.badcase
    assert badcase.enable
    assert badcase.metric == dict(type='KeypointMSELoss')


def test_a_method_whose_module_is_not_found_is_told(config_of, tmp_path):
    method = tmp_path / 'own.py'
    method.write_text("custom_imports = dict(imports=['my_method'])\nmethod = dict()\n")
    with pytest.raises(UserError, match='own.py cannot be read .*my_method.*be on PYTHONPATH'):
        config_of('train', MPII, '--method', str(method))


@pytest.mark.parametrize('option', ['foo', 'model.branches 4'])
def test_an_option_without_a_value_is_told(option, capsys):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'a=1', option])
    assert f'--cfg-options: \'{option}\' has no "="; write KEY=VALUE' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ("dict(type='Adam',lr=1e-3)", dict(type='Adam', lr=0.001)),
        ('dict(type=Adam,lr=-0.1)', dict(type='Adam', lr=-0.1)),
        ("{'a': {'b': [1, 2]}}", dict(a=dict(b=[1, 2]))),
        ("[dict(type='A'),dict(type='B',c=(1,2))]", [dict(type='A'), dict(type='B', c=(1, 2))]),
        ('dict(a=dict(b=true),c=None)', dict(a=dict(b=True), c=None)),
        ('{}', {}),
        ('dict()', {}),
        ('"dict(a=1)"', dict(a=1)),
        ("{'a=b': 1}", {'a=b': 1}),
        # As mmengine reads them:
        ('epoch_{}.pth', 'epoch_{}.pth'),
        ('[(a,b),(c,1)]', [('a', 'b'), ('c', 1)]),
        ('1,2', [1, 2]),
        ('a=b', 'a=b'),
    ],
)
def test_an_option_can_have_dicts_in_it(text, value):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    options = parser.parse_args(['--cfg-options', 'x=1', f'key={text}', 'y=2']).cfg_options
    assert options == dict(x=1, key=value, y=2)


@pytest.mark.parametrize(
    'text',
    ['dict(a=1', '{a:1', '{', 'dict(1)', 'dict(**a)', "dict(a=__import__('os'))", '{[]: 1}', '(1,'],
)
def test_an_option_that_cannot_be_read_is_refused(text, capsys):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', f'key={text}'])
    error = capsys.readouterr().err
    assert f'key={text}' in error and 'cannot be read; write a number' in error


def test_an_option_that_has_no_place_is_told():
    with pytest.raises(UserError, match='--cfg-options evaluator.ann_file=a.json cannot be merged'):
        merge_options(Config(dict(evaluator=[dict(ann_file='')])), {'evaluator.ann_file': 'a.json'})


@pytest.fixture
def demo(tmp_path):
    """The demo's training config, with two drawn persons."""
    annotations = write_coco(tmp_path, 'train', 2, seed=0)
    cfg = read_config(ROOT / 'configs' / 'okdhp' / 'demo.py')
    cfg.work_dir = str(tmp_path / 'run')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = f'{annotations.parents[1]}/'
    return cfg


@pytest.mark.parametrize(
    ('option', 'reason'),
    [
        ({'model.branchs': 4}, "unexpected keyword argument 'branchs'"),
        ({'model.backbone.type': 'mmnone.ViT'}, 'mmnone is not installed: pip install mmnone'),
        ({'model.aggregator.type': 'MeanAgg'}, 'MeanAgg is not in the .* registry'),
        ({'train_cfg.max_epoch': 3}, "unexpected keyword argument 'max_epoch'"),
        ({'optim_wrapper.optimizer.type': 'Adamm'}, "optimizer=.*'Adamm'.* cannot be built"),
        ({'optim_wrapper.optimizer.learning_rate': 1.0}, "unexpected keyword .*'learning_rate'"),
        pytest.param(
            {'optim_wrapper.type': 'AmpOptimWrapper'},
            '--amp .* requires CUDA',
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='there is one'),
        ),
    ],
)
def test_a_slip_in_an_option_is_told_with_the_hosts_reason(demo, option, reason):
    merge_options(demo, option)
    with pytest.raises(UserError, match=reason):
        build_runner(demo, 'train')


def test_annotations_without_a_person_or_cut_off_are_told_with_their_file(demo):
    dataset = demo.train_dataloader.dataset
    file = Path(dataset.data_root) / dataset.ann_file
    whole = file.read_text()
    file.write_text(whole[:-20])
    with pytest.raises(UserError, match=f'{file} is not complete JSON '):
        build_runner(demo, 'train')
    file.write_text(json.dumps(json.loads(whole) | dict(annotations=[])))
    with pytest.raises(UserError, match=f'{file} has no person with a box '):
        build_runner(demo, 'train')


def test_mpis_name_for_the_rank_on_a_machine_counts(config_of, monkeypatch):
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_RANK', '3')
    monkeypatch.setattr(os, 'environ', dict(os.environ))
    config_of('train', MPII, '--launcher', 'mpi')
    assert os.environ['LOCAL_RANK'] == '3'


def test_a_compiled_step_can_be_of_mixed_precision(demo):
    original = amp.digit_version
    demo.compile = True
    build_runner(demo, 'train')

    def step(x):
        with amp.autocast(device_type='cpu', dtype=torch.bfloat16):
            return x @ x

    with traceable_amp():
        assert torch.compile(step, backend='eager')(torch.eye(3)).dtype is torch.bfloat16
    assert amp.digit_version is original
    torch._dynamo.reset()


@pytest.mark.parametrize('checkpoint', [dict(state_dict={}), dict(state_dict={}, meta={})])
def test_weights_are_not_resumed_from(demo, tmp_path, checkpoint):
    student = str(tmp_path / 'student.pth')
    torch.save(checkpoint, student)
    demo.update(resume=True, load_from=student)
    with pytest.raises(UserError, match='not a checkpoint of a training.*load_from=.*student.pth'):
        build_runner(demo, 'train')


def test_a_users_error_ends_the_program_with_its_sentence_and_others_keep_their_traceback():
    with pytest.raises(SystemExit) as caught, errors_in_one_sentence():
        raise UserError('the wrong thing; do the right thing.')
    assert caught.value.code == 'error: the wrong thing; do the right thing.'
    with pytest.raises(ZeroDivisionError), errors_in_one_sentence():
        raise ZeroDivisionError


def test_a_path_that_cannot_be_used_ends_the_program_with_its_name(demo, tmp_path):
    file = tmp_path / 'file'
    file.touch()
    demo.work_dir = str(file)
    uses = {
        file: lambda: build_runner(demo, 'train'),
        file / 'out': (file / 'out').mkdir,
        tmp_path: lambda: tmp_path.write_text(''),
    }
    for path, use in uses.items():
        with pytest.raises(SystemExit, match=f'^error: {path} cannot be used: .*[a-z].$'):
            with errors_in_one_sentence():
                use()


@pytest.mark.parametrize('bug', [FileNotFoundError(2, 'gone', 'a.txt'), OSError('no file at all')])
def test_other_errors_of_the_system_keep_their_traceback(bug):
    with pytest.raises(type(bug)), errors_in_one_sentence():
        raise bug


@pytest.mark.parametrize(
    'text, expected',
    [
        ('~/a', '/h/a'),
        ('~', '/h'),
        ('--out=~/a b', '--out=/h/a b'),
        ('load_from=~/a.pth', 'load_from=/h/a.pth'),
        ('a/~/b', 'a/~/b'),
        ('https://host/~user/a.pth', 'https://host/~user/a.pth'),
        ('--threshold=0.5', '--threshold=0.5'),
    ],
)
def test_a_tilde_means_home(monkeypatch, text, expected):
    monkeypatch.setenv('HOME', '/h')
    assert expand_home(text) == expected


@pytest.mark.parametrize(
    'command',
    [
        file
        for file in sorted((ROOT / 'okdhp_mm' / 'commands').glob('[!_]*.py'))
        if file.stem != 'reference'  # it prints a page of the docs, without arguments
    ],
    ids=lambda file: file.stem,
)
def test_every_command_expands_a_tilde(command):
    assert 'parse_command_line(parser, arguments)' in command.read_text()


@pytest.mark.parametrize('text', ['nan', 'inf', '-Infinity'])
def test_a_number_that_is_not_finite_is_refused(text):
    assert finite('0.25') == 0.25
    with pytest.raises(argparse.ArgumentTypeError, match=f'{text} is not a finite number'):
        finite(text)


def test_checkpoints_of_an_earlier_training_are_kept(tmp_path):
    (tmp_path / 'epoch_3.pth').write_bytes(b'mine')
    with pytest.raises(SystemExit, match=r'has checkpoints .* such as epoch_3\.pth\. .*--force'):
        train.main([MPII, '--work-dir', str(tmp_path)])
    # The next reason to stop is reached: the data are missing.
    for option in ('--force', '--resume'):
        with pytest.raises(SystemExit, match='mpii'):
            train.main([MPII, '--work-dir', str(tmp_path), option])
    assert (tmp_path / 'epoch_3.pth').read_bytes() == b'mine'
