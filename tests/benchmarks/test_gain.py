"""The gain benchmark: what it compares is comparable, and it counts right."""

import copy
import dataclasses
import json
import runpy
import shutil
import sys
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import step_time
import torch
from drawn_mpii import write_mpii
from mmengine.registry import init_default_scope
from mmpose.evaluation.metrics import MpiiPCKAccuracy
from mmpose.registry import DATASETS, MODELS
from scipy.io import loadmat
from torch.utils.data import DataLoader

from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import use_safe_loader

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

from gain import arms, cost, data, devices, pairing, report, summary, training  # noqa: E402
from gain.arms import Run, training_config  # noqa: E402
from gain.budgets import CPU, GPU, override  # noqa: E402
from gain.metric import PckhCurve  # noqa: E402
from gain.unseen import evaluate_unseen  # noqa: E402
from gain.variants import VARIANTS, variant_method  # noqa: E402

SPLITS = ('split_layer1', 'split_layer4', 'split_whole')
TINY = ['train_persons=12', 'selection_persons=4', 'epochs=2', 'batch_size=4', 'input_size=32']


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """Drawn persons in MPII's layout."""
    root = tmp_path_factory.mktemp('drawn')
    for split, number in (('train', 16), ('val', 6)):
        write_mpii(root, split, number)
    return root


@pytest.fixture(scope='module')
def budget():
    return override(CPU, TINY)


@pytest.fixture(scope='module')
def splits(drawn, budget, tmp_path_factory):
    init_default_scope('mmpose')
    use_safe_loader()
    return data.prepare(drawn, tmp_path_factory.mktemp('splits'), budget)


def train(run, splits, budget, folder, deadline=1e12):
    cfg = training_config(run, budget, splits)
    return training.train(run, cfg, folder / run.folder, deadline)


@pytest.fixture(scope='module')
def runs(splits, budget, tmp_path_factory):
    """A student alone, and branches with and without distillation, of one seed."""
    folder = tmp_path_factory.mktemp('runs')
    names = ('alone', 'branches', 'okdhp')
    return {arm: train(Run('resnet18', arm, 0), splits, budget, folder) for arm in names}


@pytest.fixture
def benchmark(monkeypatch, capsys):
    """Runs the command, and returns what it printed and the sentence that it ended with."""
    main = runpy.run_path(str(BENCHMARKS / 'gain.py'))['main']

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['gain.py', *map(str, arguments)])
        end = None
        try:
            main()
        except SystemExit as error:
            end = error.code
        return capsys.readouterr().out, end

    return run


def prepare_results(folder, budget, **runs):
    """Leave finished runs in a benchmark's folder; returns its settings."""
    settings = json.loads(json.dumps(budget.settings()))
    (folder / 'settings.json').write_text(json.dumps(settings))
    for arm, found in runs.items():
        own = folder / 'resnet18' / arm / 'seed0'
        own.mkdir(parents=True)
        (own / training.RESULT).write_text(json.dumps(found))
    return settings


# ------------------------------------------------------------------------------------- data


def test_no_person_is_in_two_splits_and_selection_has_heads(splits, drawn):
    train_persons, selection, test = (
        json.loads(Path(split.annotations).read_text())
        for split in (splits.train, splits.selection, splits.test)
    )
    assert (len(train_persons), len(selection), len(test)) == (12, 4, 6)
    images = [{person['image'] for person in persons} for persons in (train_persons, selection)]
    assert not images[0] & images[1]
    assert test == json.loads((drawn / 'annotations' / 'mpii_val.json').read_text())
    boxes = loadmat(splits.selection.headboxes)['headboxes_src']
    neck, top = np.array(selection[2]['joints'])[[8, 9]]
    size = 0.6 * np.linalg.norm(boxes[1, :, 2] - boxes[0, :, 2])
    assert size == pytest.approx(np.linalg.norm(top - neck))


def test_persons_of_one_picture_stay_together():
    vis = [1] * 16
    persons = [dict(image=f'{i // 3}.jpg', joints_vis=vis, number=i) for i in range(30)]
    chosen = data.choose(persons, train=100, selection=4)
    assert len(chosen.selection) == 4
    assert not {p['image'] for p in chosen.train} & {p['image'] for p in chosen.selection}
    assert len(chosen.train) == 24
    assert chosen.unseen == []
    with pytest.raises(UserError, match='too few to keep 30 of them apart'):
        data.choose(persons, train=100, selection=30)


def test_unseen_persons_have_heads_and_pictures_of_their_own():
    persons = [dict(image=f'{i // 3}.jpg', joints_vis=[i % 2] * 16, number=i) for i in range(60)]
    chosen = data.choose(persons, train=13, selection=4)
    groups = chosen.train, chosen.selection, chosen.unseen
    assert [len(group) for group in groups[:2]] == [13, 4]
    images = [{p['image'] for p in group} for group in groups]
    assert not images[0] & images[2] and not images[1] & images[2]
    # Of no other picture, all whose heads are known.
    others = [p for p in persons if p['image'] not in images[0] | images[1] and p['number'] % 2]
    assert sorted(p['number'] for p in chosen.unseen) == [p['number'] for p in others] != []


