"""What the dialect does with one file, whichever of its URLs named it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

import pyromark
from starlette.datastructures import Headers
from starlette.responses import Response

from weave_nn.services.files.api.content import Wanted, chunks_of, path_header, send_file, version_headers
from weave_nn.services.files.api.local_rest import instructions
from weave_nn.services.files.api.local_rest.addressing import Address, Target
from weave_nn.services.files.api.local_rest.errors import refusal
from weave_nn.services.files.contract import FileContent, FilesContract, NoteView, Written
from weave_nn.shared.errors import NotFound, TooLarge
from weave_nn.shared.http import ETag, ETagCondition, json_body
from weave_nn.vault import frontmatter
from weave_nn.vault.document import TargetAmbiguous, TargetNotFound, document_map, document_map_v1
from weave_nn.vault.errors import NotAFile, NotAFolder, NoteNotFound, printable
from weave_nn.vault.patch import (
    ContentPreexists,
    Operation,
    Patch,
    PatchInvalid,
    Style,
    TargetExists,
    TargetType,
    Value,
    read_target,
)
from weave_nn.vault.paths import is_note, name_of, normalize

NOTE_TYPE = "application/vnd.olrapi.note+json"
MAP_TYPE = "application/vnd.olrapi.document-map+json"
_MARKDOWN = "text/markdown; charset=utf-8"
_DEPRECATION = {"Deprecation": 'true; sunset-version="6.0"'}
_PATCH_FAILURES = (
    ContentPreexists,
    PatchInvalid,
    TargetAmbiguous,
    TargetExists,
    TargetNotFound,
    frontmatter.FrontmatterKeyExists,
    frontmatter.FrontmatterKeyMissing,
    frontmatter.FrontmatterMergeImpossible,
)


class Relations(NamedTuple):
    """The paths that a note links to, those of the notes that link to it, and its links that lead nowhere."""

    links: tuple[str, ...] = ()
    backlinks: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()


class NoRelations:
    """Stands in where no index of links is composed: every note has none."""

    def __call__(self, path: str) -> Relations:  # noqa: ARG002 - the signature of what it stands in for
        """No links."""
        return Relations()


@dataclass(frozen=True, slots=True)
class Notes:
    """The dialect's verbs on an address. Failures are `WeaveError`s, which the dialect renders."""

    contract: FilesContract
    relations: Callable[[str], Relations]
    note_limit_bytes: int

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        try:
            self.contract.stat_file(path)
        except (NotFound, NotAFile):
            return False
        return True

    def list_folder(self, path: str) -> Response:
        """The names in a folder, those of folders with a slash; one that is empty or missing is not found."""
        try:
            folder = self.contract.list_folder(path)
        except NotAFolder as error:
            raise NoteNotFound(path) from error
        names = sorted([f"{name_of(one)}/" for one in folder.folders] + [name_of(one) for one in folder.files])
        if not names and path:
            raise NoteNotFound(path)
        return json_response({"files": names})

    def get(self, address: Address, headers: Headers) -> Response:
        """A file, a view of a note, or a part of it."""
        if address.is_folder:
            return self.list_folder(address.path)
        target, style = _wanted_target(address, headers)
        accepted = headers.get("Accept", "").partition(",")[0].partition(";")[0].strip().lower()
        try:
            if target is not None:
                return self._get_target(address.path, target, style, headers, accepted)
            match accepted:
                case "application/vnd.olrapi.note+json":
                    return self._note(address.path)
                case "application/vnd.olrapi.document-map+json":
                    return self._map(address.path, headers)
                case "text/html" if is_note(address.path):
                    return _html(self.contract.read_file(address.path).content)
            return send_file(self.contract, address.path, _wanted_part(headers))
        except NotAFile as error:
            raise NoteNotFound(address.path) from error

    def put(self, address: Address, headers: Headers, body: BinaryIO) -> Response:
        """Make or replace a file, or replace a part of a note, which is made if it is missing."""
        path = _file(address)
        target, style = _wanted_target(address, headers)
        if target is None:
            seen = instructions.version_match(headers)
            return _no_content(self.contract.write_file(path, chunks_of(body), if_match=seen))
        content = body.read(self.note_limit_bytes + 1)
        if len(content) > self.note_limit_bytes:
            raise TooLarge(f"The body is larger than the {self.note_limit_bytes} bytes that a note may have.")
        return self._write_target(
            path, target, style, headers=headers, body=content, operation=Operation.REPLACE, creates=True
        )

    def post(self, address: Address, headers: Headers, body: bytes) -> Response:
        """Append to a note, which is made if it is missing, or to a part of one."""
        path = _file(address)
        target, style = _wanted_target(address, headers)
        if target is not None:
            creates = instructions.flag(headers, "Create-Target-If-Missing")
            return self._write_target(
                path, target, style, headers=headers, body=body, operation=Operation.APPEND, creates=creates
            )
        if not (instructions.content_type(headers) or "").startswith("text/"):
            raise refusal(40010, "Only text can be appended.", hint="Send it with Content-Type: text/markdown.")
        return _no_content(self.contract.append_file(path, body, if_match=instructions.version_match(headers)))

    def patch(self, address: Address, headers: Headers, body: bytes) -> Response:
        """Change a part of a note; answers with the whole note."""
        path = _file(address)
        call = instructions.read_call(address.target, headers, body)
        return self._patch(path, call.patch, call.if_match)

    def delete(self, address: Address, headers: Headers, *, permanent: bool) -> Response:
        """Move a file to the trash, or remove it."""
        path = self._present_file(address)
        self.contract.delete_file(path, if_match=instructions.version_match(headers), permanent=permanent)
        return Response(status_code=204)

    def move(self, address: Address, headers: Headers) -> Response:
        """Rename or move a file, and rewrite the links to it."""
        path = self._present_file(address)
        destination = _destination(path, headers)
        if destination != normalize(path):
            overwrite, seen = instructions.flag(headers, "Allow-Overwrite"), instructions.version_match(headers)
            destination = self.contract.move_file(path, destination, if_match=seen, overwrite=overwrite).path
        return Response(status_code=204, headers={"Content-Location": path_header(destination)})

    def copy(self, address: Address, headers: Headers) -> Response:
        """Copy a file."""
        path = self._present_file(address)
        overwrite = instructions.flag(headers, "Allow-Overwrite")
        written = self.contract.copy_file(path, _destination(path, headers), overwrite=overwrite)
        return _no_content(written)

    def note_json(self, view: NoteView) -> dict[str, Any]:
        """A note as the dialect describes it; times are milliseconds since 1970."""
        links, backlinks, unresolved = self.relations(view.info.path)
        created, modified = (round(time.timestamp() * 1000) for time in (view.info.created, view.info.modified))
        return {
            "tags": list(view.note.tag_names),
            "frontmatter": view.note.frontmatter.values,
            "stat": {"ctime": created, "mtime": modified, "size": view.info.size},
            "path": view.info.path,
            "content": view.content.decode(errors="replace"),
            "links": list(links),
            "backlinks": list(backlinks),
            "unresolvedLinks": list(unresolved),
        }

    def _note(self, path: str) -> Response:
        view = self.contract.view_note(path)
        return json_response(self.note_json(view), NOTE_TYPE, version_headers(view.info))

    def _map(self, path: str, headers: Headers) -> Response:
        read = self.contract.read_file(path)
        if instructions.version_of(headers) == "1":
            return json_response(document_map_v1(read.content), MAP_TYPE, version_headers(read.info) | _DEPRECATION)
        return json_response(document_map(read.content, version=read.info.etag), MAP_TYPE, version_headers(read.info))

    def _get_target(self, path: str, target: Target, style: Style, headers: Headers, accepted: str) -> Response:
        read = self.contract.read_file(path)
        part = read_target(
            read.content,
            target.type,
            target.address,
            scope=instructions.scope_of(headers),
            style=style,
            loose=style is Style.LITERAL,
        )
        sent = version_headers(read.info) | (_DEPRECATION if style is Style.LITERAL else {})
        if accepted == "text/html":
            if target.type is TargetType.FRONTMATTER:
                raise refusal(40054, "Frontmatter has no HTML form.", hint="Ask for application/json.")
            return _html(part if isinstance(part, bytes) else b"")
        if isinstance(part, Value):
            return json_response(part.value, headers=sent)
        return Response(part, headers=sent | {"Content-Type": _MARKDOWN})

    def _write_target(
        self,
        path: str,
        target: Target,
        style: Style,
        *,
        headers: Headers,
        body: bytes,
        operation: Operation,
        creates: bool,
    ) -> Response:
        patch = Patch(
            target_type=target.type,
            target=target.address,
            operation=operation,
            payload=instructions.payload_of(target, headers, body),
            style=style,
            loose=style is Style.LITERAL and not creates,
            create_target_if_missing=creates,
            reject_if_content_preexists=instructions.flag(headers, "Reject-If-Content-Preexists"),
        )
        return self._patch(path, patch, instructions.version_match(headers))

    def _patch(self, path: str, patch: Patch, if_match: str | None) -> Response:
        with _failing_as(patch.style):
            written = self.contract.patch_file(path, [patch], if_match=if_match)
        headers = dict(_DEPRECATION) if patch.style is Style.LITERAL else {}
        if written.warnings:
            told = [{"code": warning.code, "message": warning.message} for warning in written.warnings]
            headers["Markdown-Patch-Warnings"] = quote(json_body(told))
        return _whole(self.contract.read_file(path), headers)

    def _present_file(self, address: Address) -> str:
        """The path of a file that is there; a folder is refused, though the contract could take one."""
        if address.target is not None:
            raise NotAFile(address.path, "a part of a note")
        path = _file(address)
        self.contract.stat_file(path)
        return path


