"""Checkpoints are read, and nothing in them is run."""

import os
import pickle
import subprocess
import tarfile

import numpy as np
import pytest
import torch
from common import python
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from torch import nn

from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import load_checkpoint, load_weights, safe_loader


class Toy(nn.Module):
    """The least that a runner trains."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, inputs, mode='tensor', **_):
        return self.layer(inputs)

    def train_step(self, data, optim_wrapper):
        inputs = torch.as_tensor(data, dtype=torch.float32, device=self.layer.weight.device)
        loss = self.layer(inputs).square().mean()
        optim_wrapper.update_params(loss)
        return dict(loss=loss)


def train(work_dir, scheduler=None, max_epochs=2, **settings):
    runner = Runner(
        Toy(),
        str(work_dir),
        train_dataloader=dict(
            dataset=[np.ones(3, dtype=np.float32)] * 4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=2,
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.1)),
        param_scheduler=scheduler or dict(type='MultiStepLR', milestones=[1]),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best=None)),
        experiment_name='checkpoint',
        default_scope='mmengine',
        **settings,
    )
    runner.train()
    return runner


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    return train(folder), folder / 'epoch_2.pth'


class Command:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class ByAttributes:
    """The same, by way of the one attribute access that mmengine's checkpoints need."""

    def __init__(self, steps):
        self.steps = steps

    def __reduce__(self):
        return getattr, self.steps


@pytest.fixture
def marker(tmp_path):
    return tmp_path / 'it-was-run'


# ---------------------------------------------------------------------------------- honest


def test_a_resumed_optimizer_counts_its_steps_on_the_host(trained):
    """On a GPU, where mmengine loads them, Adam would wait for every counter in every step."""
    with safe_loader():
        loaded = CheckpointLoader.load_checkpoint(str(trained[1]), map_location='meta')
    assert loaded['optimizer']['state'][0]['step'].device.type == 'cpu'


def test_a_checkpoint_of_a_real_run_loads_with_optimizer_and_history(trained):
    runner, file = trained
    loaded = load_checkpoint(str(file))
    assert torch.equal(loaded['state_dict']['layer.weight'], runner.model.layer.weight.cpu())
    assert loaded['meta']['iter'] == 4
    assert loaded['optimizer']['state'][0]['step'] == 4
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.current() == pytest.approx(
        runner.message_hub.log_scalars['train/loss'].current()
    )
    assert history.statistics('mean') > 0


def test_a_bare_state_dict_is_wrapped(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / 'bare.pth')
    loaded = load_checkpoint(str(tmp_path / 'bare.pth'))
    assert loaded['state_dict'].keys() == {'weight', 'bias'}
    assert loaded['meta'] == {}


ARRAYS = {
    kind: np.arange(3).astype(kind)
    for kind in ('?', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f2', 'f4', 'f8', 'c8', 'c16')
} | {
    'text': np.array(['left', 'right']),
    'bytes': np.array([b'left', b'right']),
    'big endian': np.arange(3, dtype='>f4'),
    'by columns': np.asfortranarray(np.arange(6).reshape(2, 3)),
    'none': np.array([]),
    'no rows': np.zeros((0, 2), np.int32),
    'no text': np.array([], 'U4'),
    'one': np.array(3.0),
}


def test_arrays_and_scalars_of_every_plain_kind_come_back(tmp_path):
    scalars = [np.float16(1), np.int64(2), np.bool_(True), np.str_('x'), b'', b'x', bytearray(b'y')]
    meta = dict(dataset_meta=ARRAYS, scalars=scalars)
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'arrays.pth')
    loaded = load_checkpoint(str(tmp_path / 'arrays.pth'))['meta']
    for name, array in ARRAYS.items():
        found = loaded['dataset_meta'][name]
        # numpy itself reads into the byte order of the machine.
        assert type(found) is np.ndarray and found.dtype == array.dtype.newbyteorder('='), name
        np.testing.assert_array_equal(found, array)
    assert loaded['scalars'] == scalars
    assert list(map(type, loaded['scalars'])) == list(map(type, scalars))


