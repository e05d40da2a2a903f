# OKDHP whose branches part after the second stage.
method = dict(split='layer2')
