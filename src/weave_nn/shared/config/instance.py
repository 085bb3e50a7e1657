"""An instance: one vault with its state folder, which holds the database, the vault's identity and the API key.

Everything is checked before anything is made, so that a wrong start leaves no folder behind.
"""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from pydantic import SecretStr

from weave_nn.shared.config.loading import InvalidSetting
from weave_nn.shared.config.settings import Settings, slug
from weave_nn.shared.errors import InvalidInput

KEY_FILE = "api-key"
IDENTITY_FILE = "vault-id"
OWNER_FILE = "vault-path"
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class VaultUnusable(InvalidInput):
    """The vault is not named, missing, not a folder, or not readable (or writable, unless read-only)."""

    code = "vault_unusable"
    title = "Vault not usable"


@dataclass(frozen=True, slots=True)
class Instance:
    """What a composition needs to know of the vault and its state; every path is absolute and exists.

    `api_key_file` is None when the key comes from the settings. `warnings` are for people, such as a key file that
    others could read.
    """

    vault: Path
    vault_id: str
    data_dir: Path
    database_url: str = field(repr=False)
    api_key: SecretStr
    api_key_file: Path | None
    warnings: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The vault's name in lower-case ASCII letters, digits and hyphens."""
        return slug(self.vault.name)


def check_vault(settings: Settings) -> Path:
    """The vault's folder, if it can be served. Raises `VaultUnusable`; makes nothing."""
    vault = settings.vault
    if vault is None:
        raise VaultUnusable(
            "No vault is given.",
            hint="Name its folder, as in `weave up ~/Notes`, or set WEAVE_VAULT.",
            field="vault",
        )
    try:
        with os.scandir(vault) as entries:
            next(entries, None)
    except FileNotFoundError as error:
        raise VaultUnusable(f"The vault {vault} does not exist.", hint="Check the path.", field="vault") from error
    except NotADirectoryError as error:
        raise VaultUnusable(
            f"The vault {vault} is not a folder.",
            hint="Name the folder that holds the notes.",
            field="vault",
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise VaultUnusable(
            f"The vault {vault} cannot be read: {reason}.",
            hint="Check its permissions.",
            field="vault",
        ) from error
    if not settings.read_only and not os.access(vault, os.W_OK):
        raise VaultUnusable(
            f"The vault {vault} cannot be written to.",
            hint="Change its permissions, or serve it as it is with --read-only (WEAVE_READ_ONLY=true).",
            field="vault",
        )
    return vault


def prepare(settings: Settings) -> Instance:
    """Check the vault, make the state folder and what is missing in it (identity, API key).

    Safe to call from several processes at once: all of them get the same key and identity. Raises `VaultUnusable`,
    and `InvalidSetting` when the state folder lies inside the vault, is that of another one, or cannot be used.
    """
    vault = check_vault(settings)
    data_dir, database_url = settings.data_dir, settings.database_url
    if data_dir is None or database_url is None:
        raise RuntimeError("a settings object with a vault has a data folder")
    _refuse_inside(vault, data_dir, "WEAVE_DATA_DIR")
    if database_url.startswith("sqlite") and (path := unquote(urlsplit(database_url).path[1:])):
        _refuse_inside(vault, Path(path).resolve(), "DATABASE_URL")
    try:
        data_dir.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        _refuse_of_another_vault(vault, data_dir)
        vault_id = settings.vault_id or _kept(data_dir / IDENTITY_FILE, f"{slug(vault.name)}-{secrets.token_hex(4)}")
        if settings.api_key is not None:
            return Instance(vault, vault_id, data_dir, database_url, settings.api_key, None)
        key_file = data_dir / KEY_FILE
        key = _kept(key_file, secrets.token_urlsafe(32))
    except OSError as error:
        raise InvalidSetting(
            f"The data folder {data_dir} cannot be used: {error.strerror or error}.",
            hint="Set WEAVE_DATA_DIR to a folder that you may write to.",
            field="data_dir",
        ) from error
    return Instance(vault, vault_id, data_dir, database_url, SecretStr(key), key_file, _closed_to_others(key_file))


def saved_api_key(settings: Settings) -> SecretStr | None:
    """The key that a server with these settings asks for, or None if none was made yet; makes nothing."""
    if settings.api_key is not None or settings.data_dir is None:
        return settings.api_key
    try:
        return SecretStr(_read(settings.data_dir / KEY_FILE))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidSetting(
            f"The API key {settings.data_dir / KEY_FILE} cannot be read: {error.strerror}.",
            hint="Run as the user who started the server, or set WEAVE_API_KEY.",
            field="api_key",
        ) from error


def _refuse_inside(vault: Path, place: Path, name: str) -> None:
    # Compared as the file system sees them: names may differ in case, in Unicode form or by a symbolic link.
    for folder in (place, *place.parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            if folder.samefile(vault):
                raise InvalidSetting(
                    f"{name} ({place}) lies inside the vault {vault}, where sync tools would carry it off.",
                    hint=f"Set {name} to a place outside the vault.",
                    field=name,
                )


def _refuse_of_another_vault(vault: Path, data_dir: Path) -> None:
    # With the database of another vault, all of its notes would be taken for deleted. A vault that is no longer where
    # it was has been moved, and keeps its state.
    file = data_dir / OWNER_FILE
    present = quote(os.fsencode(vault))
    kept = _kept(file, present)
    if kept == present:
        return
    owner = Path(os.fsdecode(unquote_to_bytes(kept)))
    if owner.exists() and not owner.samefile(vault):
        raise InvalidSetting(
            f"The data folder {data_dir} is that of another vault, {owner}.",
            hint="Set WEAVE_DATA_DIR to a folder of its own for each vault, or leave it unset.",
            field="data_dir",
        )
    file.unlink(missing_ok=True)
    _kept(file, present)


def _kept(file: Path, fresh: str) -> str:
    """The one line kept in `file`; `fresh` becomes it, whole and private from the first moment, if there is none."""
    with suppress(FileNotFoundError):
        return _read(file)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(fresh + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # Unlike a rename, a link never replaces what another process has put there in the meantime.
            os.link(draft, file)
        except FileExistsError:
            pass
        except OSError:
            # Some file systems (exFAT, some mounts in containers) have no links; the last one wins, then all read it.
            draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return _read(file)


def _read(file: Path) -> str:
    try:
        line = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        line = ""
    if not line or len(line.split()) != 1:
        raise InvalidSetting(
            f"{file} does not hold one word of ASCII, so it was damaged.",
            hint="Delete it, and the next start makes a new one.",
            field=file.name,
        )
    return line


def _closed_to_others(file: Path) -> tuple[str, ...]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if os.name == "nt" or not mode & 0o077:
        return ()
    advice = "If others use this machine, delete it and start again to get a new key."
    try:
        file.chmod(PRIVATE_FILE)
    except OSError as error:
        return (f"The API key {file} is open to other users (mode {mode:o}) and stays so: {error.strerror}. {advice}",)
    return (f"The API key {file} was open to other users (mode {mode:o}); it is closed now. {advice}",)
