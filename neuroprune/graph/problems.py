"""What tracing found that cannot be mapped: causes, and what merely follows from them."""

from collections.abc import Iterable

from neuroprune.errors import UnsupportedNetwork


class Problems:
    """Sentences, each once, in the order in which they were found.

    unread: names of nodes that stand for something that was not understood, or that read such a node; what goes wrong
    there is taken for a consequence.
    """

    def __init__(self) -> None:
        self._sentences: dict[str, bool] = {}
        self.unread: set[str] = set()
        self._about: dict[str, set[str]] = {}

    def add(self, sentence: str, *reads: str) -> None:
        """Note a problem, which may follow from what was found of the nodes `reads`."""
        self._sentences.setdefault(sentence, any(name in self.unread for name in reads))

    def add_end(self, sentence: str, is_cause: bool = False) -> None:
        """Note a problem of the whole, which follows from any other unless it is a cause of its own."""
        self._sentences.setdefault(sentence, bool(self._sentences) and not is_cause)

    def concerns(self, sentence: str, names: Iterable[str]) -> None:
        """Note that a problem is one of the nodes `names` alone."""
        self._about.setdefault(sentence, set()).update(names)

    def forget(self, names: set[str]) -> None:
        """Leave out what concerns nothing but the nodes `names`, which the output does not depend on."""
        for sentence, about in self._about.items():
            if about and about <= names:
                self._sentences.pop(sentence, None)

    def spread(self, name: str, inputs: Iterable[str]) -> None:
        """Note that the node `name` reads `inputs`."""
        if any(each in self.unread for each in inputs):
            self.unread.add(name)

    def __bool__(self) -> bool:
        return bool(self._sentences)

    def error(self) -> UnsupportedNetwork:
        """All of them, causes first."""
        causes = [sentence for sentence, follows in self._sentences.items() if not follows]
        consequences = [sentence for sentence, follows in self._sentences.items() if follows]
        return UnsupportedNetwork([*causes, *consequences], len(consequences))
