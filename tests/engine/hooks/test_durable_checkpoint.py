"""Checkpoints are whole, finite, removed late, and resumed exactly."""

import pytest
import torch
from common import okdhp_model
from mmengine.config import Config
from mmengine.hooks import Hook
from runs import CtrlC, loader

from okdhp_mm.engine.hooks import DurableCheckpointHook, durable_checkpoint
from okdhp_mm.engine.random_state import random_state, set_random_state
from okdhp_mm.engine.runner import DurableRunner
from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import load_checkpoint


class Losses(Hook):
    def __init__(self, spoil=None):
        self.all, self.spoil = [], spoil

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.spoil:
            next(iter(runner.model.parameters())).data.fill_(float('nan'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.all.append(outputs['loss'].item())


def run(work_dir, resume=None, spoil=None, **changes):
    """Train for three epochs, or iterations, with the hooks of the tools."""
    hooks = dict(
        checkpoint=dict(
            type='CheckpointHook', interval=1, save_best='PCK', rule='greater', max_keep_ckpts=1
        ),
        logger=dict(type='LoggerHook', interval=1),
    )
    model = okdhp_model('resnet')
    # A method that draws random numbers on the device, as PCL does.
    model.views = dict(type='PhotometricViews')
    settings = dict(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader(4),
        val_dataloader=loader(2),
        train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
        val_cfg=dict(),
        val_evaluator=dict(type='MultiOutputMetric', metric=dict(type='PCKAccuracy')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=hooks,
        default_scope='mmpose',
        randomness=dict(seed=0),
        experiment_name=f'{work_dir.name}_{resume is not None}',
        resume=resume is not None,
        load_from=resume,
    )
    settings |= changes
    runner = DurableRunner(**settings, cfg=Config(dict(default_hooks=hooks)))
    losses = Losses(spoil)
    runner.register_hook(losses, 'LOW')
    return runner, losses


def test_a_resumed_training_continues_exactly(tmp_path):
    kept = dict(type='CheckpointHook', interval=1)
    runner, whole = run(tmp_path / 'a', default_hooks=dict(checkpoint=kept))
    runner.train()
    assert len(whole.all) == 6
    for epoch in (1, 2):
        checkpoint = str(tmp_path / 'a' / f'epoch_{epoch}.pth')
        torch.rand(epoch)  # whatever this process drew before
        runner, rest = run(
            tmp_path / f'resumed_{epoch}', checkpoint, default_hooks=dict(checkpoint=kept)
        )
        runner.train()
        assert rest.all == whole.all[2 * epoch :]


def test_ctrl_c_loses_the_started_epoch_only(tmp_path, monkeypatch):
    """Although the config saves one epoch in three."""
    monkeypatch.setattr(durable_checkpoint, 'LONGEST_LOSS', 0)
    changes = dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=3)))
    runner, whole = run(tmp_path / 'whole', **changes)
    runner.train()
    assert [file.name for file in (tmp_path / 'whole').glob('*.pth')] == ['epoch_3.pth']
    folder = tmp_path / 'interrupted'
    runner, _ = run(folder, **changes)
    runner.register_hook(CtrlC(5))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    latest = (folder / 'last_checkpoint').read_text()
    assert latest == str(folder / 'latest.pth')
    runner, rest = run(folder, latest, **changes)
    runner.train()
    assert rest.all == whole.all[4:]
    assert [file.name for file in folder.glob('*.pth')] == ['epoch_3.pth']


def test_an_epoch_is_not_kept_if_a_checkpoint_is_young(tmp_path):
    runner, _ = run(
        tmp_path, default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=9))
    )
    runner.register_hook(CtrlC(5))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))


def test_an_iteration_based_training_continues_exactly(tmp_path):
    changes = dict(
        train_cfg=dict(by_epoch=False, max_iters=6, val_interval=2),
        train_dataloader=loader(4) | dict(sampler=dict(type='InfiniteSampler')),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2)),
    )
    runner, whole = run(tmp_path / 'a', **changes)
    runner.train()
    runner, rest = run(tmp_path / 'b', str(tmp_path / 'a' / 'iter_4.pth'), **changes)
    runner.train()
    assert rest.all == whole.all[4:]


