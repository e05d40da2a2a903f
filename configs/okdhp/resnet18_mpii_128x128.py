# ResNet-18 on MPII, 128x128: a student for weak devices, and quick to try.
_base_ = './resnet18_mpii.py'

codec = dict(type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=2)
resized = dict(
    TopdownAffine=dict(input_size=codec['input_size']), GenerateTarget=dict(encoder=codec)
)
train_pipeline = [dict(s, **resized.get(s['type'], {})) for s in _base_.train_pipeline]
val_pipeline = [dict(s, **resized.get(s['type'], {})) for s in _base_.val_pipeline]

model = dict(head=dict(decoder=codec))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
