"""One training from its parameters to its results: optimizer, schedule, range test, checkpoints, evaluation; also
several seeds, or several processes that train together."""
