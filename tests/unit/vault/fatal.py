"""A reading function that ends the process beside the one that is asked for the notes."""

import os

from weave_nn.vault.store import FileContent, Vault

ASKING = "TEST_ASKING_PROCESS"


def read_or_die(vault: Vault, path: str) -> FileContent:
    if path == "20.md" and os.getpid() != int(os.environ[ASKING]):
        os._exit(9)
    return vault.read(path)
