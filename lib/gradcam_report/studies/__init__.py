"""Reading and comparing many trainings: ablation, recipe comparison, sweep, and measurements of speed."""
