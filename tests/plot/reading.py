"""Reading a picture back: texts, labels and lines, and where they are."""

from itertools import combinations

from nti7flow.plot.labels import GID


def texts_of(artist):
    """Every text that is written somewhere in a figure or axes."""
    return [text.get_text() for text in artist.findobj(lambda a: hasattr(a, "get_text")) if text.get_text()]


def gate_labels(axes):
    return [text for text in axes.texts if text.get_gid() == GID]


def label_words(axes):
    """Texts of all labels of a plot, lines joined."""
    return [text.get_text().replace("\n", " ") for text in gate_labels(axes)]


def centre_of(axes, words):
    """Middle of the label with these words, in units of the axes (0 to 1)."""
    text = next(text for text in gate_labels(axes) if text.get_text().replace("\n", " ") == words)
    box = text.get_window_extent().transformed(axes.transAxes.inverted())
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def gate_lines(axes):
    """Lines of all gates by population: lists of (x, y)."""
    found = {}
    for line in axes.lines:
        if line.get_gid():
            found.setdefault(line.get_gid().removeprefix("gate-"), []).append(line)
    return found


def assert_labels_are_apart_and_inside(axes):
    frame = axes.get_window_extent()
    boxes = [(text.get_text(), text.get_window_extent()) for text in gate_labels(axes)]
    for words, box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1, words
    for (a, first), (b, second) in combinations(boxes, 2):
        overlap = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert min(overlap) <= 0.01, f"{a!r} on {b!r}"
