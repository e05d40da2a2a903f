"""DKD against its controls on two flies: accuracy, drift and latency. Resumable.

    python benchmarks/dkd.py --data data/fly_pair --out work_dirs/dkd --seeds 0
    python benchmarks/dkd.py --data data/fly_pair --out work_dirs/dkd --seeds 0 --arms dkd
    python benchmarks/dkd.py --out work_dirs/dkd --report

Each arm and seed is one training of a config in configs/dkd. Its results are in OUT/ARM/SEED.json,
and a finished one is not repeated. The video is cut into blocks of 40 frames, and every fourth one
is for the test, because the flies hardly move in the first 1,000 frames. The centers of all boxes
are moved at random, like those of a detector. All arms see as many frames per iteration. There is
one initializer for all seeds, because it is frozen.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch

import okdhp_mm  # noqa: F401  (registers)  # isort: skip
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.evaluation.functional import keypoint_pck_accuracy
from mmpose.registry import DATASETS, MODELS
from timing import take_turns
from torch import nn
from torch.utils.data import DataLoader, Dataset

from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.errors import UserError
from okdhp_mm.io.atomic import write_text
from okdhp_mm.video.clips import ClipDataset
from okdhp_mm.video.dkd.state import PoseState

CONFIGS = Path(__file__).parents[1] / 'configs' / 'dkd'
STOCK = ('initializer', 'same_encoder', 'same_cost')
FOLLOWING = ('dkd', 'previous_heatmaps')
ARMS = ('initializer', 'dkd', 'same_encoder', 'same_cost', 'previous_heatmaps', 'repeat')
ONCE = ('initializer', 'repeat')
"""Arms that no seed changes, because the initializer is trained once."""
BLOCK, TEST_EVERY = 40, 4
EVERY = (BLOCK, 20, 10, 5)
"""The initializer runs on every so many frames; a track has BLOCK frames."""
SPANS = {'1-10': (0, 10), '2-10': (1, 10), '31-40': (30, 40)}
"""Frames of a track; the first is the initializer's."""
RUNS = 50
"""Runs of a graph between two readings of the clock."""
JITTER = 0.05
"""Standard deviation of the boxes' centers, in parts of their longer side."""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, help='folder with annotations.json and frames/')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=ARMS)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=1000)
    parser.add_argument('--initializer-iterations', type=int, help='(default: as the others)')
    parser.add_argument('--clips', type=int, default=16, help='clips of four frames per iteration')
    parser.add_argument(
        '--pool', type=int, help='augment so many clips once and reuse them, for slow machines'
    )
    parser.add_argument('--report', action='store_true', help='train nothing, print the table')
    args = parser.parse_args()
    args.initializer_iterations = args.initializer_iterations or args.iterations
    return args


