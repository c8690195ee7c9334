"""Numbers, titles and progress as text, where several rooms need them alike."""

import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

SECONDS = 30.0  # between two lines of progress in a log
PROGRESS = "GRADCAM_REPORT_PROGRESS"  # "bar" or "lines", from a command that shows the progress of a chapter
LINE = "{desc} {n_fmt} of {total_fmt} {unit} in {elapsed}, {remaining} left{postfix}"


def duration(seconds: float) -> str:
    """Seconds in words of the right size: "42 s", "12.3 min", "1 h 27 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def signed(value: float) -> str:
    """Return a number with its sign and two decimals, the sign as typographers have it: -0.5 -> '−0.50'."""
    return f"{value:+.2f}".replace("-", "\u2212")


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as text: 0.9712 -> '97.1 %'."""
    return f"{100 * fraction:.{digits}f} %"


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: "1 error", "1,522 errors", "2 classes"; `plural` where an "s" is not enough."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def error_title(index: int, predicted: str, probability: float, true: str, true_probability: float) -> str:
    """Return the lines that name one prediction: its test-set index, the predicted (✗) and the true class (✓).

    Probabilities are the model's, 0-1. A right prediction gets a single class line.

        >>> print(error_title(4021, "dog", 0.971, "cat", 0.012))
        # 4021
        ✗ dog 97.1 %
        ✓ cat 1.2 %
    """
    answer = f"✓ {true} {percent(true_probability)}"
    return f"# {index}\n{answer}" if predicted == true else f"# {index}\n✗ {predicted} {percent(probability)}\n{answer}"


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """Return tqdm's progress bar, with tqdm's arguments, shown as suits where the program runs.

    On a terminal it is a bar. In a notebook it is one output that changes in place, so that an executed notebook holds
    one. Elsewhere, as in a log, it is a line every half minute. Steps shorter than that show nothing.
    """
    watched = os.environ.get(PROGRESS)
    if watched == "bar" or (watched is None and sys.stderr.isatty()):
        return tqdm(iterable, **options)
    ipython = sys.modules.get("IPython")
    if watched is None and ipython is not None and hasattr(ipython.get_ipython(), "kernel"):
        return _Lines(_output(), 1.0, iterable, **options)
    return _Lines(lambda text: print(text, file=sys.stderr, flush=True), SECONDS, iterable, **options)


class _Lines(tqdm):
    """A progress bar that hands itself as a line of text to `show`, at most every `seconds`."""

    monitor_interval = 0  # no thread of tqdm's own: a notebook would not know which output is meant

    def __init__(
        self, show: Callable[[str], None], seconds: float, iterable: Iterable[Any] | None, **options: Any
    ) -> None:
        self.show = show
        super().__init__(
            iterable, file=io.StringIO(), bar_format=LINE, mininterval=seconds, delay=seconds, miniters=1, **options
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show the present state; tqdm calls this."""
        self.show(str(self).strip())


def _output() -> Callable[[str], None]:
    """A function that shows a text in a notebook, in the place of the one before."""
    from IPython.display import display

    handle = None

    def show(text: str) -> None:
        nonlocal handle
        if handle is None:
            handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            handle.update({"text/plain": text}, raw=True)

    return show
