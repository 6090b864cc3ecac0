"""`scripts/build_notebooks.py`, imported from where it is."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPT = ROOT / "scripts" / "build_notebooks.py"

spec = importlib.util.spec_from_file_location("build_notebooks", SCRIPT)
builder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(builder)
