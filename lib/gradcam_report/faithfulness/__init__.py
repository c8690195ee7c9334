"""Whether the maps can be believed: metrics, baselines, and experiments with images whose decisive pixels are known."""
