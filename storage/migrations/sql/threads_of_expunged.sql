-- EXPUNGE and REPLACE: what they remove is logged with its thread, by themselves instead of by a trigger for each row.
-- The bodies of recoverable.sql, with that; under the same names, so that processes of the version before log it too.

CREATE OR REPLACE FUNCTION expunge_v2(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_all boolean, p_limit integer,
    p_keeps boolean, p_is_held boolean
) RETURNS TABLE (uid bigint, modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_modseq bigint;
    v_uids bigint[];
    v_messages bigint[];
    v_flags smallint[];
    v_keywords text[];
    v_octets bigint[];
    v_first_draft bigint;
    v_gone bigint[];
    v_binned integer := 0;
    v_binned_octets bigint := 0;
    v_deleted integer := 0;
    v_deleted_octets bigint := 0;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    PERFORM FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    IF p_all AND EXISTS (
        SELECT FROM mailbox m WHERE m.tenant_id = p_tenant AND m.id = p_mailbox AND m.deleted_at IS NULL
    ) THEN
        RETURN;
    END IF;

    IF p_uids IS NULL THEN
        SELECT array_agg(d.uid ORDER BY d.uid), min(d.uid) FILTER (WHERE d.flags & 16 <> 0)
          INTO v_uids, v_first_draft FROM (
            SELECT p.uid, p.flags FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account
               AND (p_all OR p.flags & 8 <> 0)
             ORDER BY p.uid LIMIT p_limit) d;
    ELSE
        SELECT array_agg(d.uid ORDER BY d.uid), min(d.uid) FILTER (WHERE d.flags & 16 <> 0)
          INTO v_uids, v_first_draft FROM (
            SELECT p.uid, p.flags FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account
               AND p.uid = ANY (p_uids) AND (p_all OR p.flags & 8 <> 0)
             ORDER BY p.uid LIMIT p_limit) d;
    END IF;
    IF v_uids IS NULL THEN
        RETURN;
    END IF;
    IF v_first_draft IS NOT NULL AND p_keeps AND NOT p_is_held THEN
        SELECT array_agg(d.message_id) INTO v_gone FROM (
            SELECT p.uid, p.message_id, max(p.uid) OVER (PARTITION BY m.thread_id) AS latest
              FROM placement p
              JOIN message m ON m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = p.message_id
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.uid >= v_first_draft
               AND p.flags & 16 <> 0) d
         WHERE d.uid < d.latest;
    END IF;

    UPDATE account_state a SET modseq = a.modseq + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq INTO v_modseq;

    -- keywords travel as one text each, since arrays of arrays must be rectangular; a keyword holds no space
    WITH removed AS (
        DELETE FROM placement p
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.uid = ANY (v_uids)
        RETURNING p.uid, p.message_id, p.flags, p.keywords
    ), known AS MATERIALIZED (
        -- OFFSET 0: each is looked up; a join would be planned by guesses
        SELECT r.uid, r.message_id, r.flags, r.keywords, g.thread_id, coalesce(g.octets, 0) AS octets
          FROM removed r
          LEFT JOIN LATERAL (
            SELECT o.thread_id, o.octets FROM message o
             WHERE o.tenant_id = p_tenant AND o.account_id = p_account AND o.id = r.message_id OFFSET 0) g ON true
    ), logged AS (
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            keywords_before, thread_id)
        SELECT p_tenant, p_account, v_modseq, row_number() OVER (ORDER BY k.uid) - 1, 3, p_mailbox, k.uid, k.message_id,
               k.flags, k.keywords, k.thread_id
          FROM known k
    ), counted AS (
        UPDATE mailbox m
           SET messages = m.messages - d.messages, unseen = m.unseen - d.unseen, deleted = m.deleted - d.deleted,
               octets = m.octets - d.octets, modseq = v_modseq
          FROM (SELECT count(*)::integer AS messages, sum(1 - (k.flags & 1))::integer AS unseen,
                       sum(k.flags >> 3 & 1)::integer AS deleted, sum(k.octets) AS octets
                  FROM known k) d
         WHERE m.tenant_id = p_tenant AND m.id = p_mailbox
    )
    SELECT array_agg(k.message_id), array_agg(k.flags), array_agg(array_to_string(k.keywords, ' ')),
           array_agg(k.octets)
      INTO v_messages, v_flags, v_keywords, v_octets FROM known k;

    IF p_keeps THEN
        WITH binned AS (
            INSERT INTO recoverable (tenant_id, account_id, message_id, mailbox_id, flags, keywords, octets, expunged_at)
            SELECT p_tenant, p_account, u.message, p_mailbox, u.flags, string_to_array(u.keywords, ' '), u.octets, now()
              FROM unnest(v_messages, v_flags, v_keywords, v_octets) AS u (message, flags, keywords, octets)
             -- not NOT EXISTS: that becomes a join, which reads all that the tenant expunged and is not vacuumed yet
             WHERE (SELECT 1 FROM placement p WHERE p.tenant_id = p_tenant AND p.message_id = u.message LIMIT 1) IS NULL
               AND (v_gone IS NULL OR NOT u.message = ANY (v_gone))
            RETURNING octets
        )
        SELECT count(*)::integer, coalesce(sum(b.octets), 0) INTO v_binned, v_binned_octets FROM binned b;
        IF v_gone IS NOT NULL THEN
            SELECT array_agg(u.message) INTO v_gone
              FROM unnest(v_messages) AS u (message)
             WHERE u.message = ANY (v_gone)
               AND (SELECT 1 FROM placement p
                     WHERE p.tenant_id = p_tenant AND p.message_id = u.message LIMIT 1) IS NULL;
        END IF;
    ELSE
        SELECT array_agg(u.message) INTO v_gone FROM unnest(v_messages) AS u (message)
         WHERE (SELECT 1 FROM placement p WHERE p.tenant_id = p_tenant AND p.message_id = u.message LIMIT 1) IS NULL;
    END IF;
    IF v_gone IS NOT NULL THEN
        DELETE FROM message_blob b WHERE b.tenant_id = p_tenant AND b.message_id = ANY (v_gone);
        WITH gone AS (
            DELETE FROM message m
             WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = ANY (v_gone)
            RETURNING m.octets
        )
        SELECT count(*)::integer, coalesce(sum(g.octets), 0) INTO v_deleted, v_deleted_octets FROM gone g;
    END IF;
    IF v_binned + v_deleted > 0 THEN
        UPDATE account_state a
           SET used_octets = a.used_octets - v_binned_octets - v_deleted_octets,
               used_messages = a.used_messages - v_binned - v_deleted,
               binned_octets = a.binned_octets + v_binned_octets, binned_messages = a.binned_messages + v_binned
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    END IF;
    RETURN QUERY SELECT u.uid, v_modseq FROM unnest(v_uids) AS u (uid);
