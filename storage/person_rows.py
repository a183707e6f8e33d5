"""Whoever may be signed in, as a row of the directory: the same columns first in every statement that finds one."""

from dataclasses import dataclass

from tenants.types import AccountId, Address, Principal, TenantId

PERSON_COLUMNS = """tenant_id, account_id, local_part, domain, display_name, language, time_zone, quota_octets,
           is_administrator, sign_in_epoch"""


@dataclass(frozen=True, slots=True)
class PersonRow:
    tenant_id: int
    account_id: int
    local_part: str
    domain: str
    display_name: str
    language: str
    time_zone: str
    quota_octets: int | None
    is_administrator: bool
    sign_in_epoch: int

    def principal(self) -> Principal:
        return Principal(
            tenant_id=TenantId(self.tenant_id),
            account_id=AccountId(self.account_id),
            address=Address(self.local_part, self.domain),
            display_name=self.display_name,
            language=self.language,
            time_zone=self.time_zone,
            quota_octets=self.quota_octets,
            is_administrator=self.is_administrator,
            sign_in_epoch=self.sign_in_epoch,
        )