def test_the_metainfo_of_every_dataset_of_mmpose_comes_back(tmp_path):
    metas = {
        name: parse_pose_metainfo(dataset.METAINFO)
        for name, dataset in DATASETS.module_dict.items()
        if getattr(dataset, 'METAINFO', None)
    }
    assert len(metas) > 40
    torch.save(dict(state_dict={}, meta=dict(dataset_meta=metas)), tmp_path / 'all.pth')
    loaded = load_checkpoint(str(tmp_path / 'all.pth'))['meta']['dataset_meta']
    for name, meta in metas.items():
        # mmengine compares them like this when it resumes.
        assert pickle.dumps(loaded[name]) == pickle.dumps(meta), name


def test_the_types_are_allowed_only_while_it_loads(trained):
    load_checkpoint(str(trained[1]))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(trained[1], weights_only=True)


# -------------------------------------------------------------------------------- malicious


def attributes(*names):
    """getattr(getattr(HistoryBuffer, names[0]), names[1])..."""
    found = HistoryBuffer
    for name in names:
        found = ByAttributes((found, name))
    return found


def hostile(marker):
    command = f'touch {marker}'
    return {
        'a command': Command(command),
        'a command in the meta': dict(state_dict={}, meta=dict(cfg=Command(command))),
        'a command among the weights': dict(state_dict=dict(weight=Command(command)), meta={}),
        'globals of a method': dict(state_dict={}, meta=attributes('min', '__globals__')),
        'subclasses': dict(state_dict={}, meta=attributes('__subclasses__')),
        'the module by dots': dict(state_dict={}, meta=attributes('min.__globals__')),
        'an attribute of something else': dict(
            state_dict={}, meta=ByAttributes((np.ndarray, 'tofile'))
        ),
        'an unknown class': dict(state_dict={}, meta=Toy()),
        'an array of objects': dict(state_dict={}, meta=np.array([Command(command)], dtype=object)),
    }


@pytest.mark.parametrize('what', hostile(''))
@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
def test_a_checkpoint_with_anything_to_run_is_refused_and_nothing_runs(
    what, legacy, marker, tmp_path
):
    file = tmp_path / 'hostile.pth'
    torch.save(hostile(marker)[what], file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UserError, match='is refused') as caught:
        load_checkpoint(str(file))
    assert not marker.exists()
    assert 'weights_only' not in str(caught.value), 'advice to run it'


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (Command('true'), 'GLOBAL posix.system'),
        (dict(state_dict={}, meta=Toy()), f'GLOBAL {__name__}.Toy'),
        (dict(state_dict={}, meta=attributes('min', '__globals__')), "'__globals__'"),
        (b'# notes', 'Unsupported operand 35'),
    ],
)
def test_the_refusal_names_what_is_refused(content, reason, tmp_path):
    file = tmp_path / 'refused.pth'
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(UserError) as caught:
        load_checkpoint(str(file))
    assert reason in str(caught.value).partition('never loaded (')[2]


class Lying:
    """An array whose pickle has another dtype, dtype state, shape or content than numpy writes."""

    def __init__(self, kind='f4', state=None, shape=(2,), content=b'12345678'):
        self.lie = kind, state, shape, content

    def __reduce__(self):
        kind, state, shape, content = self.lie
        reconstruct = np.zeros(1).__reduce__()[0]
        dtype = LyingDtype(kind, state)
        return reconstruct, (np.ndarray, (0,), b'b'), (1, shape, dtype, False, content)


class LyingDtype:
    def __init__(self, kind, state):
        self.lie = kind, state

    def __reduce__(self):
        kind, state = self.lie
        return (np.dtype, (kind, False, True), *filter(None, [state]))


