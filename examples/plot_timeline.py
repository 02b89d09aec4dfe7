"""Draw the probabilities of all emotions along a recording.

    pip install ".[cpu,plot]"
    python examples/plot_timeline.py RECORDING PICTURE.png

``e2v recognize --plot`` draws the waveform above it. This is the place to begin a picture of your
own: a timeline is a few numpy arrays.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from emotion2vec_edge.engine import Recognizer


def main(recording: Path, picture: Path) -> None:
    """One encoder pass, one picture."""
    encoding = Recognizer.load().encode(recording)
    timeline = encoding.timeline(window=1.0, hop=0.1)
    centres = (timeline.starts + timeline.ends) / 2

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    axes.stackplot(centres, timeline.scores.T, labels=timeline.labels)
    axes.set(xlabel="seconds", ylabel="probability", ylim=(0, 1), title=recording.name)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(picture)

    for segment in timeline.segments(min_seconds=0.5):
        print(f"{segment.start:6.2f} to {segment.end:6.2f} s  {segment.emotion}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
