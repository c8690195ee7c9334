"""`python -m gradcam_report` is `gradcam-report`."""

import sys

from .cli import main

sys.exit(main())