def test_a_sample_depends_on_seed_epoch_and_index_alone(splits, budget):
    def dataset(seed, augmentations=0):
        cfg = training_config(Run('resnet18', 'alone', seed), budget, splits)
        cfg.train_dataloader.dataset.augmentations = augmentations
        return DATASETS.build(cfg.train_dataloader.dataset)

    def crop(dataset, epoch, index):
        dataset.epoch.fill_(epoch)
        return dataset[index]['inputs']

    first, again, taped = dataset(0), dataset(0), dataset(0, augmentations=3)
    expected = crop(first, 1, 3)
    crop(again, 0, 5)
    np.random.seed(99)
    assert torch.equal(crop(again, 1, 3), expected)
    assert torch.equal(crop(taped, 1, 3), expected)
    assert crop(taped, 4, 3) is crop(taped, 1, 3), 'after three epochs they repeat'
    assert crop(dataset(0, augmentations=3), 1, 3) is crop(taped, 1, 3), 'kept for the next run'
    assert not torch.equal(crop(first, 2, 3), expected)
    assert not torch.equal(crop(dataset(1), 1, 3), expected)


def keeps_images(_):
    """Return the number of images that this process, or worker, keeps after a sample."""
    return len(data._images)


def test_workers_keep_no_images(splits, budget):
    cfg = training_config(Run('resnet18', 'alone', 0), budget, splits)
    cfg.train_dataloader.dataset.augmentations = 0
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data._images.clear()
    kept = DataLoader(dataset, batch_size=4, num_workers=1, collate_fn=keeps_images)
    assert list(kept) == [0, 0, 0]
    kept = DataLoader(dataset, batch_size=4, collate_fn=keeps_images)
    assert list(kept)[-1] == len(data._images) > 0


@pytest.mark.parametrize('name', VARIANTS)
def test_a_variant_is_an_arm(name, splits, budget):
    student = 'mobilenetv2' if 'layer4' in name else 'resnet18'  # which has no such split
    run = Run(student, name, 0)
    assert run.arm_name == name
    cfg = training_config(run, budget, splits)
    if name == 'offline_ensemble':  # whose teacher is an arm that comes first
        assert not arms.needs_teacher(cfg)
        with pytest.raises(UserError, match=r'branches/seed0/config\.py does not exist'):
            MODELS.build(cfg.model).load_teacher()
    else:
        terms = MODELS.build(cfg.model).head.distiller.terms.values()
        baselines = ('alone_views', *(f'{arm}_branches' for arm in ('views', *SPLITS)))
        assert any(term.is_distillation for term in terms) != (name in baselines)


def test_the_changes_of_a_variant_are_merged_into_its_base():
    assert variant_method('pcl_peers')['distiller']['terms']['loss_kd'] is None
    assert variant_method('pcl_peers')['distiller']['terms']['loss_peers']['loss_weight'] == 2.0
    assert variant_method('pcl_peers')['aggregator'] == dict(type='MeanAggregator')
    assert variant_method('pcl_kl4')['distiller']['terms']['loss_kd']['schedule'] == dict(
        type='GaussianRampUp', end=0.4
    )


def test_an_arm_may_register_what_it_is_made_of(splits, budget, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_aggregator.py').write_text(
        'from mmpose.registry import MODELS\n'
        'from okdhp_mm.models.aggregators import MeanAggregator\n'
        '@MODELS.register_module()\n'
        'class OwnMean(MeanAggregator):\n'
        '    pass\n'
    )
    file = tmp_path / 'own.py'
    file.write_text(
        "custom_imports = dict(imports=['own_aggregator'])\n"
        "method = dict(aggregator=dict(type='OwnMean'))\n"
    )
    cfg = training_config(Run('resnet18', str(file), 0), budget, splits)
    assert type(MODELS.build(cfg.model).head.aggregator).__name__ == 'OwnMean'
    assert 'own_aggregator' in cfg.custom_imports.imports, 'for who reads the written config later'


# ------------------------------------------------------------------------------------ pairs


def test_pairs_start_alike_and_see_the_same(runs):
    pairing.check_pairs(list(runs.values()))
    assert len({result['initial'] for result in runs.values()}) == 1
    batches = runs['alone']['batches']
    assert len(batches) == len(set(batches)) == 2
    for key, change in (('initial', 'other'), ('batches', [*batches[:1], 'other'])):
        other = runs['okdhp'] | {key: change}
        with pytest.raises(UserError, match='resnet18, seed 0: alone and okdhp did not'):
            pairing.check_pairs([runs['alone'], other])
    longer = runs['alone'] | dict(arm='alone_same_cost', batches=[*batches, 'more'])
    pairing.check_pairs([runs['alone'], longer])


