"""Frontmatter: the YAML block of properties that opens a note.

Reading never raises: what is wrong with a block is reported in `Frontmatter.problem`. Editing splices lines, so every
byte that the edit is not about stays as it was, and refuses a block that cannot be read.
"""

from weave_nn.vault.frontmatter.editing import (
    FrontmatterKeyExists,
    FrontmatterKeyMissing,
    FrontmatterMergeImpossible,
    joined,
    merge_value,
    remove,
    rename_key,
    set_value,
)
from weave_nn.vault.frontmatter.layout import FrontmatterNotEditable
from weave_nn.vault.frontmatter.reading import MAX_BLOCK_BYTES, Frontmatter, JsonValue, json_value, read

__all__ = [
    "MAX_BLOCK_BYTES",
    "Frontmatter",
    "FrontmatterKeyExists",
    "FrontmatterKeyMissing",
    "FrontmatterMergeImpossible",
    "FrontmatterNotEditable",
    "JsonValue",
    "joined",
    "json_value",
    "merge_value",
    "read",
    "remove",
    "rename_key",
    "set_value",
]
