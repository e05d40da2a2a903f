"""Write the files of this folder with sleap-io, SLEAP's own package.

They were written by sleap-io 0.9.5 on 2026-11-28: `pip install sleap-io`, then
`python tests/video/readers/sleap/write.py`. Two flies have a track. The female is labeled in the
frames 0, 1 and 5 and predicted in 1, 2, 3 and 5. The male is predicted in 0, 1, 3 and 5. Three
predictions have no track, and frame 4 is empty.
"""

from pathlib import Path

import numpy as np
import sleap_io as sio

FOLDER = Path(__file__).parent
SKELETON = sio.Skeleton(['head', 'thorax', 'tail'], edges=[('head', 'thorax')])
VIDEO = sio.Video('clip.mp4')
FEMALE, MALE = sio.Track('female'), sio.Track('male')


def labeled(x, hidden=False, corrects=None):
    points = np.array([(x, 20), (x + 10, 22), (x + 20, 25)], float)
    if hidden:
        points[1] = np.nan
    return sio.Instance.from_numpy(points, skeleton=SKELETON, track=FEMALE, from_predicted=corrects)


def predicted(x, track=None, score=0.8):
    return sio.PredictedInstance.from_numpy(
        np.array([(x, 40), (x + 10, 42), (x + 20, 45)], float),
        skeleton=SKELETON,
        point_scores=np.array([0.9, score, 0.7]),
        score=0.85,
        tracking_score=0.5,
        track=track,
    )


wrong = predicted(11.5, FEMALE)
frames = [
    [labeled(10.5), predicted(50, MALE)],
    [wrong, labeled(11, hidden=True, corrects=wrong), predicted(51, MALE, score=0.3)],
    [predicted(12, FEMALE), predicted(70)],
    [predicted(13, FEMALE), predicted(53, MALE), predicted(30), predicted(32)],
    [],
    [labeled(15), predicted(15.5, FEMALE), predicted(55, MALE)],
]
labels = sio.Labels(
    [
        sio.LabeledFrame(video=VIDEO, frame_idx=index, instances=instances)
        for index, instances in enumerate(frames)
    ],
    videos=[VIDEO],
    skeletons=[SKELETON],
    tracks=[FEMALE, MALE],
)
sio.save_slp(labels, FOLDER / 'flies.slp')
sio.save_analysis_h5(labels, FOLDER / 'flies.analysis.h5')
sio.save_csv(labels, FOLDER / 'flies.analysis.csv', format='sleap')
sio.save_csv(labels, FOLDER / 'frames.csv', format='frames')
