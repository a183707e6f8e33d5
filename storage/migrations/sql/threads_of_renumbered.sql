-- A new epoch: what gets another uid is logged with its thread. The body of epochs.sql, with that.
CREATE OR REPLACE FUNCTION start_epoch_v1(
    p_tenant bigint, p_account bigint, p_mailboxes bigint[], p_uids bigint[], p_is_new boolean,
    p_modseq_leap bigint, p_uid_leap bigint
) RETURNS TABLE (epoch integer, modseq bigint, mailboxes integer, renumbered integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_mailbox record;
    v_uidvalidity bigint;
    v_count integer;
    v_seq integer := 0;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE account_state a
       SET epoch = a.epoch + 1, modseq = a.modseq + p_modseq_leap, oldest_modseq = a.modseq + p_modseq_leap + 1,
           next_uidvalidity = a.next_uidvalidity + p_uid_leap
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.epoch, a.modseq, a.next_uidvalidity INTO epoch, modseq, v_uidvalidity;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    mailboxes := 0;
    renumbered := 0;
    FOR v_mailbox IN
        SELECT m.id, m.uidnext, m.uidnext + p_uid_leap AS first_uid, count(r.uid)::integer AS wanted
          FROM mailbox m
          LEFT JOIN unnest(p_mailboxes, p_uids) AS r (mailbox_id, uid) ON r.mailbox_id = m.id
         WHERE m.tenant_id = p_tenant AND m.account_id = p_account
         GROUP BY m.tenant_id, m.id ORDER BY m.id
    LOOP
        mailboxes := mailboxes + 1;
        IF p_is_new OR v_mailbox.first_uid + v_mailbox.wanted + p_uid_leap >= 4294967296 THEN
            UPDATE placement p SET modseq = start_epoch_v1.modseq
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox.id;
            UPDATE mailbox m SET modseq = start_epoch_v1.modseq, uidvalidity = v_uidvalidity
             WHERE m.tenant_id = p_tenant AND m.id = v_mailbox.id;
            v_uidvalidity := v_uidvalidity + 1;
            CONTINUE;
        END IF;
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid)
        VALUES (p_tenant, p_account, start_epoch_v1.modseq, v_seq, 7, v_mailbox.id, v_mailbox.first_uid);
        v_seq := v_seq + 1;
        v_count := 0;
        IF v_mailbox.wanted > 0 THEN
            -- as the search pages go that know a message by its old uid
            DELETE FROM search_page s
             USING (SELECT DISTINCT (r.uid >> 10)::integer AS number
                      FROM unnest(p_mailboxes, p_uids) AS r (mailbox_id, uid) WHERE r.mailbox_id = v_mailbox.id) d
             WHERE s.tenant_id = p_tenant AND s.mailbox_id = v_mailbox.id AND s.number = d.number;
            WITH again AS (
                SELECT p.uid, p.message_id, p.flags, p.keywords,
                       v_mailbox.first_uid + row_number() OVER (ORDER BY p.uid) - 1 AS new_uid
                  FROM placement p
                 WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox.id AND p.account_id = p_account
                   AND p.uid IN (SELECT r.uid FROM unnest(p_mailboxes, p_uids) AS r (mailbox_id, uid)
                                  WHERE r.mailbox_id = v_mailbox.id)
            ), logged AS (
                INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                                    flags_after, keywords_before, keywords_after, thread_id)
                SELECT p_tenant, p_account, start_epoch_v1.modseq, v_seq + row_number() OVER (ORDER BY l.kind, l.uid) - 1,
                       l.kind, v_mailbox.id, l.uid, l.message_id, l.flags_before, l.flags_after, l.keywords_before,
                       l.keywords_after, l.thread_id
                  FROM (SELECT 3 AS kind, g.uid, g.message_id, g.flags AS flags_before, NULL::smallint AS flags_after,
                               g.keywords AS keywords_before, NULL::text[] AS keywords_after,
                               (SELECT m.thread_id FROM message m
                                 WHERE m.tenant_id = p_tenant AND m.account_id = p_account
                                   AND m.id = g.message_id) AS thread_id
                          FROM again g
                        UNION ALL
                        SELECT 1, g.new_uid, g.message_id, NULL, g.flags, NULL, g.keywords, NULL FROM again g) l
            ), moved AS (
                UPDATE placement p SET uid = g.new_uid FROM again g
                 WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox.id AND p.uid = g.uid
                RETURNING p.uid
            )
            SELECT count(*)::integer INTO v_count FROM moved;
            v_seq := v_seq + 2 * v_count;
            renumbered := renumbered + v_count;
        END IF;
        UPDATE placement p SET modseq = start_epoch_v1.modseq
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox.id;
        UPDATE mailbox m SET modseq = start_epoch_v1.modseq, uidnext = v_mailbox.first_uid + v_count
         WHERE m.tenant_id = p_tenant AND m.id = v_mailbox.id;
    END LOOP;
    IF v_uidvalidity > 0 THEN
        UPDATE account_state a SET next_uidvalidity = v_uidvalidity
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account AND a.next_uidvalidity < v_uidvalidity;
    END IF;
    RETURN NEXT;
END $$;
