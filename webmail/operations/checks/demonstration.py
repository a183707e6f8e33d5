"""What `make up` makes for trying Waypost out, and what must not be there where real people's mail is."""

from collections.abc import Iterator

import psycopg

from webmail.operations.findings import Finding, Patient, fine, problem

DEMO_DOMAIN = "demo.test"
DEMO_LOGINS = "demo.json"


def check_demonstration(patient: Patient) -> Iterator[Finding]:
    if not patient.is_production:
        return
    findings = [*_look(patient)]
    yield from findings or [fine("Nothing of the demonstration is here")]


def _look(patient: Patient) -> Iterator[Finding]:
    if patient.config.hostname.endswith(".test") or "." not in patient.config.hostname:
        yield problem("WAYPOST_HOSTNAME is {hostname}, a name nobody finds", hostname=patient.config.hostname)
    if (patient.config.secrets / DEMO_LOGINS).exists():
        yield problem("The passwords of the demo people are in {path}", path=patient.config.secrets / DEMO_LOGINS)
    if patient.ca_file:
        yield problem("WAYPOST_CA_FILE is set: an authority made by Waypost for trying it out is offered to people")
    try:
        with psycopg.connect(patient.config.database.system_url, connect_timeout=5) as connection:
            demo = connection.execute(
                "SELECT 1 FROM domain WHERE name = %s AND status <> 'deleted'", [DEMO_DOMAIN]
            ).fetchone()
    except psycopg.Error:
        return  # the checks of the database have said why
    if demo is not None:
        yield problem("The demo tenant is here. Run: manage.py tenant delete {domain}", domain=DEMO_DOMAIN)