@pytest.mark.parametrize(
    'lie',
    [
        dict(kind='O'),
        dict(kind='O', content=[1, 2]),
        dict(kind='V4'),
        dict(kind=[('a', 'O')]),
        dict(kind='f4,O'),
        dict(state=(3, '<', None, ('a',), {'a': (np.dtype('i4'), 10**9)}, 4, 4, 0)),
        dict(state=(3, '<', (np.dtype('i4'), (1000,)), None, None, 4, 4, 0)),
        dict(state=(3, 'x', None, None, None, 4, 4, 0)),
        dict(state=5),
        dict(shape=(3,)),
        dict(shape=(-2,)),
        dict(shape=(2**62, 4)),
        dict(shape=5),
        dict(content='text'),
    ],
    ids=str,
)
def test_an_array_that_lies_about_its_memory_is_refused(lie, tmp_path):
    torch.save(dict(state_dict={}, meta=Lying(**lie)), tmp_path / 'lying.pth')
    with pytest.raises(UserError, match=r'lying\.pth is'):
        load_checkpoint(str(tmp_path / 'lying.pth'))


@pytest.mark.parametrize(
    'state', [(3, '<', None, None, None, 10**6, 4, 8), (3, '<', None, None, None, -5, 0, 63)]
)
def test_a_dtype_keeps_the_size_that_it_was_made_with(state, tmp_path):
    lying = Lying('U1', state, (2,), 'ab'.encode('utf-32-le'))
    torch.save(dict(state_dict={}, meta=dict(dataset_meta=dict(x=lying))), tmp_path / 'lying.pth')
    found = load_checkpoint(str(tmp_path / 'lying.pth'))['meta']['dataset_meta']['x']
    assert found.tolist() == ['a', 'b']


@pytest.mark.parametrize('size', [10**15, (10**15, 1)])
@pytest.mark.parametrize('kind', [bytes, bytearray, np.ndarray])
def test_a_pickle_cannot_ask_for_memory(kind, size, tmp_path):
    class Greedy:
        def __reduce__(self):
            return kind, (size,)

    torch.save(dict(state_dict={}, meta=Greedy()), tmp_path / 'greedy.pth')
    with pytest.raises(UserError, match='is refused|is not a complete checkpoint') as caught:
        load_checkpoint(str(tmp_path / 'greedy.pth'))
    assert not isinstance(caught.value.__cause__, MemoryError)


def test_an_allowed_class_is_not_changed(tmp_path):
    """By the opcode that gives an object its state, here made to be that of a class."""
    file = tmp_path / 'hostile.pth'
    owner = f'c{HistoryBuffer.__module__}\nHistoryBuffer\n'.encode()
    state = b'N}X\x07\x00\x00\x00changedK\x01s\x86'
    file.write_bytes(b'\x80\x02' + owner + state + b'b.')
    with pytest.raises(UserError, match='is refused'):
        load_checkpoint(str(file))
    assert not hasattr(HistoryBuffer, 'changed')


@pytest.mark.filterwarnings('ignore')  # of torch, which is about to give its programs up
def test_archives_that_are_more_than_a_pickle_are_refused(tmp_path):
    """Programs, and what torch 0.1 wrote, which is unpacked to the disk."""
    torch.jit.script(nn.Linear(3, 2)).save(str(tmp_path / 'program.pth'))
    with tarfile.open(tmp_path / 'archive.pth', 'w') as archive:
        for name in ('storages', 'tensors', 'pickle'):
            archive.addfile(tarfile.TarInfo(name))
    for name in ('program.pth', 'archive.pth'):
        with pytest.raises(UserError, match=f'{name} is refused'):
            load_checkpoint(str(tmp_path / name))


def test_the_same_file_does_run_under_the_default_loader_of_the_host(marker, tmp_path):
    """Else the tests above would prove nothing."""
    file = tmp_path / 'hostile.pth'
    torch.save(hostile(marker)['a command'], file)
    torch.load(file, weights_only=False)
    assert marker.exists()


def programs(marker):
    """A text that creates the marker when it runs as Python."""
    return f'import pathlib\npathlib.Path({str(marker)!r}).touch()\n'


def resume(work_dir, checkpoint):
    """Resume a training by mmengine's runner."""
    train(work_dir, load_from=str(checkpoint), resume=True, max_epochs=3)


