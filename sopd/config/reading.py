"""Settings from their sources: defaults, then `sopd.toml`, then systemd credentials, then the environment.

Called by the CLI once per process. Every fault of every source is found before anything is refused. Nothing else in
the package reads the environment or the settings file.
"""

from __future__ import annotations

import difflib
import os.path
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sopd.config.kinds import Kind
from sopd.config.settings import SECTIONS, Settings, all_settings, faults_between, variable_of
from sopd.errors import ConfigError

FILE_VARIABLE = "SOPD_CONFIG"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
PLACES = (Path("sopd.toml"), Path("/etc/sopd/sopd.toml"))

Values = dict[tuple[str, str], tuple[Any, str]]  # (section, name) -> (value, where it was found)


def find_file(chosen: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file: the one chosen, else SOPD_CONFIG, else ./sopd.toml, else /etc/sopd/sopd.toml, else None."""
    if chosen is None and environ.get(FILE_VARIABLE):
        chosen = Path(environ[FILE_VARIABLE])
    # os.path: in a folder that this user may not enter, Path.is_file raises instead of saying no
    return chosen or next((place for place in PLACES if os.path.isfile(place)), None)


def load(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read all sources. Raises ConfigError with every fault as `where: what is wrong, what is allowed`.

    `file` None means defaults and environment only. Relative paths in the values count from the file's folder.
    """
    faults: list[str] = []
    values: Values = {}
    places = _read_file(file, values, faults) if file is not None else {}
    _read_credentials(environ, values, faults)
    _read_environment(environ, values, faults)
    settings = _built(values, file.resolve().parent if file is not None else Path.cwd())
    if not faults:
        faults += [f"{settings.origins.get(key) or places.get(key) or key}: {key}: {what}"
                   for key, what in faults_between(settings)]
    if faults:
        raise ConfigError("the settings cannot be used", faults=faults)
    return settings


def _read_file(file: Path, values: Values, faults: list[str]) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", "`sopd init` writes a commented one") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        faults.append(_syntax_fault(file, str(error)))
        return {}
    places = {key: f"{file}:{line}" for key, line in _lines_of(text).items()}
    for section, content in tree.items():
        where = places.get(section, str(file))
        if section not in SECTIONS or not isinstance(content, dict):
            faults.append(f"{where}: unknown section [{section}]{_meant(section, SECTIONS)}")
            continue
        _read_section(section, content, places, where, values, faults)
    return places


def _read_section(
    section: str, content: Mapping[str, object], places: Mapping[str, str], at: str, values: Values, faults: list[str]
) -> None:
    known = _kinds(section)
    for name, value in content.items():
        where = places.get(f"{section}.{name}", at)
        if name not in known:
            faults.append(f"{where}: unknown setting {section}.{name}{_meant(name, known)}")
            continue
        try:
            values[section, name] = known[name].from_toml(value), where
        except ValueError as error:
            faults.append(f"{where}: {section}.{name}: {error}")


def _read_credentials(environ: Mapping[str, str], values: Values, faults: list[str]) -> None:
    """Secrets handed over by systemd (LoadCredential=wecom_secret:...), one file each; an empty one is not given."""
    if not environ.get(CREDENTIALS_VARIABLE):
        return
    folder = Path(environ[CREDENTIALS_VARIABLE])
    for section, item in all_settings():
        file = folder / f"{section}_{item.name}"
        if not item.metadata["kind"].hides or not file.is_file():
            continue
        if text := file.read_text(encoding="utf-8").strip():
            _take_text(section, item.name, text, f"credential {file.name}", values, faults)


def _read_environment(environ: Mapping[str, str], values: Values, faults: list[str]) -> None:
    variables = {variable_of(section, item.name): (section, item.name) for section, item in all_settings()}
    for variable in sorted(environ):
        if not variable.startswith("SOPD_") or variable == FILE_VARIABLE:
            continue
        if variable not in variables:
            faults.append(f"{variable}: no such setting{_meant(variable, variables)}")
            continue
        _take_text(*variables[variable], environ[variable], variable, values, faults)


def _take_text(section: str, name: str, text: str, where: str, values: Values, faults: list[str]) -> None:
    try:
        values[section, name] = _kinds(section)[name].from_text(text), where
    except ValueError as error:
        faults.append(f"{where}: {section}.{name}: {error}")


def _built(values: Values, folder: Path) -> Settings:
    tree = {}
    for section, kind in SECTIONS.items():
        given = {name: _anchored(value, folder) for (part, name), (value, _) in values.items() if part == section}
        tree[section] = kind(**given)
    origins = {f"{section}.{name}": where for (section, name), (_, where) in values.items()}
    settings = Settings(**tree, origins=MappingProxyType(origins))
    return replace(settings, store=replace(settings.store, url=_anchored(settings.store.url, folder)))


def _anchored(value: Any, folder: Path) -> Any:
    """A relative path (also inside sqlite:///) made absolute, so that a later `chdir` changes nothing."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, str) and value.startswith("sqlite:///"):
        return f"sqlite:///{folder / value.removeprefix('sqlite:///')}"
    return value


def _kinds(section: str) -> dict[str, Kind]:
    return {item.name: item.metadata["kind"] for part, item in all_settings() if part == section}


def _meant(word: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"


def _syntax_fault(file: Path, message: str) -> str:
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found is None:
        return f"{file}: not TOML: {message}"
    return f"{file}:{found[1]}:{found[2]}: not TOML: {message[: found.start()]}"


def _lines_of(text: str) -> dict[str, int]:
    """Line numbers of `section` headers and `section.name` keys; tomllib gives none."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            section = header[1]
            lines.setdefault(section, number)
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            name = f"{section}.{key[1]}" if section else key[1]
            lines.setdefault(name, number)
            lines.setdefault(name.partition(".")[0], number)
    return lines
