"""Shared fixtures. `shared` is the folder of known answers beside the clone; tests that need it skip where it is
absent.
"""

import os
from pathlib import Path

# many tiny matrices: BLAS threads competing for two cores cost more than they give; set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# PyTensor notes where each variable of a graph was made, a quarter of the time of making one; set before it is imported
os.environ.setdefault("PYTENSOR_FLAGS", "traceback__limit=0")

import pytest

from tests.paths import SHARED


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared folder of known answers is not beside this clone")
    return SHARED
