# OKDHP, our default: what the model does when nothing is said, so nothing is said here. Its KL is
# stronger than the release's, see docs/okdhp.md.
method = dict()
