"""Mutants of a file, as mutmut makes them."""

import dataclasses
import os
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper
from libcst.metadata import ParentNodeProvider
from libcst.metadata import PositionProvider
from mutmut.mutation.file_mutation import Mutation
from mutmut.mutation.file_mutation import create_mutations

#: Kinds of what is changed where a value goes missing: mostly errors at once.
COARSE = (cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Call)

#: Characters that are shown on either side of a difference.
CONTEXT = 24

#: Functions whose first argument is a name for their messages.
NAMING = ("check", "required_losses", "revive")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: Path from the root.
        first: Line on which what is changed begins.
        last: Line on which it ends.
        function: First and last line of the function around it, or `None`.
        before: What is changed, as code.
        after: What it is changed to.
        is_coarse: Whether a value or an argument goes missing; if not, an
            operator, a number, a condition or a text differs.
        key: Tells it from all others of the same sources.
    """

    file: str
    first: int
    last: int
    function: tuple[int, int] | None
    before: str
    after: str
    is_coarse: bool
    key: str
    module: cst.Module = dataclasses.field(repr=False, compare=False)
    mutation: Mutation = dataclasses.field(repr=False, compare=False)

    @property
    def source(self) -> str:
        """The changed file."""
        changed = self.module.deep_replace(
            self.mutation.original_node, self.mutation.mutated_node
        )
        return changed.code

    def __str__(self):
        before, after = (
            " ".join(code.split()) for code in (self.before, self.after)
        )
        # Long calls differ in one argument.
        head = len(os.path.commonprefix([before, after])) - CONTEXT
        tail = len(os.path.commonprefix([before[::-1], after[::-1]])) - CONTEXT
        shown = (
            ("... " if head > 0 else "")
            + code[max(head, 0) : len(code) - max(tail, 0)]
            + (" ..." if tail > 0 else "")
            for code in (before, after)
        )
        return f"{self.file}:{self.first}: `{next(shown)}` -> `{next(shown)}`"


def mutants_of(root: Path, file: str) -> list[Mutant]:
    """Returns mutants of a file.

    Texts for people are left out, and `strict` of `zip`: no test sees what
    only an error elsewhere in the package would meet.

    mutmut leaves out docstrings, decorators, annotations, and what is
    decorated other than as a static method or a class method. What
    `pyproject.toml` says in `[tool.mutmut]` leaves out errors and logs.
    """
    code = (root / file).read_text()
    module, mutations, *_ = create_mutations(file, code)
    # Of the very nodes that the mutations name.
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    positions = wrapper.resolve(PositionProvider)
    parents = wrapper.resolve(ParentNodeProvider)

    def lines(node):
        while node not in positions:
            node = parents[node]
        return positions[node].start.line, positions[node].end.line

    mutants = []
    for place, mutation in enumerate(mutations):
        node = mutation.original_node
        if _is_text(mutation, parents) or _is_strict(mutation, parents):
            continue
        function = mutation.contained_by_top_level_function
        if not isinstance(function, cst.FunctionDef):
            # An attribute of a class.
            function = None
        mutants.append(
            Mutant(
                file,
                *lines(node),
                None if function is None else lines(function),
                module.code_for_node(node).strip(),
                module.code_for_node(mutation.mutated_node).strip(),
                isinstance(node, COARSE),
                f"{file} {place}",
                module,
                mutation,
            )
        )
    return mutants


def _is_text(mutation, parents):
    """Whether only people would see the change."""
    node, mutated = mutation.original_node, mutation.mutated_node
    if isinstance(node, cst.Call):
        if not _names(node):
            return False
        return _is_none(mutated.args[0]) or _same_but(
            node, mutated, m.Arg(keyword=m.Name("or_else"))
        )
    parent = parents.get(node)
    if isinstance(parent, cst.ConcatenatedString):
        return True
    if not isinstance(parent, cst.Arg):
        return False
    call = parents[parent]
    if not isinstance(call, cst.Call) or not _names(call):
        return False
    return parent is call.args[0] or m.matches(
        parent, m.Arg(keyword=m.Name("or_else"))
    )


def _is_strict(mutation, parents):
    """Whether the change is one of `strict` in a call of `zip`."""
    node, mutated = mutation.original_node, mutation.mutated_node
    strict = m.Arg(keyword=m.Name("strict"))
    if isinstance(node, cst.Call):
        return m.matches(node.func, m.Name("zip")) and _same_but(
            node, mutated, strict
        )
    return m.matches(parents.get(node, node), strict)


def _same_but(call, other, argument):
    """Whether two calls have the same arguments apart from some."""
    kept, others = (
        [arg.value for arg in each.args if not m.matches(arg, argument)]
        for each in (call, other)
    )
    return len(kept) == len(others) and all(
        a is b for a, b in zip(kept, others, strict=True)
    )


def _names(call):
    name = call.func.value if isinstance(call.func, cst.Name) else ""
    return bool(call.args) and name.startswith(NAMING)


def _is_none(argument):
    return m.matches(argument.value, m.Name("None"))
