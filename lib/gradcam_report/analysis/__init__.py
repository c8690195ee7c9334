"""What one run answered.

Its predictions and errors, which test images to show, how calibrated its confidence is, and how near images are to one
another in its features.
"""
