"""Docstrings of this project as Markdown.

They are plain text with a form of their own: sentences; what each argument or field is, written `name: what it is` or
`name, name: what they are` at the start of a line or after a full stop; and a sentence that begins with Raises. On a
page each of the names is an item of a list.
"""

import re
from typing import Any

import griffe

_ITEM = re.compile(r"^(\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}[A-Za-z_][\w.]*)*): (?=\S)")
_INLINE = re.compile(r"(?:(?<=\.)|;)\s+([a-z_]\w*(?:, [a-z_]\w*)*):\s+")
_CODE = re.compile(r"`[^`]*`")


class PlainDocstrings(griffe.Extension):
    """Gives the site every docstring as Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object whose source has been read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """`docstring`, already without its indentation, as Markdown that shows it as it is."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", docstring.strip("\n")) if part.strip())


def _paragraph(text: str) -> str:
    if all(line.startswith("    ") for line in text.splitlines()):
        return text  # a drawing or code, which Markdown shows as it is
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    text, raises, errors = text.partition("\nRaises ")
    if raises:
        return f"{_paragraph(text)}\n\n{_escape(raises.lstrip() + errors)}"
    lines = _INLINE.sub(r"\n\1: ", text).splitlines()
    items: list[tuple[str, list[str]]] = [("", [])]
    for line in lines:
        match = _ITEM.match(line)
        if match:
            items.append((match[1], [line[match.end() :]]))
        else:
            items[-1][1].append(line)
    before, *named = items
    parts = [_escape("\n".join(before[1]))] if before[1] else []
    parts += ["\n".join(f"- {_names(names)}: {_escape(_indent(text))}" for names, text in named)] if named else []
    return "\n\n".join(parts)


def _names(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _indent(lines: list[str]) -> str:
    return "\n    ".join(line.strip() for line in lines)


def _escape(text: str) -> str:
    """Stars, brackets and the like mean themselves outside of `code`."""
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [re.sub(r"([*_<>\[\]\\])", r"\\\1", text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, re.sub(r"([*_<>\[\]\\])", r"\\\1", text[end:])])
