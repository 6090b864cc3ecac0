"""The plots of the page, as small SVG files, the same in every run."""

from pathlib import Path

from benchmarks.study.measures import mean_accuracy
from benchmarks.study.results import Results
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import MARKERS
from keras_mtl.visualization.canvas import add_legend
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import new_figure
from keras_mtl.visualization.svg import svg_style
from keras_mtl.visualization.svg import svg_text


def plot_radii(results: Results, path: Path) -> None:
    """Draws the validation accuracy of the first seed over the radius.

    Args:
        results: Runs, perhaps not all.
        path: The SVG file.
    """
    with svg_style(salt="study"):
        figure = new_figure((7.5, 3.6))
        axes = figure.subplots()
        flat = [it for it in results.experiment.methods if it.flat]
        for index, method in enumerate(flat):
            tried = results.tried(method.name)
            if not tried:
                continue
            points = [
                (record["rho"], 100 * mean_accuracy(record, "validation"))
                for record in tried
            ]
            base = results.by_seed(str(method.base)).get(0)
            if base is not None:
                accuracy = 100 * mean_accuracy(base, "validation")
                points.insert(0, (0.0, accuracy))
            axes.plot(
                *zip(*points, strict=True),
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                # Colours run out: the methods after them are dashed.
                linestyle="-" if index < len(COLOURS) else "--",
                markersize=4,
                label=method.title,
            )
        finish(axes, "radius; 0 is the base", "validation accuracy, percent")
        add_legend(axes)
        path.write_text(svg_text(figure))
