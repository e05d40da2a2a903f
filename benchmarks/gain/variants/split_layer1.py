# OKDHP whose branches part earlier.
method = dict(split='layer1')
