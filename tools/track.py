"""Give the poses of a video identities: of a file with poses, or of a video by a student."""

import argparse
from pathlib import Path

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import Options, errors_in_one_sentence, parse_command_line, positive
from okdhp_mm.deploy.inference.detectors import build_detector
from okdhp_mm.deploy.inference.detectors.build import FORMS
from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.deploy.inference.run import infer
from okdhp_mm.errors import UserError
from okdhp_mm.video.formats import LAYOUTS, WRITERS, read_poses
from okdhp_mm.video.modes import MODES
from okdhp_mm.video.track import SMOOTHERS, draw_video, smooth_video, track_video


def main() -> None:
    """Parse, track and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('source', type=Path, help=f'a video, or a .json file with poses: {LAYOUTS}')
    add('--out', type=Path, default=Path('track_out'), help='the folder for all that is written')
    add('--format', nargs='+', choices=WRITERS, default=['json'], help='(default: json)')
    add('--mode', choices=MODES, default='online', help='(default: %(default)s)')
    add('--settings', nargs='+', action=Options, default={}, help='of the tracker, e.g. memory=3')
    add('--smooth', choices=SMOOTHERS, default='none',
        help='smooth the poses; harms those of a good student (default: %(default)s)')  # fmt: skip
    add('--fps', type=float, help='frames per second (default: those of the file, or 25)')
    add('--video', type=Path, help='draw over this video (default: the source, if it is one)')
    add('--student', type=Path, help='finds the poses in a video: the folder of the export')
    add('--detector', help=f'finds the persons in a video: {FORMS}')
    add('--detect-every', type=positive, default=1, metavar='N', help='detect in each N-th frame')
    add('--device', help="as in torch, e.g. 'cuda:0' (default: a GPU if there is one)")
    args = parse_command_line(parser)
    with errors_in_one_sentence():
        args.out.mkdir(parents=True, exist_ok=True)
        poses = args.source
        if args.source.suffix.lower() != '.json':
            if args.student is None:
                raise UserError(f'{args.source} is not a .json file with poses. To find the poses '
                                'in a video, name a student: --student FOLDER.')  # fmt: skip
            detector = args.detector and build_detector(args.detector, args.device)
            engine = TorchEngine(args.student, args.device)
            infer(args.source, engine, args.out, detector=detector, detect_every=args.detect_every)
            poses = args.out / 'predictions' / f'{args.source.stem}.json'
        film = args.video or (args.source if args.student else None)
        video = read_poses(poses, args.fps)
        count = track_video(video, args.mode, **args.settings)
        moved = smooth_video(video, args.smooth)
        for name in args.format:
            suffix = 'csv' if name == 'csv' else 'json'
            file = args.out / f'{args.source.stem}_{name}.{suffix}'
            WRITERS[name](file, video)
            print(file)
        if film:
            drawn = args.out / f'{args.source.stem}_tracks.mp4'
            draw_video(film, video, drawn)
            print(drawn)
    poses = sum(len(frame.ids) for frame in video.frames)
    print(f'{count} identities for {poses} poses in {len(video.frames)} frames')
    if args.smooth != 'none':
        print(f'smoothing moved the keypoints by {100 * moved:.1f} % of the body height on average')


if __name__ == '__main__':
    main()
