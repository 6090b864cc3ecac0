"""Where the comparisons of several models are."""

import hashlib
import re
from pathlib import Path

#: The folder of the models' folders.
MODELS = "models"


def folder_of(output: str, model: str) -> str:
    """Returns the folder of a model's comparison.

    Args:
        output: The folder of all.
        model: Import path of the model, with arguments.
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", model).strip("_").lower()
    # Names in capitals must not meet others on any disk.
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return str(Path(output) / MODELS / f"{plain[:40]}-{digest}")