@pytest.fixture
def with_text(trained, marker, tmp_path):
    """The checkpoint of a real run with a program as the text of every entry."""
    checkpoint = torch.load(trained[1], weights_only=False)
    text = programs(marker)
    names = ('config', 'cfg', 'experiment_name', 'time', 'mmengine_version', 'hook_msgs', 'CLASSES')
    checkpoint['meta'] |= dict.fromkeys(names, text)
    checkpoint['meta']['dataset_meta'] = dict.fromkeys(('classes', 'dataset_name'), text)
    checkpoint['message_hub']['runtime_info']['cfg'] = text
    torch.save(checkpoint, tmp_path / 'text.pth')
    return tmp_path / 'text.pth'


def test_resuming_runs_no_text_of_a_checkpoint(with_text, marker, tmp_path):
    with safe_loader():
        resume(tmp_path / 'run', with_text)
    assert not marker.exists()
    assert (tmp_path / 'run' / 'epoch_3.pth').exists()


def test_the_same_text_does_run_under_the_default_loader_of_mmengine(with_text, marker, tmp_path):
    resume(tmp_path / 'run', with_text)
    assert marker.exists()


def test_an_inferencer_finds_no_program_in_a_checkpoint(with_text):
    loaded = load_checkpoint(str(with_text))
    assert not {'cfg', 'config'} & loaded['meta'].keys()
    assert 'cfg' not in loaded['message_hub']['runtime_info']
    assert loaded['meta']['epoch'] == 2 and loaded['meta']['experiment_name']


def test_a_meta_that_is_not_a_dict_is_refused(tmp_path):
    torch.save(dict(state_dict={}, meta='epoch'), tmp_path / 'text.pth')
    with pytest.raises(UserError, match='its meta is not a dict'):
        load_checkpoint(str(tmp_path / 'text.pth'))


# ----------------------------------------------------------------------------------- broken


@pytest.mark.parametrize('kept', [0, 10, 500, 0.5, 0.9, 0.999])
@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
def test_a_truncated_checkpoint_is_told_from_a_whole_one(kept, legacy, trained, tmp_path):
    whole = tmp_path / 'whole.pth'
    torch.save(
        dict(state_dict=trained[0].model.state_dict(), meta={}),
        whole,
        _use_new_zipfile_serialization=not legacy,
    )
    content = whole.read_bytes()
    file = tmp_path / 'cut.pth'
    file.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(UserError, match='cut.pth is'):
        load_checkpoint(str(file))


@pytest.mark.parametrize(
    'content',
    [b'epoch: 12\nloss: 0.1\n', b'{"state_dict": {}}', b'\x89PNG\r\n', b'\x00' * 100, b'cos\n'],
)
def test_a_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    file = tmp_path / 'notes.pth'
    file.write_bytes(content)
    with pytest.raises(UserError, match='notes.pth is '):
        load_checkpoint(str(file))


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
def test_damaged_bytes_never_end_in_anything_but_a_sentence(legacy, trained, tmp_path):
    file = tmp_path / 'damaged.pth'
    whole = dict(state_dict=trained[0].model.state_dict(), meta=dict(epoch=1))
    torch.save(whole, file, _use_new_zipfile_serialization=not legacy)
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        for position in rng.integers(0, len(damaged), 5):
            damaged[position] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            load_checkpoint(str(file))
        except UserError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    'content',
    [
        [torch.zeros(3)],
        torch.zeros(3),
        7,
        dict(state_dict=3),
        dict(state_dict=[1]),
        dict(weight='text'),
        dict(epoch=3, loss=0.1),
    ],
)
def test_a_file_without_a_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='holds no state dict of tensors'):
        load_checkpoint(str(tmp_path / 'other.pth'))


def test_a_file_that_is_missing_empty_or_a_folder_is_told(tmp_path):
    (tmp_path / 'empty.pth').touch()
    for name, sentence in (
        ('missing.pth', 'does not exist'),
        ('empty.pth', 'empty.pth is empty'),
        ('.', 'is a folder; name a file'),
    ):
        with pytest.raises(UserError, match=sentence):
            load_checkpoint(str(tmp_path / name))


