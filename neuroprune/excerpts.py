"""Text from files, fit to be quoted: short, on one line, and without characters that steer a terminal."""

import datetime
import reprlib
import unicodedata

STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode that hold control and format characters, lone surrogates, and ends of lines and paragraphs."""

PLAIN = (bool, float, type(None), bytes, datetime.date, datetime.time)
"""Types besides text, numbers and containers whose repr is bounded by what they hold."""

LONGEST = 160
"""Characters of a quoted text."""
LONGEST_VALUE = 60
WIDEST_NUMBER = 64
"""Bits of a whole number that is written out."""


def harmless(text: str, lines: bool = False) -> str:
    """`text` with a replacement character for each that a terminal would obey or not print.

    lines: whether it may have several lines, as a table has.
    """
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in STEERING and not (lines and character == "\n")
        else character
        for character in text
    )


def capped(text: object, longest: int = LONGEST) -> str:
    """A name or a message on one line, harmless, and cut after `longest` characters."""
    line = harmless(" ".join(str(text).split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def excerpt(value: object) -> str:
    """`value` as Python writes it, as far as a sentence has room; takes no longer for a value that is larger."""
    return capped(_short.repr(value))


class _Short(reprlib.Repr):
    """Looks into nothing but plain values, two levels deep."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 4
        self.maxstring = self.maxother = LONGEST_VALUE

    def repr_int(self, x: int, level: int) -> str:
        return f"a whole number of {x.bit_length()} bits" if x.bit_length() > WIDEST_NUMBER else repr(x)

    def repr_instance(self, x: object, level: int) -> str:
        if not isinstance(x, PLAIN):
            return f"<{type(x).__name__}>"
        return repr(x[:LONGEST_VALUE] if isinstance(x, bytes) else x)


_short = _Short()
