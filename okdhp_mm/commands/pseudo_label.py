"""Label pictures or a video with a pose model, as COCO JSON with the scores of keypoints."""

from pathlib import Path

from ..cli.arguments import finite, parse_command_line, positive
from ..cli.error_exit import INCOMPLETE, errors_in_one_sentence
from ..deploy.inference.boxes import read_boxes
from ..deploy.inference.detectors import build_detector
from ..deploy.inference.detectors.build import FORMS as DETECTORS
from ..deploy.inference.engines import BATCH
from ..deploy.inference.foreign.build import FORMS, build_engine
from ..deploy.inference.pseudo_labels import LABELS, LINES, SHEET, check_source, pseudo_label
from ..deploy.inference.sources import open_source
from ..deploy.inference.summary import THRESHOLD
from ..deploy.inference.writers import check_absent
from ..parser import command_parser


def main(arguments: list[str]) -> int:
    """Parse, label and say where the files are; return the exit status."""
    parser = command_parser(
        'pseudo-label',
        __doc__,
        'photos --model student --out labels',
        'clip.mp4 --every 10 --model pose_landmark_full.tflite --detector rtmdet:end2end.onnx',
    )
    add = parser.add_argument
    add('source', help='a picture, a folder with its sub-folders, a .txt with a path per line, a '
        'video, or the number of a camera')  # fmt: skip
    add('--model', nargs='+', required=True, metavar='FILE', help=FORMS)
    add('--out', type=Path, default='pseudo_labels', help='the folder for all that is written')
    add('--boxes', type=Path, help='boxes around persons: annotations in COCO format, or JSON as '
        'for `infer` (default: from the detector)')  # fmt: skip
    add('--detector', help=f'finds the persons: {DETECTORS} (default: a picture is one person)')
    add('--detector-threshold', type=finite, default=THRESHOLD, metavar='SCORE',
        help='least score of a person (default: %(default)s)')  # fmt: skip
    add('--threshold', type=finite, default=THRESHOLD, metavar='SCORE',
        help='least score of a keypoint that becomes a label (default: %(default)s)')  # fmt: skip
    add('--every', type=positive, default=1, metavar='N', help='label every N-th frame of a video')
    add('--device', help="as in torch, e.g. 'cuda:0' (default: a GPU if there is one)")
    add('--batch', type=positive, default=BATCH, metavar='N',
        help='persons that the network takes at once (default: %(default)s)')  # fmt: skip
    add('--force', action='store_true', help='replace earlier labels')
    args = parse_command_line(parser, arguments)
    with errors_in_one_sentence():
        if not args.force:
            check_absent(args.out / name for name in (LABELS, LINES, SHEET))
        source = open_source(args.source, ignored=args.out)
        check_source(source)
        boxes = read_boxes(args.boxes) if args.boxes else None
        engine = build_engine(args.model, args.device, args.batch)
        detector = args.detector and build_detector(
            args.detector, args.device, args.detector_threshold
        )
        done = pseudo_label(source, engine, args.out, boxes, args.threshold, detector=detector,
                            every=args.every)  # fmt: skip
    print(f'{done.summary}, {done.persons} persons: {done.file}')
    print(f'{done.keypoints:.0%} of their keypoints have a score of {args.threshold:g} or more.')
    if done.sheet:
        print(f'Look at {done.sheet} before you train on them: persons from low to high scores.')
    for note in done.summary.notes:
        print(f'note: {note}')
    return 0 if done.summary.complete else INCOMPLETE
