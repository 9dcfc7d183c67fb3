"""Call the command line inside the test's process."""

from typing import Any

import pytest

from bayes_bm.cli import app


def call(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as stopped:
        app.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)
