"""``--resume`` finds the newest complete checkpoint, and says which and why."""

import copy
import os

import pytest
import torch
from mmengine.config import Config

from okdhp_mm.errors import UserError
from okdhp_mm.io.resume import choose_checkpoint

HUB = dict(log_scalars={}, runtime_info={}, resumed_keys={})
OPTIMIZER = dict(state={}, param_groups=[{}])


def write(path, time, seed=7, **content):
    content = (
        dict(
            state_dict={},
            optimizer=OPTIMIZER,
            message_hub=HUB,
            meta=dict(epoch=1, iter=3, seed=seed),
        )
        | content
    )
    torch.save(content, path)
    os.utime(path, (time, time))
    return path


def chosen(work_dir, **settings):
    cfg = Config(dict(work_dir=str(work_dir), **settings))
    choose_checkpoint(cfg)
    return cfg


@pytest.fixture
def two(tmp_path):
    older, newer = (write(tmp_path / f'epoch_{k}.pth', k) for k in (1, 2))
    (tmp_path / 'last_checkpoint').write_text(str(newer))
    # The best ones lack the optimizer.
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'best_AP_epoch_2.pth')
    return older, newer


def test_the_named_one_is_chosen(tmp_path, two):
    (tmp_path / 'last_checkpoint').write_text(str(two[0]))
    cfg = chosen(tmp_path)
    assert cfg.load_from == str(two[0])
    assert cfg.randomness.seed == 7


@pytest.mark.parametrize('named', ['', '\0\0\0', 'epoch_9.pth'])
def test_an_unusable_name_leads_to_the_newest(tmp_path, two, named, capsys):
    (tmp_path / 'last_checkpoint').write_text(named)
    assert chosen(tmp_path).load_from == str(two[1])


def test_without_a_name_the_newest_is_chosen(tmp_path, two):
    (tmp_path / 'last_checkpoint').unlink()
    assert chosen(tmp_path).load_from == str(two[1])


@pytest.mark.parametrize('size', [0, 100, 900])
def test_half_a_file_is_passed_over(tmp_path, two, size):
    two[1].write_bytes(two[1].read_bytes()[:size])
    assert chosen(tmp_path).load_from == str(two[0])


def test_only_half_files_are_refused(tmp_path, two):
    for path in two:
        path.write_bytes(b'PK')
    with pytest.raises(UserError, match='no complete checkpoint.*epoch_2.*epoch_1'):
        chosen(tmp_path)


def test_a_moved_folder_is_searched(tmp_path, two):
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_1.pth')
    assert chosen(tmp_path).load_from == str(two[0])


def test_checkpoints_of_another_folder_are_found(tmp_path):
    folder = tmp_path / 'out' / 'work'
    folder.mkdir(parents=True)
    path = write(folder / 'epoch_1.pth', 1)
    hooks = dict(checkpoint=dict(type='CheckpointHook', out_dir=str(tmp_path / 'out')))
    assert chosen(tmp_path / 'work', default_hooks=hooks).load_from == str(path)


def test_an_empty_folder_starts_anew(tmp_path):
    assert not chosen(tmp_path).get('load_from')


def test_a_seed_of_the_config_stays(tmp_path, two):
    randomness = dict(seed=3, deterministic=True)
    assert chosen(tmp_path, randomness=randomness).randomness == randomness


def test_weights_alone_cannot_be_resumed(tmp_path):
    path = write(tmp_path / 'a.pth', 1, meta={})
    with pytest.raises(UserError, match='not a checkpoint of a training'):
        chosen(tmp_path, load_from=str(path))


@pytest.mark.parametrize(
    ('entry', 'value'),
    [
        *(('meta.epoch', value) for value in ('1', None, -1, 1.5, 2**31, True)),
        ('meta.iter', [3]),
        *(('meta.seed', value) for value in ('1', -1, 2**32)),
        *(
            ('optimizer', value)
            for value in (None, 'Adam', {}, [1], dict(state=3, param_groups=[]))
        ),
        ('optimizer', dict(backbone=OPTIMIZER, head=3)),
        *(('param_schedulers', value) for value in (None, 3, [3], dict(lr=3))),
        *(('message_hub', value) for value in (None, 'x')),
        ('message_hub.log_scalars', None),
        ('message_hub.resumed_keys', 3),
        ('message_hub.runtime_info', 3),
        ('message_hub.runtime_info.keep_ckpt_ids', 3),
        ('message_hub.runtime_info.best_score', float('nan')),
        ('message_hub.runtime_info.best_ckpt', 3),
        *(
            ('resume_state', value)
            for value in (3, [], {}, dict(random=3, validated=True), dict(random=[]))
        ),
    ],
)
def test_an_entry_that_no_training_writes_is_named(tmp_path, entry, value):
    content = dict(
        optimizer=OPTIMIZER,
        message_hub=copy.deepcopy(HUB),
        meta=dict(epoch=1, iter=3, seed=7),
    )
    *path, key = entry.split('.')
    owner = content
    for name in path:
        owner = owner[name]
    owner[key] = value
    path = write(tmp_path / 'a.pth', 1, **content)
    with pytest.raises(UserError, match=f'a.pth cannot be resumed: its `{entry}` is .* must be '):
        chosen(tmp_path, load_from=str(path))


def test_several_optimizers_can_be_resumed(tmp_path):
    path = write(tmp_path / 'a.pth', 1, optimizer=dict(backbone=OPTIMIZER, head=OPTIMIZER))
    chosen(tmp_path, load_from=str(path))


def test_an_entry_that_is_missing_is_named(tmp_path):
    path = write(tmp_path / 'a.pth', 1, message_hub={})
    with pytest.raises(UserError, match='its `message_hub.log_scalars` is missing'):
        chosen(tmp_path, load_from=str(path))
