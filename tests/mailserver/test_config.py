"""The configuration of a process."""

from pathlib import Path

import pytest

from mailserver.config import check_roles, read_config, settings, unknown_settings
from mailserver.listeners import Endpoint
from mailserver.settings import ConfigurationInvalid
from mailserver.variables import read_variables

GIVEN = {
    "PATH": "/bin",
    "WAYPOST_HOSTNAME": "mail.example.com",
    "WAYPOST_SECRETS": "/srv/secrets",
    "WAYPOST_DATABASE_URL": "postgresql://waypost_app@/waypost?host=/run/x",
    "WAYPOST_SYSTEM_DATABASE_URL": "postgresql://waypost_system@/waypost?host=/run/x",
}


def refusal_of(environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationInvalid) as refusal:
        read_config(read_variables(environment))
    return str(refusal.value)


def test_four_variables_are_enough() -> None:
    config = read_config(read_variables(GIVEN))
    assert config.hostname == config.smtp.hostname == "mail.example.com"
    assert config.database.app_url == GIVEN["WAYPOST_DATABASE_URL"]
    assert config.database.system_url == GIVEN["WAYPOST_SYSTEM_DATABASE_URL"]
    assert config.secrets == Path("/srv/secrets")
    assert config.listeners.imap is None


def test_without_them_each_is_named_at_once() -> None:
    lines = refusal_of({}).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "WAYPOST_HOSTNAME",
        "WAYPOST_SECRETS",
        "WAYPOST_DATABASE_URL",
        "WAYPOST_SYSTEM_DATABASE_URL",
    ]
    assert lines[0] == "WAYPOST_HOSTNAME: must be set; for example WAYPOST_HOSTNAME=mail.example.com"


def test_one_limit_holds_for_every_door() -> None:
    config = read_config(read_variables({**GIVEN, "WAYPOST_MESSAGE_LIMIT_OCTETS": "1000"}))
    assert config.message_limit_octets == config.smtp.message_limit_octets == 1000


def test_a_limit_of_a_package_is_a_setting_of_that_name() -> None:
    config = read_config(
        read_variables({**GIVEN, "WAYPOST_SMTP_RECIPIENTS_LIMIT": "5", "WAYPOST_THROTTLE_ACCOUNT_REFUSE_FROM": "3"})
    )
    assert config.smtp.recipients_limit == 5
    assert (config.throttle.account.refuse_from, config.throttle.account.delay_from) == (3, 2)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "waypost.toml"
    file.write_text('hostname = "file.example"\ndrain_s = 3\nimap = "127.0.0.1:20143"\n')
    config = read_config(read_variables({**GIVEN, "WAYPOST_CONFIG": str(file)}))
    assert (config.hostname, config.drain_s) == ("mail.example.com", 3.0)
    assert config.listeners.imap == Endpoint("127.0.0.1", 20143)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hostname =", "is not TOML: Invalid value"),
        ("[smtp]\nrecipients_limit = 5", "has the table [smtp]; settings stand flat, as smtp_… = …"),
        ("drain = 5", "the file has an unknown setting drain"),
        ("smtp_recipient_limit = 5", "for example WAYPOST_CONFIG=smtp_recipients_limit"),
        ('drain_s = "soon"', "WAYPOST_DRAIN_S: 'soon' is not a number"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "waypost.toml"
    file.write_text(text)
    assert problem in refusal_of({**GIVEN, "WAYPOST_CONFIG": str(file)})


def test_a_file_that_is_not_there_is_refused() -> None:
    assert "'/nowhere.toml' cannot be read (No such file or directory)" in refusal_of(
        {**GIVEN, "WAYPOST_CONFIG": "/nowhere.toml"}
    )


@pytest.mark.parametrize(
    ("variable", "least"),
    [
        ("WAYPOST_IMAP_AUTOLOGOUT_S", 1800),  # RFC 3501 §5.4
        ("WAYPOST_POP3_AUTOLOGOUT_S", 600),  # RFC 1939 §3
        ("WAYPOST_POP3_LINE_OCTETS", 255),  # RFC 2449 §4
    ],
)
def test_what_a_standard_grants_to_clients_cannot_be_taken_from_them(variable: str, least: int) -> None:
    assert variable in refusal_of({**GIVEN, variable: str(least - 1)})
    read_config(read_variables({**GIVEN, variable: str(least)}))


def test_a_misspelt_variable_is_noticed() -> None:
    variables = read_variables({**GIVEN, "WAYPOST_DRAIN": "5", "WAYPOST_MESAGE_LIMIT_OCTETS": "1"})
    assert unknown_settings(variables) == {
        "WAYPOST_DRAIN": "WAYPOST_DRAIN_S",
        "WAYPOST_MESAGE_LIMIT_OCTETS": "WAYPOST_MESSAGE_LIMIT_OCTETS",
    }


@pytest.mark.parametrize(
    ("role", "given", "variable"),
    [
        ("imap", {}, "WAYPOST_IMAPS"),
        ("smtp", {}, "WAYPOST_SMTP"),
        ("web", {}, "WAYPOST_HTTP"),
        ("imap", {"WAYPOST_IMAPS": "127.0.0.1:20993"}, "WAYPOST_TLS_CERTIFICATE"),
        ("smtp", {"WAYPOST_SUBMISSIONS": "127.0.0.1:20465"}, "WAYPOST_TLS_CERTIFICATE"),
    ],
)
def test_what_a_role_needs_is_asked_for(role: str, given: dict[str, str], variable: str) -> None:
    config = read_config(read_variables({**GIVEN, **given}))
    with pytest.raises(ConfigurationInvalid) as refusal:
        check_roles(config, [role])  # type: ignore[list-item]
    assert [problem.variable for problem in refusal.value.problems] == [variable]


def test_a_key_without_its_certificate_is_refused() -> None:
    assert "certificate and key are set together" in refusal_of({**GIVEN, "WAYPOST_TLS_KEY": "/k.pem"})


def test_every_setting_says_what_it_means() -> None:
    assert [setting.variable for setting in settings() if not setting.meaning] == []
    assert len(settings()) == len({setting.variable for setting in settings()})
