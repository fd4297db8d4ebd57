"""Text of files, made safe to be shown: what students hand in must become no page, and no formula of a spreadsheet."""

import re


def escape_markdown(text: str) -> str:
    """Return `text` so that Markdown shows its characters as they are: as one line without HTML, links and formulas.

    JupyterLab renders Markdown as HTML, so that text of a file would otherwise become part of the page.
    """
    line = re.sub(r"\s+", " ", text)
    # a backslash of the text would undo the one before the next character
    return re.sub(
        r"[\\|*$<&`]|\](?=[(\[])|:(?=//)", lambda found: "&#92;" if found[0] == "\\" else "\\" + found[0], line
    )


def code_markdown(text: str) -> str:
    """Return `text` as code in Markdown, on one line; a grave accent, which would end it, becomes an apostrophe."""
    return "`" + re.sub(r"\s+", " ", text).replace("`", "'") + "`"


def to_spreadsheet(text: str) -> str:
    """Return `text` for a cell of a CSV file: what a spreadsheet would run as a formula begins with an apostrophe."""
    return "'" + text if re.match(r"'*[=+\-@\t\r]", text) else text


def from_spreadsheet(cell: str) -> str:
    """Return the text that `to_spreadsheet` made `cell` of."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r]", cell) else cell
