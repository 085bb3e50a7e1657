"""Running git: never through a shell, never waiting for a person, never for ever.

What the user configured (hooks, attributes, signing, credential helpers) stays in force; only questions at a terminal
are answered with no, and messages are English so that they can be told apart.
"""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

from weave_nn.shared.errors import Conflict, NotFound, Unavailable, WeaveError

# What git sets for its hooks and a calling script may have set for itself: it would lead to another repository.
_REPOSITORY_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
    }
)
_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    # Looking must not take the index lock away from the user.
    "GIT_OPTIONAL_LOCKS": "0",
}
_ENDING_SECONDS = 5.0


class GitFailed(WeaveError):
    """git refused; the detail is what it said."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "git_failed"
    title = "git failed"


class GitMissing(Unavailable):
    """There is no git command."""

    code = "git_missing"
    title = "git is not installed"


class GitTimeout(Unavailable):
    """git, or a hook that it ran, took too long and was ended."""

    code = "git_timeout"
    title = "git took too long"


class NoRepository(NotFound):
    """The vault is in no git repository with a working tree."""

    code = "no_repository"
    title = "No git repository"


class RepositoryNotTrusted(Conflict):
    """The repository belongs to another user, and git refuses to work in it."""

    code = "repository_not_trusted"
    title = "Repository of another user"


@dataclass(frozen=True, slots=True)
class Git:
    """The git command in `folder`. `environment` is the whole environment that it gets; make it with `open`.

    Its methods raise `GitFailed`, `GitMissing`, `GitTimeout`, `NoRepository` or `RepositoryNotTrusted`.
    """

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    timeout_seconds: float = 60.0

    @classmethod
    def open(cls, folder: Path, environment: Mapping[str, str], *, timeout_seconds: float = 60.0) -> "Git":
        """Git as this user has set it up; `environment` is the process's own."""
        inherited = {name: value for name, value in environment.items() if name not in _REPOSITORY_VARIABLES}
        return cls(folder, {**inherited, **_FIXED}, timeout_seconds)

    def at(self, folder: Path) -> "Git":
        """The same in another folder."""
        return replace(self, folder=folder)

    def with_environment(self, **variables: str) -> "Git":
        """The same with these variables set."""
        return replace(self, environment={**self.environment, **variables})

    def within(self, timeout_seconds: float) -> "Git":
        """The same with another limit of time."""
        return replace(self, timeout_seconds=timeout_seconds)

    def run(self, *arguments: str | bytes, stdin: bytes = b"", codes: Sequence[int] = (0,)) -> bytes:
        """What git prints; any exit code outside of `codes` raises."""
        return self.outcome(*arguments, stdin=stdin, codes=codes)[1]

    def line(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        """The one line that git prints, without its end; "" if it prints nothing."""
        return os.fsdecode(self.run(*arguments, codes=codes).removesuffix(b"\n"))

    def succeeds(self, *arguments: str) -> bool:
        """Whether git exits with 0 rather than 1."""
        return self.outcome(*arguments, codes=(0, 1))[0] == 0

    def outcome(self, *arguments: str | bytes, stdin: bytes = b"", codes: Sequence[int] = (0,)) -> tuple[int, bytes]:
        """The exit code, one of `codes`, and what git prints."""
        # Its errors go to a file: a daemon that a hook leaves behind would keep a pipe open.
        with tempfile.TemporaryFile() as errors:
            process = self._start(arguments, errors.fileno())
            try:
                printed, _ = process.communicate(stdin, timeout=self.timeout_seconds)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise GitTimeout(
                    f"`git {_shown(arguments)}` was ended after {self.timeout_seconds:g} s.",
                    hint="A hook, a signing key or a network that waits for a person may be the cause.",
                ) from error
            except BaseException:
                _end(process)
                raise
            if process.returncode not in codes:
                errors.seek(0)
                raise self._failure(arguments, process.returncode, errors.read(4000).decode(errors="replace").strip())
            return process.returncode, printed

    def head(self, *arguments: str | bytes, limit_bytes: int, codes: Sequence[int] = (0,)) -> tuple[bytes, bool]:
        """At most `limit_bytes` of what git prints, and whether that is all; then git is ended."""
        with tempfile.TemporaryFile() as errors, self._start(arguments, errors.fileno()) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("both are pipes")
            process.stdin.close()
            # A filter of the repository may hang.
            alarm = threading.Timer(self.timeout_seconds, _kill, [process])
            alarm.start()
            try:
                printed = process.stdout.read(limit_bytes + 1)
                if len(printed) > limit_bytes:
                    _kill(process)
                    return printed[:limit_bytes], False
                process.wait()
            finally:
                alarm.cancel()
            if process.returncode not in codes:
                errors.seek(0)
                raise self._failure(arguments, process.returncode, errors.read(4000).decode(errors="replace").strip())
            return printed, True

    def _start(self, arguments: Sequence[str | bytes], errors: int) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(  # noqa: S603 - no shell; paths are given after `--` or on standard input
                ["git", *arguments],  # noqa: S607 - the user's own git
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # A group of its own: no terminal to ask at, no Ctrl-C in the middle of a commit, and all of it can
                # be ended at once.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if not self.folder.exists():
                raise NoRepository(f"The folder {self.folder} is not there.") from error
            raise GitMissing("There is no git command.", hint="Install git, then start again.") from error

    def _failure(self, arguments: Sequence[str | bytes], code: int, said: str) -> WeaveError:
        if "dubious ownership" in said:
            return RepositoryNotTrusted(
                f"git refuses to work in {self.folder}, because it belongs to another user.",
                hint=f"If you trust it: git config --global --add safe.directory '{self.folder}'",
            )
        if "not a git repository" in said or "must be run in a work tree" in said:
            return no_repository(self.folder)
        return GitFailed(f"`git {_shown(arguments)}` failed ({code}): {said or 'it gave no reason'}")


def no_repository(folder: Path) -> NoRepository:
    """The failure of everything that needs a repository."""
    return NoRepository(
        f"{folder} is in no git repository with a working tree.",
        hint="`weave git init` makes one.",
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    # Asked to end, git removes its lock files; killed, it leaves them behind.
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sent)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_ENDING_SECONDS)
            return


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _shown(arguments: Sequence[str | bytes]) -> str:
    words = [os.fsdecode(word) for word in arguments if not os.fsdecode(word).startswith("-")]
    return " ".join(words[:2])[:100]
