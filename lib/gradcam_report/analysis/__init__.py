"""What one run answered: its predictions and errors, which of them to show, their calibration, and the features behind
them."""
