"""Text for a terminal, whatever it is that has been named."""

import sys
import unicodedata

#: Categories of Unicode that a terminal may take for commands, or that change
#: the order of what is shown: control, format, halves of characters,
#: separators of lines.
COMMANDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """Returns the text with escapes in place of a terminal's commands.

    Names of tasks, metrics and files, and the texts of errors may come from
    anybody. Lines and tabs stay.
    """
    return "".join(
        character
        if character in "\n\t"
        or unicodedata.category(character) not in COMMANDS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def described(error: Exception) -> str:
    """Returns what is wrong; of files the name and what the system says."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def print_error(error: Exception) -> None:
    """Writes what is wrong to the standard error, without a traceback."""
    print(printable(described(error)), file=sys.stderr)
