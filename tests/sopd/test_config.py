"""Settings: every source, every fault at once, and the shipped file that must not lie."""

from __future__ import annotations

import datetime as dt
import importlib.resources
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sopd.config import all_settings, find_file, load, variable_of
from sopd.errors import ConfigError

SHIPPED = importlib.resources.files("sopd") / "shipped" / "sopd.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "sopd.toml"
    file.write_text(text, encoding="utf-8")
    return file


def faults_of(file: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(file, environ or {})
    return list(refused.value.faults)


def test_no_source_at_all_gives_the_defaults() -> None:
    settings = load(None, {})

    assert settings.company.zone == "Asia/Shanghai"
    assert settings.company.quiet_from == dt.time(21) and settings.company.quiet_until == dt.time(8)
    assert settings.quota.mode == "day:1"
    assert settings.broker.in_memory and not settings.wecom.is_local
    assert settings.store.url == f"sqlite:///{Path.cwd()}/sopd.db"


def test_equal_quiet_times_mean_no_quiet_hours() -> None:
    assert load(None, {}).company.quiet_hours.windows == ((dt.time(21), dt.time(8)),)
    assert load(None, {"SOPD_COMPANY_QUIET_UNTIL": "21:00"}).company.quiet_hours.windows == ()


def test_shipped_file_shows_every_setting_with_its_default() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    bare = tomllib.loads(re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE))

    shown = {(section, name): value for section, names in bare.items() for name, value in names.items()}
    known = {(section, item.name): item.metadata["default"] for section, item in all_settings()}

    assert shown == known


def test_shipped_file_changes_nothing_as_it_is(tmp_path: Path) -> None:
    settings = load(written(tmp_path, SHIPPED.read_text(encoding="utf-8")), {})

    assert settings.origins == {}


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    file = written(tmp_path, '[wecom]\ntokn = "x"\nagent_id = "12"\n\n[web]\nport = 99999\n[wecomm]\na = 1\n')

    faults = faults_of(file, {"SOPD_WEB_POTR": "1", "SOPD_ENGINE_TICK_MS": "soon"})

    assert faults == [
        f"{file}:2: unknown setting wecom.tokn; did you mean token?",
        f"{file}:3: wecom.agent_id: '12' is not the app's AgentId from 0 to 2147483648",
        f"{file}:6: web.port: 99999 is not a number from 0 to 65535",
        f"{file}:7: unknown section [wecomm]; did you mean wecom?",
        "SOPD_ENGINE_TICK_MS: engine.tick_ms: 'soon' is not a number from 10 to 60000",
        "SOPD_WEB_POTR: no such setting; did you mean SOPD_WEB_PORT?",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('company.zone = "Mars/Olympus"', "'Mars/Olympus' is not a time zone like"),
        ('company.zone = "America"', "'America' is not a time zone like"),
        ('company.quiet_from = "9:00"', "'9:00' is not a time of day like"),
        ('quota.mode = "day:2"', "is not one of day:1, week:7, month:days"),
        ("web.port = true", "True is not a number from 0 to 65535"),
        ('wecom.api_base = "http://example.test"', "(secrets would travel in the clear)"),
        ('broker.url = "amqp://x"', "the value is not memory:// or redis://"),
        ('store.url = "sqlite:///"', "the value is not sqlite:///FILE or postgresql://"),
        ("wecom = 3", "unknown section [wecom]"),
        ("engine.worker_threads = 5", "5 is not a number from 1 to 4"),
    ],
)
def test_fault_says_what_is_allowed(tmp_path: Path, line: str, told: str) -> None:
    file = written(tmp_path, f"# a comment\n{line}\n")

    (fault,) = faults_of(file)

    assert fault.startswith(f"{file}:2: ") and told in fault


def test_broken_toml_is_told_with_line_and_column(tmp_path: Path) -> None:
    file = written(tmp_path, "[web]\nport = \n")

    assert faults_of(file)[0].startswith(f"{file}:2:8: not TOML: ")


