"""A pytest plugin for runs against a copy: it makes sure that the copy is what is tested."""

from pathlib import Path

import pytest

import resumable


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run if the package was imported from anywhere but the copy."""
    imported = Path(resumable.__file__).parents[1]
    if imported != config.rootpath:
        raise pytest.UsageError(f"{imported} is tested instead of {config.rootpath}")
