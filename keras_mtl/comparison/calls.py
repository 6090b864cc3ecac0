"""Names with arguments, as in `fs_mtl(rho=0.1)`: nothing is evaluated."""

import ast
import inspect
from collections.abc import Callable
from typing import Any
from typing import NamedTuple


class Call(NamedTuple):
    """A name and keyword arguments, Python literals.

    Attributes:
        name: A name, or `module:function`.
        arguments: The arguments by name.
    """

    name: str
    arguments: dict[str, Any]

    @property
    def text(self) -> str:
        """How it is written, always in the same way."""
        if not self.arguments:
            return self.name
        given = (f"{name}={it!r}" for name, it in self.arguments.items())
        return f"{self.name}({', '.join(given)})"


def split_calls(text: str) -> list[str]:
    """Splits at the commas that are outside of brackets and quotes."""
    parts, quote, depth = [""], "", 0
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "," and depth == 0:
            parts.append("")
            continue
        depth += 0 if quote else (letter in "([{") - (letter in ")]}")
        parts[-1] += letter
    return parts


def read_call(argument: str, text: str) -> Call:
    """Returns what a text names, and with which arguments.

    Args:
        argument: Name of the setting, for messages.
        text: A name, and keyword arguments in parentheses, if any.

    Raises:
        ValueError: If it is something else.
    """
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return Call(name, {})
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        if (
            not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Name)
            or call.args
        ):
            raise ValueError("they are no list of name=value")
        given: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in given:
                raise ValueError("each must have a name of its own")
            given[keyword.arg] = ast.literal_eval(keyword.value)
    except (MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"Argument `{argument}`: what is in parentheses must be arguments "
            "by name, numbers, texts, lists and the like: "
            f"fs_mtl(rho=0.1, aggregator='pcgrad'). Received: {argument}={text}"
        ) from error
    return Call(name.strip(), given)


def make(argument: str, call: Call, maker: Callable[..., Any]) -> Any:
    """Calls a class or function with the arguments of a call.

    Args:
        argument: Name of the setting, for messages.
        call: The call.
        maker: What its name means.

    Raises:
        ValueError: If there is an argument that it does not take, or one that
            it needs is missing.
    """
    allowed = arguments_of(maker)
    for name in call.arguments:
        if allowed is not None and name not in allowed:
            raise ValueError(
                f"Argument `{argument}`: {call.name!r} has no argument "
                f"{name!r}. It has: {', '.join(allowed) or 'none'}. Received: "
                f"{argument}={call.text}"
            )
    signature = inspect.signature(maker)
    try:
        signature.bind(**call.arguments)
    except TypeError as error:
        raise ValueError(
            f"Argument `{argument}`: {call.name!r} cannot be called so: "
            f"{error}. Received: {argument}={call.text}"
        ) from error
    return maker(**call.arguments)


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has an argument that can be given by name."""
    found = inspect.signature(function).parameters.get(name)
    by_name = (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return found is not None and found.kind in by_name


def arguments_of(maker: Callable[..., Any]) -> list[str] | None:
    """Returns the names of arguments, also of classes that pass some on.

    `None` for functions that take any.
    """
    makers: list[Any] = [maker]
    if inspect.isclass(maker):
        makers = [vars(base).get("__init__") for base in maker.__mro__[:-1]]
        makers = [it for it in makers if it is not None]
    found: list[str] = []
    for one in makers:
        kinds = inspect.signature(one).parameters.values()
        found += [
            it.name
            for it in kinds
            if it.name != "self"
            and it.kind not in (it.VAR_KEYWORD, it.VAR_POSITIONAL)
        ]
        if not any(it.kind == it.VAR_KEYWORD for it in kinds):
            return list(dict.fromkeys(found))
        module = getattr(one, "__module__", "") or ""
        if not module.startswith("keras_mtl") and len(makers) == 1:
            return None
        if module.startswith("keras_mtl.component"):
            # What layers of Keras take beside is of no use here.
            return list(dict.fromkeys([*found, "name"]))
    return None
