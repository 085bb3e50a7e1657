"""Putting local commits on top of others without a working tree.

Each commit is merged as trees (`git merge-tree`, since git 2.38), so that the vault is never in the middle of a rebase.
Where both sides changed a file, theirs keeps the name and ours is put beside it; where one side deleted what the other
changed, the changed version stays. Nothing has to be asked, and no version is lost.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from posixpath import splitext

from weave_nn.services.git.adapters.commits import commit_tree
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git
from weave_nn.services.git.adapters.staging import Entry, index_info

_SCRATCH_INDEX = "weave-nn.merge-index"
_IDENT = re.compile(rb"author (.*) <(.*)> (\d+ [+-]\d+)")
_GONE = "000000"
_FILE_MODES = {"100644", "100755"}
MAX_COMMITS = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """A git path that both sides changed: theirs is at `path`, ours at `copy_path` (None: one side had deleted it)."""

    path: str
    copy_path: str | None


@dataclass(frozen=True, slots=True)
class Rebased:
    """The new tip, and what both sides had changed."""

    tip: str
    kept: tuple[Kept, ...]


def rebase(repository: Repository, local: str, upstream: str, who: Git, suffix: str) -> Rebased:
    """Put the commits of `local` that `upstream` lacks on top of it; nothing but new objects comes of this.

    `suffix`, such as `(conflict 2026-11-22 host)`, goes into the names of copies. Where merges are among the commits,
    or very many of them, both sides are merged instead.
    """
    git = repository.git
    missing = git.line("rev-list", "--count", f"{upstream}..{local}")
    merges = git.line("rev-list", "--count", "--merges", f"{upstream}..{local}")
    resolver = _Resolver(repository, local, suffix)
    if int(merges) or int(missing) > MAX_COMMITS:
        tree = resolver.merge(upstream, local)
        message = f"Merge what was changed elsewhere\n\nThis joins {local[:12]} and {upstream[:12]}.\n"
        return Rebased(commit_tree(who, tree, [upstream, local], message.encode()), resolver.kept)
    tip = upstream
    for commit in git.run("rev-list", "--reverse", "--topo-order", f"{upstream}..{local}").decode().split():
        below = git.line("rev-parse", f"{tip}^{{tree}}")
        parent = git.line("rev-parse", "--quiet", "--verify", f"{commit}^", codes=(0, 1))
        # The merge base of this made-up commit and the one to be moved is that one's parent.
        stand_in = commit_tree(who, below, [parent], b"base\n", sign=False) if parent else tip
        tree = resolver.merge(stand_in, commit)
        if tree != below:
            tip = _again(who, commit, tree, tip)
    return Rebased(tip, resolver.kept)


def _again(who: Git, commit: str, tree: str, parent: str) -> str:
    """The same commit with another tree and parent: its author, time and message stay."""
    head, _, message = who.run("cat-file", "commit", commit).partition(b"\n\n")
    found = _IDENT.search(head)
    variables: Mapping[str, str] = {}
    if found:
        name, email, time = (os.fsdecode(part) for part in found.groups())
        variables = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": f"@{time}"}
    return commit_tree(who.with_environment(**variables), tree, [parent], message)


class _Resolver:
    """Merges trees, and resolves every conflict so that both versions stay."""

    def __init__(self, repository: Repository, local: str, suffix: str) -> None:
        self._repository = repository
        self._local = local
        self._suffix = suffix
        self._kept: dict[str, Kept] = {}

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What was resolved, in order."""
        return tuple(self._kept.values())

    def merge(self, theirs: str, ours: str) -> str:
        """The tree of both commits together."""
        options = ("--write-tree", "-z", "--no-messages", "--allow-unrelated-histories")
        printed = self._repository.git.run("merge-tree", *options, theirs, ours, codes=(0, 1))
        tree, *lines = [os.fsdecode(part) for part in printed.split(b"\0")]
        stages: dict[str, dict[str, tuple[str, str]]] = {}
        for line in lines:
            if not line:
                break
            facts, _, path = line.partition("\t")
            mode, blob, stage = facts.split(" ")
            stages.setdefault(path, {})[stage] = (mode, blob)
        return self._resolve(tree, stages) if stages else tree

    def _resolve(self, tree: str, stages: Mapping[str, Mapping[str, tuple[str, str]]]) -> str:
        scratch = self._repository.git_dir / _SCRATCH_INDEX
        git = self._repository.git.with_environment(GIT_INDEX_FILE=str(scratch))
        try:
            git.run("read-tree", tree)
            taken = set(os.fsdecode(git.run("ls-files", "-z")).split("\0"))
            entries: list[Entry] = []
            for path, sides in stages.items():
                entries += self._entries(path, sides, taken)
            git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=index_info(entries))
            return git.line("write-tree")
        finally:
            scratch.unlink(missing_ok=True)

    def _entries(self, path: str, sides: Mapping[str, tuple[str, str]], taken: set[str]) -> Sequence[Entry]:
        theirs, ours = sides.get("2"), sides.get("3")
        stays = theirs or ours
        if stays is None:
            return [Entry(path, "", _GONE, "", "0" * len(sides["1"][1]))]
        entries = [Entry(path, "", stays[0], "", stays[1])]
        copy = None
        if theirs and ours and theirs[1] != ours[1] and ours[0] in _FILE_MODES:
            known = self._kept.get(path)
            copy = known.copy_path if known and known.copy_path else self._copy_name(path, taken)
            entries.append(Entry(copy, "", ours[0], "", self._latest(path) or ours[1]))
        if path not in self._kept or copy:
            self._kept[path] = Kept(path, copy)
        return entries

    def _latest(self, path: str) -> str | None:
        """The file as our latest commit has it: a copy is made once, and is to hold all that we wrote."""
        code, printed = self._repository.git.outcome(
            "rev-parse", "-q", "--verify", f"{self._local}:{path}", codes=(0, 1)
        )
        return None if code else printed.decode().strip()

    def _copy_name(self, path: str, taken: set[str]) -> str:
        stem, extension = splitext(path)
        number = 1
        while True:
            count = "" if number == 1 else f" {number}"
            name = f"{stem} {self._suffix}{count}{extension}"
            if name not in taken and not os.path.lexists(self._repository.top / name):
                taken.add(name)
                return name
            number += 1
