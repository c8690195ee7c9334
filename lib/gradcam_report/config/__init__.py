"""Every choice that a rerun can make, as typed parameters; the error that a user can cause; where the checkout is.

Imports nothing else of the report, and neither torch nor numpy.
"""

from .chapters import (
    CHAPTERS,
    RETIRED,
    ChapterParams,
    ExplorerParams,
    GradCamParams,
    RangeTestParams,
    TrainingParams,
    field_names,
    for_chapter,
    hint,
    known_names,
    params_class,
    parse_params,
)
from .errors import ReportError, short
from .groups import (
    DATASET_NAMES,
    LAYERS,
    AugmentConfig,
    BenchmarkConfig,
    CacheConfig,
    CamConfig,
    DataConfig,
    ExplorerConfig,
    FaithfulnessConfig,
    LiveConfig,
    OptimConfig,
    RangeTestConfig,
    RunConfig,
    ScheduleConfig,
    SelectionConfig,
    SweepConfig,
)
from .paths import PUBLISHED, PUBLISHED_SWEEP, PUBLISHED_VARIANTS, data_folder, input_path, project_root, user_path
from .validation import Params
