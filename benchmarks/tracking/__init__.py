"""Compare trackers of poses on annotated video."""
