"""What a POP3 session holds of a large mailbox."""

import tracemalloc

from mailserver.services.maildrop import MaildropMessage, MaildropMessages
from storage.types import MessageId, Uid


def test_a_large_maildrop_is_held_in_little_memory() -> None:
    tracemalloc.start()
    held = MaildropMessages((Uid(n), MessageId(2**40 + n), 5_000 + n) for n in range(1, 50_001))
    octets, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert octets < 30 * 50_000
    assert len(held) == 50_000
    assert held[49_999] == MaildropMessage(Uid(50_000), MessageId(2**40 + 50_000), 55_000)
    assert sum(each.octets for each in held) == sum(range(5_001, 55_001))
