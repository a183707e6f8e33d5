-- EXPUNGE: placements go; a message that stands nowhere else goes with them, and its octets with the next collection.

-- Removes at most p_limit placements of a mailbox: those with \Deleted, or with p_all every one of a tombstone (of a
-- mailbox that lives, none); among p_uids unless that is NULL. One modseq for the call, none when nothing is removed.
CREATE FUNCTION expunge_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_all boolean, p_limit integer
) RETURNS TABLE (uid bigint, modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_modseq bigint;
    v_uids bigint[];
    v_messages bigint[];
    v_gone bigint[];
    v_octets bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    PERFORM FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    IF p_all AND EXISTS (
        SELECT FROM mailbox m WHERE m.tenant_id = p_tenant AND m.id = p_mailbox AND m.deleted_at IS NULL
    ) THEN
        RETURN;
    END IF;

    IF p_uids IS NULL THEN
        SELECT array_agg(d.uid ORDER BY d.uid) INTO v_uids FROM (
            SELECT p.uid FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account
               AND (p_all OR p.flags & 8 <> 0)
             ORDER BY p.uid LIMIT p_limit) d;
    ELSE
        SELECT array_agg(d.uid ORDER BY d.uid) INTO v_uids FROM (
            SELECT p.uid FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account
               AND p.uid = ANY (p_uids) AND (p_all OR p.flags & 8 <> 0)
             ORDER BY p.uid LIMIT p_limit) d;
    END IF;
    IF v_uids IS NULL THEN
        RETURN;
    END IF;

    UPDATE account_state a SET modseq = a.modseq + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq INTO v_modseq;

    WITH removed AS (
        DELETE FROM placement p
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.uid = ANY (v_uids)
        RETURNING p.uid, p.message_id, p.flags, p.keywords
    ), logged AS (
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            keywords_before)
        SELECT p_tenant, p_account, v_modseq, row_number() OVER (ORDER BY r.uid) - 1, 3, p_mailbox, r.uid, r.message_id,
               r.flags, r.keywords
          FROM removed r
    ), counted AS (
        UPDATE mailbox m
           SET messages = m.messages - d.messages, unseen = m.unseen - d.unseen, modseq = v_modseq
          FROM (SELECT count(*)::integer AS messages, sum(1 - (r.flags & 1))::integer AS unseen FROM removed r) d
         WHERE m.tenant_id = p_tenant AND m.id = p_mailbox
    )
    SELECT array_agg(r.message_id) INTO v_messages FROM removed r;

    SELECT array_agg(u.id) INTO v_gone FROM unnest(v_messages) AS u (id)
     WHERE NOT EXISTS (SELECT FROM placement p WHERE p.tenant_id = p_tenant AND p.message_id = u.id);
    IF v_gone IS NOT NULL THEN
        DELETE FROM message_blob b WHERE b.tenant_id = p_tenant AND b.message_id = ANY (v_gone);
        WITH gone AS (
            DELETE FROM message m
             WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = ANY (v_gone)
            RETURNING m.octets
        )
        SELECT coalesce(sum(g.octets), 0) INTO v_octets FROM gone g;
        UPDATE account_state a
           SET used_octets = a.used_octets - v_octets, used_messages = a.used_messages - cardinality(v_gone)
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    END IF;
    RETURN QUERY SELECT u.uid, v_modseq FROM unnest(v_uids) AS u (uid);
END $$;
