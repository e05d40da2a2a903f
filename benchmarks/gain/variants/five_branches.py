# OKDHP with five branches instead of three.
method = dict(branches=5)
