"""Where values of tasks stay, so that an interrupted call is taken up by the next one."""

import csv
import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from bayes_bm.runtime.files import atomic_write, file_name_part, read_kept_json, write_text
from bayes_bm.runtime.tasks import Task


class Store(Protocol):
    """Where values stay. `get` gives None for what is not there; `put` gives what `get` will."""

    def get(self, task: Task) -> Any: ...

    def put(self, task: Task, value: Any) -> Any: ...


@dataclass(frozen=True)
class JsonStore:
    """Values as JSON, one file a task, `NAME-KEY.json`."""

    path: Path

    def get(self, task: Task) -> Any:
        return read_kept_json(self._file(task))

    def put(self, task: Task, value: Any) -> Any:
        write_text(self._file(task), json.dumps(value))
        return value

    def _file(self, task: Task) -> Path:
        return self.path / f"{file_name_part(task.name)}-{task.key}.json"


@dataclass(frozen=True)
class CsvStore:
    """Values as rows of one CSV, {column: value}. A task's name is what its row has in the columns `name_columns`, with
    spaces between; rows stand in the order in which they came in.
    """

    path: Path
    name_columns: tuple[str, ...]

    def get(self, task: Task) -> Any:
        return self._rows.get(task.name)

    def put(self, task: Task, value: Any) -> Any:
        if self._row_name(value) != task.name:
            raise ValueError(f"the row of {task.name} is named {self._row_name(value)}")
        import pandas as pd

        self._rows[task.name] = value
        with atomic_write(self.path) as file:
            pd.DataFrame(list(self._rows.values())).to_csv(file, index=False)
        return value

    @cached_property
    def _rows(self) -> dict[str, Any]:
        import pandas as pd

        if not self.path.is_file():
            return {}
        if not self._is_whole():
            logging.getLogger("bayes_bm").warning("%s is cut or broken: its rows are made anew", self.path)
            return {}
        return {self._row_name(row): row for row in pd.read_csv(self.path).to_dict("records")}

    def _is_whole(self) -> bool:
        """Whether the file is a table with the columns of the names, every row as long as its header."""
        try:
            text = self.path.read_text(encoding="utf-8")
            header, *rows = csv.reader(text.splitlines(), strict=True)
        except (OSError, ValueError, csv.Error):
            return False
        columns = len(set(header)) == len(header) and set(self.name_columns) <= set(header)
        return columns and text.endswith("\n") and all(len(row) == len(header) for row in rows)

    def _row_name(self, row: Any) -> str:
        # a whole number may come back from a file as 3.0
        values = (row.get(column) for column in self.name_columns)
        return " ".join(f"{value:.15g}" if isinstance(value, float) else str(value) for value in values)
