"""Stock metrics for every output in one pass."""

import copy
import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS

from okdhp_mm.errors import UserError
from okdhp_mm.evaluation import MultiOutputMetric

OTHERS = ('branch1', 'branch2', 'ensemble')
NOISE = {'': 0.02, 'branch1': 0.05, 'branch2': 0.1, 'ensemble': 0.03}
PERSONS = 8
HEIGHT = 100.0


def figures(keypoints):
    """Persons and what each output predicts for them: their keypoints, more or less."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(10, HEIGHT, (PERSONS, keypoints, 2))
    predicted = {
        name: truth + rng.normal(0, noise * HEIGHT, truth.shape) for name, noise in NOISE.items()
    }
    scores = {name: rng.uniform(0.3, 1, (PERSONS, 1, keypoints)) for name in NOISE}
    return truth, predicted, scores


def samples_of(truth, predicted, scores, **extra):
    def instances(name, i):
        return dict(keypoints=predicted[name][i : i + 1], keypoint_scores=scores[name][i])

    return [
        dict(
            id=i + 1,
            img_id=i + 1,
            pred_instances=instances('', i),
            pred_outputs={name: instances(name, i) for name in OTHERS},
            gt_instances=dict(
                keypoints=truth[i : i + 1],
                keypoints_visible=np.ones((1, truth.shape[1])),
                bbox_scores=np.ones(1),
                bbox_scales=np.full((1, 2), HEIGHT),
                **extra,
            ),
        )
        for i in range(PERSONS)
    ]


@pytest.fixture(scope='module')
def coco(tmp_path_factory):
    truth, predicted, scores = figures(17)
    xyv = np.concatenate([truth, np.full((PERSONS, 17, 1), 2)], -1)
    content = dict(
        images=[dict(id=i + 1, width=128, height=128, file_name='') for i in range(PERSONS)],
        categories=[dict(id=1, name='person')],
        annotations=[
            dict(
                id=i + 1, image_id=i + 1, category_id=1, iscrowd=0, num_keypoints=17,
                area=HEIGHT**2, bbox=[0, 0, HEIGHT, HEIGHT], keypoints=xyv[i].ravel().tolist(),
            )
            for i in range(PERSONS)
        ],
    )  # fmt: skip
    file = tmp_path_factory.mktemp('coco') / 'annotations.json'
    file.write_text(json.dumps(content))
    return dict(type='CocoMetric', ann_file=str(file)), samples_of(truth, predicted, scores)


def mpii():
    return (
        dict(type='MpiiPCKAccuracy'),
        samples_of(*figures(16), head_size=np.full((1, 1), 12.0)),
    )


@pytest.fixture(params=['CocoMetric', 'MpiiPCKAccuracy'])
def case(request, coco):
    """Stock metric, samples and meta information of a data set."""
    config, samples = coco if request.param == 'CocoMetric' else mpii()
    meta = f'configs/_base_/datasets/{"coco" if request.param == "CocoMetric" else "mpii"}.py'
    return config, samples, parse_pose_metainfo(dict(from_file=meta))


def evaluate(config, samples, meta, batch_size=3):
    init_default_scope('mmpose')  # as the runner does
    evaluator = Evaluator(config)
    evaluator.dataset_meta = copy.deepcopy(meta)
    for start in range(0, len(samples), batch_size):
        evaluator.process(copy.deepcopy(samples[start : start + batch_size]), None)
    return evaluator.evaluate(len(samples)), evaluator


def alone(name, config, samples, meta):
    """The stock metric run on one output and nothing else."""
    stock = copy.deepcopy(samples)
    for sample in stock:
        outputs = sample.pop('pred_outputs')
        sample['pred_instances'] = outputs[name] if name else sample['pred_instances']
    return evaluate(config, stock, meta)[0]


def every(config):
    return dict(type='MultiOutputMetric', metric=config)


def test_each_output_has_exactly_the_figures_of_the_stock_metric_run_alone(case):
    config, samples, meta = case
    MessageHub.get_instance('parts')  # The hub of another test may name other annotations.
    figures, _ = evaluate(every(config), samples, meta)
    expected = {}
    for name in NOISE:
        for key, value in alone(name, config, samples, meta).items():
            expected[f'{name}/{key}' if name else key] = value
    assert figures == expected
    main = 'coco/AP' if config['type'] == 'CocoMetric' else 'PCK'
    assert len({figures[f'{name}/{main}' if name else main] for name in NOISE}) == len(NOISE)
    assert figures[f'branch2/{main}'] < figures[main], 'the noisier output is worse'


def test_the_deployed_output_has_the_stock_names_and_comes_first(case):
    config, samples, meta = case
    names = list(evaluate(every(config), samples, meta)[0])
    stock = list(alone('', config, samples, meta))
    assert names[: len(stock)] == stock
    assert {name.split('/')[0] for name in names[len(stock) :]} == set(OTHERS)


def test_two_epochs_in_a_row_give_the_same(case):
    config, samples, meta = case
    first, evaluator = evaluate(every(config), samples, meta)
    evaluator.process(copy.deepcopy(samples), None)
    assert evaluator.evaluate(len(samples)) == first


def test_a_prefix_of_the_users_own_follows_the_outputs_name(coco):
    config, samples = coco
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    figures, _ = evaluate(every(config | dict(prefix='mine')), samples, meta)
    assert 'mine/AP' in figures
    assert 'ensemble/mine/AP' in figures


def test_a_converter_changes_the_meta_of_each_output_once(coco):
    config, samples = coco
    shift = dict(
        type='KeypointConverter', num_keypoints=17, mapping=[(k, (k + 1) % 17) for k in range(17)]
    )
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    metric = METRICS.build(every(config | dict(gt_converter=shift)))
    for _ in range(2):
        metric.dataset_meta = copy.deepcopy(meta)
        metric.process(None, copy.deepcopy(samples))
        for name in NOISE:
            sigmas = metric._metrics[name].dataset_meta['sigmas']
            assert np.array_equal(sigmas, np.roll(meta['sigmas'], 1)), name


def test_results_are_collected_as_the_stock_metric_says(tmp_path):
    metric = METRICS.build(every(dict(type='EPE', collect_dir=str(tmp_path))))
    assert (metric.collect_device, metric.collect_dir) == ('cpu', str(tmp_path))
    metric = METRICS.build(every(dict(type='EPE', collect_device='gpu')))
    assert (metric.collect_device, metric.collect_dir) == ('gpu', None)


def test_every_output_writes_its_own_result_file(coco, tmp_path):
    config, samples = coco
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    evaluate(every(config | dict(outfile_prefix=str(tmp_path / 'results'))), samples, meta)
    names = {'': 'results', **{name: f'results_{name}' for name in OTHERS}}
    written = {
        name: json.loads((tmp_path / f'{stem}.keypoints.json').read_text())
        for name, stem in names.items()
    }
    for name, results in written.items():
        expected = samples[0]['pred_outputs'][name] if name else samples[0]['pred_instances']
        first = next(result for result in results if result['image_id'] == 1)
        given = np.reshape(first['keypoints'], (17, 3))[:, :2]
        np.testing.assert_allclose(given, expected['keypoints'][0], rtol=1e-6)


def test_several_metrics_are_wrapped_one_by_one(coco):
    config, samples = coco
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    both = [every(config), every(dict(type='EPE'))]
    figures, _ = evaluate(both, samples, meta)
    assert {'coco/AP', 'EPE', 'ensemble/EPE'} <= set(figures)


def test_predictions_of_the_deployed_output_alone_are_refused(case):
    config, samples, _ = case
    alone = [{k: v for k, v in sample.items() if k != 'pred_outputs'} for sample in samples]
    metric = METRICS.build(every(config))
    with pytest.raises(UserError, match="test_cfg.report='deployed'; set it to 'all' or use the"):
        metric.process(None, alone)


@pytest.mark.parametrize('metric', [[dict(type='EPE')], 'EPE', dict(thr=0.5)])
def test_anything_but_the_config_of_one_metric_is_refused(metric):
    with pytest.raises(UserError, match='must be the config of one stock metric'):
        MultiOutputMetric(metric)


def test_a_metric_that_does_not_store_one_result_per_sample_is_refused():
    _, samples = mpii()

    class Pooled:
        results = []

        def process(self, data_batch, data_samples):
            self.results = [len(data_samples)]

    metric = MultiOutputMetric(dict(type='EPE'))
    metric._metrics[''] = Pooled()
    with pytest.raises(UserError, match='Pooled stores 1 results for 8 samples'):
        metric.process(None, samples)


@pytest.mark.parametrize('kind', ['CocoMetric', 'EPE'])
def test_a_metric_of_parts_of_the_body_has_its_own_figures_for_every_output(coco, kind):
    config, samples = coco
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    inner = dict(type='EPE')
    if kind == 'CocoMetric':
        inner = dict(type='CocoMetric', score_mode='bbox', nms_mode='none')
        truth = json.loads(open(config['ann_file']).read())
        meta['CLASSES'] = truth['categories']
        for sample, annotation in zip(samples, truth['annotations'], strict=True):
            sample |= dict(raw_ann_info=annotation, ori_shape=(128, 128))
    partitions = dict(face=[0, 1, 2, 3, 4], legs=[11, 12, 13, 14, 15, 16])
    config = dict(type='KeypointPartitionMetric', metric=inner, partitions=partitions)
    figures, _ = evaluate(every(config), samples, meta)
    expected = {}
    for name in NOISE:
        for key, value in alone(name, config, samples, meta).items():
            expected[f'{name}/{key}' if name else key] = value
    assert figures == expected
    main = 'coco/AP' if kind == 'CocoMetric' else 'EPE'
    assert {f'face/{main}', f'branch1/legs/{main}'} <= figures.keys()


def test_a_metric_that_evaluates_in_its_own_way_is_refused_when_it_is_built():
    class Own(METRICS.get('EPE')):
        def evaluate(self, size):
            return {}

    METRICS.register_module(module=Own, name='OwnEvaluation')
    try:
        with pytest.raises(UserError, match='cannot wrap Own, which has its own `evaluate`'):
            MultiOutputMetric(dict(type='OwnEvaluation'))
    finally:
        METRICS._module_dict.pop('OwnEvaluation')