@pytest.mark.parametrize('named', ['/runs/x/epoch_2.pth', 'runs/x/epoch_2.pth', './epoch_2.pth\n'])
def test_mmengines_note_of_the_newest_checkpoint_says_which_file_to_give(named, tmp_path):
    note = tmp_path / 'last_checkpoint'
    note.write_text(named)
    sentence = f'last_checkpoint is a text file that names {named.strip()}; give that file'
    with pytest.raises(UserError, match=sentence):
        load_checkpoint(str(note))


# ------------------------------------------------------------------------- in mmengine's place

USE = """
import sys
from mmengine.runner import CheckpointLoader
import okdhp_mm
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.errors import UserError
if sys.argv[1] == 'safe':
    use_safe_loader()
for file in sys.argv[2:]:
    try:
        loaded = CheckpointLoader.load_checkpoint(file, map_location='cpu')
        print('loaded', list(loaded['state_dict']))
    except UserError as error:
        print('refused', error)
"""


@pytest.mark.parametrize('loader', ['safe', 'stock'])
def test_the_tools_make_mmengine_load_safely_and_an_import_alone_does_not(
    loader, trained, marker, tmp_path
):
    file = tmp_path / 'hostile.pth'
    torch.save(hostile(marker)['a command in the meta'], file)
    result = subprocess.run(
        python('-c', USE, loader, trained[1], file),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith(('loaded', 'refused'))]
    assert lines[0] == "loaded ['layer.weight', 'layer.bias']"
    assert lines[1].startswith('refused' if loader == 'safe' else 'loaded')
    assert marker.exists() == (loader == 'stock')


def test_a_loader_is_safe_for_as_long_as_it_is_asked_to(marker, tmp_path):
    file = tmp_path / 'hostile.pth'
    torch.save(hostile(marker)['a command in the meta'], file)
    before = CheckpointLoader._schemes
    kept = list(before.items())
    with safe_loader(), safe_loader():
        assert list(CheckpointLoader._schemes) == list(before), 'the order is that of the search'
        with pytest.raises(UserError, match='is refused'):
            CheckpointLoader.load_checkpoint(str(file))
    assert not marker.exists()
    assert CheckpointLoader._schemes is before
    assert list(before.items()) == kept, 'the host loads as it did'


