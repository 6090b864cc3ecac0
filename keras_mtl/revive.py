"""Objects from configs that may come from anywhere.

What a config names is looked up among the registered classes before anything
is made of it: nothing is imported, called or built for a name that a file
has.
"""

from typing import Any

import keras

#: Dicts and lists within each other: more than any model of people has, and
#: few enough for Python to follow.
MOST_LEVELS = 100


def with_article(kind: str) -> str:
    """Returns a noun with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def revive(
    kind: str,
    base: type,
    config: Any,
    custom_objects: dict[str, Any] | None = None,
) -> Any:
    """Returns the component that a config describes.

    Args:
        kind: What the family is called, for messages.
        base: The class that the component must be of.
        config: What `keras.saving.serialize_keras_object` has returned.
        custom_objects: Classes by name, beside the registered ones.

    Raises:
        ValueError: If the config is no config of a registered class of the
            family.
    """
    wanted = with_article(kind)
    _check_form(wanted, config)
    name = config.get("registered_name", config.get("class_name"))
    _check_class(wanted, base, name, _registered(name, custom_objects))
    for key in ("build_config", "compile_config"):
        if config.get(key):
            raise ValueError(
                f"A config of {wanted} has no {key!r}: its state is made for "
                f"the model that it trains. Received: {config!r}"
            )
    component = keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects
    )
    if not isinstance(component, base):
        # The file says that it is the same as an object of another kind.
        _check_class(wanted, base, name, type(component))
    return component


def revive_schedule(config: dict[str, Any]) -> Any:
    """Returns the learning rate schedule that a config describes.

    Raises:
        ValueError: If it describes anything else.
    """
    schedules = keras.optimizers.schedules
    wanted = "a learning rate schedule"
    _check_form(wanted, config)
    name = config.get("registered_name") or config.get("class_name")
    cls = _registered(name, None)
    if cls is None and isinstance(name, str):
        cls = vars(schedules).get(name)
    _check_class(wanted, schedules.LearningRateSchedule, name, cls)
    return schedules.deserialize(config)


def revive_layer(
    config: Any, custom_objects: dict[str, Any] | None = None
) -> Any:
    """Returns what a config within that of a layer or model describes.

    By Keras's rules, which is also what decides on classes and lambdas.

    Raises:
        ValueError: If Keras cannot make anything of it.
        TypeError: The same, where Keras says so.
    """
    check_levels(config)
    try:
        return keras.saving.deserialize_keras_object(
            config, custom_objects=custom_objects
        )
    except (AttributeError, LookupError, RuntimeError) as error:
        raise ValueError(
            "The config of a layer cannot be read: "
            f"{type(error).__name__}: {error}. Received: {config!r}"
        ) from error


def revive_function(argument: str, config: dict[str, Any]) -> Any:
    """Returns the function that a config names.

    Args:
        argument: The argument it was given as, for the message.
        config: The config of a registered function, or of a lambda, which
            Keras refuses in its safe mode.
    """
    if config.get("class_name") == "__lambda__":
        return keras.saving.deserialize_keras_object(config)
    name = config.get("config")
    function = None
    if config.get("class_name") == "function":
        function = _registered(name, None)
    if function is None or isinstance(function, type):
        raise ValueError(
            f"Argument `{argument}` must name a function that is registered "
            "with `keras.saving.register_keras_serializable`. Received: "
            f"{argument}={config!r}"
        )
    return function


def _check_form(wanted: str, config: Any) -> None:
    check_levels(config)
    if not isinstance(config, dict) or not (
        isinstance(config.get("class_name"), str) and "config" in config
    ):
        raise ValueError(
            f"The config does not describe {wanted}: it must be a dict with "
            f'"class_name" and "config". Received: {config!r}'
        )


def _check_class(wanted: str, base: type, name: Any, cls: Any) -> None:
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise ValueError(
            f"The config does not describe {wanted}: {name!r} is no "
            f"registered subclass of `{base.__name__}`. Register a class of "
            "your own with `keras.saving.register_keras_serializable` before "
            "it is loaded."
        )


def entry(config: dict[str, Any], name: str) -> Any:
    """Returns an entry of a config, or raises `ValueError`."""
    if name not in config:
        raise ValueError(
            f"The config has no {name!r}. It has: "
            f"{', '.join(map(str, config)) or 'nothing'}."
        )
    return config[name]


def check_levels(config: Any) -> None:
    """Raises `ValueError` for a config that is nested too deep."""
    level = [config]
    for _ in range(MOST_LEVELS):
        level = [
            item
            for container in level
            if isinstance(container, (dict, list, tuple))
            for item in (
                container.values() if isinstance(container, dict) else container
            )
        ]
        if not level:
            return
    raise ValueError(
        f"The config has more than {MOST_LEVELS} levels of dicts and lists "
        "within each other: no model is like that."
    )


def _registered(name: Any, custom_objects: dict[str, Any] | None) -> Any:
    """Returns what is registered by a name, or `None`."""
    if not isinstance(name, str):
        return None
    return keras.saving.get_registered_object(name, custom_objects)