def test_a_cpu_and_a_gpu_are_no_pair(runs):
    def on(arm, device):
        return runs['alone'] | dict(arm=arm, device=device)

    assert runs['alone']['device'] == devices.device_name()
    older = on('older', None)
    del older['device']
    gpus = [on('branches', 'A GPU'), on('okdhp', 'Another GPU')]
    pairing.check_pairs([older, *gpus])
    pairing.check_pairs([older, on('alone', 'cpu')])
    with pytest.raises(
        UserError, match="resnet18, seed 0: alone was trained on 'cpu' and okdhp on 'Another GPU';"
    ):
        pairing.check_pairs([older, on('alone', 'cpu'), gpus[1]])


def test_branch_0_is_the_student_alone_and_the_others_are_others(splits, budget):
    def state(arm, seed=0):
        cfg = training_config(Run('resnet18', arm, seed), budget, splits)
        return pairing.initial_state(cfg, seed)

    alone, branches = state('alone'), state('okdhp')
    name = 'head.deconv_layers.0.weight'
    own = [branches[f'head.branches.{m}.deconv_layers.0.weight'] for m in range(3)]
    assert torch.equal(own[0], alone[name])
    assert not torch.equal(own[1], own[0])
    assert not torch.equal(own[2], own[1])
    assert torch.equal(branches['backbone.trunk.conv1.weight'], alone['backbone.conv1.weight'])
    assert not torch.equal(state('alone', seed=1)[name], alone[name])


def test_arms_differ_in_their_model_alone(splits, budget):
    configs = {
        arm: training_config(Run('resnet18', arm, 0), budget, splits)
        for arm in ('alone', 'branches', 'okdhp', 'okdhp_official')
    }
    first = configs['alone']
    assert first.model.type == 'TopdownPoseEstimator'
    for cfg in configs.values():
        for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'train_dataloader'):
            assert cfg[key] == first[key]
    longer = training_config(Run('resnet18', 'alone_same_cost', 0), budget, splits, 1.6)
    assert longer.train_cfg.max_epochs == 3
    assert longer.model == first.model


def test_a_training_of_one_step_is_told(splits, budget):
    one = override(budget, ['epochs=1', 'batch_size=12'])
    with pytest.raises(UserError, match='epochs=1 of 12 persons in batches of 12 are one step'):
        training_config(Run('resnet18', 'alone', 0), one, splits)


def test_nobody_is_both_chosen_by_and_reported(splits, budget):
    cfg = training_config(Run('resnet18', 'okdhp', 0), budget, splits)
    assert cfg.val_dataloader.dataset.ann_file == splits.selection.annotations
    assert cfg.test_dataloader.dataset.ann_file == splits.test.annotations
    assert cfg.train_cfg.val_begin > cfg.train_cfg.max_epochs, 'no weights are chosen'
    assert 'save_best' not in cfg.default_hooks.checkpoint


