"""Edits of frontmatter keys."""

from weave_nn.vault import frontmatter
from weave_nn.vault.document import TargetNotFound
from weave_nn.vault.frontmatter import JsonValue
from weave_nn.vault.patch.instruction import ContentPreexists, Operation, Patch, PatchInvalid, Scope, Value


def patch_field(content: bytes, patch: Patch) -> bytes:
    """Apply a patch whose target is a frontmatter key."""
    key = patch.name
    head = frontmatter.read(content)
    creates = (
        patch.create_target_if_missing and patch.scope is Scope.CONTENT and patch.operation is not Operation.DELETE
    )
    if head.editable and key not in head.values and not creates:
        raise TargetNotFound(
            f"The note has no frontmatter key {key!r}.", hint=f"It has: {', '.join(head.values) or 'none'}."
        )
    match patch.scope, patch.operation:
        case Scope.CONTENT, Operation.REPLACE:
            return frontmatter.set_value(content, key, _value(patch))
        case Scope.CONTENT, Operation.DELETE:
            return frontmatter.set_value(content, key, None)
        case Scope.CONTENT, Operation.APPEND | Operation.PREPEND:
            value = _value(patch)
            if patch.reject_if_content_preexists and _is_in(value, head.values.get(key)):
                raise ContentPreexists("The value is in the target already.", hint="Nothing has to be done.")
            at_end = patch.operation is Operation.APPEND
            return frontmatter.merge_value(content, key, value, at="end" if at_end else "start")
        case Scope.MARKER, Operation.REPLACE:
            return frontmatter.rename_key(content, key, patch.text)
        case Scope.MARKER_AND_CONTENT, Operation.DELETE:
            return frontmatter.remove(content, key)
        case Scope.MARKER_AND_CONTENT, Operation.REPLACE:
            new_key, value = _entry(patch)
            return frontmatter.set_value(frontmatter.rename_key(content, key, new_key), new_key, value)
    raise patch.impossible()


def _value(patch: Patch) -> JsonValue:
    match patch.payload:
        case Value(value):
            return value
        case str(text):
            return text
    raise PatchInvalid("A frontmatter key needs a value.", hint="Give it as `value`.", field="value")


def _entry(patch: Patch) -> tuple[str, JsonValue]:
    value = _value(patch)
    if not isinstance(value, dict) or len(value) != 1:
        raise PatchInvalid("A key together with its value is an object with one member.", field="value")
    return next(iter(value.items()))


def _is_in(value: JsonValue, present: JsonValue) -> bool:
    match value, present:
        case list(), list():
            return all(item in present for item in value)
        case _, list():
            return value in present
        case str(), str():
            return value in present
        case dict(), dict():
            return value.items() <= present.items()
    return False
