"""Objects of the user's own modules, named `module:name`."""

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any


def is_import_path(text: str) -> bool:
    """Whether a name means an object of a module."""
    # Not those in its arguments.
    return ":" in text.partition("(")[0]


def import_object(argument: str, path: str) -> Any:
    """Returns what `module:name` names; arguments after it do not count.

    Args:
        argument: Name of the setting, for messages.
        path: The module, found in the current folder or among the installed
            packages, a colon, and a name in it.

    Raises:
        ValueError: If there is no such module or name. What goes wrong inside
            the module is raised as it is.
    """
    module_name, name = _parts(argument, path)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name != missing and not module_name.startswith(f"{missing}."):
            raise ValueError(
                f"Argument `{argument}`: the module {module_name!r} imports "
                f"{missing!r}, which is not installed. Received: "
                f"{argument}={path}"
            ) from error
        raise ValueError(
            f"Argument `{argument}`: there is no module {missing!r} in the "
            "current folder or among the installed packages. Received: "
            f"{argument}={path}"
        ) from error
    except SystemExit as error:
        raise ValueError(
            f"Argument `{argument}`: the module {module_name!r} ends the "
            "program when it is imported: put what it does as a program under "
            f'`if __name__ == "__main__":`. Received: {argument}={path}'
        ) from error
    if not hasattr(module, name):
        known = sorted(it for it in vars(module) if not it.startswith("_"))
        raise ValueError(
            f"Argument `{argument}`: the module {module_name!r} has no "
            f"{name!r}. It has: {', '.join(known) or 'nothing'}. Received: "
            f"{argument}={path}"
        )
    return getattr(module, name)


def source_digest(argument: str, path: str) -> str:
    """Returns a digest of the code behind `module:name`.

    That is the module's file, and where the module is in a package, all of
    the package's: it may import any of them.
    """
    module_name, _ = _parts(argument, path)
    spec = importlib.util.find_spec(module_name)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        # Part of the interpreter, or a folder: there is no file to watch.
        return "none"
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None and not spec.parent:
        return hashlib.sha256(origin.read_bytes()).hexdigest()[:16]
    digest = hashlib.sha256()
    for file in sorted(origin.parent.rglob("*.py")):
        digest.update(f"{file.relative_to(origin.parent)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _parts(argument: str, path: str) -> tuple[str, str]:
    module_name, _, name = path.partition("(")[0].partition(":")
    if not module_name or not name.isidentifier():
        raise ValueError(
            f"Argument `{argument}` must be the name of a module and, after a "
            f"colon, of a function in it: my_module:build. Received: "
            f"{argument}={path}"
        )
    # The folder of the command, as `python -m` has it, also for `keras-mtl`.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return module_name, name
