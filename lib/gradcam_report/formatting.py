"""Numbers and titles as text, where several rooms need them alike: durations, signs, percents, titles of images."""


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