def test_a_checkpoint_without_random_states_resumes(tmp_path):
    runner, _ = run(tmp_path / 'a')
    runner.train()
    path = tmp_path / 'a' / 'epoch_3.pth'
    checkpoint = load_checkpoint(str(path))
    del checkpoint['resume_state']
    torch.save(checkpoint, path)
    changes = dict(train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=1))
    runner, losses = run(tmp_path / 'b', str(path), **changes)
    runner.train()
    assert len(losses.all) == 2


def test_old_files_are_removed_after_the_new_ones_are_complete(tmp_path, monkeypatch):
    runner, _ = run(tmp_path / 'a')
    seen = []
    remove = DurableCheckpointHook._remove

    def watch(self, path):
        complete = {
            file.name
            for file in (tmp_path / 'a').glob('*.pth')
            if load_checkpoint(str(file))  # refuses half a file
        }
        seen.append((path.rpartition('/')[2], complete))
        remove(self, path)

    monkeypatch.setattr(DurableCheckpointHook, '_remove', watch)
    runner.train()
    assert [name for name, _ in seen if name.startswith('epoch')] == ['epoch_1.pth', 'epoch_2.pth']
    for name, complete in seen:
        kind = name.split('epoch')[0]
        assert len([other for other in complete if other.startswith(kind + 'epoch')]) > 1
    left = sorted(file.name for file in (tmp_path / 'a').glob('*.pth'))
    assert len(left) == 2 and left[1] == 'epoch_3.pth'
    assert (tmp_path / 'a' / 'last_checkpoint').read_text() == str(tmp_path / 'a' / 'epoch_3.pth')


def test_a_file_of_the_user_is_not_taken_for_a_kept_epoch(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'latest.pth').write_bytes(b'mine')
    run(tmp_path / 'a')[0].train()
    assert (tmp_path / 'a' / 'latest.pth').read_bytes() == b'mine'


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    runner, _ = run(tmp_path / 'a', spoil=3)  # the last step of the second epoch
    with pytest.raises(UserError, match=r'NaN or infinite after step 4.*epoch_1\.pth'):
        runner.train()
    for path in (tmp_path / 'a').glob('*.pth'):
        assert all(value.isfinite().all() for value in load_checkpoint(path)['state_dict'].values())


def test_losses_that_are_not_finite_stop_the_training(tmp_path):
    changes = dict(
        train_cfg=dict(by_epoch=False, max_iters=90, val_interval=90),
        train_dataloader=loader(4) | dict(sampler=dict(type='InfiniteSampler')),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2)),
    )
    runner, losses = run(tmp_path / 'a', spoil=2, **changes)
    with pytest.raises(UserError, match=r'step (3|4).*iter_2\.pth'):
        runner.train()
    assert len(losses.all) < 10


def test_a_crafted_checkpoint_removes_nothing_elsewhere(tmp_path):
    runner, _ = run(tmp_path / 'a')
    runner.train()
    path, victim = tmp_path / 'a' / 'epoch_3.pth', tmp_path / 'victim.pth'
    victim.write_text('')
    checkpoint = load_checkpoint(str(path))
    checkpoint['message_hub']['runtime_info'].update(
        outdated_best=[str(victim)], best_ckpt=str(victim), best_score=-1.0
    )
    torch.save(checkpoint, path)
    changes = dict(train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=1))
    run(tmp_path / 'b', str(path), **changes)[0].train()
    assert victim.exists()


def test_random_state_is_restored():
    state = random_state()
    expected = torch.rand(3)
    set_random_state(state)
    assert torch.equal(torch.rand(3), expected)
    with pytest.raises(UserError, match='damaged'):
        set_random_state(state | dict(numpy=1))
