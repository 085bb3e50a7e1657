"""Change a part of a note: one primitive for every door that notes are edited through.

`apply_patch` and `replace_text` are pure: bytes in, bytes out. What the edit is not about stays as it was to the byte.
"""

from weave_nn.vault.document import Document
from weave_nn.vault.frontmatter import json_value
from weave_nn.vault.patch.blocks import patch_block, patch_within
from weave_nn.vault.patch.fields import patch_field
from weave_nn.vault.patch.instruction import (
    ContentPreexists,
    Destination,
    Operation,
    Patch,
    Patched,
    PatchInvalid,
    PatchWarning,
    Payload,
    Scope,
    Style,
    TargetExists,
    TargetType,
    Value,
)
from weave_nn.vault.patch.reading import read_target
from weave_nn.vault.patch.replacing import TextAmbiguous, TextNotFound, replace_text
from weave_nn.vault.patch.sections import patch_section

__all__ = [
    "ContentPreexists",
    "Destination",
    "Operation",
    "Patch",
    "PatchInvalid",
    "PatchWarning",
    "Patched",
    "Payload",
    "Scope",
    "Style",
    "TargetExists",
    "TargetType",
    "TextAmbiguous",
    "TextNotFound",
    "Value",
    "apply_patch",
    "read_target",
    "replace_text",
]


def apply_patch(content: bytes, patch: Patch) -> Patched:
    """The note after the patch.

    Raises `PatchInvalid`, `TargetNotFound`, `TargetAmbiguous`, `TargetExists`, `ContentPreexists`, and for frontmatter
    the errors of `weave_nn.vault.frontmatter`.
    """
    _check(patch)
    if patch.target_type is TargetType.FRONTMATTER:
        return Patched(patch_field(content, patch))
    document = Document.of(content)
    if patch.target_type is TargetType.BLOCK:
        return Patched(patch_block(document, patch))
    if patch.within is not None:
        return Patched(patch_within(document, patch))
    return patch_section(document, patch)


def _check(patch: Patch) -> None:
    if patch.operation is Operation.DELETE and patch.payload is not None:
        raise PatchInvalid("To delete takes no content.", hint="Leave it out, or use `replace`.", field="content")
    if patch.within is not None and patch.target_type is not TargetType.HEADING:
        raise PatchInvalid("`within` refines a heading target only.", field="within")
    if isinstance(patch.payload, Value):
        json_value(patch.payload.value)
    for text in (*patch.target, patch.payload):
        try:
            str(text).encode()
        except UnicodeEncodeError as error:
            raise PatchInvalid(f"{text!r} has half of a surrogate pair.", hint="Send valid Unicode.") from error
