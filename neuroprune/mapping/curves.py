"""Space-filling curves over rectangles."""

Place = tuple[int, int]


def hilbert_curve(columns: int, rows: int, *, upwards: bool) -> list[Place]:
    """Each x, y of a rectangle once, so that what is near along the curve is near in the rectangle.

    Begins at 0, 0 and ends in the next corner along y, or along x where it does not go `upwards`. This is Hilbert's
    curve (1891) for sides of any length: halves that are rounded to even lengths in place of powers of two. Each step
    goes to a neighbour; where a side is odd, one step may go to a diagonal neighbour, and the end be beside the corner.
    """
    along, across = (rows * 1j, complex(columns)) if upwards else (complex(columns), rows * 1j)
    return [(round(each.real), round(each.imag)) for each in _curve(0j, along, across)]


def _curve(corner: complex, along: complex, across: complex) -> list[complex]:
    """The rectangle that two vectors span from `corner`, real along x; the curve ends at the far end of `along`."""
    length, width = round(abs(along)), round(abs(across))
    step, aside = along / length, across / width
    if width == 1:
        return [corner + number * step for number in range(length)]
    if length == 1:
        return [corner + number * aside for number in range(width)]
    if 2 * length > 3 * width:  # two parts, one after the other
        half = _half(length) * step
        return _curve(corner, half, across) + _curve(corner + half, along - half, across)
    out, half = _half(width) * aside, (length // 2) * step
    return (
        _curve(corner, out, half)
        + _curve(corner + out, along, across - out)
        + _curve(corner + along - step + out - aside, -out, half - along)
    )


def _half(size: int) -> int:
    """Half of it, rounded so that the first part is even where it can be."""
    half = size // 2
    return half + 1 if half % 2 and size > 2 else half
