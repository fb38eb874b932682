"""Numbers for people: three digits, no more than the eye needs."""


def amount(value: float) -> str:
    """Three digits and a prefix: 12, 1.23k, 45.6M."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:
            return f"{three_digits(value / factor)}{prefix}"
    return f"{value:.0f}" if value == int(value) else three_digits(value)


def three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """One digit after the point; 0% is kept for none at all."""
    return "0%" if share == 0 else f"{100 * share:.1f}%" if share >= 0.0005 else "<0.1%"


def rate(rate: float) -> str:
    """Three digits after the point; 0 is kept for a silent layer."""
    return "0" if rate == 0 else f"{rate:.3f}" if rate >= 0.0005 else "<0.001"
