"""Reading the history: log, versions, differences, blame."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import GitFailed
from weave_nn.services.git.adapters.staging import split_nul
from weave_nn.services.git.contract import BlameLine, LogEntry, NotInVersion, UnknownRevision
from weave_nn.shared.errors import TooLarge
from weave_nn.vault.errors import printable

_FORMAT = "--format=format:%x01%H%x00%P%x00%an%x00%ae%x00%at%x00%s%x00%b%x00"
_FIELDS = 7
_KINDS = {"A": "create", "D": "delete", "R": "rename", "C": "create"}
_DIFF_OPTIONS = (
    "--no-ext-diff",
    "--no-color",
    "--find-renames",
    "--ignore-submodules=dirty",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
# Words of alphabets with two bytes a letter belong together; a Chinese character or an emoji is a word by itself. In
# the C locale expressions match bytes, and know no ranges of those above 127.
_TWO, _MORE, _REST = bytes(range(0xC2, 0xE0)), bytes(range(0xE0, 0xF8)), bytes(range(0x80, 0xC0))
_WORD = b"([A-Za-z0-9_]|[%b][%b])+|[%b][%b]+|[^[:space:]]" % (_TWO, _REST, _MORE, _REST)
_REVISION_LENGTH = 256


def resolve(repository: Repository, revision: str) -> str:
    """The id of the commit that a revision means. Raises `UnknownRevision`."""
    found = ""
    if revision and len(revision) <= _REVISION_LENGTH and revision.isprintable() and not revision.startswith("-"):
        asked = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        found = repository.git.line(*asked, codes=(0, 1, 128))
    if not re.fullmatch(r"[0-9a-f]{40,64}", found):
        raise UnknownRevision(
            f"There is no version {printable(revision)}.",
            hint="Take the id of a commit from the log.",
            field="revision",
        )
    return found


def log(repository: Repository, start: str, *, path: str | None, limit: int, skip: int = 0) -> list[LogEntry]:
    """Commits from `start` backwards: of one git path, following its renames, or of the vault."""
    if path is None:
        inside = ("--", repository.prefix) if repository.prefix else ()
        asked = [f"--max-count={limit}", f"--skip={skip}", start, *inside]
    else:
        # git counts commits that it does not show when it both skips and follows.
        asked = ["--follow", "--name-status", f"--max-count={limit + skip}", start, "--", path]
    printed = repository.git.run("--literal-pathspecs", "log", "-z", _FORMAT, *asked)
    return list(_entries(repository, printed))[0 if path is None else skip :]


def _entries(repository: Repository, printed: bytes) -> Iterator[LogEntry]:
    words = printed.split(b"\0")
    position = 0
    while position < len(words):
        if not words[position].startswith(b"\x01"):
            position += 1
            continue
        fields = [word.decode(errors="replace") for word in words[position : position + _FIELDS]]
        position += _FIELDS
        status, names = "", list[str]()
        while position < len(words) and not words[position].startswith(b"\x01"):
            word = words[position].removeprefix(b"\n")
            position += 1
            if word and not status:
                status = word.decode()
            elif word:
                names.append(os.fsdecode(word))
        yield _entry(repository, fields, status, names)


def _entry(repository: Repository, fields: list[str], status: str, names: list[str]) -> LogEntry:
    commit, parents, author, email, time, subject, body = fields
    return LogEntry(
        commit=commit[1:],
        parents=tuple(parents.split()),
        author=author,
        email=email,
        time=datetime.fromtimestamp(int(time), UTC),
        subject=subject,
        body=body.strip("\n"),
        path=repository.vault_path(names[-1]) if names else None,
        change=_KINDS.get(status[0], "update") if status else None,  # type: ignore[arg-type]  # the table has only these
        previous_path=repository.vault_path(names[0]) if len(names) == 2 else None,
    )


def path_at(repository: Repository, path: str, commit: str) -> str:
    """The name that the file, now at this git path, had in a commit. Raises `NotInVersion`."""
    if _is_blob(repository, commit, path):
        return path
    head = repository.head()
    if head is not None:
        names = repository.git.run(
            "--literal-pathspecs",
            "log",
            "-z",
            "--follow",
            "--name-status",
            "--format=",
            f"{commit}..{head}",
            "--",
            path,
        )
        renamed = _oldest_name(split_nul(names + b"\0"))
        if renamed is not None and _is_blob(repository, commit, renamed):
            return renamed
    inside = repository.vault_path(path) or path
    raise NotInVersion(
        f"{printable(inside)} is not in the version {commit[:12]}.",
        hint="Its log says in which versions it is.",
        path=inside,
    )


def _oldest_name(words: list[str]) -> str | None:
    oldest = None
    rest = iter([word.removeprefix("\n") for word in words if word.removeprefix("\n")])
    for status in rest:
        oldest = next(rest, None)
        if status[0] in "RC":
            next(rest, None)
    return oldest


def _is_blob(repository: Repository, commit: str, path: str) -> bool:
    code, printed = repository.git.outcome("cat-file", "-t", _at(commit, path), codes=(0, 1, 128))
    return code == 0 and printed.strip() == b"blob"


def read_version(repository: Repository, path: str, commit: str, *, limit_bytes: int) -> bytes:
    """A file of a commit as it would be checked out, its filters applied (line endings, large files)."""
    size = int(repository.git.line("cat-file", "-s", _at(commit, path)))
    content, complete = b"", False
    if size <= limit_bytes:
        content, complete = repository.git.head("cat-file", "--filters", _at(commit, path), limit_bytes=limit_bytes)
    if not complete:
        raise TooLarge(f"{printable(path)} has more than {limit_bytes} bytes in the version {commit[:12]}.")
    return content


def list_files(repository: Repository, commit: str, folder: str) -> list[str]:
    """The git paths of regular files in a commit, below a git path that ends with a slash, or all for ""."""
    inside = ("--", folder) if folder else ()
    printed = repository.git.run("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, *inside)
    return [entry.partition("\t")[2] for entry in split_nul(printed) if entry.startswith("100")]


def diff(
    repository: Repository, old: str, new: str | None, *, path: str | None, words: bool, limit_bytes: int
) -> tuple[str, bool]:
    """The difference as text, and whether it is whole; the git path is that of the later version."""
    options: list[str | bytes] = [*_DIFF_OPTIONS]
    if words:
        options += ["--word-diff=plain", b"--word-diff-regex=" + _WORD]
    match path, new:
        case None, _:
            sides = [old, *([new] if new else []), "--", repository.prefix or "."]
        case str(), None:
            sides = [old, "--", *dict.fromkeys((_name_or(repository, path, old), path))]
        case str(), str():
            sides = [_at(old, path_at(repository, path, old)), _at(new, path_at(repository, path, new))]
    printed, complete = repository.git.head("--literal-pathspecs", "diff", *options, *sides, limit_bytes=limit_bytes)
    return printed.decode(errors="replace"), complete


def _name_or(repository: Repository, path: str, commit: str) -> str:
    try:
        return path_at(repository, path, commit)
    except NotInVersion:
        return path


def blame(repository: Repository, path: str, commit: str | None, *, start: int, count: int) -> list[BlameLine]:
    """Where each line of a file came from. Raises `NotInVersion` for one that is not tracked."""
    version = [commit] if commit else []
    try:
        printed = repository.git.run("blame", "--porcelain", f"-L{start},+{count}", *version, "--", path)
    except GitFailed as error:
        if "has only" in error.detail:
            return []
        if "no such path" in error.detail or "no such ref" in error.detail or "cannot stat path" in error.detail:
            inside = repository.vault_path(path) or path
            raise NotInVersion(f"{printable(inside)} is not in the history.", hint="Commit it first.") from error
        raise
    return list(_blamed(printed))


def _blamed(printed: bytes) -> Iterator[BlameLine]:
    known: dict[str, dict[str, str]] = {}
    facts: dict[str, str] = {}
    commit, number = "", 0
    for raw in printed.split(b"\n"):
        if raw.startswith(b"\t"):
            committed = commit.strip("0") != ""
            yield BlameLine(
                line=number,
                text=raw[1:].decode(errors="replace").removesuffix("\r"),
                commit=commit if committed else None,
                author=facts.get("author", "") if committed else "",
                time=datetime.fromtimestamp(int(facts["author-time"]), UTC) if committed else None,
                subject=facts.get("summary", "") if committed else "",
            )
        elif found := re.match(rb"([0-9a-f]{40,64}) \d+ (\d+)", raw):
            commit, number = found[1].decode(), int(found[2])
            facts = known.setdefault(commit, {})
        else:
            name, _, value = raw.decode(errors="replace").partition(" ")
            facts[name] = value


def _at(commit: str, path: str) -> str:
    return f"{commit}:{path}"


@dataclass(frozen=True, slots=True)
class Tracking:
    """The branch on a remote that a branch follows, and how far both are apart as of the last fetch."""

    upstream: str
    remote: str
    remote_ref: str
    ahead: int
    behind: int


def tracking(repository: Repository, branch: str | None) -> Tracking | None:
    """What the branch follows; None if nothing."""
    if branch is None:
        return None
    parts = "%(upstream)%00%(upstream:remotename)%00%(upstream:remoteref)"
    printed = repository.git.line("for-each-ref", f"--format={parts}", f"refs/heads/{branch}")
    upstream, _, rest = printed.partition("\0")
    remote, _, remote_ref = rest.partition("\0")
    if not upstream:
        return None
    counted = repository.git.line("rev-list", "--left-right", "--count", f"HEAD...{upstream}", codes=(0, 128))
    ahead, behind = (int(count) for count in counted.split()) if counted else (0, 0)
    return Tracking(upstream, remote, remote_ref, ahead, behind)