END $$;

CREATE OR REPLACE FUNCTION remove_v2(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uid bigint, p_keeps boolean, p_is_held boolean
) RETURNS TABLE (modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_message bigint;
    v_flags smallint;
    v_keywords text[];
    v_octets bigint;
    v_thread bigint;
    v_bins boolean;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    PERFORM FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    DELETE FROM placement p
     WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.uid = p_uid AND p.account_id = p_account
    RETURNING p.message_id, p.flags, p.keywords INTO v_message, v_flags, v_keywords;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE account_state a SET modseq = a.modseq + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq INTO modseq;
    SELECT m.octets, m.thread_id INTO v_octets, v_thread FROM message m
     WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = v_message;
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                        keywords_before, thread_id)
    VALUES (p_tenant, p_account, remove_v2.modseq, 0, 3, p_mailbox, p_uid, v_message, v_flags, v_keywords,
            v_thread);
    UPDATE mailbox m
       SET messages = m.messages - 1, unseen = m.unseen - 1 + (v_flags & 1), deleted = m.deleted - (v_flags >> 3 & 1),
           octets = m.octets - v_octets, modseq = remove_v2.modseq
     WHERE m.tenant_id = p_tenant AND m.id = p_mailbox;
    IF NOT EXISTS (SELECT FROM placement p WHERE p.tenant_id = p_tenant AND p.message_id = v_message) THEN
        v_bins := p_is_held OR (p_keeps AND v_flags & 16 = 0);
        IF v_bins THEN
            INSERT INTO recoverable (tenant_id, account_id, message_id, mailbox_id, flags, keywords, octets, expunged_at)
            VALUES (p_tenant, p_account, v_message, p_mailbox, v_flags, v_keywords, v_octets, now());
        ELSE
            DELETE FROM message_blob b WHERE b.tenant_id = p_tenant AND b.message_id = v_message;
            DELETE FROM message m WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = v_message;
        END IF;
        UPDATE account_state a
           SET used_octets = a.used_octets - v_octets, used_messages = a.used_messages - 1,
               binned_octets = a.binned_octets + CASE WHEN v_bins THEN v_octets ELSE 0 END,
               binned_messages = a.binned_messages + v_bins::integer
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    END IF;
    RETURN NEXT;
END $$;

-- Of the time before the bin.
CREATE OR REPLACE FUNCTION expunge_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_all boolean, p_limit integer
) RETURNS TABLE (uid bigint, modseq bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT e.uid, e.modseq
                   FROM expunge_v2(p_tenant, p_account, p_mailbox, p_uids, p_all, p_limit, false, false) e;
END $$;

CREATE OR REPLACE FUNCTION remove_v1(p_tenant bigint, p_account bigint, p_mailbox bigint, p_uid bigint)
RETURNS TABLE (modseq bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT r.modseq FROM remove_v2(p_tenant, p_account, p_mailbox, p_uid, false, false) r;
END $$;
