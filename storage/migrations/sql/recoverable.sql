-- The bin: what was expunged keeps its message, its blobs and its id for a while, and stands in no mailbox. It counts in
-- account_state.binned_*, not in used_*.

ALTER TABLE recoverable ENABLE ROW LEVEL SECURITY;
ALTER TABLE recoverable FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON recoverable TO waypost_owner USING (true);
CREATE POLICY of_tenant ON recoverable TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON recoverable TO waypost_app;

ALTER TABLE quota_notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE quota_notice FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON quota_notice TO waypost_owner USING (true);
CREATE POLICY of_tenant ON quota_notice TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY of_system ON quota_notice TO waypost_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_notice TO waypost_app;
GRANT SELECT ON quota_notice TO waypost_system;

-- Removes at most p_limit placements of a mailbox: those with \Deleted, or with p_all every one of a tombstone (of a
-- mailbox that lives, none); among p_uids unless that is NULL. One modseq for the call, none when nothing is removed.
-- Messages that stand nowhere else go to the bin if p_keeps, else they are gone, and their octets with the next
-- collection. An older version of a draft (one in the same mailbox, of the same thread, that came before another) is
-- gone in any case, unless p_is_held.
CREATE FUNCTION expunge_v2(
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
    ), logged AS (
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            keywords_before)
        SELECT p_tenant, p_account, v_modseq, row_number() OVER (ORDER BY r.uid) - 1, 3, p_mailbox, r.uid, r.message_id,
               r.flags, r.keywords
          FROM removed r
    ), known AS MATERIALIZED (
        -- not a join: while a table is new to the planner, that reads the whole account for each message
        SELECT r.message_id, r.flags, array_to_string(r.keywords, ' ') AS keywords,
               coalesce((SELECT g.octets FROM message g
                          WHERE g.tenant_id = p_tenant AND g.account_id = p_account AND g.id = r.message_id), 0) AS octets
          FROM removed r
    ), counted AS (
        UPDATE mailbox m
           SET messages = m.messages - d.messages, unseen = m.unseen - d.unseen, deleted = m.deleted - d.deleted,
               octets = m.octets - d.octets, modseq = v_modseq
          FROM (SELECT count(*)::integer AS messages, sum(1 - (k.flags & 1))::integer AS unseen,
                       sum(k.flags >> 3 & 1)::integer AS deleted, sum(k.octets) AS octets
                  FROM known k) d
         WHERE m.tenant_id = p_tenant AND m.id = p_mailbox
    )
    SELECT array_agg(k.message_id), array_agg(k.flags), array_agg(k.keywords), array_agg(k.octets)
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

-- The old half of REPLACE (RFC 8508): one message goes, whatever its flags. No row when it is not there. It goes to the
-- bin as with expunge_v2, but never a draft: this is how it is superseded.
CREATE FUNCTION remove_v2(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uid bigint, p_keeps boolean, p_is_held boolean
) RETURNS TABLE (modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_message bigint;
    v_flags smallint;
    v_keywords text[];
    v_octets bigint;
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
    SELECT m.octets INTO v_octets FROM message m
     WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = v_message;
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                        keywords_before)
    VALUES (p_tenant, p_account, remove_v2.modseq, 0, 3, p_mailbox, p_uid, v_message, v_flags, v_keywords);
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

-- Brings messages back from the bin into a mailbox, in the order of p_messages: new uids, the same messages, with their
-- flags but \Deleted. One modseq; those that are not in the bin are left out. Raises WP002 (over quota), WP003 (no
-- mailbox to bring them to).
CREATE FUNCTION restore_v1(
    p_tenant bigint, p_account bigint, p_messages bigint[], p_mailbox bigint, p_quota bigint
) RETURNS TABLE (message_id bigint, uid bigint, modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_modseq bigint;
    v_used bigint;
    v_messages bigint[];
    v_flags smallint[];
    v_keywords text[];
    v_octets bigint;
    v_unseen integer;
    v_count integer;
    v_first bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    SELECT a.used_octets INTO v_used FROM account_state a
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    WITH taken AS (
        DELETE FROM recoverable r
         WHERE r.tenant_id = p_tenant AND r.account_id = p_account AND r.message_id = ANY (p_messages)
        RETURNING r.message_id, r.flags, r.keywords, r.octets
    )
    SELECT array_agg(t.message_id ORDER BY u.position), array_agg((t.flags & ~8)::smallint ORDER BY u.position),
           array_agg(array_to_string(t.keywords, ' ') ORDER BY u.position), sum(t.octets), sum(1 - (t.flags & 1)),
           count(*)
      INTO v_messages, v_flags, v_keywords, v_octets, v_unseen, v_count
      FROM taken t JOIN unnest(p_messages) WITH ORDINALITY AS u (message, position) ON u.message = t.message_id;
    IF v_count = 0 THEN
        RETURN;
    END IF;
    IF p_quota IS NOT NULL AND v_used + v_octets > p_quota THEN
        RAISE EXCEPTION 'over quota' USING ERRCODE = 'WP002', DETAIL = v_used::text;
    END IF;
    UPDATE account_state a
       SET modseq = a.modseq + 1, used_octets = a.used_octets + v_octets, used_messages = a.used_messages + v_count,
           binned_octets = a.binned_octets - v_octets, binned_messages = a.binned_messages - v_count
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq INTO v_modseq;
    UPDATE mailbox m
       SET uidnext = m.uidnext + v_count, messages = m.messages + v_count, unseen = m.unseen + v_unseen,
           octets = m.octets + v_octets, modseq = v_modseq
     WHERE m.tenant_id = p_tenant AND m.id = p_mailbox AND m.account_id = p_account AND m.deleted_at IS NULL
       AND m.is_selectable
    RETURNING m.uidnext - v_count INTO v_first;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no target mailbox' USING ERRCODE = 'WP003';
    END IF;
    INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords)
    SELECT p_tenant, p_mailbox, v_first + u.position - 1, p_account, u.message, v_modseq, now(), u.flags,
           string_to_array(u.keywords, ' ')
      FROM unnest(v_messages, v_flags, v_keywords) WITH ORDINALITY AS u (message, flags, keywords, position);
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after,
                        keywords_after)
    SELECT p_tenant, p_account, v_modseq, u.position - 1, 1, p_mailbox, v_first + u.position - 1, u.message, u.flags,
           string_to_array(u.keywords, ' ')
      FROM unnest(v_messages, v_flags, v_keywords) WITH ORDINALITY AS u (message, flags, keywords, position);
    RETURN QUERY SELECT u.message, v_first + u.position - 1, v_modseq
                   FROM unnest(v_messages) WITH ORDINALITY AS u (message, position);