def json_response(
    document: Any, media_type: str = "application/json", headers: dict[str, str] | None = None
) -> Response:
    """A JSON response; what is no text in the vault is escaped instead of failing."""
    return Response(json_body(document), headers=(headers or {}) | {"Content-Type": f"{media_type}; charset=utf-8"})


@contextmanager
def _failing_as(style: Style) -> Iterator[None]:
    """Version 1 knows one code for all that can go wrong with a patch, and clients compare it."""
    try:
        yield
    except _PATCH_FAILURES as error:
        if style is Style.MANAGED:
            raise
        raise refusal(40080, error.detail, hint=error.hint) from error


def _file(address: Address) -> str:
    if address.is_folder:
        raise NotAFile(address.path)
    return address.path


def _wanted_target(address: Address, headers: Headers) -> tuple[Target | None, Style]:
    """The target of a request that is no PATCH, in its URL or in the headers of version 1."""
    version = instructions.version_of(headers)
    named = instructions.names_target(headers)
    if address.target is not None:
        if named:
            raise instructions.conflicting()
        return address.target, Style.LITERAL if version == "1" else Style.MANAGED
    if not named:
        return None, Style.MANAGED
    target = instructions.header_target(headers)
    if version == "2":
        raise refusal(40083, "Headers name a target with version 1 only.", hint="Name it in the URL: …/heading/A/B.")
    return target, Style.LITERAL


