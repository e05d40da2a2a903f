# OKDHP whose branches share the whole backbone: the paper's arrangement of encoder-decoders.
method = dict(split='whole')
