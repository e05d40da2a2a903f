"""Files that try to run code, given to every tool that reads such files.

A canary is a folder that the code would create. Each run must end in one sentence or in success,
and without the canary.
"""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import onnx
import torch

from okdhp_mm.io.checkpoint import load_checkpoint

from .crafted import FIELDS, Command
from .processes import run_tool
from .project import Project, make_project
from .rows import Row, row

RUNS = 100_000
"""All."""
TEXTS = ('cfg', 'config', 'dataset_meta', 'experiment_name', 'hook_msgs', 'seed', 'time')
ODD = dict(
    text='one', none=None, negative=-1, fraction=1.5, huge=10**30, list=[1], dict=dict(a=1),
    nan=float('nan'),
)  # fmt: skip
ODD_FIELDS = (
    *('optimizer', 'param_schedulers', 'message_hub', 'resume_state', 'meta'),
    *('meta.epoch', 'meta.iter', 'meta.seed', 'meta.cfg', 'meta.dataset_meta'),
    *('message_hub.log_scalars', 'message_hub.runtime_info', 'message_hub.resumed_keys'),
    *('message_hub.runtime_info.keep_ckpt_ids', 'message_hub.runtime_info.best_ckpt'),
    *('message_hub.runtime_info.last_ckpt', 'message_hub.runtime_info.best_score'),
    *('optimizer.state', 'optimizer.param_groups', 'resume_state.random', 'state_dict'),
)


def check(runs: int, folder: Path) -> Iterator[Row]:
    """Give crafted checkpoints, data files, configs and graphs to the tools."""
    (folder / 'project').mkdir()
    project = make_project(folder / 'project')
    for name, outcomes in (
        ('crafted checkpoint in a tool', of_checkpoints),
        ('odd values in a checkpoint, train.py --resume', of_odd_values),
        ('crafted config or data file in a tool', of_data_files),
        ('crafted graph in infer.py', of_graphs),
    ):
        yield row(name, islice(outcomes(project), runs))


def of_checkpoints(project: Project) -> Iterator[str | None]:
    """Give each crafted checkpoint to each tool that reads checkpoints."""
    canary, hub = project.folder / 'canary', project.folder / 'hub'
    os.environ['TORCH_HOME'] = str(hub)  # downloads are cached by their names
    for kind, write in crafted_checkpoints(project, canary):
        for entry, run in checkpoint_entries(project).items():
            file = project.folder / 'crafted' / 'epoch_1.pth'
            file.parent.mkdir(exist_ok=True)
            write(file)
            shutil.rmtree(hub, ignore_errors=True)
            with local_server(file.parent) as url:
                fault = run(file, url)
            yield judged(f'{entry}, {kind}', fault, canary)


def of_odd_values(project: Project) -> Iterator[str | None]:
    """Resume from checkpoints that have other values than a training writes."""
    good = load_checkpoint(str(project.checkpoint))
    file = project.folder / 'odd.pth'
    for field in ODD_FIELDS:
        for name, value in ODD.items():
            torch.save(changed(good, field, value), file)
            fault = train(project, '--resume', file)
            yield judged(f'{field}={name}', fault)


