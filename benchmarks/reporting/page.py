"""A page of several documents, as Markdown and as HTML."""

from __future__ import annotations

import base64
import html
from pathlib import Path

from emotion2vec_edge.engine.files import write_file

from .document import Document

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child, td.word { text-align: left; }
img { max-width: 100%; }
.note { color: #555; font-size: 13px; }
"""


def write_page(documents: list[tuple[str, Document]], folder: Path, command: str) -> None:
    """Write README.md and report.html, and the files of each document.

    Args:
        documents: heading and document, in order.
        folder: folder of the files.
        command: the command that makes this page, shown on it.

    Raises:
        OutputError: a file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    for _, document in documents:
        document.write(folder)
    lead = "Made by"
    page = [f"# Benchmarks\n\n{lead} `{command}`.\n"]
    body = [f"<h1>Benchmarks</h1><p>{lead} <code>{html.escape(command)}</code>.</p>"]
    for heading, document in documents:
        page.append(document.markdown("##").replace(f"## {document.name}", f"## {heading}", 1))
        body.append(_html(heading, document))
    write_file(folder / "README.md", "\n".join(page).encode())
    document_html = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>emotion2vec-edge benchmarks"
        f"</title><style>{STYLE}</style><body>{''.join(body)}</body></html>\n"
    )
    write_file(folder / "report.html", document_html.encode())


def _html(heading: str, document: Document) -> str:
    facts = "".join(
        f"<li>{html.escape(line)}</li>" for line in [*document.machine.lines(), *document.models]
    )
    parts = [f"<h2>{html.escape(heading)}</h2><ul>{facts}</ul>"]
    if document.draw is not None:
        picture = base64.b64encode(document.draw(document)).decode()
        parts.append(f"<img alt='{document.name}' src='data:image/png;base64,{picture}'>")
    for table in document.tables:
        head = "".join(f"<th>{html.escape(column.name)}</th>" for column in table.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in table.cells()
        )
        parts.append(f"<h3>{html.escape(table.title)}</h3><table><tr>{head}</tr>{rows}</table>")
        if table.note:
            parts.append(f"<p class='note'>{html.escape(table.note)}</p>")
    return "".join(parts)
