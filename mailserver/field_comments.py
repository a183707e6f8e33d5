"""What the source says of each field of a dataclass, for listings that people read."""

import ast
import inspect
import textwrap
from typing import cast


def field_comments(kind: type) -> dict[str, str]:
    """Field name to the string below the field, else the comment behind it or in the lines above it; empty if none.

    Where the source is not at hand (a zipped or generated module) nothing is known.
    """
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return {}
    lines = source.splitlines()
    [definition] = ast.parse(source).body
    body = cast(ast.ClassDef, definition).body
    found: dict[str, str] = {}
    for position, statement in enumerate(body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        below = body[position + 1] if position + 1 < len(body) else None
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            meaning = " ".join(below.value.value.split())
        else:
            behind = lines[(statement.end_lineno or 1) - 1].encode()[statement.end_col_offset or 0 :].decode()
            meaning = behind.strip().lstrip("#").strip() or _comment_above(lines, statement.lineno - 1)
        found[statement.target.id] = meaning
    return found


def _comment_above(lines: list[str], index: int) -> str:
    comment: list[str] = []
    while index > 0 and lines[index - 1].strip().startswith("#"):
        index -= 1
        comment.insert(0, lines[index].strip().lstrip("#:").strip())
    return " ".join(comment)
