-- Email/set: what it takes out of mailboxes is logged with its thread. The body of rearranging.sql, with that.
CREATE OR REPLACE FUNCTION rearrange_v1(
    p_tenant bigint, p_account bigint, p_keeps boolean, p_is_held boolean, p_superseded bigint[],
    p_removed_mailboxes bigint[], p_removed_uids bigint[],
    p_added_mailboxes bigint[], p_added_messages bigint[], p_added_flags smallint[], p_added_words text[],
    p_changed_mailboxes bigint[], p_changed_uids bigint[], p_changed_flags smallint[], p_changed_words text[]
) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_modseq bigint;
    v_seq integer := 0;
    v_mailbox bigint;
    v_uids bigint[];
    v_messages bigint[];
    v_flags smallint[];
    v_words text[];
    v_first bigint;
    v_count integer;
    v_octets bigint;
    v_removed bigint[] := '{}';
    v_removed_from bigint[] := '{}';
    v_removed_flags smallint[] := '{}';
    v_removed_words text[] := '{}';
    v_left bigint[];
    v_gone bigint[];
    v_binned integer := 0;
    v_binned_octets bigint := 0;
    v_deleted integer := 0;
    v_deleted_octets bigint := 0;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE account_state a SET modseq = a.modseq + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq INTO v_modseq;

    FOR v_mailbox, v_uids IN
        SELECT u.mailbox, array_agg(u.uid) FROM unnest(p_removed_mailboxes, p_removed_uids) AS u (mailbox, uid)
         GROUP BY u.mailbox ORDER BY u.mailbox
    LOOP
        WITH removed AS (
            DELETE FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox AND p.uid = ANY (v_uids)
               AND p.account_id = p_account
            RETURNING p.uid, p.message_id, p.flags, p.keywords
        ), known AS MATERIALIZED (
            SELECT r.uid, r.message_id, r.flags, r.keywords, g.thread_id, coalesce(g.octets, 0) AS octets
              FROM removed r
              LEFT JOIN LATERAL (
                SELECT o.thread_id, o.octets FROM message o
                 WHERE o.tenant_id = p_tenant AND o.account_id = p_account AND o.id = r.message_id OFFSET 0) g ON true
        ), logged AS (
            INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                                keywords_before, thread_id)
            SELECT p_tenant, p_account, v_modseq, v_seq + row_number() OVER (ORDER BY k.uid) - 1, 3, v_mailbox, k.uid,
                   k.message_id, k.flags, k.keywords, k.thread_id
              FROM known k
        ), counted AS (
            UPDATE mailbox m
               SET messages = m.messages - d.messages, unseen = m.unseen - d.unseen, deleted = m.deleted - d.deleted,
                   octets = m.octets - d.octets, modseq = v_modseq
              FROM (SELECT count(*)::integer AS messages, sum(1 - (k.flags & 1))::integer AS unseen,
                           sum(k.flags >> 3 & 1)::integer AS deleted, sum(k.octets) AS octets
                      FROM known k) d
             WHERE m.tenant_id = p_tenant AND m.id = v_mailbox
        )
        SELECT array_agg(k.message_id), array_agg(k.flags), array_agg(array_to_string(k.keywords, ' ')),
               count(*)::integer
          INTO v_messages, v_flags, v_words, v_count FROM known k;
        v_seq := v_seq + v_count;
        v_removed := v_removed || v_messages;
        v_removed_from := v_removed_from || array_fill(v_mailbox, ARRAY[v_count]);
        v_removed_flags := v_removed_flags || v_flags;
        v_removed_words := v_removed_words || v_words;
    END LOOP;

    FOR v_mailbox, v_messages, v_flags, v_words IN
        SELECT u.mailbox, array_agg(u.message ORDER BY u.position), array_agg(u.flags ORDER BY u.position),
               array_agg(u.words ORDER BY u.position)
          FROM unnest(p_added_mailboxes, p_added_messages, p_added_flags, p_added_words) WITH ORDINALITY
               AS u (mailbox, message, flags, words, position)
         GROUP BY u.mailbox ORDER BY u.mailbox
    LOOP
        v_count := cardinality(v_messages);
        SELECT sum(m.octets) INTO v_octets FROM message m
         WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = ANY (v_messages);
        UPDATE mailbox m
           SET uidnext = m.uidnext + v_count, messages = m.messages + v_count,
               unseen = m.unseen + (SELECT sum(1 - (f & 1)) FROM unnest(v_flags) f)::integer,
               deleted = m.deleted + (SELECT sum(f >> 3 & 1) FROM unnest(v_flags) f)::integer,
               octets = m.octets + v_octets, modseq = v_modseq
         WHERE m.tenant_id = p_tenant AND m.id = v_mailbox AND m.account_id = p_account AND m.deleted_at IS NULL
           AND m.is_selectable
        RETURNING m.uidnext - v_count INTO v_first;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no target mailbox' USING ERRCODE = 'WP003', DETAIL = v_mailbox::text;
        END IF;
        INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords)
        SELECT p_tenant, v_mailbox, v_first + u.position - 1, p_account, u.message, v_modseq, now(), u.flags,
               string_to_array(u.words, ' ')
          FROM unnest(v_messages, v_flags, v_words) WITH ORDINALITY AS u (message, flags, words, position);
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after,
                            keywords_after)
        SELECT p_tenant, p_account, v_modseq, v_seq + u.position - 1, 1, v_mailbox, v_first + u.position - 1, u.message,
               u.flags, string_to_array(u.words, ' ')
          FROM unnest(v_messages, v_flags, v_words) WITH ORDINALITY AS u (message, flags, words, position);
        v_seq := v_seq + v_count;
    END LOOP;

    FOR v_mailbox, v_uids, v_flags, v_words IN
        SELECT u.mailbox, array_agg(u.uid ORDER BY u.position), array_agg(u.flags ORDER BY u.position),
               array_agg(u.words ORDER BY u.position)
          FROM unnest(p_changed_mailboxes, p_changed_uids, p_changed_flags, p_changed_words) WITH ORDINALITY
               AS u (mailbox, uid, flags, words, position)
         GROUP BY u.mailbox ORDER BY u.mailbox
    LOOP
        WITH known AS MATERIALIZED (
            SELECT p.uid, p.message_id, p.flags, p.keywords, array_position(v_uids, p.uid) AS position FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox AND p.uid = ANY (v_uids)
               AND p.account_id = p_account
        ), changed AS (
            UPDATE placement p
               SET flags = v_flags[k.position], keywords = string_to_array(v_words[k.position], ' '), modseq = v_modseq
              FROM known k
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox AND p.uid = k.uid
        ), logged AS (
            INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                                flags_after, keywords_before, keywords_after)
            SELECT p_tenant, p_account, v_modseq, v_seq + row_number() OVER (ORDER BY k.uid) - 1, 2, v_mailbox, k.uid,
                   k.message_id, k.flags, v_flags[k.position], k.keywords, string_to_array(v_words[k.position], ' ')
              FROM known k
        )
        UPDATE mailbox m
           SET unseen = m.unseen + d.unseen, deleted = m.deleted + d.deleted, modseq = v_modseq
          FROM (SELECT sum((k.flags & 1) - (v_flags[k.position] & 1))::integer AS unseen,
                       sum((v_flags[k.position] >> 3 & 1) - (k.flags >> 3 & 1))::integer AS deleted
                  FROM known k) d
         WHERE m.tenant_id = p_tenant AND m.id = v_mailbox;
        v_seq := v_seq + cardinality(v_uids);
    END LOOP;

    SELECT array_agg(DISTINCT u.message) INTO v_left FROM unnest(v_removed) AS u (message)
     WHERE (SELECT 1 FROM placement p WHERE p.tenant_id = p_tenant AND p.message_id = u.message LIMIT 1) IS NULL;
    IF v_left IS NULL THEN
        RETURN v_modseq;
    END IF;
    IF p_keeps THEN
        WITH binned AS (
            INSERT INTO recoverable (tenant_id, account_id, message_id, mailbox_id, flags, keywords, octets, expunged_at)
            SELECT DISTINCT ON (u.message) p_tenant, p_account, u.message, u.mailbox, u.flags & ~8,
                   string_to_array(u.words, ' '),
                   coalesce((SELECT g.octets FROM message g
                              WHERE g.tenant_id = p_tenant AND g.account_id = p_account AND g.id = u.message), 0), now()
              FROM unnest(v_removed, v_removed_from, v_removed_flags, v_removed_words) WITH ORDINALITY
                   AS u (message, mailbox, flags, words, position)
             WHERE u.message = ANY (v_left) AND (p_is_held OR NOT u.message = ANY (p_superseded))
             ORDER BY u.message, u.position
            RETURNING octets
        )
        SELECT count(*)::integer, coalesce(sum(b.octets), 0) INTO v_binned, v_binned_octets FROM binned b;
    END IF;
    IF NOT p_keeps THEN
        v_gone := v_left;
    ELSIF NOT p_is_held THEN
        SELECT array_agg(u.message) INTO v_gone FROM unnest(v_left) AS u (message) WHERE u.message = ANY (p_superseded);
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
    UPDATE account_state a
       SET used_octets = a.used_octets - v_binned_octets - v_deleted_octets,
           used_messages = a.used_messages - v_binned - v_deleted,
           binned_octets = a.binned_octets + v_binned_octets, binned_messages = a.binned_messages + v_binned
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    RETURN v_modseq;
END $$;