def test_the_log_names_the_backend_as_ever(trained, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.runner.checkpoint.print_log', lambda *a, **_: said.append(a[0]))
    with safe_loader():
        CheckpointLoader.load_checkpoint(str(trained[1]))
    assert said == [f'Loads checkpoint by local backend from path: {trained[1]}']


DOWNLOADED = """
import os, sys
from mmengine.runner import checkpoint
import okdhp_mm
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.errors import UserError
if sys.argv[1] == 'safe':
    use_safe_loader()
    use_safe_loader()
_, _, local, honest, hostile = sys.argv
names = {
    'https://nowhere.invalid/a.pth': honest,
    'http://nowhere.invalid/b.pth': hostile,
    'torchvision://resnet18': hostile,
    'open-mmlab://vgg16_caffe': hostile,
    'mmcls://mobilenet_v2': hostile,
}
urls = {
    'torchvision://resnet18': checkpoint.get_torchvision_models()['resnet18'],
    'open-mmlab://vgg16_caffe': checkpoint.get_external_models()['vgg16_caffe'],
    'mmcls://mobilenet_v2': checkpoint.get_mmcls_models()['mobilenet_v2'],
}
cache = os.path.join(os.environ['TORCH_HOME'], 'hub', 'checkpoints')
os.makedirs(cache)
for name, file in names.items():
    os.symlink(file, os.path.join(cache, os.path.basename(urls.get(name, name))))
load = checkpoint.CheckpointLoader.load_checkpoint
load(local, map_location='cpu')
for name in names:
    try:
        loaded = load(name, map_location='cpu')
        print('loaded', name, *loaded['state_dict'])
    except UserError as error:
        print('refused', error)
forced = (os.environ.get(f'TORCH_FORCE_{kind}WEIGHTS_ONLY_LOAD') for kind in ('', 'NO_'))
print('forced', *forced)
"""


@pytest.mark.parametrize('loader', ['safe', 'stock'])
def test_what_is_downloaded_is_loaded_as_safely(loader, trained, marker, tmp_path):
    """From torch's cache, where a download would be kept: no network is needed."""
    file = tmp_path / 'hostile.pth'
    content = dict(
        state_dict={'backbone.weight': torch.zeros(1)}, meta=Command(f'echo >> {marker}')
    )
    torch.save(content, file)
    result = subprocess.run(
        python('-c', DOWNLOADED, loader, trained[1], trained[1], file),
        # Set by many, for mmengine's own loader.
        env=os.environ | dict(TORCH_HOME=str(tmp_path), TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1'),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    words = ('loaded', 'refused', 'forced')
    honest, *hostile, forced = [
        line for line in result.stdout.splitlines() if line.startswith(words)
    ]
    assert honest == 'loaded https://nowhere.invalid/a.pth layer.weight layer.bias'
    assert len(hostile) == 4
    if loader == 'stock':
        # Else the test of the others would prove nothing.
        assert all(line.startswith('loaded') for line in hostile)
        assert len(marker.read_text().splitlines()) == 4
    else:
        assert not marker.exists()
        for line in hostile:
            assert 'is refused' in line and 'GLOBAL posix.system' in line
    assert forced == 'forced None 1', 'the environment is as it was'


@pytest.mark.parametrize('anneal', ['cos', 'linear'])
def test_a_schedule_that_keeps_a_function_is_read(tmp_path, anneal):
    scheduler = dict(
        type='OneCycleLR', eta_max=0.1, total_steps=4, by_epoch=False, anneal_strategy=anneal
    )
    train(tmp_path, scheduler)
    (state,) = load_checkpoint(str(tmp_path / 'epoch_2.pth'))['param_schedulers']
    assert state['anneal_func'](0.0, 1.0, 0.5) == pytest.approx(0.5)


# ----------------------------------------------------------------------------- into a network


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_weights_are_loaded_and_a_counter_of_batches_may_lack():
    model, state = network(), network().state_dict()
    del state['1.num_batches_tracked']
    load_weights(model, state, 'b.pth is wrong')
    assert torch.equal(model[0].weight, state['0.weight'])


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda state: state.pop('0.weight'), r'1 tensors are .* only, e\.g\. 0\.weight'),
        (
            lambda state: state.update(x=torch.ones(1), y=torch.ones(1)),
            r'2 tensors are .* only, e\.g\. x',
        ),
        (lambda state: state.update({'1.bias': torch.ones(5)}), r'.*size mismatch for 1\.bias'),
    ],
)
def test_weights_of_another_network_are_refused_with_the_first_of_them(change, reason):
    state = network().state_dict()
    change(state)
    with pytest.raises(UserError, match=rf'^b\.pth is wrong \({reason}'):
        load_weights(network(), state, 'b.pth is wrong')


def test_a_missing_checkpoint_is_told_with_those_in_its_folder(tmp_path):
    missing = tmp_path / 'best_PCK_epoch_N.pth'
    with pytest.raises(UserError, match=r'best_PCK_epoch_N\.pth does not exist\.$'):
        load_checkpoint(str(missing))
    for name in ('best_PCK_epoch_10.pth', 'epoch_12.pth', 'notes.txt'):
        (tmp_path / name).touch()
    with pytest.raises(UserError) as told:
        load_checkpoint(str(missing))
    assert str(told.value) == (
        f"The checkpoint {missing} does not exist. {tmp_path} has 'best_PCK_epoch_10.pth', "
        "'epoch_12.pth'."
    )
    for number in range(20):
        (tmp_path / f'iter_{number}.pth').touch()
    with pytest.raises(UserError, match='and 16 more'):
        load_checkpoint(str(missing))
