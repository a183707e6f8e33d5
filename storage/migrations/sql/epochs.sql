-- A new epoch of an account: what a client may have seen in a time that is lost (a restore to an earlier moment, a
-- failover that lost transactions) never means something else here.
--
-- modseq, uidnext and next_uidvalidity leap, so that nothing the lost time gave out is given out again. Every message
-- and mailbox gets the new modseq, and the horizon of the log lies there: whoever asks with an older one, of the lost time
-- or from before, is answered from the messages that are there (RFC 7162 §3.2.6), each with its flags, and whatever else
-- lies below uidnext has vanished. Messages that the lost time removed and that are there again (p_mailboxes, p_uids) get
-- new uids: a client that saw them go does not look for them below its uidnext, and counts on their not coming back.
-- With p_is_new every mailbox gets a new uidvalidity instead: when nobody can say what was removed.
--
-- The log gets for each mailbox a row of kind 7 (from its uid on uids are of the new epoch), and what changed its uid.
-- No row when the account was never provisioned.
CREATE FUNCTION start_epoch_v1(
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
                                    flags_after, keywords_before, keywords_after)
                SELECT p_tenant, p_account, start_epoch_v1.modseq, v_seq + row_number() OVER (ORDER BY l.kind, l.uid) - 1,
                       l.kind, v_mailbox.id, l.uid, l.message_id, l.flags_before, l.flags_after, l.keywords_before,
                       l.keywords_after
                  FROM (SELECT 3 AS kind, g.uid, g.message_id, g.flags AS flags_before, NULL::smallint AS flags_after,
                               g.keywords AS keywords_before, NULL::text[] AS keywords_after FROM again g
                        UNION ALL
                        SELECT 1, g.new_uid, g.message_id, NULL, g.flags, NULL, g.keywords FROM again g) l
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

-- Ids that the lost time gave out are not given out again: of messages, mailboxes, tenants, accounts and the rest.
CREATE FUNCTION leap_ids_v1(p_mail_ids bigint, p_others bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_sequence record;
BEGIN
    FOR v_sequence IN
        SELECT s.schemaname, s.sequencename, s.last_value, s.max_value,
               CASE s.sequencename WHEN 'mail_id' THEN p_mail_ids ELSE p_others END AS leap
          FROM pg_sequences s WHERE s.schemaname = 'public' AND s.last_value IS NOT NULL
    LOOP
        IF v_sequence.last_value > v_sequence.max_value - v_sequence.leap THEN
            RAISE EXCEPTION 'the sequence % is nearly used up', v_sequence.sequencename;
        END IF;
        PERFORM setval(format('%I.%I', v_sequence.schemaname, v_sequence.sequencename),
                       v_sequence.last_value + v_sequence.leap);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION leap_ids_v1(bigint, bigint) FROM PUBLIC;
