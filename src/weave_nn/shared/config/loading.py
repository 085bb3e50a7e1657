"""Reading the settings: options before the environment, the environment before `.env`, `.env` before defaults."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource

from weave_nn.shared.config.settings import PREFIX, Settings, variable
from weave_nn.shared.errors import InvalidInput

Origin = Literal["option", "environment", ".env", "default"]
MASK = "********"
SHOWN_CHARACTERS = 100


class InvalidSetting(InvalidInput):
    """A setting's value cannot be used; the detail names the variable, the value, its origin and the reason."""

    code = "invalid_setting"
    title = "Invalid setting"


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as people may see it: secrets are masked, `value` is None when it has none."""

    variable: str
    value: str | None
    origin: Origin
    description: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, the origin of each by field name, and what to warn of (a misspelt variable)."""

    settings: Settings
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...]

    def describe(self) -> list[Described]:
        """Every setting with its value and origin, for people."""
        return [
            Described(variable(name), _shown(getattr(self.settings, name)), self.origins[name], field.description or "")
            for name, field in Settings.model_fields.items()
        ]


def load(options: Mapping[str, Any] | None = None) -> Configuration:
    """Read the settings; `options` are those given on the command line, by field name, None where not given.

    `.env` is the one in the working folder. An empty value counts as not set.
    Raises `InvalidSetting`, with one line for all bad values.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    environment = {name.upper(): value for name, value in os.environ.items() if value}
    from_file = _read_env_file()
    origins = {name: _origin(name, given, environment, from_file) for name in Settings.model_fields}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        # A default that is derived from a bad value is reported as well, and says nothing of its own.
        bad = [details for details in error.errors() if details["type"] != "default_factory_not_called"]
        reasons = [_explain(details, origins) for details in bad]
        raise InvalidSetting(
            " ".join(reasons),
            hint="See .env.example or `weave config --help` for what each setting takes.",
        ) from error
    return Configuration(settings, origins, tuple(_unknown(environment, from_file)))


def _read_env_file() -> dict[str, str]:
    try:
        source = DotEnvSettingsSource(Settings)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f".env cannot be read: {error}.", hint="Save it as UTF-8, readable for you.") from error
    return {name.upper(): value for name, value in source.env_vars.items() if value}


def _origin(
    name: str,
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    from_file: Mapping[str, str],
) -> Origin:
    if name in options:
        return "option"
    if variable(name) in environment:
        return "environment"
    return ".env" if variable(name) in from_file else "default"


def _explain(details: ErrorDetails, origins: Mapping[str, Origin]) -> str:
    location = str(details["loc"][0])
    name = next(field for field in Settings.model_fields if location in {field, variable(field)})
    origin = origins[name]
    subject = f"--{name.replace('_', '-')}" if origin == "option" else variable(name)
    value = MASK if _is_secret(name) else repr(_masked_url(str(details["input"]))[:SHOWN_CHARACTERS])
    source = {"option": "an option", "environment": "from the environment"}.get(origin, f"from {origin}")
    reason = details["msg"].removeprefix("Value error, ").replace("Input should", "it should").replace("String", "it")
    return f"{subject}={value} ({source}) cannot be used: {reason}."


def _is_secret(name: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def _masked_url(text: str) -> str:
    return re.sub(r"(://[^:/@\s]*:)[^@\s]*@", rf"\1{MASK}@", text)


def _shown(value: Any) -> str | None:
    match value:
        case None | ():
            return None
        case SecretStr():
            return MASK
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value)
        case _:
            return _masked_url(str(value))


def _unknown(environment: Mapping[str, str], from_file: Mapping[str, str]) -> list[str]:
    known = [variable(name) for name in Settings.model_fields]
    warnings = []
    for source, names in (("the environment", environment), (".env", from_file)):
        for name in sorted(names):
            if not name.startswith(PREFIX) or name in known:
                continue
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            warnings.append(f"{name} (in {source}) is not a setting and is ignored.{hint}")
    return warnings
