"""Folders that tests read: the project, the witnesses' numbers, and known answers beside the clone."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
GOLDEN = ROOT / "tests" / "witness" / "golden"
LIFELINES = Path(str(importlib.util.find_spec("lifelines").origin)).parent / "datasets"
"""Data of lifelines, which takes a second to import."""
