# Penn Action at 256x256 by mmpose's recipe for JHMDB. convert_penn_action of
# okdhp_mm/video/readers/penn_action.py writes train.json and test.json.
_base_ = (
    'mmpose::body_2d_keypoint/topdown_heatmap/jhmdb/td-hm_res50_8xb64-20e_jhmdb-sub1-256x256.py'
)

load_from = None
joints = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
names = ['head', *(f'{side}_{joint}' for joint in joints for side in ('left', 'right'))]
opposite = dict(left='right', right='left', head='')
metainfo = dict(
    dataset_name='penn_action',
    paper_info=dict(
        title='From Actemes to Action', homepage='http://dreamdragon.github.io/PennAction'
    ),
    keypoint_info={
        i: dict(
            name=name,
            id=i,
            color=[255, 128, 0],
            type='lower' if name.endswith(('hip', 'knee', 'ankle')) else 'upper',
            swap='_'.join(filter(None, [opposite[name.split('_')[0]], *name.split('_')[1:]])),
        )
        for i, name in enumerate(names)
    },
    skeleton_info={},
    joint_weights=[1.0] * 13,
    sigmas=[0.05] * 13,
)
model = dict(head=dict(out_channels=13), test_cfg=dict(_delete_=True, flip_test=False))
dataset = dict(
    type='CocoDataset', data_root='data/penn_action/', data_prefix=dict(img=''), metainfo=metainfo,
)  # fmt: skip
train_dataset = dict(dataset, ann_file='train.json', pipeline=_base_.train_pipeline)
val_dataset = dict(dataset, ann_file='test.json', pipeline=_base_.val_pipeline, test_mode=True)
train_dataloader = dict(dataset=dict(_delete_=True, **train_dataset))
val_dataloader = dict(dataset=dict(_delete_=True, **val_dataset))
test_dataloader = val_dataloader
# At 0.2 a pose that stands still for two frames scores 99.4.
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.1)
test_evaluator = val_evaluator
