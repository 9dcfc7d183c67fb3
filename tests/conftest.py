"""Shared fixtures. `shared` is the folder of known answers beside the clone; tests that need it skip where it is
absent.
"""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared folder of known answers is not beside this clone")
    return SHARED
