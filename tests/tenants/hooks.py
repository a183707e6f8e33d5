"""Hooks for WAYPOST_TENANT_CREATED, as the layers above `tenants` would give."""

CREATED: list[int] = []


def remember(tenant_id: int) -> None:
    CREATED.append(tenant_id)


def fail(_tenant_id: int) -> None:
    raise OSError("the disk is full")
