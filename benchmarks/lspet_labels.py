"""Write a training config of few labels for label_efficiency.py: MobileNetV2 on LSPET.

    python benchmarks/lspet_labels.py --data data/lspet --pretrained FILE --out work_dirs/lspet
    python benchmarks/label_efficiency.py work_dirs/lspet/mobilenetv2.py --labels 300 \
        --arms alone mean_teacher --seeds 0 --steps 1500 --out work_dirs/lspet/runs

`--data` is in MPII's layout. 2,800 persons are for training, with or without labels. The figures
are of 2,500 other persons, which nothing is selected on. The student has MobileNetV2's backbone
at its stock width and three deconvolutions of 64 channels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import okdhp_mm  # noqa: F401  (registers)  # isort: skip

from gain.data import annotation_files, choose, head_boxes, write
from mmengine.hub import get_config

from okdhp_mm.cli.arguments import image_size
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.recipes.convert import convert_config
from okdhp_mm.recipes.pretrained import start_from

STOCK = 'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_mobilenetv2_8xb64-210e_mpii-256x256.py'
TRAIN, SELECTION, TEST = 2800, 500, 2500


def stock_config(data: Path, out: Path, size: tuple[int, int], pretrained: str | None) -> Path:
    """Write the splits and the config of the student alone; return its file."""
    persons = json.loads(annotation_files(data)[0].read_text())
    chosen = choose(persons, TRAIN, SELECTION)
    tested = chosen.unseen[:TEST]
    train = write(out / 'train', chosen.train)
    test = write(out / 'test', tested, head_boxes(tested))
    cfg = get_config(STOCK)
    codec = dict(input_size=size, heatmap_size=tuple(side // 4 for side in size), sigma=1)
    model = dict(
        head=dict(deconv_out_channels=(64,) * 3, deconv_kernel_sizes=(4,) * 3, decoder=codec),
        test_cfg=dict(flip_test=False),
    )
    images = f'{(data / "images").resolve()}/'
    for loader, split in ((cfg.train_dataloader, train), (cfg.val_dataloader, test)):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root='', ann_file=split.annotations, data_prefix=dict(img=images)
        )
        for step in loader.dataset.pipeline:
            step.update(dict(input_size=size) if step.type == 'TopdownAffine' else {})
            step.get('encoder', {}).update(codec if step.type == 'GenerateTarget' else {})
    cfg.val_dataloader.dataset.headbox_file = test.headboxes
    cfg.train_dataloader.batch_size = 16
    cfg.merge_from_dict(
        dict(model=model, optim_wrapper=dict(optimizer=dict(lr=1e-3)), test_dataloader=None)
    )
    cfg.test_dataloader = cfg.val_dataloader
    if pretrained:
        start_from(cfg.model, pretrained, out / 'pretrained.pth')
    else:
        cfg.model.backbone.init_cfg = None
    cfg.dump(file := out / 'stock.py')
    return file


def main() -> None:
    """Parse and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, required=True, help='LSPET in the layout of MPII')
    parser.add_argument('--pretrained', help='weights of the backbone (default: from scratch)')
    parser.add_argument('--input-size', type=image_size, default=(96, 96), metavar='WxH')
    parser.add_argument('--out', type=Path, required=True, help='folder of the files')
    args = parser.parse_args()
    with errors_in_one_sentence():
        stock = stock_config(args.data, args.out, tuple(args.input_size), args.pretrained)
        file = args.out / 'mobilenetv2.py'
        convert_config(str(stock), str(file), 3, 'layer2', True)
        print(f'written: {file}')


if __name__ == '__main__':
    main()
