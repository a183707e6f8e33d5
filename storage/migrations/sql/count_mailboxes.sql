-- Counts what stands in every mailbox, once: after this the functions of mailbox_counts.sql keep the counts.

-- Waits for calls that began with the bodies of before; each holds one of these tables from its first statement on.
LOCK TABLE blob, account_state, mailbox, placement IN EXCLUSIVE MODE;
UPDATE mailbox m SET octets = c.octets, deleted = c.deleted
  FROM (SELECT p.tenant_id, p.mailbox_id, sum(g.octets) AS octets, count(*) FILTER (WHERE p.flags & 8 <> 0) AS deleted
          FROM placement p
          JOIN message g ON g.tenant_id = p.tenant_id AND g.account_id = p.account_id AND g.id = p.message_id
         GROUP BY p.tenant_id, p.mailbox_id) c
 WHERE m.tenant_id = c.tenant_id AND m.id = c.mailbox_id AND (m.octets, m.deleted) <> (c.octets, c.deleted);
UPDATE mailbox m SET octets = 0, deleted = 0
 WHERE (m.octets, m.deleted) <> (0, 0) AND NOT EXISTS (
     SELECT FROM placement p WHERE p.tenant_id = m.tenant_id AND p.mailbox_id = m.id);
