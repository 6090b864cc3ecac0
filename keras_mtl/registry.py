"""Names, configs and instances of a family of components."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl.revive import revive
from keras_mtl.revive import with_article


def _folded(name: str) -> str:
    """Folds the spellings of one name: `"IMTLG"`, `"imtl_g"`, `"imtlg"`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def unknown_name(kind: str, name: str, allowed: Iterable[str]) -> ValueError:
    """Returns an error that names the nearest allowed names."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name.lower(), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(
        f"Unknown {kind}: {name!r}.{hint} Allowed: {', '.join(allowed)}."
    )


def wrong_type(expected: str, given: Any) -> ValueError:
    """Returns an error for what is neither a name nor an instance."""
    hint = (
        f" Make an instance of the class: `{given.__name__}(...)`."
        if isinstance(given, type)
        else ""
    )
    return ValueError(
        f"Expected {expected}. Received: {given!r} of type "
        f"{type(given).__name__}.{hint}"
    )


class Registry:
    """Turns identifiers into objects of one family.

    Args:
        kind: What the family's members are called, for error messages.
        base: Their base class.
    """

    def __init__(self, kind: str, base: type):
        self.kind = kind
        self.base = base
        self._classes: dict[str, type] = {}

        self._nameless: dict[str, type] = {}

    def register(self, name: str, cls: type) -> None:
        """Adds a class under its snake-case name."""
        self._classes[name] = cls

    def register_nameless(self, cls: type) -> None:
        """Adds a class that needs arguments, which a name does not have."""
        self._nameless[_folded(cls.__name__)] = cls

    def check_has_name(self, identifier: str) -> None:
        """Raises `ValueError` for the name of a class that needs arguments."""
        cls = self._nameless.get(_folded(identifier))
        if cls is not None:
            raise ValueError(
                f"The {self.kind} {cls.__name__} needs arguments, which a "
                f"name does not have. Pass an instance, `{cls.__name__}(...)`. "
                f"Received: {identifier!r}."
            )

    def class_of(self, name: str) -> type | None:
        """Returns the class of a name, also one that needs arguments."""
        folded = {_folded(it): cls for it, cls in self._classes.items()}
        return {**self._nameless, **folded}.get(_folded(name))

    def names(self) -> list[str]:
        """Returns all names that `get` takes."""
        return sorted(self._classes)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _folded(name) in {
            _folded(known) for known in self._classes
        }

    def get(self, identifier: Any) -> Any:
        """Returns an object for a name, a config or itself.

        Names may be spelt as the class (`"IMTLG"`) or in snake case
        (`"imtl_g"`).
        """
        if identifier is None or isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            folded = {_folded(name): cls for name, cls in self._classes.items()}
            self.check_has_name(identifier)
            if _folded(identifier) not in folded:
                raise unknown_name(self.kind, identifier, self._classes)
            return folded[_folded(identifier)]()
        raise wrong_type(
            f"{with_article(self.kind)}: a name, a config or an instance of "
            f"`{self.base.__name__}`",
            identifier,
        )

    def serialize(self, component: Any) -> dict[str, Any]:
        """Returns the config of a component."""
        return keras.saving.serialize_keras_object(component)

    def deserialize(
        self,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Any:
        """Returns a component from the config that `serialize` gave."""
        return revive(self.kind, self.base, config, custom_objects)
