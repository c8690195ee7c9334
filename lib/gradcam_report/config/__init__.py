"""Every choice that a rerun can make, as typed parameters; the error that a user can cause; where the checkout is.

Imports nothing else of the report, and neither torch nor numpy.
"""

from .chapters import CHAPTERS as CHAPTERS
from .chapters import RETIRED as RETIRED
from .chapters import ChapterParams as ChapterParams
from .chapters import ExplorerParams as ExplorerParams
from .chapters import GradCamParams as GradCamParams
from .chapters import RangeTestParams as RangeTestParams
from .chapters import TrainingParams as TrainingParams
from .chapters import field_names as field_names
from .chapters import for_chapter as for_chapter
from .chapters import hint as hint
from .chapters import known_names as known_names
from .chapters import params_class as params_class
from .chapters import parse_params as parse_params
from .errors import ReportError as ReportError
from .errors import short as short
from .groups import DATASET_NAMES as DATASET_NAMES
from .groups import LAYERS as LAYERS
from .groups import AugmentConfig as AugmentConfig
from .groups import BenchmarkConfig as BenchmarkConfig
from .groups import CacheConfig as CacheConfig
from .groups import CamConfig as CamConfig
from .groups import DataConfig as DataConfig
from .groups import FaithfulnessConfig as FaithfulnessConfig
from .groups import LiveConfig as LiveConfig
from .groups import OptimConfig as OptimConfig
from .groups import RangeTestConfig as RangeTestConfig
from .groups import RunConfig as RunConfig
from .groups import ScheduleConfig as ScheduleConfig
from .groups import SelectionConfig as SelectionConfig
from .groups import SweepConfig as SweepConfig
from .paths import PUBLISHED as PUBLISHED
from .paths import PUBLISHED_SWEEP as PUBLISHED_SWEEP
from .paths import PUBLISHED_VARIANTS as PUBLISHED_VARIANTS
from .paths import input_path as input_path
from .paths import project_root as project_root
from .paths import user_path as user_path
from .validation import Params as Params
