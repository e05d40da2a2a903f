"""Reports of the effect of distillation, and warnings if it has none."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from common import batch, make_model, run
from mmengine.optim import LinearLR
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_progress import FakeWrapper

from okdhp_mm.engine import DistillReportHook
from okdhp_mm.engine.hooks import report as report_module
from okdhp_mm.engine.hooks.report import warm_up_of
from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers import Diagnosis

REPORTED = [
    'kd/grad_ratio',
    'branches/error_correlation',
    'branches/peak_distance',
    'weights/branch2',
]


class Hub(dict):
    def update_scalar(self, name, value):
        self.setdefault(name, []).append(value)


class Backends(list):
    def add_scalars(self, values, step):
        self.append((step, values))


def runner_of(model, iteration=0, max_iters=1000, **cfg):
    warnings = []
    return SimpleNamespace(
        model=model,
        iter=iteration,
        max_iters=max_iters,
        cfg=cfg,
        message_hub=Hub(),
        visualizer=Backends(),
        logger=SimpleNamespace(warning=warnings.append),
        warnings=warnings,
        train_dataloader=SimpleNamespace(dataset=[]),
        param_schedulers=[],
    )


def step(hook, runner, model=None):
    hook.before_train_iter(runner, runner.iter)
    if model is not None:
        run(model, 'loss')
    hook.after_train_iter(runner, runner.iter)
    runner.iter += 1


def diagnosis(share=0.1, schedule=1.0, agreement=0.9):
    values = map(torch.tensor, ([share, share], schedule, agreement, 1.0))
    return Diagnosis(*values, weights=torch.full((2, 3), 0.5))


def tell(hook, runner, *reports):
    """Feeds the hook with ready-made reports."""
    for report in reports:
        distiller = SimpleNamespace(
            observer=None, terms={'loss_kd': SimpleNamespace(is_distillation=True)}
        )
        runner.model = SimpleNamespace(head=SimpleNamespace(distiller=distiller))
        hook._report = report
        step(hook, runner)
        assert distiller.observer is None, 'other steps cost nothing'


def test_a_training_writes_the_measures_to_every_backend(trained):
    folder = Path(trained.work_dir)
    (events,) = folder.glob('*/vis_data/events.*')
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    lines = [json.loads(line) for line in next(folder.glob('*/vis_data/scalars.json')).open()]
    for name in REPORTED:
        local = [line[name] for line in lines if name in line and line['step'] in (2, 4, 6)]
        board = {event.step: event.value for event in accumulator.Scalars(name)}
        assert [board[2], board[4], board[6]] == pytest.approx(local)
    steps = [event.step for event in accumulator.Scalars('kd/grad_ratio_branch0')]
    assert steps == [2, 4, 6], 'every second step'
    assert [event.step for event in accumulator.Scalars('weights/branch1/left_wrist')] == [4]


def test_the_measures_are_in_no_sum_of_losses(trained):
    folder = Path(trained.work_dir)
    lines = [json.loads(line) for line in next(folder.glob('*/vis_data/scalars.json')).open()]
    for line in lines:
        if 'loss' in line:
            parts = line['loss_kpt'] + line['loss_ens'] + line['loss_kd']
            assert line['loss'] == pytest.approx(parts)


@pytest.mark.parametrize('wrap', [lambda model: model, FakeWrapper], ids=['bare', 'wrapped'])
def test_only_every_so_manieth_step_is_reported(wrap):
    model = make_model().train()
    runner, hook = runner_of(wrap(model)), DistillReportHook(interval=3, keypoints_every=2)
    for _ in range(6):
        step(hook, runner, model)
    assert len(runner.message_hub['train/kd/grad_ratio']) == 2
    assert [when for when, _ in runner.visualizer] == [3, 6]
    # The data set has no names for its keypoints: their numbers stand for them.
    assert 'weights/branch0/16' not in runner.visualizer[0][1]
    assert 'weights/branch0/16' in runner.visualizer[1][1]


@pytest.mark.parametrize(('max_iters', 'interval'), [(4, 1), (20, 2), (499, 49), (10_000, 50)])
def test_a_short_training_is_reported_on_ten_times(max_iters, interval):
    hook = DistillReportHook()
    hook.before_train(runner_of(None, max_iters=max_iters))
    assert hook.interval == interval


def test_an_interval_of_the_users_own_is_kept():
    hook = DistillReportHook(interval=50)
    hook.before_train(runner_of(None, max_iters=20))
    assert hook.interval == 50


def test_half_precision_is_reported_as_well():
    model, data = make_model().train(), batch(2)
    shares = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        runner, hook = runner_of(model), DistillReportHook(interval=1)
        model.eval()  # the same running statistics each time
        with torch.autocast('cpu', dtype=dtype, enabled=dtype != torch.float32):
            hook.before_train_iter(runner, 0)
            run(model, 'loss', data)
        hook.after_train_iter(runner, 0)
        shares += runner.message_hub['train/kd/grad_ratio']
    assert shares[0] > 0
    assert shares[1:] == pytest.approx([shares[0]] * 2, rel=0.1)


def test_a_torch_that_compiles_every_step_is_told_before_the_first(monkeypatch):
    hook, model = DistillReportHook(), make_model()
    hook.before_train(runner_of(model, compile=True))
    monkeypatch.setattr('okdhp_mm.env.versions.version', lambda name: '2.5.1')
    hook.before_train(runner_of(model, compile=False))
    with pytest.raises(UserError, match=r'compile.* needs torch >= 2\.6, found 2\.5\.1'):
        hook.before_train(runner_of(model, compile=True))


def test_a_compiled_model_makes_the_reported_step_uncompiled():
    torch._dynamo.reset()
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph)
        return graph.forward

    model = make_model().train()
    data = model.data_preprocessor(batch(2), training=True)
    model.head.distiller.set_progress(1.0)
    forward = torch.compile(model.head.distiller.forward, backend=backend)
    runner, hook = runner_of(model, compile=True), DistillReportHook(interval=2)
    counts = []
    for _ in range(4):
        # Anew in every step, as in training: what a diagnosis caches on them must not linger.
        outputs = model.head.outputs(model.backbone(data['inputs']))
        targets = model.head.targets(outputs, data['data_samples'])
        hook.before_train_iter(runner, 0)
        forward(outputs, targets)
        hook.after_train_iter(runner, 0)
        runner.iter += 1
        counts.append(len(compiled))
    assert counts[0] > 0
    assert counts == counts[:1] * 4, 'a report compiles nothing anew'
    assert len(runner.message_hub['train/kd/grad_ratio']) == 2


def test_other_processes_report_nothing(monkeypatch):
    monkeypatch.setattr(report_module, 'is_main_process', lambda: False)
    model = make_model().train()
    runner = runner_of(model)
    step(DistillReportHook(interval=1), runner, model)
    assert runner.message_hub == {} and runner.visualizer == []


def test_distillation_without_effect_is_reported_once():
    runner = runner_of(None, iteration=500)
    tell(DistillReportHook(interval=1), runner, *[diagnosis(share=0.002)] * 9)
    (sentence,) = runner.warnings
    assert 'of the gradient of the branches is 0.20%' in sentence
    assert 'Raise the loss_weight of loss_kd' in sentence


IDLE, ALIKE = diagnosis(share=0.002), diagnosis(agreement=0.999)
BOTH = diagnosis(share=0.002, agreement=0.999)


@pytest.mark.parametrize('report', [IDLE, ALIKE, BOTH], ids=['idle', 'alike', 'both'])
@pytest.mark.parametrize(
    ('max_iters', 'iterations', 'warm_up'),
    [(7, 7, 0), (40, 40, 0), (199, 199, 0), (1000, 199, 0), (10_000, 999, 0), (2000, 499, 500)],
)
def test_no_warning_comes_before_a_training_has_settled(report, max_iters, iterations, warm_up):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    runner = runner_of(None, max_iters=max_iters)
    if warm_up:
        runner.param_schedulers = [LinearLR(optimizer, 0.001, end=warm_up, by_epoch=False)]
    hook = DistillReportHook(interval=1)
    hook.before_train(runner)
    tell(hook, runner, *[report] * iterations)
    assert runner.warnings == []
    if iterations < max_iters:
        tell(hook, runner, *[report] * 5)
        assert len(runner.warnings) == 1


@pytest.mark.parametrize('schedule', [0.4, 0.6, 0.98])
@pytest.mark.parametrize('changes', [dict(share=0.002), dict(agreement=0.999)])
def test_no_warning_comes_before_the_ramp_up_ends(schedule, changes):
    runner = runner_of(None, iteration=500)
    tell(DistillReportHook(interval=1), runner, *[diagnosis(schedule=schedule, **changes)] * 9)
    assert runner.warnings == []


@pytest.mark.parametrize(
    'reports',
    [
        [BOTH] * 9,
        [IDLE] * 9 + [ALIKE] * 9,
        [ALIKE] * 9 + [IDLE] * 9,
        [IDLE] * 9 + [BOTH] * 9,
        [BOTH] * 9 + [IDLE] * 9,
        [IDLE, BOTH, ALIKE] * 9,
    ],
)
def test_the_advice_never_contradicts_itself(reports):
    runner = runner_of(None, iteration=500)
    tell(DistillReportHook(interval=1, patience=2), runner, *reports)
    advice = ' '.join(runner.warnings)
    assert advice
    assert not ('Raise the loss_weight' in advice and 'ower the weight' in advice)


def test_the_longest_warm_up_counts_and_a_decay_does_not():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    runner = runner_of(None)
    runner.train_dataloader = range(30)
    warm_up = LinearLR(optimizer, 0.1, end=50, by_epoch=False)
    by_epoch = LinearLR(optimizer, 0.1, end=5, by_epoch=True)
    decay = LinearLR(optimizer, 1.0, end_factor=0.1, end=999, by_epoch=False)
    for schedulers, end in [
        (None, 0),
        ([decay], 0),
        ([warm_up, decay], 50),
        (dict(a=[warm_up], b=[by_epoch]), 150),
    ]:
        runner.param_schedulers = schedulers
        assert warm_up_of(runner) == end


@pytest.mark.parametrize(
    'reports',
    [
        [diagnosis(share=0.002, schedule=0.4)] * 5,  # still ramping up
        [diagnosis(share=0.002)] * 2 + [diagnosis()] + [diagnosis(share=0.002)] * 2,
        [diagnosis()] * 5,
        [diagnosis(agreement=0.999)] * 2 + [diagnosis()] + [diagnosis(agreement=0.999)] * 2,
        [diagnosis(share=float('nan'), agreement=float('nan'))] * 5,  # nothing labeled
        [Diagnosis(None, None, None, None, None)] * 5,
    ],
)
def test_what_is_healthy_early_or_passing_is_not_warned_of(reports):
    runner = runner_of(None, iteration=500)
    tell(DistillReportHook(interval=1), runner, *reports)
    assert runner.warnings == []


def test_collapsed_branches_are_told_once_and_not_at_the_start():
    runner, hook = runner_of(None), DistillReportHook(interval=1)
    tell(hook, runner, *[diagnosis(agreement=0.9991)] * 9)
    assert runner.warnings == []
    runner.iter = 500
    tell(hook, runner, *[diagnosis(agreement=0.9991)] * 9)
    (sentence,) = runner.warnings
    assert 'copies of each other' in sentence
    assert '0.9991' in sentence


def test_copies_are_told_of_by_a_real_model():
    """Three branches with one set of weights: without noise they are copies."""
    model = make_model(aggregator=dict(type='MeanAggregator')).train()
    for parts in (model.backbone.branches, model.head.branches):
        for part in parts[1:]:
            part.load_state_dict(parts[0].state_dict())
    runner, hook = runner_of(model, iteration=500), DistillReportHook(interval=1, patience=2)
    for _ in range(2):
        step(hook, runner, model)
    assert runner.message_hub['train/branches/error_correlation'] == pytest.approx([1, 1], abs=1e-5)
    assert any('copies of each other' in sentence for sentence in runner.warnings)


@pytest.mark.parametrize('wrong', [dict(interval=0), dict(keypoints_every=0), dict(patience=0)])
def test_intervals_are_positive(wrong):
    with pytest.raises(UserError, match='at least 1'):
        DistillReportHook(**wrong)
