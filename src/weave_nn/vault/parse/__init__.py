"""Read one note: what `parse` finds in it, and where.

The block structure and the inline code of CommonMark come from pyromark; what only Obsidian has (wikilinks, tags,
comments, block ids, checkboxes with any status) is found by patterns in the text that is left.
"""

from weave_nn.vault.parse.note import Block, Checkbox, Heading, Link, LinkKind, Note, Outline, Problem, Tag
from weave_nn.vault.parse.parser import body_text, outline, parse

__all__ = [
    "Block",
    "Checkbox",
    "Heading",
    "Link",
    "LinkKind",
    "Note",
    "Outline",
    "Problem",
    "Tag",
    "body_text",
    "outline",
    "parse",
]
