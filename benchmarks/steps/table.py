"""Tables of the results, in Markdown."""

COLUMNS = (
    "step",
    "wall ms",
    "(p10)",
    "CPU ms",
    "(p10)",
    "wall ratio",
    "(p10)",
    "CPU ratio",
    "first call s",
)


def markdown(rows, first_calls, digits=2):
    """Returns a table of the rows that `timing.summary` gives.

    Args:
        rows: The rows by name.
        first_calls: Seconds until the first step is done, by name.
        digits: Decimals of the ratios. Defaults to 2.
    """
    lines = [list(COLUMNS)]
    for name, row in rows.items():
        cells = [name]
        for key in ("wall", "wall_p10", "cpu", "cpu_p10"):
            cells.append(f"{1000 * row[key]:.2f}")
        for key in ("wall_ratio", "low_ratio", "cpu_ratio"):
            cells.append(f"{row[key]:.{digits}f}" if key in row else "")
        cells.append(f"{first_calls[name]:.1f}")
        lines.append(cells)
    return aligned(lines)


def aligned(lines):
    """Returns a table of lists of strings, the first one its head."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = [
        "-" * widths[0],
        *("-" * (width - 1) + ":" for width in widths[1:]),
    ]
    lines = [lines[0], rule, *lines[1:]]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