def of_data_files(project: Project) -> Iterator[str | None]:
    """Give YAML with tags and pickles to the tools in place of configs and data."""
    canary = project.folder / 'canary'
    log = project.folder / 'log'
    hostile = {
        suffix: f'a: !!python/object/apply:os.mkdir ["{canary}"]\n'.encode()
        for suffix in ('yaml', 'yml')
    } | {
        suffix: pickle.dumps(Command(canary)) for suffix in ('pkl', 'pickle', 'json', 'npy', 'npz')
    }
    for suffix, content in hostile.items():
        file = project.folder / f'hostile.{suffix}'
        file.write_bytes(content)
        inherits = project.folder / f'inherits_{suffix}.py'
        inherits.write_text(f'_base_ = {str(file)!r}\n')
        student = project.folder / f'student_{suffix}'
        shutil.copytree(project.student, student, dirs_exist_ok=True)
        (student / 'student.py').write_text(inherits.read_text())
        test = partial(
            run_tool, log, 'test.py', project.config, project.checkpoint, '--cfg-options'
        )
        entries = {
            'test.py bbox_file': partial(test, f'test_dataloader.dataset.bbox_file={file}'),
            'test.py ann_file': partial(test, f'test_dataloader.dataset.ann_file={file}'),
            'test.py metric ann_file': partial(test, f'test_evaluator.metric.ann_file={file}'),
            'test.py pickled H3WB': partial(
                test,
                'test_dataloader.dataset.type=H36MWholeBodyDataset',
                f'test_dataloader.dataset.ann_file={file}',
            ),
            'train.py ann_file': partial(
                train, project, f'train_dataloader.dataset.ann_file={file}'
            ),
            'infer.py --boxes': partial(
                run_tool, log, 'infer.py', project.data / 'val2017', '--student', project.student,
                '--out', project.folder / 'out', '--force', '--boxes', file,
            ),
            'infer.py source': partial(
                run_tool, log, 'infer.py', file, '--student', project.student,
                '--out', project.folder / 'out', '--force',
            ),
            'infer.py student.py': partial(
                run_tool, log, 'infer.py', project.data / 'val2017', '--student', student,
                '--out', project.folder / 'out', '--force',
            ),
        }  # fmt: skip
        for config in (file, inherits):
            out = project.folder / 'out'
            entries |= {
                f'train.py {config.name}': partial(run_tool, log, 'train.py', config),
                f'test.py {config.name}': partial(
                    run_tool, log, 'test.py', config, project.checkpoint
                ),
                f'export_student.py {config.name}': partial(
                    run_tool, log, 'export_student.py', config, project.checkpoint, out
                ),
                f'okdhp_config.py {config.name}': partial(
                    run_tool, log, 'okdhp_config.py', config, '-o', out / 'converted.py'
                ),
                f'train.py --method {config.name}': partial(train, project, '--method', config),
            }  # fmt: skip
        for entry, run in entries.items():
            yield judged(f'{entry}, {suffix}', run(), canary)


def of_graphs(project: Project) -> Iterator[str | None]:
    """Give graphs to the inference that refer to other files or are damaged."""
    canary = project.folder / 'canary'
    for kind, content in crafted_graphs(project).items():
        student = project.folder / 'crafted_student'
        shutil.copytree(project.student, student, dirs_exist_ok=True)
        (student / 'student.onnx').write_bytes(content)
        fault = run_tool(
            project.folder / 'log', 'infer.py', project.data / 'val2017', '--student', student,
            '--out', project.folder / 'out', '--onnx', '--force',
        )  # fmt: skip
        yield judged(kind, fault, canary)


def judged(what: str, fault: str | None, canary: Path | None = None) -> str | None:
    """Return what went wrong in a run, and remove the canary."""
    if canary is not None and canary.exists():
        canary.rmdir()
        return f'{what}: the code ran'
    return fault and f'{what}: {fault}'


def train(project: Project, *arguments: object) -> str | None:
    """Run train.py in a new work directory."""
    work_dir = project.folder / 'resumed'
    shutil.rmtree(work_dir, ignore_errors=True)
    log = project.folder / 'log'
    # A second epoch, or there would be nothing to resume.
    options = [each for each in arguments if '=' in str(each)]
    rest = [each for each in arguments if '=' not in str(each)]
    return run_tool(
        log, 'train.py', project.config, '--work-dir', work_dir, *rest,
        '--cfg-options', 'train_cfg.max_epochs=2', *options,
    )  # fmt: skip