def write_blocks(source: Path, target: Path) -> None:
    """Write train.json and test.json: interleaved blocks, each a video, with moved boxes."""
    content = json.loads((source / 'annotations.json').read_text())
    rng = np.random.default_rng(0)
    for label in content['annotations']:
        x, y, width, height = label['bbox']
        dx, dy = rng.normal(0, JITTER * max(width, height), 2)
        label['bbox'] = [x + dx, y + dy, width, height]
    target.mkdir(parents=True, exist_ok=True)
    for name, is_test in (('train', False), ('test', True)):
        images = [
            image
            | dict(
                vid_id=f'block{image["frame_id"] // BLOCK:02}',
                file_name=picture_of(source, image['file_name']),
            )
            for image in content['images']
            if (image['frame_id'] // BLOCK % TEST_EVERY == TEST_EVERY - 1) == is_test
        ]
        if not images:
            raise UserError(
                f'{source / "annotations.json"} has no frames for {name}.json. Label at least '
                f'{BLOCK * TEST_EVERY} frames: every fourth block of {BLOCK} is the test.'
            )
        kept = {image['id'] for image in images}
        labels = [label for label in content['annotations'] if label['image_id'] in kept]
        parts = dict(images=images, annotations=labels, categories=content['categories'])
        write_text(target / f'{name}.json', json.dumps(parts))


def picture_of(source: Path, name: str) -> str:
    """Return a picture relative to the data. The converters name it relative to frames/."""
    return name if (source / name).is_file() else f'frames/{name}'


@DATASETS.register_module()
class PoolDataset(Dataset):
    """Clips that were augmented once, or their frames one by one."""

    def __init__(self, file: str, frames: bool):
        stored = torch.load(file, weights_only=False)
        self.metainfo, self.items = stored['metainfo'], stored['clips']
        if frames:
            self.items = [
                dict(inputs=image, data_samples=sample)
                for clip in self.items
                for image, sample in zip(clip.inputs, clip.data_samples, strict=True)
            ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        return self.items[index]


def write_pool(file: Path, count: int, args: argparse.Namespace) -> None:
    """Augment clips of random places and store them."""
    dataset = DATASETS.build(config_of('dkd', args, 0).train_dataloader.dataset)
    np.random.seed(0)
    clips = [dataset[int(index)] for index in np.random.randint(len(dataset), size=count)]
    torch.save(dict(metainfo=dataset.metainfo, clips=clips), file)


def config_of(arm: str, args: argparse.Namespace, seed: int) -> Config:
    """Return the training config of an arm."""
    cfg = Config.fromfile(CONFIGS / f'fly_pair_{arm}.py')
    stock = arm in STOCK
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = cfg[name].dataset if stock else cfg[name].dataset.dataset
        dataset.data_root = ''
        dataset.ann_file = str(args.out / 'data' / dataset.ann_file)
        dataset.data_prefix = dict(img=str(args.data))
    if args.pool and (pool := args.out / 'data' / f'pool_{args.pool}.pt').exists():
        cfg.train_dataloader.dataset = dict(type='PoolDataset', file=str(pool), frames=stock)
        cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = args.clips * (4 if stock else 1)
    iterations = iterations_of(arm, args)
    cfg.train_cfg = dict(by_epoch=False, max_iters=iterations)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    warm_up, decay = cfg.param_scheduler
    warm_up.end = decay.begin = max(1, iterations // 10)
    decay.end = cfg.default_hooks.checkpoint.interval = iterations
    cfg.randomness = dict(seed=seed)
    cfg.work_dir = str(args.out / arm / str(seed))
    if not stock:
        cfg.model.initializer_checkpoint = str(weights_of('initializer', args, 0))
    return cfg


def iterations_of(arm: str, args: argparse.Namespace) -> int:
    """Return the number of iterations that an arm is trained for."""
    return args.initializer_iterations if arm == 'initializer' else args.iterations


def weights_of(arm: str, args: argparse.Namespace, seed: int) -> Path:
    """Return the checkpoint of a finished training."""
    return args.out / arm / str(seed) / f'iter_{iterations_of(arm, args)}.pth'


def trained(arm: str, args: argparse.Namespace, seed: int) -> nn.Module:
    """Train an arm unless it is finished; return its estimator of clips."""
    cfg = config_of(arm, args, seed)
    if arm != 'repeat' and not (file := weights_of(arm, args, seed)).exists():
        Runner.from_cfg(cfg).train()
    if arm in STOCK:
        # A stock model evaluated on clips is an initializer that runs on every frame.
        clips = config_of('initializer_per_frame', args, seed).model
        clips.update(initializer=cfg.model, initializer_checkpoint=str(file))
        model = MODELS.build(clips)
        model.init_weights()
    else:
        model = MODELS.build(cfg.model)
        model.init_weights()
        if arm != 'repeat':
            model.load_state_dict(torch.load(file, weights_only=False)['state_dict'])
    return model.eval()


def test_batches(args: argparse.Namespace) -> list:
    """Return the tracks of the test as batches, with decoded pictures."""
    dataset = ClipDataset(config_of('dkd', args, 0).test_dataloader.dataset.dataset)
    return list(DataLoader(dataset, batch_size=9, collate_fn=pseudo_collate))


def evaluate(model: nn.Module, batches: list) -> dict[str, float]:
    """Return PCK in percent, and errors in pixels of the crop early and late in the tracks."""
    tracks = [clip for batch in batches for clip in model.test_step(batch)]
    poses, true, seen, sizes, errors = [], [], [], [], []
    for clip in tracks:
        for t, sample in enumerate(clip.data_samples):
            pose, label = sample.pred_instances.keypoints, sample.gt_instances.keypoints
            visible = sample.gt_instances.keypoints_visible.reshape(1, -1) > 0
            box = sample.gt_instances.bboxes[0]
            poses.append(pose), true.append(label), seen.append(visible)
            sizes.append(np.full((1, 2), max(box[2:] - box[:2])))
            scale = sample.input_size[0] / sample.input_scale[0]
            errors += [(t, scale * e) for e in np.linalg.norm(pose - label, axis=-1)[visible]]
    arrays = [np.concatenate(parts) for parts in (poses, true, seen)]
    found = {
        f'PCK@{thr}': 100 * keypoint_pck_accuracy(*arrays, thr, np.concatenate(sizes))[1]
        for thr in (0.05, 0.1, 0.2)
    }
    frames, pixels = np.array(errors).T
    for name, (start, stop) in SPANS.items():
        found[name] = pixels[(frames >= start) & (frames < stop)].mean()
    return {name: float(value) for name, value in found.items()}


def run(arm: str, args: argparse.Namespace, seed: int, batches: list) -> None:
    """Train and evaluate an arm, and write its results."""
    target = args.out / arm / f'{seed}.json'
    settings = dict(iterations=iterations_of(arm, args), clips=args.clips, pool=args.pool)
    if target.exists():
        done = json.loads(target.read_text())
        if wrong := {name: done[name] for name in settings if done[name] != settings[name]}:
            raise UserError(f'{target} is of a run with {wrong}. Give the same, or another --out.')
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    model = trained(arm, args, seed)
    result = dict(arm=arm, seed=seed, **settings, every={})
    for every in (1,) if arm in STOCK else EVERY:
        model.reinitialize_every = every
        result['every'][str(every)] = evaluate(model, batches)
        print(arm, seed, every, result['every'][str(every)], flush=True)
    result |= size_of(model, per_frame=arm in STOCK)
    write_text(target, json.dumps(result))


class OneFrame(nn.Module):
    """Network of one frame: the initializer, or the step that follows it."""

    def __init__(self, model: nn.Module, per_frame: bool):
        super().__init__()
        self.model, self.per_frame = model, per_frame

    def forward(self, images, heatmaps, features):
        """Return heatmaps."""
        if self.per_frame:
            return self.model.initial_heatmaps(images)
        return self.model.step(images, PoseState(heatmaps, features)).heatmaps


def example(model: nn.Module) -> tuple[torch.Tensor, ...]:
    """Return the inputs of a frame of one track."""
    width, height = model.codec.input_size
    images = torch.zeros(1, 3, height, width)
    with torch.no_grad():
        state = model.initialize(images)
    return images, state.heatmaps, state.features


def size_of(model: nn.Module, per_frame: bool) -> dict[str, float]:
    """Return the multiply-adds of a frame in millions, and the parameters in thousands."""
    counted = get_model_complexity_info(
        OneFrame(model, per_frame), inputs=example(model), show_table=False, show_arch=False
    )
    small = (model.initializer,) if per_frame else (model.backbone, model.distillator)
    if not per_frame and not model.distillator.needs_features:
        return dict(macs=0.0, parameters=0.0)
    weights = sum(weight.numel() for part in small for weight in part.parameters())
    return dict(macs=counted['flops'] / 1e6, parameters=weights / 1e3)


def latencies(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure one person's frame in onnxruntime, one thread, all arms in turns."""
    import onnxruntime

    from okdhp_mm.deploy.onnx.graph import to_onnx

    sides = {}
    for arm in (*STOCK, *FOLLOWING):
        model = trained(arm, args, 0 if arm in ONCE else args.seeds[0])
        inputs = [value.expand(2, *value.shape[1:]).clone() for value in example(model)]
        if arm in STOCK:
            graph = to_onnx(FrameGraph(model), dict(input=inputs[0]), ['output'])
            feed = dict(input=inputs[0][:1].numpy())
        else:
            names = dict(zip(('input', 'heatmaps', 'features'), inputs, strict=True))
            graph = to_onnx(OneFrame(model, False), names, ['output'])
            feed = {name: value[:1].numpy() for name, value in names.items()}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        sides[arm] = lambda session=session, feed=feed: [
            session.run(None, feed) for _ in range(RUNS)
        ]
    return paired(take_turns(sides, 21, warm_up=3))


def paired(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the milliseconds of a frame, and the ratio to the initializer in the same round."""
    found = {}
    for arm, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds['initializer'], strict=True)]
        milliseconds = 1e3 * statistics.median(values) / RUNS
        found[arm] = dict(ms=milliseconds, ratio=statistics.median(ratios))
    return found


class FrameGraph(nn.Module):
    """The initializer alone, without the inputs of the state."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images):
        """Return heatmaps."""
        return self.model.initial_heatmaps(images)


def report(out: Path) -> str:
    """Return the table of all finished runs."""
    results = [json.loads(file.read_text()) for file in sorted(out.glob('*/*.json'))]
    results = [result for result in results if 'arm' in result]
    times = out / 'latency.json'
    latency = json.loads(times.read_text()) if times.exists() else {}
    rows = [
        '| arm | initializer every | seeds | thousand parameters | MMAC | ms | x initializer '
        '| PCK@0.1 | PCK@0.2 | error, frames 1-10 | 2-10 | 31-40 |',
        f'|{"---|" * 12}',
    ]
    large = next((result['macs'] for result in results if result['arm'] == 'initializer'), None)
    for arm in ARMS:
        mine = [result for result in results if result['arm'] == arm]
        for every in mine[0]['every'] if mine else ():
            values = [result['every'][every] for result in mine]
            # On its frames, the initializer comes on top: the features are needed there, too.
            share = 0 if arm in STOCK else 1 / int(every)
            macs = mine[0]['macs'] + share * large if large else None
            cells = [f'{mine[0]["parameters"]:.1f}', '-' if macs is None else f'{macs:.1f}']
            for name in ('ms', 'ratio'):
                own = latency.get(arm, {}).get(name, 0)
                time = own + share * latency['initializer'][name] if latency else None
                cells.append('-' if time is None else f'{time:.2f}')
            cells += [
                spread([value[name] for value in values], digits)
                for name, digits in (('PCK@0.1', 1), ('PCK@0.2', 1), *((name, 2) for name in SPANS))
            ]
            rows.append(f'| {arm} | {every} | {len(mine)} | {" | ".join(cells)} |')
    return '\n'.join(rows)


def spread(values: list[float], digits: int) -> str:
    """Return the mean, and the range of several seeds."""
    mean = f'{statistics.mean(values):.{digits}f}'
    if len(values) == 1:
        return mean
    return f'{mean} ({min(values):.{digits}f} .. {max(values):.{digits}f})'


def main() -> None:
    """Parse, train what is missing, and report."""
    args = parse_args()
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    with errors_in_one_sentence():
        if not args.report:
            args.out, args.data = args.out.resolve(), args.data.resolve()
            if not (args.out / 'data' / 'test.json').exists():
                write_blocks(args.data, args.out / 'data')
            if args.pool and not (pool := args.out / 'data' / f'pool_{args.pool}.pt').exists():
                write_pool(pool, args.pool, args)
            batches = test_batches(args)
            for seed in args.seeds:
                # The initializer first: others start from its weights.
                for arm in sorted(args.arms, key=ARMS.index):
                    run(arm, args, 0 if arm in ONCE else seed, batches)
            if set(args.arms) == set(ARMS) and not (args.out / 'latency.json').exists():
                write_text(args.out / 'latency.json', json.dumps(latencies(args)))
        print(report(args.out))


if __name__ == '__main__':
    main()
