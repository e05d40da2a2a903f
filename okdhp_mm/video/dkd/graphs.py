"""Names of the graphs of a DKD estimator, and of their inputs and outputs."""

INITIALIZER, STEP = 'initializer.onnx', 'dkd_step.onnx'
INPUTS = ('input', 'heatmaps', 'features')
OUTPUTS = ('keypoints', 'scores', 'next_heatmaps', 'next_features')
