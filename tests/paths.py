"""Folders that tests read: the project, the witnesses' numbers, and known answers beside the clone."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
GOLDEN = ROOT / "tests" / "witness" / "golden"
