from pathlib import Path

from integration.bus.cases import eventually
from weave_nn.entrypoints import monolith
from weave_nn.entrypoints.cli.options import load_settings, open_instance
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.sync.contract import SyncContract


def test_what_is_saved_in_the_vault_becomes_searchable_and_is_forgotten_again(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    (vault / "A.md").write_text("present from the start")
    settings = load_settings(vault=vault, data_dir=tmp_path / "state").settings
    process = monolith.build(settings, open_instance(settings))
    file_contract, sync_contract = process.contracts.get(FilesContract), process.contracts.get(SyncContract)

    def found(query: str) -> list[str]:
        return [hit.path for hit in sync_contract.search(query).hits]

    process.start()
    try:
        eventually(lambda: found("present") == ["A.md"])
        file_contract.write_file("B.md", b"written by us, see [[A]]")
        eventually(lambda: found("written") == ["B.md"])
        (vault / "C.md").write_text("saved by somebody else")
        eventually(lambda: found("somebody") == ["C.md"])
        file_contract.move_file("A.md", "moved/A.md")
        eventually(lambda: found("present") == ["moved/A.md"])
        eventually(lambda: sync_contract.list_backlinks("moved/A.md").total == 1)
        file_contract.delete_file("B.md")
        eventually(lambda: found("written") == [])
    finally:
        process.stop()
