"""One line for every act that changes how somebody signs in: who did what, from where. Never what they typed."""

from mailserver.observability.logs import get_logger
from tenants.types import Principal

log = get_logger()


def note_act(who: Principal, act: str, *, network: str, **facts: object) -> None:
    """`act` is a fact in plain words, `facts` are ids and counts."""
    log.info("audit", act=act, tenant=who.tenant_id, account=who.account_id, network=network, **facts)
