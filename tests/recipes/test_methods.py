"""Methods by name: every preset trains any student, and replaces what a config had."""

import argparse
import ast
import os
import shutil
from pathlib import Path

import pytest
import torch
from common import batch, build, okdhp_model, python, run
from mmengine.config import Config
from sandbox import run as run_command

from okdhp_mm.cli.config import add_runner_arguments, load_config
from okdhp_mm.errors import UserError
from okdhp_mm.io import shipped_configs
from okdhp_mm.recipes.methods import apply_method, method_file, method_files
from okdhp_mm.student.config import student_config

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / 'configs' / '_base_' / 'methods'
CONFIG = ROOT / 'configs' / 'okdhp' / 'resnet18_mpii.py'


@pytest.fixture(params=sorted(file.stem for file in PRESETS.glob('*.py')))
def name(request):
    return request.param


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_runner_arguments(parser)
    return parser.parse_args([str(CONFIG), *arguments])


def test_the_promised_methods_are_there():
    assert {'okdhp', 'okdhp_official', 'branches'} <= method_files().keys()


def test_a_preset_defines_its_method_and_nothing_else(name):
    tree = ast.parse(method_file(name).read_text())
    assigned = [target.id for node in tree.body for target in node.targets]
    assert assigned == ['method'], 'it is copied into converted configs as it stands'
    method = Config.fromfile(method_file(name)).method
    assert not method.keys() & {'type', 'split', 'backbone', 'neck', 'head'}
    assert '_delete_' not in str(method)


def name_teacher(model, student, folder):
    """Let an offline method have its teacher, which any checkpoint of the package may be."""
    if model.get('teacher'):
        teacher = okdhp_model(student)
        Config(dict(model=teacher)).dump(folder / 'teacher.py')
        torch.save(build(teacher).state_dict(), folder / 'teacher.pth')
        model.teacher.config = str(folder / 'teacher.py')
        model.teacher.checkpoint = str(folder / 'teacher.pth')


@pytest.mark.parametrize('student', ['hrnet', 'resnet'])
def test_every_method_trains_every_parameter_of_any_student(name, student, tmp_path):
    config = okdhp_model(student)
    apply_method(config, name)
    name_teacher(config, student, tmp_path)
    model = build(config)
    model.load_teacher()
    model.train()
    losses = run(model, 'loss', batch())
    assert 'loss_kpt' in losses
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_branches_are_trained_without_any_distillation():
    config = okdhp_model()
    apply_method(config, 'branches')
    losses = run(build(config).train(), 'loss')
    assert [key for key in losses if 'loss' in key] == ['loss_kpt']


def test_a_method_replaces_another_one_wholly():
    first = okdhp_model()
    apply_method(first, 'okdhp_official')
    assert first.aggregator.form == 'released'
    apply_method(first, 'branches')
    assert first.aggregator == dict(type='MeanAggregator')
    assert list(first.distiller.terms) == ['loss_kpt']
    apply_method(first, 'okdhp')
    assert first == okdhp_model(), 'the default is what a config without a method trains'


def test_two_models_share_nothing_of_a_method():
    one, other = okdhp_model(), okdhp_model()
    for model in (one, other):
        apply_method(model, 'okdhp_official')
    one.distiller.terms.loss_kd.loss.loss_weight = 7
    assert other.distiller.terms.loss_kd.loss.loss_weight == 2


def test_an_unknown_method_is_refused_with_those_that_there_are():
    with pytest.raises(
        UserError, match="method 'dlm' does not exist. Use one of: .*branches.*okdhp_official"
    ):
        apply_method(okdhp_model(), 'dlm')


