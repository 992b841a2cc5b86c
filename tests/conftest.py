import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Ray 2.60's own use of Pydantic, seen at its import.
    config.addinivalue_line("filterwarnings", "ignore:Using extra keyword arguments on `Field`")