END $$;

-- Deletes messages that are in the bin for good; their octets go with the next collection. Returns how many.
CREATE FUNCTION purge_v1(p_tenant bigint, p_account bigint, p_messages bigint[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_messages bigint[];
    v_octets bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    PERFORM FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    WITH gone AS (
        DELETE FROM recoverable r
         WHERE r.tenant_id = p_tenant AND r.account_id = p_account AND r.message_id = ANY (p_messages)
        RETURNING r.message_id, r.octets
    )
    SELECT array_agg(g.message_id), sum(g.octets) INTO v_messages, v_octets FROM gone g;
    IF v_messages IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM message_blob b WHERE b.tenant_id = p_tenant AND b.message_id = ANY (v_messages);
    DELETE FROM message m WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = ANY (v_messages);
    UPDATE account_state a
       SET binned_octets = a.binned_octets - v_octets, binned_messages = a.binned_messages - cardinality(v_messages)
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    RETURN cardinality(v_messages);
END $$;

-- Deletes the mail of an account that has ended, at most p_limit messages or references in a call, and of the log what
-- p_limit entries reach; the rest of what it has when none are left. Returns how many rows went: call until none do.
CREATE FUNCTION forget_account_v1(p_tenant bigint, p_account bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_messages bigint[];
    v_last bigint;
    v_rows integer;
    v_more integer;
    v_count integer;
    v_octets bigint;
    v_binned_octets bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    PERFORM FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    SELECT array_agg(d.id), max(d.id) INTO v_messages, v_last FROM (
        SELECT m.id FROM message m WHERE m.tenant_id = p_tenant AND m.account_id = p_account ORDER BY m.id LIMIT p_limit) d;
    IF v_messages IS NOT NULL THEN
        WITH unbinned AS (
            DELETE FROM recoverable r
             WHERE r.tenant_id = p_tenant AND r.account_id = p_account AND r.message_id <= v_last
            RETURNING r.octets
        )
        SELECT count(*)::integer, coalesce(sum(u.octets), 0) INTO v_count, v_binned_octets FROM unbinned u;
        DELETE FROM placement p WHERE p.tenant_id = p_tenant AND p.message_id = ANY (v_messages);
        DELETE FROM message_blob b WHERE b.tenant_id = p_tenant AND b.message_id = ANY (v_messages);
        WITH gone AS (
            DELETE FROM message m
             WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id <= v_last
            RETURNING m.octets
        )
        SELECT count(*)::integer, sum(g.octets) INTO v_rows, v_octets FROM gone g;
        UPDATE account_state a
           SET binned_messages = a.binned_messages - v_count, binned_octets = a.binned_octets - v_binned_octets,
               used_messages = a.used_messages - (v_rows - v_count),
               used_octets = a.used_octets - (v_octets - v_binned_octets)
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
        RETURN v_rows;
    END IF;

    SELECT max(d.modseq) INTO v_last FROM (
        SELECT c.modseq FROM change c WHERE c.tenant_id = p_tenant AND c.account_id = p_account
         ORDER BY c.modseq LIMIT p_limit) d;
    DELETE FROM change c WHERE c.tenant_id = p_tenant AND c.account_id = p_account AND c.modseq <= v_last;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    SELECT max(d.reference) INTO v_last FROM (
        SELECT t.reference FROM thread_reference t WHERE t.tenant_id = p_tenant AND t.account_id = p_account
         ORDER BY t.reference LIMIT p_limit) d;
    DELETE FROM thread_reference t
     WHERE t.tenant_id = p_tenant AND t.account_id = p_account AND t.reference <= v_last;
    GET DIAGNOSTICS v_more = ROW_COUNT;
    v_rows := v_rows + v_more;
    IF v_rows > 0 THEN
        RETURN v_rows;
    END IF;

    DELETE FROM search_page s
     USING mailbox m
     WHERE m.tenant_id = p_tenant AND m.account_id = p_account
       AND s.tenant_id = p_tenant AND s.mailbox_id = m.id;
    DELETE FROM inbound_placed i WHERE i.tenant_id = p_tenant AND i.account_id = p_account;
    DELETE FROM quota_notice q WHERE q.tenant_id = p_tenant AND q.account_id = p_account;
    DELETE FROM mailbox m WHERE m.tenant_id = p_tenant AND m.account_id = p_account;
    DELETE FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END $$;
