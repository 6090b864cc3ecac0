"""Figures as SVG: the same text in every run, and fit for a page."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

#: Beginning of the identifiers of what `embedded_svg` gives hover text.
TIPS = "tips-"
XLINK = "{http://www.w3.org/1999/xlink}"


@contextlib.contextmanager
def svg_style(salt: str = "keras_mtl") -> Iterator[None]:
    """Has figures drawn and written so that their SVG is always the same.

    Text stays text, and nothing in it is taken for mathematics.

    Args:
        salt: What identifiers are made from. Defaults to `"keras_mtl"`.
    """
    from matplotlib import rc_context

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.parse_math": False,
    }
    with rc_context(style), warnings.catch_warnings():
        # Text stays text: whoever shows it has other fonts.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def svg_text(figure: Any) -> str:
    """Returns a figure as the text of an SVG file, within `svg_style`."""
    stream = io.StringIO()
    metadata = {"Date": None, "Creator": None}
    figure.savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()


def embedded_svg(
    figure: Any, label: str, tips: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Returns a figure as an element of an HTML page, within `svg_style`.

    Args:
        figure: The figure.
        label: What it shows, for those who cannot see it.
        tips: By identifier (`set_gid`, with `TIPS` before it) of curves with
            markers, the text for each marker. Defaults to `None`: none.
    """
    root = ElementTree.fromstring(svg_text(figure))
    for parent in list(root.iter()):
        for child in list(parent):
            # Its links are all that looks like an address.
            if child.tag.endswith("metadata"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if XLINK + "href" in element.attrib:
            element.set("xlink:href", element.attrib.pop(XLINK + "href"))
        if element.tag == "text":
            # That of the page; the list of others is most of the file.
            style = re.sub("font-family: [^;]*;", "", element.get("style", ""))
            element.set("style", style)
        name = element.attrib.get("id", "")
        if element.tag == "g":
            element.attrib.pop("id", None)
        if name.startswith(TIPS) and tips is not None:
            markers = [it for it in element.iter() if it.tag.endswith("use")]
            texts = tips[name.removeprefix(TIPS)]
            for marker, text in zip(markers, texts, strict=True):
                marker.set("data-tip", text)
                marker.set("tabindex", "0")
    root.attrib.pop("version", None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")
