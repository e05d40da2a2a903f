"""The benchmark of DKD: its table and latencies, and all of it at the size of a toy."""

import json

import cv2
import dkd
import numpy as np
import pytest
import torch

from okdhp_mm.errors import UserError

SCORES = {
    'PCK@0.05': 40.0,
    'PCK@0.1': 60.0,
    'PCK@0.2': 80.0,
    '1-10': 5.0,
    '2-10': 5.5,
    '31-40': 6.0,
}


def write_result(out, arm, seed, every, **changes):
    (out / arm).mkdir(exist_ok=True)
    result = dict(arm=arm, seed=seed, every={str(n): SCORES | changes for n in every})
    result |= dict(macs=dict(initializer=20.0, dkd=4.0).get(arm, 0.0), parameters=9.0)
    (out / arm / f'{seed}.json').write_text(json.dumps(result))


def cells(row):
    return [cell.strip() for cell in row.strip('|').split('|')]


def test_the_table_counts_the_initializer_where_it_runs(tmp_path):
    write_result(tmp_path, 'initializer', 0, [1])
    for seed, pck in ((0, 60.0), (1, 70.0)):
        write_result(tmp_path, 'dkd', seed, [40, 5], **{'PCK@0.1': pck})
    write_result(tmp_path, 'repeat', 0, [5])
    latency = dict(initializer=dict(ms=1.0, ratio=1.0), dkd=dict(ms=0.5, ratio=0.4))
    (tmp_path / 'latency.json').write_text(json.dumps(latency))
    head, _, *rows = map(cells, dkd.report(tmp_path).splitlines())
    assert {len(row) for row in rows} == {len(head)}
    cost = {(row[0], row[1]): row[4:7] for row in rows}
    assert cost == {
        ('initializer', '1'): ['20.0', '1.00', '1.00'],
        ('dkd', '40'): ['4.5', '0.53', '0.43'],
        ('dkd', '5'): ['8.0', '0.70', '0.60'],
        ('repeat', '5'): ['4.0', '0.20', '0.20'],
    }
    assert rows[1][7] == '65.0 (60.0 .. 70.0)' and rows[0][7] == '60.0'


def test_the_table_without_latency_and_initializer(tmp_path):
    write_result(tmp_path, 'dkd', 0, [40])
    *_, row = dkd.report(tmp_path).splitlines()
    assert cells(row)[4:7] == ['-', '-', '-']


def test_a_slow_round_does_not_change_the_ratio():
    seconds = dict(initializer=[1.0, 1.0, 9.0], dkd=[0.5, 0.5, 4.5])
    found = dkd.paired(seconds)
    assert found['dkd']['ratio'] == 0.5
    assert found['dkd']['ms'] == pytest.approx(1e3 * 0.5 / dkd.RUNS)


def write_flies(folder):
    """Write 160 small pictures of one fly. The last 40 are the test."""
    generator = np.random.default_rng(0)
    (folder / 'frames').mkdir(parents=True)
    images, labels = [], []
    for number in range(4 * dkd.BLOCK):
        name = f'frames/{number:04}.png'
        cv2.imwrite(str(folder / name), generator.integers(0, 256, (40, 40, 3), np.uint8))
        images.append(dict(id=number, file_name=name, frame_id=number, width=40, height=40))
        points = np.column_stack((generator.uniform(5, 35, (13, 2)), np.full(13, 2)))
        label = dict(id=number, image_id=number, category_id=1, track_id=0, iscrowd=0)
        label |= dict(bbox=[4, 4, 32, 32], keypoints=points.ravel().tolist(), num_keypoints=13)
        labels.append(label)
    content = dict(images=images, annotations=labels, categories=[dict(id=1, name='fly')])
    (folder / 'annotations.json').write_text(json.dumps(content))


def test_pictures_may_be_named_relative_to_the_data_or_to_its_frames(tmp_path):
    write_flies(tmp_path / 'data')
    file = tmp_path / 'data' / 'annotations.json'
    dkd.write_blocks(file.parent, tmp_path / 'out')
    expected = (tmp_path / 'out' / 'test.json').read_text()
    file.write_text(file.read_text().replace('frames/', ''))  # as the converters write it
    dkd.write_blocks(file.parent, tmp_path / 'out')
    assert (tmp_path / 'out' / 'test.json').read_text() == expected
    assert json.loads(expected)['images'][0]['file_name'] == 'frames/0120.png'


def test_a_short_video_has_no_test_frames(tmp_path):
    write_flies(tmp_path / 'data')
    file = tmp_path / 'data' / 'annotations.json'
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | dict(images=content['images'][:120])))
    with pytest.raises(UserError, match='no frames for test.json. Label at least 160 frames'):
        dkd.write_blocks(file.parent, tmp_path / 'out')


@pytest.mark.slow
def test_all_arms_train_and_are_timed(tmp_path, monkeypatch, capsys):
    pytest.importorskip('onnxruntime')
    write_flies(tmp_path / 'data')
    monkeypatch.setattr(torch, 'set_num_threads', lambda number: None)  # of the other tests
    monkeypatch.setattr(dkd, 'RUNS', 1)
    command = ['dkd.py', '--data', str(tmp_path / 'data'), '--out', str(tmp_path / 'out')]
    command += ['--seeds', '0', '--iterations', '2', '--clips', '2', '--pool', '4']
    monkeypatch.setattr('sys.argv', command)
    dkd.main()
    table = capsys.readouterr().out.splitlines()
    rows = [cells(line) for line in table[-15:] if not line.startswith('|-')]
    assert {row[0] for row in rows} >= set(dkd.ARMS) and '-' not in sum(rows, [])
    monkeypatch.setattr('sys.argv', [*command[:-5], '3', *command[-4:]])
    with pytest.raises(SystemExit, match="initializer/0.json is of a run with {'iterations': 2}"):
        dkd.main()