def _wanted_part(headers: Headers) -> Wanted:
    known = headers.get("If-None-Match")
    condition = None if known is None else ETagCondition.parse(known, "If-None-Match")
    return Wanted(headers.get("Range"), headers.get("If-Range"), condition)


def _destination(path: str, headers: Headers) -> str:
    if not headers.get("Destination"):
        raise refusal(40020, "The header Destination is missing.", hint="Give the new path, percent-encoded.")
    destination = instructions.header_path(headers, "Destination")
    return normalize(destination + name_of(path) if destination.endswith("/") else destination)


def _no_content(written: Written) -> Response:
    headers = {"ETag": str(ETag(written.etag)), "Content-Location": path_header(written.path)}
    return Response(status_code=204, headers=headers)


def _whole(read: FileContent, headers: dict[str, str]) -> Response:
    return Response(read.content, headers=headers | version_headers(read.info) | {"Content-Type": _MARKDOWN})


def _html(content: bytes) -> Response:
    text = content[frontmatter.read(content).body_start :].decode(errors="replace")
    options = pyromark.Options.ENABLE_WIKILINKS | pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_GFM
    return Response(pyromark.html(text, options=options), media_type="text/html")


def unknown_note(path: str) -> NotFound:
    """The failure of a periodic note that is not there yet."""
    return NotFound(f"There is no {printable(path)} yet.", hint="Write to it, and it is made.", error_code=40461)
