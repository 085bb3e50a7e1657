"""Read one target of a note, in the form in which a patch that replaces it takes it."""

from weave_nn.vault.document import Document, TargetNotFound
from weave_nn.vault.frontmatter import JsonValue
from weave_nn.vault.patch.blocks import content_span
from weave_nn.vault.patch.instruction import PatchInvalid, Scope, Style, TargetType, Value
from weave_nn.vault.patch.lines import shift_levels


def read_target(
    content: bytes,
    target_type: TargetType,
    target: tuple[str, ...],
    *,
    scope: Scope = Scope.CONTENT,
    style: Style = Style.MANAGED,
    loose: bool = False,
) -> bytes | Value:
    """The bytes of a heading's or block's scope, or the `Value` of a frontmatter key.

    Managed, the levels of headings are relative to the target. Raises `TargetNotFound`, `TargetAmbiguous`, and
    `PatchInvalid` for what cannot be read.
    """
    document = Document.of(content)
    if scope is Scope.PARENT:
        raise PatchInvalid("The scope `parent` says where a section stands; it has no content.", field="scope")
    if target_type is TargetType.HEADING:
        return _section(document, target, scope, style, loose=loose)
    if len(target) != 1:
        raise PatchInvalid(f"A {target_type} target is one name, not {list(target)!r}.", field="target")
    if target_type is TargetType.BLOCK:
        return _block(document, target[0], scope)
    return Value(_field(document, target[0], scope))


def _section(document: Document, target: tuple[str, ...], scope: Scope, style: Style, *, loose: bool) -> bytes:
    section = document.section(target, loose=loose)
    content, heading = document.content, section.heading
    if scope is Scope.CONTENT:
        body = content[section.body_start : section.end]
        return shift_levels(body, -section.level)[0] if style is Style.MANAGED else body
    if heading is None:
        raise PatchInvalid("The root of a note has no marker.", hint="Use the scope `content`.", field="scope")
    if scope is Scope.MARKER:
        return heading.text.encode() if style is Style.MANAGED else content[heading.start : heading.end]
    whole = content[section.start : section.end]
    return shift_levels(whole, 1 - section.level)[0] if style is Style.MANAGED else whole


def _block(document: Document, name: str, scope: Scope) -> bytes:
    block = document.block(name)
    match scope:
        case Scope.MARKER:
            return block.id.encode()
        case Scope.MARKER_AND_CONTENT:
            return document.content[block.start : max(block.end, block.id_end)]
    start, end = content_span(document, block)
    return document.content[start:end]


def _field(document: Document, key: str, scope: Scope) -> JsonValue:
    values = document.note.frontmatter.values
    if key not in values:
        raise TargetNotFound(
            f"The note has no frontmatter key {key!r}.", hint=f"It has: {', '.join(values) or 'none'}."
        )
    match scope:
        case Scope.MARKER:
            return key
        case Scope.MARKER_AND_CONTENT:
            return {key: values[key]}
    return values[key]