def checkpoint_entries(project: Project) -> dict[str, Callable[[Path, str], str | None]]:
    """Return for each way to read a checkpoint a function of its file and URL."""
    log = project.folder / 'log'
    out = project.folder / 'out'

    def resume_auto(file: Path, url: str) -> str | None:
        (file.parent / 'last_checkpoint').write_text(str(file))
        options = '--cfg-options', 'train_cfg.max_epochs=2'
        return run_tool(
            log, 'train.py', project.config, '--work-dir', file.parent, '--resume', *options
        )

    def infer(file: Path, url: str) -> str | None:
        student = project.folder / 'crafted_student'
        shutil.copytree(project.student, student, dirs_exist_ok=True)
        shutil.copy(file, student / 'student.pth')
        pictures = project.data / 'val2017'
        return run_tool(log, 'infer.py', pictures, '--student', student, '--out', out, '--force')

    teacher = 'model.teacher.config', project.student / 'student.py'
    return {
        'train.py --resume FILE': lambda file, _: train(project, '--resume', file),
        'train.py --resume': resume_auto,
        'train.py --resume URL': lambda _, url: train(project, '--resume', url),
        'train.py load_from': lambda file, _: train(project, f'load_from={file}'),
        'train.py load_from URL': lambda _, url: train(project, f'load_from={url}'),
        'train.py init_cfg': lambda file, _: train(
            project,
            'model.backbone.init_cfg.type=Pretrained',
            f'model.backbone.init_cfg.checkpoint={file}',
        ),
        'train.py teacher': lambda file, _: train(
            project, '--method', 'fpd', '='.join(map(str, teacher)),
            f'model.teacher.checkpoint={file}',
        ),
        'test.py': lambda file, _: run_tool(log, 'test.py', project.config, file),
        'test.py URL': lambda _, url: run_tool(log, 'test.py', project.config, url),
        'export_student.py': lambda file, _: run_tool(
            log, 'export_student.py', project.config, file, out / 'student', '--force'
        ),
        'infer.py': infer,
    }  # fmt: skip


def crafted_checkpoints(
    project: Project, canary: Path
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield the name of each kind, and a function that writes it to a file."""
    good = load_checkpoint(str(project.checkpoint))
    text = f'import os\nos.mkdir({str(canary)!r})\n'
    for field in FIELDS:
        for zipped in (True, False):
            content = changed(good, field, Command(canary))
            name = f'command in {field}, {"zip" if zipped else "legacy"}'
            yield name, partial(torch.save, content, _use_new_zipfile_serialization=zipped)
    for field in (*(f'meta.{name}' for name in TEXTS), 'message_hub.runtime_info.cfg'):
        yield f'text in {field}', partial(torch.save, changed(good, field, text))
    yield 'bare command', partial(torch.save, Command(canary))
    yield 'pickle', lambda file: file.write_bytes(pickle.dumps(Command(canary)))
    yield 'TorchScript', lambda file: torch.jit.script(torch.nn.ReLU()).save(str(file))
    yield 'tar', partial(write_tar, pickle.dumps(Command(canary)))


def write_tar(content: bytes, file: Path) -> None:
    """Write an archive as torch 0.1 did."""
    with tarfile.open(file, 'w') as archive:
        for name in ('sys_info', 'pickle', 'storages', 'tensors'):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def crafted_graphs(project: Project) -> dict[str, bytes]:
    """Return files in place of a student's graph."""
    content = (project.student / 'student.onnx').read_bytes()
    graphs = {
        'truncated': content[: len(content) // 2],
        'empty': b'',
        'text': b'import os',
        'pickle': pickle.dumps(Command(project.folder / 'canary')),
    }
    for name, location in (
        ('external data', '/etc/passwd'),
        ('external data in a parent', '../../../../../etc/passwd'),
        ('external data that is missing', 'nothing.bin'),
    ):
        graph = onnx.load_from_string(content)
        tensor = graph.graph.initializer[0]
        tensor.ClearField('raw_data')
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = 'location', location
        graphs[name] = graph.SerializeToString()
    graph = onnx.load_from_string(content)
    graph.graph.node[0].op_type, graph.graph.node[0].domain = 'Run', 'evil'
    graphs['unknown operator'] = graph.SerializeToString()
    for key in [prop.key for prop in onnx.load_from_string(content).metadata_props]:
        for value in ('', 'import os', json.dumps([[]]), '-1', 'NaN'):
            graph = onnx.load_from_string(content)
            for prop in graph.metadata_props:
                if prop.key == key:
                    prop.value = value
            graphs[f'metadata {key}={value}'] = graph.SerializeToString()
    return graphs


def changed(checkpoint: dict, field: str, value: Any) -> dict:
    """Return a checkpoint with another value in one field."""
    checkpoint = copy.deepcopy(checkpoint)
    *path, key = field.split('.')
    owner = checkpoint
    for name in path:
        owner = owner.setdefault(name, {})
    owner[key] = value
    return checkpoint


class Quiet(SimpleHTTPRequestHandler):
    """A file server that logs nothing."""

    def log_message(self, *_) -> None:
        """Log nothing."""


@contextmanager
def local_server(folder: Path) -> Iterator[str]:
    """Serve a folder; give the URL of its ``epoch_1.pth``."""
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/epoch_1.pth'
        server.shutdown()
