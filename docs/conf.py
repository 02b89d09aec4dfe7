"""Sphinx builds the documentation, without the network: ``tests/run docs``."""

from typing import Any

from sphinx.application import Sphinx

from emotion2vec_edge.engine import __version__

project = "emotion2vec-edge"
author = "the emotion2vec-edge contributors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # it makes a dash of the two hyphens of an option

autodoc_member_order = "bysource"
autodoc_type_aliases = {
    name: name
    for name in ("ArrayLike", "AudioSource", "Normalization", "Progress", "Samples", "TurnsSource")
}
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
# Nobody constructs results and recognizers by hand, so a class is shown without its constructor.
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__", "undoc-members": True}
toc_object_entries_show_parents = "hide"

nitpicky = True
# Without the network there is no index of the documentation of Python and numpy to refer to.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|os|pathlib|time|numpy|np)\..*"),
    ("py:class", "|".join([*autodoc_type_aliases, "NDArray", "Path", "TypeAliasForwardRef"])),
    # Types of fields that are there and not part of the public names.
    ("py:class", r"emotion2vec_edge\.engine\.(bundle|runtime)\..*|Head"),
    ("py:class", r".*\.(pulled\.ResultT|store\.Block)"),
]

html_theme = "furo"
html_title = f"emotion2vec-edge {version}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["style.css"]


def keep_first_sentence_whole(
    _app: Sphinx, what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Stop napoleon from taking the text before a field's first colon for its type.

    "float32 [dim]: mean of the frames" is a sentence. Napoleon looks for the colon in the first
    line alone, which becomes an empty comment.
    """
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> None:
    """Connect the handler above, before napoleon's own (priority 500)."""
    app.connect("autodoc-process-docstring", keep_first_sentence_whole, priority=400)