def test_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sopd init"):
        load(tmp_path / "none.toml", {})


def test_later_sources_win_and_tell_where_they_are(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "wecom_secret").write_text("from-credential\n")
    (credentials / "wecom_token").write_text("fromCredential\n")
    (credentials / "web_port").write_text("1\n")
    (credentials / "store_url").write_text("\n")
    file = written(tmp_path, '[wecom]\nsecret = "from-file"\ncorp_id = "ww1"\n')

    settings = load(file, {"CREDENTIALS_DIRECTORY": str(credentials), "SOPD_WECOM_TOKEN": "fromVariable"})

    assert settings.wecom.secret == "from-credential"
    assert settings.wecom.token == "fromVariable"
    assert settings.web.port == 8080, "only secrets are taken from credentials"
    assert "store.url" not in settings.origins, "an empty file is a secret not given"
    assert dict(settings.origins) == {
        "wecom.secret": "credential wecom_secret", "wecom.corp_id": f"{file}:3", "wecom.token": "SOPD_WECOM_TOKEN",
    }


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path, 'store.url = "sqlite:///data/a.db"\ncompany.holidays_file = "h.yaml"'), {})

    assert settings.store.url == f"sqlite:///{tmp_path}/data/a.db"
    assert settings.company.holidays_file == tmp_path / "h.yaml"


def test_absolute_database_path_stays() -> None:
    assert load(None, {"SOPD_STORE_URL": "sqlite:////var/lib/sopd/a.db"}).store.url == "sqlite:////var/lib/sopd/a.db"


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "[store]\nconnections = 6\n")

    assert faults_of(file) == [
        f"{file}:2: store.connections: 6 is too few: engine.worker_threads (4) and 4 for the web, the ticker and the "
        "look-ups need one each"
    ]


SECRETS: dict[str, Any] = {
    "SOPD_WECOM_SECRET": "hush-secret", "SOPD_WECOM_TOKEN": "hushToken",
    "SOPD_WECOM_ENCODING_AES_KEY": "hush" + "k" * 39,
    "SOPD_STORE_URL": "postgresql://sopd:hush@db/sopd", "SOPD_BROKER_URL": "redis://:hush@redis/1",
}


def test_secrets_are_in_no_text_made_from_settings() -> None:
    settings = load(None, SECRETS)

    assert "hush" not in repr(settings)
    assert "hush" not in str(list(settings.rows()))
    assert ("store.url", "postgresql://sopd:***@db/sopd", "SOPD_STORE_URL") in list(settings.rows())


@pytest.mark.parametrize("variable", SECRETS)
def test_fault_in_a_secret_does_not_repeat_it(variable: str) -> None:
    (fault,) = faults_of(None, {variable: "hush hush é"})

    assert fault.startswith(f"{variable}: ") and "hush" not in fault


def test_wecom_settings_that_are_missing_are_all_named() -> None:
    with pytest.raises(ConfigError) as refused:
        load(None, {"SOPD_WECOM_CORP_ID": "ww1"}).require_wecom()

    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "wecom.agent_id", "wecom.secret", "wecom.token", "wecom.encoding_aes_key",
    ]


def test_complete_wecom_settings_pass() -> None:
    load(None, {**SECRETS, "SOPD_WECOM_CORP_ID": "ww1", "SOPD_WECOM_AGENT_ID": "1000002"}).require_wecom()


def test_settings_file_is_chosen_by_hand_then_variable_then_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sopd.toml").touch()

    assert find_file(Path("a.toml"), {"SOPD_CONFIG": "b.toml"}) == Path("a.toml")
    assert find_file(None, {"SOPD_CONFIG": "b.toml"}) == Path("b.toml")
    assert find_file(None, {}) == Path("sopd.toml")


def test_every_setting_has_its_own_variable() -> None:
    names = [variable_of(section, item.name) for section, item in all_settings()]

    assert len(set(names)) == len(names) > 20
