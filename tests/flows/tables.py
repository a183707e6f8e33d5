"""Rules that the tables keep at any moment, looked at as their owner: each query finds what breaks one."""

import contextlib

from storage.mailboxes import CHANGE_REMOVED
from tests.flows.installation import Installation

_RULES = {
    "an account's usage is the sum of its messages": """
        SELECT a.account_id, a.used_octets, m.octets, a.used_messages, m.messages, a.binned_octets, a.binned_messages
          FROM account_state a
          LEFT JOIN (SELECT g.tenant_id, g.account_id, count(*) FILTER (WHERE r.message_id IS NULL) AS messages,
                            sum(g.octets) FILTER (WHERE r.message_id IS NULL) AS octets,
                            sum(r.octets) AS binned_octets, count(r.message_id) AS binned
                       FROM message g
                       LEFT JOIN recoverable r ON (r.tenant_id, r.account_id, r.message_id)
                                                  = (g.tenant_id, g.account_id, g.id)
                      GROUP BY 1, 2) m USING (tenant_id, account_id)
         WHERE (a.used_octets, a.used_messages) IS DISTINCT FROM (coalesce(m.octets, 0), coalesce(m.messages, 0))
            OR (a.binned_octets, a.binned_messages)
               IS DISTINCT FROM (coalesce(m.binned_octets, 0), coalesce(m.binned, 0))
    """,
    "a mailbox counts its messages": """
        SELECT m.account_id, m.name, m.messages, p.messages, m.unseen, p.unseen, m.deleted, p.deleted, m.octets,
               p.octets, m.uidnext, p.highest
          FROM mailbox m
          LEFT JOIN (SELECT p.tenant_id, p.mailbox_id, count(*) AS messages, max(p.uid) AS highest,
                            count(*) FILTER (WHERE p.flags & 1 = 0) AS unseen,
                            count(*) FILTER (WHERE p.flags & 8 <> 0) AS deleted, sum(g.octets) AS octets
                       FROM placement p
                       JOIN message g ON (g.tenant_id, g.account_id, g.id) = (p.tenant_id, p.account_id, p.message_id)
                      GROUP BY 1, 2) p ON p.tenant_id = m.tenant_id AND p.mailbox_id = m.id
         WHERE m.deleted_at IS NULL
           AND (m.messages <> coalesce(p.messages, 0) OR m.unseen <> coalesce(p.unseen, 0)
                OR m.deleted <> coalesce(p.deleted, 0) OR m.octets <> coalesce(p.octets, 0)
                OR m.uidnext <= coalesce(p.highest, 0))
    """,
    "every message is in a mailbox, or in the bin": """
        SELECT m.account_id, m.id FROM message m
         WHERE EXISTS (SELECT FROM placement p
                        WHERE p.tenant_id = m.tenant_id AND p.account_id = m.account_id AND p.message_id = m.id)
             = EXISTS (SELECT FROM recoverable r
                        WHERE r.tenant_id = m.tenant_id AND r.account_id = m.account_id AND r.message_id = m.id)
         UNION ALL
        SELECT r.account_id, r.message_id FROM recoverable r
         WHERE NOT EXISTS (SELECT FROM message m
                            WHERE m.tenant_id = r.tenant_id AND m.account_id = r.account_id AND m.id = r.message_id)
    """,
    "every placement has its message and its mailbox": """
        SELECT p.account_id, p.mailbox_id, p.uid FROM placement p
         WHERE NOT EXISTS (SELECT FROM message m
                            WHERE m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id)
            OR NOT EXISTS (SELECT FROM mailbox b
                            WHERE b.tenant_id = p.tenant_id AND b.account_id = p.account_id AND b.id = p.mailbox_id)
    """,
    "every message has its blobs, and every blob its content": """
        SELECT u.message_id, u.digest FROM message_blob u
         WHERE NOT EXISTS (SELECT FROM blob b WHERE b.tenant_id = u.tenant_id AND b.digest = u.digest)
         UNION ALL
        SELECT NULL, b.digest FROM blob b
         WHERE b.object_id IS NULL
           AND NOT EXISTS (SELECT FROM blob_content c WHERE c.tenant_id = b.tenant_id AND c.digest = b.digest)
         UNION ALL
        SELECT NULL, b.digest FROM blob b
         WHERE b.object_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM object o WHERE o.tenant_id = b.tenant_id AND o.id = b.object_id AND o.state = 1)
         UNION ALL
        SELECT m.id, NULL FROM message m
         WHERE m.octets > least(m.header_octets, 262144) -- one that is all header needs none
           AND NOT EXISTS (SELECT FROM message_blob u WHERE u.tenant_id = m.tenant_id AND u.message_id = m.id)
    """,
    "no modseq is above that of what holds it": """
        SELECT m.account_id, m.name, m.modseq, a.modseq, p.modseq
          FROM mailbox m
          JOIN account_state a USING (tenant_id, account_id)
          LEFT JOIN placement p ON p.tenant_id = m.tenant_id AND p.mailbox_id = m.id AND p.modseq > m.modseq
         WHERE m.modseq > a.modseq OR p.modseq IS NOT NULL
    """,
    "the log of an account, replayed, is what its mailboxes hold": """
        WITH last AS (
            SELECT DISTINCT ON (c.tenant_id, c.mailbox_id, c.uid)
                   c.tenant_id, c.mailbox_id, c.uid, c.kind, c.message_id, c.flags_after, c.keywords_after
              FROM change c
              JOIN mailbox m ON m.tenant_id = c.tenant_id AND m.id = c.mailbox_id AND m.deleted_at IS NULL
             WHERE c.uid IS NOT NULL
             ORDER BY c.tenant_id, c.mailbox_id, c.uid, c.modseq DESC, c.seq DESC)
        SELECT l.kind, l.mailbox_id, l.uid, l.flags_after, p.mailbox_id, p.uid, p.flags
          FROM (SELECT * FROM last WHERE kind <> %(removed)s) l
          FULL JOIN placement p ON p.tenant_id = l.tenant_id AND p.mailbox_id = l.mailbox_id AND p.uid = l.uid
         WHERE l.uid IS NULL OR p.uid IS NULL OR l.message_id <> p.message_id
            OR l.flags_after IS DISTINCT FROM p.flags
            OR coalesce(l.keywords_after, '{}') <> coalesce(p.keywords, '{}')
    """,
}


def assert_tables_are_sound(installation: Installation) -> None:
    """Of the whole installation, in one snapshot."""
    with installation.sql() as connection, contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for rule, exceptions in _RULES.items():
            found = cursor.execute(exceptions, {"removed": CHANGE_REMOVED}).fetchmany(5)
            assert not found, f"{rule}: {found}"


def waiting_inbound(installation: Installation) -> int:
    """How many messages are accepted and not yet placed for everybody."""
    with installation.sql() as connection:
        row = connection.execute("SELECT count(*) FROM inbound").fetchone()
    assert row is not None
    return int(row[0])
