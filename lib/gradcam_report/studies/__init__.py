"""Reading and comparing many trainings: ablation, peak, recipe comparison, sweep, and speed."""
