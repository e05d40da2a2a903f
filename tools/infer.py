"""Find poses in a picture, a folder of pictures or a video, by an exported student."""

import argparse
import sys
from pathlib import Path

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import errors_in_one_sentence, finite, parse_command_line
from okdhp_mm.deploy.inference.boxes import read_boxes
from okdhp_mm.deploy.inference.engines import OnnxEngine, TorchEngine
from okdhp_mm.deploy.inference.run import THRESHOLD, infer

INCOMPLETE = 3
"""Exit status if some of the input could not be read."""


def main() -> None:
    """Parse, infer and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source', type=Path, help='a picture, a folder with pictures and sub-folders, or a video'
    )
    parser.add_argument(
        '--student', type=Path, required=True, help='the folder that tools/export_student.py wrote'
    )
    parser.add_argument(
        '--out', type=Path, default='infer_out', help='the folder for all that is written'
    )
    parser.add_argument(
        '--boxes',
        type=Path,
        help='JSON with boxes around persons by file name, {"a.jpg": [[x1, y1, x2, y2], ...]}; '
        'for a video the same, or a list of boxes for each frame; [] means that there are no '
        'persons; a file that is not named is taken as one person',
    )
    parser.add_argument(
        '--threshold',
        type=finite,
        default=THRESHOLD,
        help='least score of a keypoint that is drawn (default: %(default)s)',
    )
    parser.add_argument('--device', help="as in torch, e.g. 'cuda:0' (default: what is there)")
    parser.add_argument(
        '--onnx',
        nargs='?',
        const='student.onnx',
        metavar='NAME',
        help='run this graph of the folder (default: student.onnx; student_int8.onnx is the one in '
        '8 bits) on the CPU by onnxruntime',
    )
    args = parse_command_line(parser)
    if args.onnx and args.device:
        parser.error('--onnx runs on the CPU: leave --device out')
    with errors_in_one_sentence():
        boxes = read_boxes(args.boxes) if args.boxes else None
        if args.onnx:
            engine = OnnxEngine(args.student, args.onnx)
        else:
            engine = TorchEngine(args.student, args.device)
        done = infer(args.source, engine, args.out, boxes, args.threshold)
    print(f'{done}: {args.out}/predictions and {args.out}/visualizations')
    print(*(f'note: {note}' for note in done.notes), sep='\n')
    if not done.complete:
        sys.exit(INCOMPLETE)


if __name__ == '__main__':
    main()