@pytest.mark.parametrize('name', ['resnet18', 'mobilenetv2', 'shufflenetv2', 'simcc'])
@pytest.mark.parametrize('budget_', [CPU, GPU], ids=['cpu', 'gpu'])
def test_every_student_fits_its_budget(name, budget_, splits):
    cfg = training_config(Run(name, 'okdhp', 0), budget_, splits)
    codec = cfg.model.head.decoder
    assert codec.input_size == (budget_.input_size,) * 2
    if name == 'simcc':
        assert codec.sigma == 6 * budget_.input_size / 256
        shape = (round(budget_.input_size * codec.simcc_split_ratio),)
    else:
        shape = codec.heatmap_size
        assert shape == (budget_.input_size // 4,) * 2
    assert cfg.train_dataloader.dataset.pipeline[-2].encoder == codec
    if budget_ is CPU:
        model = pairing.initialized(cfg.model, 0)
        parameters = sum(p.numel() for p in model.parameters())
        assert parameters < 3e6
        images = torch.zeros(1, 3, *codec.input_size)
        outputs = model(images, None, mode='tensor')
        for output in outputs if name == 'simcc' else [outputs]:
            assert tuple(output.shape[2:]) == shape


@pytest.mark.parametrize(
    ('budget_', 'size'),
    [*((CPU, size) for size in (64, 96, 128)), *((GPU, size) for size in (96, 128, 192))],
)
def test_simcc_has_the_features_of_the_size(budget_, size, splits):
    budget_ = override(budget_, [f'input_size={size}'])
    cfg = training_config(Run('simcc', 'okdhp', 0), budget_, splits)
    model = MODELS.build(cfg.model)
    for output in model(torch.zeros(1, 3, size, size), None, mode='tensor'):
        assert output.shape[-1] == round(size * cfg.codec.simcc_split_ratio)


@pytest.mark.parametrize(('budget_', 'multiple'), [(CPU, 8), (GPU, 32)], ids=['cpu', 'gpu'])
def test_a_size_that_simcc_cannot_have_is_told(budget_, multiple, splits):
    budget_ = override(budget_, ['input_size=100'])
    sentence = f'input_size=100 does not fit the SimCC head of .*; choose a multiple of {multiple}.'
    with pytest.raises(UserError, match=sentence):
        training_config(Run('simcc', 'okdhp', 0), budget_, splits)


@pytest.mark.parametrize('student', ['resnet18', 'simcc'])
def test_mixed_precision_is_for_the_heads_that_know_it(student, splits):
    cfg = training_config(Run(student, 'alone', 0), override(GPU, ['input_size=32']), splits)
    model = pairing.initialized(cfg.model, 0)
    step = partial(step_time.step, model, step_time.packed_batch(model, 2), torch.bfloat16)
    if arms.in_bf16(GPU, cfg.codec):
        step()
    else:
        assert student == 'simcc'
        with pytest.raises(TypeError, match='BFloat16'):
            step()


@pytest.mark.slow
def test_simcc_trains_in_pairs_too(splits, budget, tmp_path):
    runs = [train(Run('simcc', arm, 0), splits, budget, tmp_path) for arm in ('alone', 'okdhp')]
    pairing.check_pairs(runs)
    assert len(set(runs[0]['batches'])) == 2
    assert set(runs[1]['test']) == {'branch0', 'branch1', 'branch2', 'ensemble'}


def test_the_loss_on_others_is_beside_that_on_those_trained_on(runs):
    for result in runs.values():
        # Of a training of six steps.
        assert 0.8 < result['loss_ratio'] < 1.3
    rows = summary.summarize(runs.values(), 'PCK')
    assert [row['loss_ratio'] for row in rows] == [r['loss_ratio'] for r in runs.values()]


# ----------------------------------------------------------------------------- interruptions


@pytest.mark.slow
def test_an_interrupted_run_ends_as_if_nothing_had_happened(splits, budget, runs, tmp_path):
    run = Run('resnet18', 'okdhp', 0)
    assert train(run, splits, budget, tmp_path, deadline=time.monotonic()) is None
    assert training.finished(tmp_path / run.folder) is None
    result = train(run, splits, budget, tmp_path, deadline=time.monotonic())
    for key in ('test', 'selection', 'batches', 'initial', 'iterations'):
        assert result[key] == runs['okdhp'][key]
    kept = {file.name for file in (tmp_path / run.folder).glob('*.pth')}
    assert kept == {training.WEIGHTS}, 'what it went on from takes room'


@pytest.mark.slow
def test_a_run_killed_while_it_is_written_goes_on(splits, budget, runs, tmp_path, monkeypatch):
    def save(runner, *args, **kwargs):
        if runner.epoch == 1:  # the second, which counts when it is over
            raise KeyboardInterrupt
        save_checkpoint(runner, *args, **kwargs)

    save_checkpoint = training.Runner.save_checkpoint
    monkeypatch.setattr(training.Runner, 'save_checkpoint', save)
    run = Run('resnet18', 'alone', 0)
    with pytest.raises(KeyboardInterrupt):
        train(run, splits, budget, tmp_path)
    monkeypatch.undo()
    assert train(run, splits, budget, tmp_path)['test'] == runs['alone']['test']


def test_an_interrupted_run_goes_on_with_its_own_settings(splits, budget, tmp_path):
    run = Run('resnet18', 'alone', 0)
    folder = tmp_path / run.folder
    assert train(run, splits, budget, tmp_path, deadline=time.monotonic()) is None
    other = training_config(run, budget, splits)
    other.model.test_cfg.flip_test = True
    with pytest.raises(UserError, match='trained with other settings of the model'):
        training.train(run, other, folder, 1e12)
    with pytest.raises(UserError, match='alone/seed0 was begun for 2 epochs, not 3; remove it'):
        train(run, splits, override(budget, ['epochs=3']), tmp_path)
    # As an earlier version has left it.
    (folder / training.BEGUN).unlink()
    assert training.train(run, other, folder, 1e12)['model']['test_cfg']['flip_test']


@pytest.mark.slow
def test_a_run_goes_on_on_a_device_of_its_kind(splits, budget, tmp_path, monkeypatch):
    def train_on(device):
        monkeypatch.setattr(training, 'device_name', lambda: device)
        return train(run, splits, budget, tmp_path, deadline=time.monotonic())

    run = Run('resnet18', 'alone', 0)
    assert train_on('A GPU') is None
    with pytest.raises(UserError, match="alone/seed0 was begun on 'A GPU', and this is 'cpu'; go"):
        train_on('cpu')
    assert train_on('Another GPU')['device'] == 'A GPU, Another GPU'


@pytest.mark.slow
def test_workers_change_nothing(splits, budget, runs, tmp_path):
    # As the GPU's budget has them: workers that outlive an epoch, and new augmentations.
    budget = override(budget, ['workers=2', 'augmentations=0'])
    result = train(Run('resnet18', 'alone', 0), splits, budget, tmp_path)
    for key in ('test', 'selection', 'batches'):
        assert result[key] == runs['alone'][key]
    assert not active_children(), 'the next run has workers of its own'


def test_a_finished_run_is_kept_and_one_of_other_settings_told(splits, budget, runs, tmp_path):
    run = Run('resnet18', 'okdhp', 0)
    folder = tmp_path / run.folder
    folder.mkdir(parents=True)
    (folder / training.RESULT).write_text(json.dumps(runs['okdhp']))
    assert train(run, splits, budget, tmp_path) == runs['okdhp']
    other = runs['okdhp'] | dict(model=runs['branches']['model'])
    (folder / training.RESULT).write_text(json.dumps(other))
    with pytest.raises(UserError, match='trained with other settings of the model'):
        train(run, splits, budget, tmp_path)


def test_a_teacher_in_another_spelling_is_the_same(splits, budget, tmp_path):
    run = Run('resnet18', 'fpd', 0)

    def taught_by(out, **changes):
        cfg = training_config(run, budget, splits)
        teacher = dict(config=f'{out}/config.py', checkpoint=f'{out}/last.pth')
        cfg.model.teacher.update(**teacher, **changes)
        return cfg

    model = taught_by('out').model.to_dict()
    training.keep(tmp_path / training.RESULT, dict(model=model))
    done = training.train(run, taught_by('/where/out'), tmp_path, 1e12)
    assert done['model']['teacher']['config'] == 'out/config.py'
    with pytest.raises(UserError, match='trained with other settings of the model'):
        training.train(run, taught_by('out', output='ensemble'), tmp_path, 1e12)


@pytest.mark.parametrize('student', ['resnet18', 'simcc'])
def test_the_cost_is_that_of_a_runs_step(student, splits, budget):
    for arm in ('okdhp', 'alone'):
        step = cost.training_step(training_config(Run(student, arm, 0), budget, splits))
        model, _, optim_wrapper = step.args
        weight = next(p for p in model.parameters() if p.dim() == 4)
        assert weight.is_contiguous(memory_format=training.LAYOUT)
        assert optim_wrapper.get_lr() == dict(lr=[budget.lr])
        before = weight.clone()
        step()
        assert not torch.equal(weight, before), 'the optimizer costs, too'


@pytest.mark.slow
@pytest.mark.parametrize('student', ['resnet18', 'simcc'])
def test_the_cost_is_measured_once_on_a_device(student, splits, budget, tmp_path):
    pair = [training_config(Run(student, arm, 0), budget, splits) for arm in ('okdhp', 'alone')]
    file = tmp_path / 'cost.json'
    ratio = cost.cost_ratio(*pair, file, repeats=2)
    assert ratio > 1
    assert cost.cost_ratio(None, None, file) == ratio
    assert training.kept(file)['device'] == devices.device_name()
    training.keep(file, dict(ratio=9.0, device='Another GPU'))
    assert cost.cost_ratio(*pair, file, repeats=2) != 9
    assert training.kept(file)['device'] == devices.device_name()
    training.keep(file, dict(ratio=9.0))  # of an earlier version
    assert cost.cost_ratio(None, None, file) == 9


@pytest.mark.slow
def test_an_offline_method_is_taught_by_the_teacher_of_its_seed(
    benchmark, drawn, runs, splits, budget, tmp_path
):
    prepare_results(tmp_path, budget, alone=runs['alone'])
    given = ('--data', drawn, '--out', tmp_path, '--seeds', '0', '--arms', 'fpd')
    printed, end = benchmark(*given, '--set', *TINY)
    assert end is None
    assert [line.split(':')[0] for line in printed.splitlines()[:2]] == [
        'teacher/alone/seed0',
        'resnet18/fpd/seed0',
    ]
    teacher, taught, alone = (
        training.finished(tmp_path / folder / 'seed0')
        for folder in ('teacher/alone', 'resnet18/fpd', 'resnet18/alone')
    )
    assert teacher['parameters'] > 2 * alone['parameters']
    assert taught['test']['ensemble'] == teacher['test']['branch0']
    assert taught['initial'] == alone['initial']
    again, of_teacher = (
        evaluate_unseen(tmp_path / folder / 'seed0', splits.test)
        for folder in ('resnet18/fpd', 'teacher/alone')
    )
    again |= training.taught_by(taught['model'], lambda folder: of_teacher)
    assert [again, of_teacher] == [taught['test'], teacher['test']]


def test_the_score_of_a_frozen_teacher_is_that_of_its_own_run(tmp_path):
    found = dict(branch0=dict(PCK=30.0), ensemble=dict(PCK=32.0))
    training.keep(tmp_path / training.RESULT, dict(test=found))

    def taught_by(**teacher):
        return training.taught_by(dict(teacher=teacher), training.tested)

    config = str(tmp_path / training.CONFIG)
    assert taught_by(config=config, output='ensemble') == dict(ensemble=found['ensemble'])
    assert taught_by(config=config, output=None) == dict(ensemble=found['branch0'])
    assert taught_by(config=str(tmp_path / 'elsewhere' / 'config.py')) == {}
    assert training.taught_by(dict(aggregator=dict(type='FAU')), training.tested) == {}
    assert training.taught_by(dict(), training.tested) == {}


# ---------------------------------------------------------------------------------- figures


def test_the_area_is_that_under_the_stock_metrics_curve():
    rng = np.random.default_rng(0)
    results = [
        dict(
            pred_coords=rng.normal(50, 5, (1, 16, 2)),
            gt_coords=np.full((1, 16, 2), 51.0),
            mask=rng.random((1, 16)) < 0.8,
            head_size=np.full((1, 2), 20.0),
        )
        for _ in range(50)
    ]
    figures = PckhCurve().compute_metrics(results)
    # At one pixel in twenty thousand, the area is the mean of what the stock metric says.
    stock = [
        MpiiPCKAccuracy(thr=t).compute_metrics(results)['PCK'] for t in np.arange(0, 0.51, 0.01)
    ]
    assert figures['PCK'] == pytest.approx(stock[-1])
    assert figures['AUC'] == pytest.approx(np.mean([stock[1:], stock[:-1]]))
    assert 0 < figures['AUC'] < figures['PCK']


def result(arm, seed, test, selection=None, seconds=1.0):
    def by_output(values):
        names = ['branch0', 'branch1', 'ensemble'][: len(values)]
        return {name: dict(PCK=value) for name, value in zip(names, values, strict=True)}

    return dict(
        student='s', arm=arm, seed=seed, step_seconds=seconds, iterations=10,
        test=by_output(test), selection=by_output(selection or test),
    )  # fmt: skip


def test_gains_are_of_pairs_and_transfer_is_their_share():
    alone, okdhp = summary.summarize(
        [
            result('alone', 0, [30.0]),
            result('alone', 1, [34.0]),
            result('okdhp', 0, [31.0, 32.0, 34.0], selection=[5.0, 4.0, 0.0], seconds=1.5),
            result('okdhp', 1, [37.0, 36.0, 38.0], selection=[4.0, 5.0, 0.0], seconds=1.7),
        ],
        'PCK',
    )
    assert (alone['deployed'], alone['gain_deployed'], 'ensemble' in alone) == (32, 0, False)
    assert okdhp['deployed'] == 34
    assert okdhp['branches'] == (31.5 + 36.5) / 2
    assert okdhp['chosen'] == (31 + 36) / 2, 'by the selection persons, not by the reported ones'
    assert okdhp['gain_deployed'] == 2
    assert okdhp['error_deployed'] == pytest.approx(1.0)  # gains 1 and 3
    assert okdhp['spread_deployed'] == pytest.approx(18**0.5)
    assert okdhp['transfer_deployed'] == 0.5
    assert okdhp['transfer_branches'] == 0.5
    assert okdhp['time'] == pytest.approx(1.6)


def test_the_time_is_that_of_one_device():
    def row(*places):
        sides = (('alone', 1.0), ('okdhp', 1.5), ('alone', 1.0), ('okdhp', 1.9))
        found = [
            result(arm, number // 2, [30.0], seconds=seconds) | place
            for number, ((arm, seconds), place) in enumerate(zip(sides, places, strict=True))
        ]
        return summary.summarize(found, 'PCK')[1]

    one, other, unknown = dict(device='A GPU'), dict(device='Another GPU'), {}
    assert row(one, one, other, other)['time'] == pytest.approx(1.7)
    assert row(one, one, one, other)['time'] == 1.5
    assert row(one, unknown, unknown, unknown)['time'] == pytest.approx(1.7)
    different = row(one, other, other, one)
    assert 'time' not in different
    assert different['gain_deployed'] == 0


def test_what_cannot_be_known_is_left_out():
    (row,) = summary.summarize([result('okdhp', 0, [1.0, 2.0, 3.0])], 'PCK')
    assert row['spread_deployed'] is None
    assert not any(name.startswith(('gain', 'transfer')) for name in row)
    rows = summary.summarize(
        [result('alone', 0, [3.0]), result('okdhp', 0, [2.0, 2.0, 2.5])], 'PCK'
    )
    assert rows[1]['gain_deployed'] == -1
    assert 'transfer_deployed' not in rows[1], 'an ensemble without a gain has none to share'


# ------------------------------------------------------------------------------------ budgets


def test_settings_can_be_changed_and_wrong_ones_are_told():
    assert override(CPU, ['epochs=3', 'lr=1']).epochs == 3
    for setting, sentence in (
        ('epoch=3', "'epoch' does not exist. Use one of: input_size"),
        ('epochs=many', "'many' is not of type int"),
        ('epochs=2.5', "'2.5' is not of type int"),
        ('students=1', "'students' does not exist"),
    ):
        with pytest.raises(UserError, match=sentence):
            override(CPU, [setting])
    assert override(CPU, ['workers=2', 'augmentations=0']).workers == 2
    for budget_, setting in ((CPU, 'workers=2'), (GPU, 'augmentations=3')):
        with pytest.raises(
            UserError, match=r'workers=\d+ cannot keep augmentations=\d+; add --set'
        ):
            override(budget_, [setting])


def test_all_arms_are_there():
    names = arms.all_arms()
    assert names[:3] == ['alone', 'alone_same_cost', 'branches']
    assert {'okdhp', 'okdhp_official'} <= set(names)
    with pytest.raises(
        UserError, match="arm 'oops' does not exist. Use one of: alone, alone_same_cost, branches, "
    ):
        arms.check_arm('oops')


# ------------------------------------------------------------------------------- command line


def test_one_command_trains_and_reports(benchmark, drawn, runs, budget, tmp_path):
    prepare_results(tmp_path, budget, alone=runs['alone'], branches=runs['branches'])
    given = ('--data', drawn, '--out', tmp_path, '--seeds', '0', '--arms', 'alone', 'okdhp')
    printed, end = benchmark(*given, '--set', *TINY)
    assert end is None
    assert printed.startswith('resnet18/alone/seed0: branch0 ')
    table = (tmp_path / 'gain.md').read_text()
    assert table in printed
    assert '| resnet18 | branches | 1 | 2 |' in table
    assert table.startswith('input_size 32, ')
    assert 'digest' not in table
    settings = json.loads((tmp_path / 'settings.json').read_text())
    assert json.loads((tmp_path / 'gain.json').read_text())['settings'] == settings
    assert (tmp_path / 'gain.png').stat().st_size > 0
    # The same numbers again: nothing depends on what ran before in the process.
    written = json.loads((tmp_path / 'resnet18' / 'okdhp' / 'seed0' / training.RESULT).read_text())
    assert written['test'] == runs['okdhp']['test']
    _, end = benchmark(*given, '--set', *TINY, 'epochs=3')
    assert 'holds runs with epochs=2, not 3' in end
    assert benchmark('--out', tmp_path, '--report') == (table, None)


def test_pretrained_weights_are_the_same_in_every_arm(benchmark, splits, drawn, budget, tmp_path):
    source = tmp_path / 'theirs.pth'
    backbone = arms.branches_config(budget.students['resnet18'], budget).model.backbone
    state = MODELS.build(backbone).state_dict()
    torch.save(state, source)
    out = tmp_path / 'out'
    given = ('--data', drawn, '--out', out, '--seeds', '0', '--arms', 'alone', 'okdhp')
    printed, end = benchmark(*given, '--set', *TINY, '--pretrained', source, '--minutes', '0')
    assert end is None or 'no finished run' in end
    assert 'resnet18: pretrained weights from' in printed
    weights = str(out / 'resnet18' / 'pretrained_theirs.pth')
    started = dataclasses.replace(budget, pretrained=dict(resnet18=weights))
    for arm in ('alone', 'okdhp'):
        model = MODELS.build(training_config(Run('resnet18', arm, 0), started, splits).model)
        model.init_weights()
        first = model.backbone if arm == 'alone' else model.backbone.trunk
        assert torch.equal(first.conv1.weight, state['conv1.weight'])
    settings = json.loads((out / 'settings.json').read_text())
    assert report.start_of(settings['pretrained']) == (
        'Backbones start from pretrained weights in every arm '
        '(resnet18 from pretrained_theirs.pth); the rest is new.'
    )
    _, end = benchmark(*given, '--set', *TINY)
    assert 'holds runs with pretrained' in end


def test_a_folder_is_of_one_data_and_of_students_that_stay(drawn, budget, tmp_path):
    keep_settings = runpy.run_path(str(BENCHMARKS / 'gain.py'))['keep_settings']
    file = tmp_path / 'settings.json'

    def keep(*changes, root=drawn):
        keep_settings(tmp_path, override(budget, changes), root)
        return json.loads(file.read_text())

    expected = keep()
    assert keep() == expected
    # Of before the data were told apart, and before there was one of the students.
    older = copy.deepcopy(expected)
    del older['students']['simcc'], older[data.DIGEST]
    file.write_text(json.dumps(older))
    completed = keep()
    assert completed == expected
    assert list(completed['students']) == [*older['students'], 'simcc']

    other = tmp_path / 'other'
    for split, number in (('train', 16), ('val', 5)):
        write_mpii(other, split, number)
    with pytest.raises(UserError, match='holds runs with other persons than those of --data .*er;'):
        keep(root=other)
    with pytest.raises(UserError, match=r'holds runs with epochs=2, not 3; choose another --out\.'):
        keep('epochs=3')
    expected['students']['resnet18']['model']['backbone']['base_channels'] = 8
    file.write_text(json.dumps(expected))
    name = r'students\.resnet18\.model\.backbone\.base_channels'
    with pytest.raises(UserError, match=f'holds runs with {name}=8, not 16; choose'):
        keep()
    assert json.loads(file.read_text()) == expected, 'nothing was written'


@pytest.mark.slow
def test_finished_runs_are_reported_on_unseen_persons(benchmark, drawn, tmp_path):
    given = ('--data', drawn, '--out', tmp_path, '--seeds', '0', '--arms')
    few = ('--set', *TINY, 'train_persons=8', 'epochs=1')
    assert benchmark(*given, 'alone', 'okdhp', 'fpd', *few)[1] is None
    table = (tmp_path / 'gain.md').read_text()
    folder = tmp_path / 'resnet18' / 'okdhp' / 'seed0'
    files = sorted(path.name for path in folder.iterdir())
    assert [*folder.glob('*/vis_data/config.py')], "not in the folder of the process's first run"
    shutil.rmtree(tmp_path / 'data')  # it is written again

    printed, end = benchmark('--data', drawn, '--out', tmp_path, '--report', '--unseen')
    assert end is None
    assert printed.startswith('On 3 persons that no run has seen:\n')
    assert (tmp_path / 'gain_unseen.md').read_text() in printed
    assert (tmp_path / 'gain.md').read_text() == table
    scores = json.loads((folder / 'unseen.json').read_text())
    assert scores.keys() == {'branch0', 'branch1', 'branch2', 'ensemble'}
    reported = json.loads((tmp_path / 'gain_unseen.json').read_text())['runs']
    tests = {result['arm']: result['test'] for result in reported if result['student'] != 'teacher'}
    assert tests['okdhp'] == scores
    taught = json.loads((tmp_path / 'teacher' / 'alone' / 'seed0' / 'unseen.json').read_text())
    assert tests['fpd']['ensemble'] == taught['branch0'] != tests['fpd']['branch0']
    assert sorted(path.name for path in folder.iterdir()) == sorted([*files, 'unseen.json'])

    (folder / training.WEIGHTS).unlink()  # what is known is not evaluated again
    assert benchmark('--data', drawn, '--out', tmp_path, '--report', '--unseen') == (printed, None)
    (folder / 'unseen.json').unlink()
    _, end = benchmark('--data', drawn, '--out', tmp_path, '--report', '--unseen')
    assert f'{folder / training.WEIGHTS} does not exist' in end


def test_that_nobody_is_unseen_is_told(benchmark, drawn, runs, budget, tmp_path):
    settings = prepare_results(tmp_path, budget, alone=runs['alone'])
    unseen = ('--out', tmp_path, '--report', '--unseen')
    assert '--data is missing' in benchmark(*unseen)[1]
    assert 'were trained on or chosen by' in benchmark(*unseen, '--data', drawn)[1]
    (tmp_path / 'settings.json').write_text(json.dumps(settings | {data.DIGEST: 'another'}))
    assert 'with other persons than those of --data' in benchmark(*unseen, '--data', drawn)[1]


def test_missing_data_and_arms_are_told(benchmark, drawn, tmp_path):
    out = ('--out', tmp_path / 'out')
    for arguments, sentence in (
        (('--report', *out), 'holds no finished run'),
        (out, '--data is missing'),
        (('--data', tmp_path, *out), 'mpii_train.json does not exist; MPII layout is needed'),
        (('--data', drawn, *out, '--arms', 'oops'), "The arm 'oops' does not exist"),
        (('--data', drawn, *out, '--students', 'vgg'), "The students ['vgg'] do not exist"),
    ):
        printed, end = benchmark(*arguments)
        assert sentence in end
        assert printed == ''


@pytest.mark.slow
def test_the_gpus_budget_runs_at_the_size_of_a_toy(benchmark, drawn, tmp_path):
    given = ('--data', drawn, '--out', tmp_path, '--budget', 'gpu', '--students', 'mobilenetv2')
    given = (*given, '--arms', 'okdhp', '--seeds', '0')
    printed, end = benchmark(*given, '--set', *TINY, 'epochs=1', 'workers=2')
    assert end is None
    result = training.finished(tmp_path / 'mobilenetv2' / 'okdhp' / 'seed0')
    assert set(result['test']) == {'branch0', 'branch1', 'branch2', 'ensemble'}
    assert result['parameters'] > 2e7, 'the full network'
    assert (tmp_path / 'gain.md').read_text() in printed
    shutil.rmtree(tmp_path / 'mobilenetv2')  # half a gigabyte of weights


@pytest.mark.parametrize('student', ['resnet18', 'mobilenetv2', 'shufflenetv2'])
def test_a_size_that_a_student_cannot_have_is_told_before_anything_is_done(
    benchmark, drawn, tmp_path, student
):
    settings = ['--students', student, '--set', 'input_size=72']
    _, end = benchmark('--data', drawn, '--out', tmp_path / 'out', '--arms', 'alone', *settings)
    assert 'images of 72x72, the input_size of its codec. The codec encodes (18, 18)' in end
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_arms_that_a_student_refuses_are_left_out_unless_they_are_named(benchmark, drawn, tmp_path):
    given = ('--data', drawn, '--out', tmp_path, '--students', 'simcc', '--set', *TINY)
    printed, _ = benchmark(*given, '--minutes', '0')
    refused = ('ffl', 'fpd', 'mcl', 'okddip', 'pcl')
    assert [line.split(':')[0] for line in printed.splitlines()] == [
        *(f'simcc/{arm} is left out' for arm in refused),
        'The time is over. The same command goes on.',
    ]
    for arm, sentence in (
        ('ffl', 'FeatureFusion needs the feature map'),
        ('fpd', 'The student predicts by SimCCLabel, the teacher by MSRAHeatmap'),
    ):
        printed, end = benchmark(*given, '--arms', arm)
        assert sentence in end
        assert printed == '', 'no teacher was trained'
