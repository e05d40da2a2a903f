# OKDHP, our default: what the model does when nothing is said, so nothing is said here.
method = dict()
