"""Find poses in pictures, a video, a camera or a URL with an exported student."""

from pathlib import Path

from ..cli.arguments import finite, parse_command_line, positive
from ..cli.error_exit import INCOMPLETE, errors_in_one_sentence
from ..deploy.inference.boxes import read_boxes
from ..deploy.inference.detectors import build_detector
from ..deploy.inference.detectors.build import FORMS
from ..deploy.inference.engines import BATCH, Engine, OnnxEngine, TorchEngine
from ..deploy.inference.run import THRESHOLD, infer
from ..parser import command_parser
from ..video.track import LiveIdentities


def main(arguments: list[str]) -> int:
    """Parse, infer and say where the results are; return the exit status."""
    parser = command_parser(
        'infer',
        __doc__,
        'photos --student student --csv',
        'clip.mp4 --student student --onnx --detector rtmdet:end2end.onnx --track',
    )
    add = parser.add_argument
    add('source', help='a picture, a folder with its sub-folders, a .txt with a path per line, a '
        'video, the number of a camera (0), or a URL')  # fmt: skip
    add('--student', type=Path, required=True, help='the folder that the export wrote')
    add('--out', type=Path, default='infer_out', help='the folder for all that is written')
    add('--detector', help=f'finds the persons: {FORMS} (default: a picture is one person)')
    add('--detector-threshold', type=finite, default=THRESHOLD, metavar='SCORE',
        help='least score of a person (default: %(default)s)')  # fmt: skip
    add('--detect-every', type=positive, default=1, metavar='N',
        help='detect in every N-th frame; between, boxes follow the last poses')  # fmt: skip
    add('--boxes', type=Path, help='JSON with boxes around persons by file name, {"a.jpg": [[x1, '
        'y1, x2, y2], ...]}; for a video the same, or a list of boxes for each frame; [] stands '
        'for a picture without persons')  # fmt: skip
    add('--threshold', type=finite, default=THRESHOLD, metavar='SCORE',
        help='least score of a keypoint that is drawn (default: %(default)s)')  # fmt: skip
    add('--show', action='store_true', help='show the drawings in a window')
    add('--csv', action='store_true', help='write all poses to OUT/poses.csv')
    add('--coco', action='store_true', help='write all poses to OUT/coco_results.json')
    add('--device', help="as in torch, e.g. 'cuda:0' (default: a GPU if there is one)")
    add('--batch', type=positive, default=BATCH, metavar='N',
        help='persons that the network takes at once (default: %(default)s)')  # fmt: skip
    add('--onnx', nargs='?', const='student.onnx', metavar='NAME',
        help='run this graph of the folder (default: student.onnx; student_int8.onnx is the one in '
        '8 bits) by onnxruntime, on the CPU unless --device says cuda')  # fmt: skip
    add('--track', action='store_true', help='give the persons in a video identities (track_id)')
    add('--force', action='store_true', help='overwrite older results')
    args = parse_command_line(parser, arguments)
    with errors_in_one_sentence():
        boxes = read_boxes(args.boxes) if args.boxes else None
        engine: Engine
        if args.onnx:
            engine = OnnxEngine(args.student, args.onnx, args.device, args.batch)
        else:
            engine = TorchEngine(args.student, args.device, args.batch)
        detector = args.detector and build_detector(
            args.detector, args.device, args.detector_threshold
        )
        identities = LiveIdentities(engine.skeleton, args.threshold) if args.track else None
        done = infer(args.source, engine, args.out, boxes, args.threshold, detector=detector,
                     detect_every=args.detect_every, show=args.show, csv=args.csv,
                     coco=args.coco, identities=identities,
                     force=args.force)  # fmt: skip
    print(f'{done}: {args.out}/predictions and {args.out}/visualizations')
    if done.speed:
        print(done.speed)
    for note in done.notes:
        print(f'note: {note}')
    return 0 if done.complete else INCOMPLETE
