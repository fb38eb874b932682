"""The data folders that belong to the package: chips, network recipes and plans of experiments.

A checkout holds them at its top; a wheel carries copies inside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def hw_targets_folder() -> Path:
    """The folder of the chips' YAML files."""
    return _folder("hw_targets")


def models_folder() -> Path:
    """The folder of the network recipes' YAML files."""
    return _folder("models")


def plans_folder() -> Path:
    """The folder of the YAML files of plans of experiments."""
    return _folder("plans")


def _folder(name: str) -> Path:
    in_wheel = _PACKAGE / "_bundled" / name
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / name
