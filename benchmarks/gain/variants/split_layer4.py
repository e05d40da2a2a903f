# OKDHP whose branches part late: MobileNetV2's share most of the backbone.
method = dict(split='layer4')
