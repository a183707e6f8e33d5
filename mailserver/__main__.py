"""`python -m mailserver ROLE…`: run roles of Waypost in this process, configured by WAYPOST_* variables.

    python -m mailserver imap smtp      run these roles until SIGTERM
    python -m mailserver --settings     list every variable with its default and meaning

Roles: imap (POP3 too), smtp (MX, submission, LMTP), web, outbound, upkeep. Exit status: 0 after a signal, 2 for a wrong
command, 71 if an address cannot be listened at, 78 if the configuration, the keys or the tables have to be put right
first, 1 for anything else.
"""

import os
import sys
import textwrap
from collections.abc import Sequence

from mailserver.settings import ConfigurationInvalid
from mailserver.variables import read_variables

METRICS_VARIABLE = "WAYPOST_METRICS_DIRECTORY"
EXIT_USAGE = 2
EXIT_CONFIGURATION = 78


def main(arguments: Sequence[str]) -> int:
    try:
        variables = read_variables(os.environ)
    except ConfigurationInvalid as invalid:
        return _refuse(invalid)
    if directory := variables.values.get(METRICS_VARIABLE, "").strip():
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # before anything imports prometheus_client

    from mailserver.config import ROLES, check_roles, read_config, unknown_settings

    if list(arguments) == ["--settings"]:
        print(_listing())
        return 0
    roles = [role for role in ROLES if role in arguments]
    if not roles or set(arguments) != set(roles):
        print(textwrap.dedent(__doc__ or ""), file=sys.stderr)
        return EXIT_USAGE
    try:
        config = read_config(variables)
        check_roles(config, roles)
    except ConfigurationInvalid as invalid:
        return _refuse(invalid)
    for name in variables.from_file:  # for what reads the environment itself: Django's settings
        os.environ.setdefault(name, variables.values[name])

    from mailserver.observability.logs import configure_logs, get_logger
    from mailserver.observability.metrics import name_role
    from mailserver.runtime import run

    label = "+".join(roles)
    name_role(label)
    configure_logs(config.log.format, config.log.level, role=label)
    for name, meant in unknown_settings(variables).items():
        get_logger().warning("unknown setting", variable=name, meant=meant)
    return run(config, roles)


def _listing() -> str:
    from mailserver.config import settings

    lines = []
    for setting in settings():
        default = "required" if setting.default is None else setting.default or "empty"
        lines.append(f"{setting.variable} ({setting.kind}; default: {default})")
        lines += textwrap.wrap(setting.meaning, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _refuse(invalid: ConfigurationInvalid) -> int:
    print("The configuration cannot be used:", file=sys.stderr)
    for problem in invalid.problems:
        print(f"  {problem}", file=sys.stderr)
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