def test_a_method_may_be_a_file_of_the_users_own(tmp_path):
    own = tmp_path / 'mine.py'
    own.write_text("method = dict(aggregator=dict(type='MeanAggregator'))\n")
    model = okdhp_model()
    apply_method(model, str(own))
    assert model.aggregator == dict(type='MeanAggregator')
    cfg = load_config(parsed(), str(own))
    assert (cfg.work_dir, cfg.method_name) == ('./work_dirs/resnet18_mpii_mine', 'mine')
    own.write_text('methods = dict()\n')
    with pytest.raises(UserError, match='mine.py defines no method'):
        apply_method(model, str(own))
    with pytest.raises(UserError, match="method '.*nowhere.py' does not exist"):
        apply_method(model, str(tmp_path / 'nowhere.py'))


def test_an_installed_package_has_its_own_methods(tmp_path, monkeypatch):
    package = tmp_path / 'site-packages' / 'okdhp_mm'
    monkeypatch.setattr(shipped_configs, 'PACKAGE', package)
    assert method_files() == {}
    with pytest.raises(UserError, match="'okdhp' does not exist. The package has no methods"):
        method_file('okdhp')
    shutil.copytree(PRESETS, package / '.mim' / 'configs' / '_base_' / 'methods')
    # Configs of other projects next to the package are not ours.
    shutil.copytree(PRESETS.parent, package.parent / 'configs' / '_base_')
    (package.parent / 'configs' / '_base_' / 'methods' / 'foreign.py').touch()
    assert method_file('okdhp').is_relative_to(package)
    assert 'foreign' not in method_files()


@pytest.mark.parametrize(
    ('arguments', 'method', 'folder'),
    [
        ([], None, './work_dirs/resnet18_mpii'),
        ([], 'branches', './work_dirs/resnet18_mpii_branches'),
        (['--work-dir', 'mine'], 'branches', 'mine'),
    ],
)
def test_a_method_trains_in_a_folder_of_its_own(arguments, method, folder):
    cfg = load_config(parsed(*arguments), method)
    assert cfg.work_dir == folder
    assert ('distiller' in cfg.model) == (method is not None)


def test_the_student_alone_trains_in_a_folder_of_its_own_too():
    cfg = load_config(parsed(), 'alone')
    assert cfg.work_dir == './work_dirs/resnet18_mpii_alone'
    assert cfg.model.type == 'TopdownPoseEstimator'
    assert cfg.model.backbone.get('init_cfg'), 'it starts from the same weights'
    assert Path(cfg.filename).name == 'resnet18_mpii.py', 'the work directory gets this name'
    assert cfg.launcher == 'none'


def test_the_config_that_a_training_writes_is_complete(tmp_path):
    cfg = load_config(parsed(), 'okdhp_official')
    cfg.dump(tmp_path / 'written.py')
    written = Config.fromfile(tmp_path / 'written.py')
    assert written.model == cfg.model
    assert written.model.aggregator.form == 'released'
    assert not {'aggregator', 'distiller'} & student_config(written, 0).model.keys()


def test_a_folder_that_the_config_names_is_told_apart_too(tmp_path):
    file = tmp_path / 'mine.py'
    file.write_text(f"_base_ = {str(CONFIG)!r}\nwork_dir = 'runs/mine/'\n")
    args = parsed()
    args.config = str(file)
    assert load_config(args).work_dir == 'runs/mine/'
    assert load_config(args, 'branches').work_dir == 'runs/mine_branches'


def test_a_method_for_a_student_alone_is_refused(tmp_path):
    file = tmp_path / 'student.py'
    file.write_text("model = dict(type='TopdownPoseEstimator')\n")
    args = parsed()
    args.config = str(file)
    with pytest.raises(UserError, match="model.type='TopdownPoseEstimator'.*okdhp_mm convert"):
        load_config(args, 'branches')


def test_the_training_tool_takes_a_method_and_says_which_there_are(tmp_path):
    train = python(ROOT / 'tools' / 'train.py', CONFIG, '--method', 'none_such')
    result = run_command(*train, cwd=tmp_path, PYTHONPATH=ROOT)
    assert result.returncode == 1
    assert "error: The method 'none_such' does not exist. Use one of: branches" in result.stderr
    assert os.listdir(tmp_path) == []
