"""Give the persons in a video identities, from a file with poses or from the video itself."""

from pathlib import Path

from ..cli.arguments import parse_command_line, positive
from ..cli.error_exit import INCOMPLETE, errors_in_one_sentence
from ..cli.options import Options
from ..deploy.inference.detectors import build_detector
from ..deploy.inference.detectors.build import FORMS
from ..deploy.inference.engines import TorchEngine
from ..parser import command_parser
from ..video.formats import LAYOUTS, WRITERS
from ..video.modes import MODES
from ..video.run import track
from ..video.track import SMOOTHERS


def main(arguments: list[str]) -> int:
    """Parse, track and say where the results are; return the exit status."""
    parser = command_parser(
        'track',
        __doc__,
        'clip.mp4 --student student --detector rtmdet:end2end.onnx',
        'poses.json --format json csv',
    )
    add = parser.add_argument
    add('source', type=Path, help=f'a video, or a .json file with poses: {LAYOUTS}')
    add('--out', type=Path, default=Path('track_out'), help='the folder for all that is written')
    add('--force', action='store_true', help='overwrite files')
    add('--format', nargs='+', choices=WRITERS, default=['json'], help='(default: json)')
    add('--mode', choices=MODES, default='online', help='(default: %(default)s)')
    add('--settings', nargs='+', action=Options, default={}, help='of the tracker, e.g. memory=3')
    add('--smooth', choices=SMOOTHERS, default='none',
        help='smooth the poses; harms those of a good student (default: %(default)s)')  # fmt: skip
    add('--fps', type=float,
        help='frames per second (default: those of the file, of the video, or 25)')  # fmt: skip
    add('--video', type=Path, help='draw over this video (default: the source, if it is one)')
    add('--student', type=Path, help='finds the poses in a video: the folder of the export')
    add('--detector', help=f'finds the persons in a video: {FORMS}')
    add('--detect-every', type=positive, default=1, metavar='N', help='detect in each N-th frame')
    add('--device', help="as in torch, e.g. 'cuda:0' (default: a GPU if there is one)")
    args = parse_command_line(parser, arguments)
    with errors_in_one_sentence():
        done = track(
            args.source,
            args.out,
            TorchEngine(args.student, args.device) if args.student else None,
            detector=args.detector and build_detector(args.detector, args.device),
            detect_every=args.detect_every,
            film=args.video,
            formats=args.format,
            mode=args.mode,
            settings=args.settings,
            smoother=args.smooth,
            rate=args.fps,
            force=args.force,
        )
    print(*done.files, done, sep='\n')
    if done.speed:
        print(f'poses found at {done.speed}')
    if args.smooth != 'none':
        moved = 100 * done.moved
        print(f'smoothing moved the keypoints by {moved:.1f} % of the body height on average')
    for note in done.notes:
        print(f'note: {note}')
    return 0 if done.complete else INCOMPLETE
