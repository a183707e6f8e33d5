-- mailbox.octets and mailbox.deleted: what STATUS SIZE and DELETED answer, kept by every function that writes placements.

-- The bodies of the first version, each with the two counts; signatures and outcomes are the same.

CREATE OR REPLACE FUNCTION place_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_flags smallint, p_keywords text[], p_quota bigint,
    p_inbound bigint,
    p_digest bytea, p_blob_octets bigint, p_key integer, p_codec smallint, p_sealed bytea,
    p_digests bytea[],
    p_octets bigint, p_received_at timestamptz, p_sent_at timestamptz, p_header_octets integer,
    p_wire_version smallint, p_differs_in_utf8 boolean, p_has_attachment boolean,
    p_subject text, p_base_subject text, p_sender text, p_recipients text, p_preview text, p_references bigint[],
    p_header bytea, p_segments bytea, p_structure bytea, p_envelope bytea, p_bodystructure bytea
) RETURNS TABLE (
    outcome text, mailbox_id bigint, message_id bigint, uid bigint, uidvalidity bigint, modseq bigint,
    used_octets bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_mailbox bigint;
    v_message bigint;
    v_thread bigint;
    v_uid bigint;
    v_uidvalidity bigint;
    v_modseq bigint;
    v_used bigint;
    v_claimed integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    IF p_digest IS NOT NULL THEN
        PERFORM put_blob_v1(p_tenant, p_digest, p_blob_octets, p_key, p_codec, p_sealed);
    ELSIF cardinality(p_digests) > 0 THEN
        UPDATE blob SET touched_at = now()
         WHERE tenant_id = p_tenant AND digest = ANY (p_digests) AND touched_at < now() - interval '1 hour';
        SELECT count(*) INTO v_claimed FROM blob WHERE tenant_id = p_tenant AND digest = ANY (p_digests);
        IF v_claimed < (SELECT count(DISTINCT d) FROM unnest(p_digests) d) THEN
            RETURN QUERY SELECT 'blob gone', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
                                NULL::bigint;
            RETURN;
        END IF;
    END IF;

    UPDATE account_state a
       SET modseq = a.modseq + 1, used_octets = a.used_octets + p_octets, used_messages = a.used_messages + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
       AND (p_quota IS NULL OR a.used_octets + p_octets <= p_quota)
    RETURNING a.modseq, a.used_octets INTO v_modseq, v_used;
    IF NOT FOUND THEN
        SELECT a.used_octets INTO v_used FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
        RETURN QUERY SELECT CASE WHEN v_used IS NULL THEN 'no account' ELSE 'over quota' END, NULL::bigint,
                            NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, v_used;
        RETURN;
    END IF;

    IF p_inbound IS NOT NULL THEN
        INSERT INTO inbound_placed (tenant_id, account_id, inbound_id, placed_on)
        VALUES (p_tenant, p_account, p_inbound, CURRENT_DATE) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            UPDATE account_state a
               SET used_octets = a.used_octets - p_octets, used_messages = a.used_messages - 1
             WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
            RETURN QUERY SELECT 'already', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
                                NULL::bigint;
            RETURN;
        END IF;
    END IF;

    IF p_mailbox IS NULL THEN
        UPDATE mailbox m
           SET uidnext = m.uidnext + 1, messages = m.messages + 1, unseen = m.unseen + 1 - (p_flags & 1),
               deleted = m.deleted + (p_flags >> 3 & 1), octets = m.octets + p_octets, modseq = v_modseq
         WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.name = 'INBOX' AND m.deleted_at IS NULL
        RETURNING m.id, m.uidnext - 1, m.uidvalidity INTO v_mailbox, v_uid, v_uidvalidity;
    ELSE
        UPDATE mailbox m
           SET uidnext = m.uidnext + 1, messages = m.messages + 1, unseen = m.unseen + 1 - (p_flags & 1),
               deleted = m.deleted + (p_flags >> 3 & 1), octets = m.octets + p_octets, modseq = v_modseq
         WHERE m.tenant_id = p_tenant AND m.id = p_mailbox AND m.account_id = p_account AND m.deleted_at IS NULL
           AND m.is_selectable
        RETURNING m.id, m.uidnext - 1, m.uidvalidity INTO v_mailbox, v_uid, v_uidvalidity;
    END IF;
    IF NOT FOUND THEN
        UPDATE account_state a
           SET used_octets = a.used_octets - p_octets, used_messages = a.used_messages - 1
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
        DELETE FROM inbound_placed i
         WHERE i.tenant_id = p_tenant AND i.account_id = p_account AND i.inbound_id = p_inbound;
        RETURN QUERY SELECT 'no mailbox', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
                            NULL::bigint;
        RETURN;
    END IF;

    v_message := nextval('mail_id');
    IF cardinality(p_references) > 0 THEN
        -- under the account's lock, so no other message of the account comes between
        SELECT min(t.thread_id) INTO v_thread FROM thread_reference t
         WHERE t.tenant_id = p_tenant AND t.account_id = p_account AND t.reference = ANY (p_references);
        v_thread := coalesce(v_thread, v_message);
        INSERT INTO thread_reference (tenant_id, account_id, reference, thread_id)
        SELECT p_tenant, p_account, r, v_thread FROM unnest(p_references) r
        ON CONFLICT DO NOTHING;
    ELSE
        v_thread := v_message;
    END IF;

    INSERT INTO message (
        tenant_id, account_id, id, thread_id, created_modseq, octets, received_at, sent_at, header_octets, wire_version,
        differs_in_utf8, has_attachment, subject, base_subject, sender, recipients, preview, header, segments,
        structure, envelope, bodystructure
    ) VALUES (
        p_tenant, p_account, v_message, v_thread, v_modseq, p_octets, p_received_at, p_sent_at, p_header_octets,
        p_wire_version, p_differs_in_utf8, p_has_attachment, p_subject, p_base_subject, p_sender, p_recipients,
        p_preview, p_header, p_segments, p_structure, p_envelope, p_bodystructure
    );
    INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
    SELECT p_tenant, v_message, (d.position - 1)::smallint, d.digest
      FROM unnest(p_digests) WITH ORDINALITY AS d (digest, position);
    INSERT INTO placement (
        tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords
    ) VALUES (p_tenant, v_mailbox, v_uid, p_account, v_message, v_modseq, now(), p_flags, p_keywords);
    INSERT INTO change (
        tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after, keywords_after
    ) VALUES (p_tenant, p_account, v_modseq, 0, 1, v_mailbox, v_uid, v_message, p_flags, p_keywords);

    RETURN QUERY SELECT 'placed', v_mailbox, v_message, v_uid, v_uidvalidity, v_modseq, v_used;
END $$;

CREATE OR REPLACE FUNCTION change_flags_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_operation smallint, p_flags smallint,
    p_keywords text[], p_unchanged_since bigint, p_keyword_limit integer
) RETURNS TABLE (uid bigint, outcome text, flags smallint, keywords text[], modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_modseq bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE account_state a SET modseq = a.modseq + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq INTO v_modseq;

    RETURN QUERY
    WITH named AS MATERIALIZED (
        SELECT p.uid, p.message_id, p.flags, p.keywords, p.modseq,
               p_unchanged_since IS NULL OR p.modseq <= p_unchanged_since AS is_chosen
          FROM placement p
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account
           AND p.uid = ANY (p_uids)
    ), target AS MATERIALIZED (
        SELECT o.mailbox_id, o.uid, o.message_id, o.flags AS before, o.keywords AS keywords_before,
               CASE p_operation
                   WHEN 0 THEN (o.flags & ~b.bits & CASE WHEN o.mailbox_id = p_mailbox THEN 0 ELSE 8 END) | b.bits
                   WHEN 1 THEN o.flags | b.bits
                   ELSE o.flags & ~b.bits
               END::smallint AS after,
               CASE
                   WHEN p_operation = 0 AND p_keywords IS NULL THEN NULL
                   WHEN p_operation = 0 THEN replace_keywords_v1(o.keywords, p_keywords)
                   WHEN p_keywords IS NULL THEN o.keywords
                   WHEN p_operation = 1 THEN add_keywords_v1(o.keywords, p_keywords)
                   ELSE remove_keywords_v1(o.keywords, p_keywords)
               END AS keywords_after
          FROM named n
          JOIN placement o ON o.tenant_id = p_tenant AND o.message_id = n.message_id,
               LATERAL (SELECT CASE WHEN o.mailbox_id = p_mailbox THEN p_flags ELSE p_flags & ~8 END AS bits) b
         WHERE n.is_chosen
    ), changed AS (
        UPDATE placement p SET flags = t.after, keywords = t.keywords_after, modseq = v_modseq
          FROM target t
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = t.mailbox_id AND p.uid = t.uid
           AND (t.before <> t.after OR t.keywords_before IS DISTINCT FROM t.keywords_after)
        RETURNING p.mailbox_id, p.uid, p.message_id, t.before, t.after, t.keywords_before, t.keywords_after
    ), logged AS (
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            flags_after, keywords_before, keywords_after)
        SELECT p_tenant, p_account, v_modseq, row_number() OVER (ORDER BY c.mailbox_id, c.uid) - 1, 2, c.mailbox_id,
               c.uid, c.message_id, c.before, c.after, c.keywords_before, c.keywords_after
          FROM changed c
    ), counted AS (
        UPDATE mailbox m SET unseen = m.unseen + d.unseen, deleted = m.deleted + d.deleted, modseq = v_modseq
          FROM (SELECT c.mailbox_id, sum((c.before & 1) - (c.after & 1))::integer AS unseen,
                       sum((c.after >> 3 & 1) - (c.before >> 3 & 1))::integer AS deleted
                  FROM changed c GROUP BY c.mailbox_id) d
         WHERE m.tenant_id = p_tenant AND m.id = d.mailbox_id
    )
    SELECT n.uid,
           CASE WHEN NOT n.is_chosen THEN 'newer' WHEN c.uid IS NOT NULL THEN 'changed' ELSE 'same' END,
           coalesce(c.after, n.flags), CASE WHEN c.uid IS NOT NULL THEN c.keywords_after ELSE n.keywords END,
           CASE WHEN c.uid IS NOT NULL THEN v_modseq ELSE n.modseq END
      FROM named n
      LEFT JOIN changed c ON c.mailbox_id = p_mailbox AND c.uid = n.uid
     ORDER BY n.uid;

    IF p_keywords IS NOT NULL AND p_operation <> 2 AND EXISTS (
        SELECT FROM placement p
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.uid = ANY (p_uids)
           AND cardinality(p.keywords) > p_keyword_limit
    ) THEN
        RAISE EXCEPTION 'too many keywords' USING ERRCODE = 'WP001';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION expunge_v1(
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
           SET messages = m.messages - d.messages, unseen = m.unseen - d.unseen, deleted = m.deleted - d.deleted,
               octets = m.octets - d.octets, modseq = v_modseq
          FROM (SELECT count(*)::integer AS messages, sum(1 - (r.flags & 1))::integer AS unseen,
                       sum(r.flags >> 3 & 1)::integer AS deleted, coalesce(sum(g.octets), 0) AS octets
                  FROM removed r
                  JOIN message g
                    ON g.tenant_id = p_tenant AND g.account_id = p_account AND g.id = r.message_id) d
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

CREATE OR REPLACE FUNCTION copy_v1(
    p_tenant bigint, p_account bigint, p_source bigint, p_uids bigint[], p_target bigint, p_move boolean, p_quota bigint
) RETURNS TABLE (source_uid bigint, target_uid bigint, modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_modseq bigint;
    v_first bigint;
    v_seq integer := 0;
    v_uids bigint[];
    v_messages bigint[];
    v_placed bigint[];
    v_flags smallint[];
    v_keywords text[];
    v_octets bigint;
    v_used bigint;
    v_all_octets bigint;
    v_unseen integer;
    v_deleted integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE account_state a SET modseq = a.modseq + 1
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq, a.used_octets INTO v_modseq, v_used;

    -- keywords travel as one text each, since arrays of arrays must be rectangular; a keyword holds no space
    SELECT array_agg(p.uid ORDER BY p.uid), array_agg(p.message_id ORDER BY p.uid), array_agg(p.flags ORDER BY p.uid),
           array_agg(array_to_string(p.keywords, ' ') ORDER BY p.uid)
      INTO v_uids, v_messages, v_flags, v_keywords
      FROM placement p
     WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_source AND p.account_id = p_account AND p.uid = ANY (p_uids);
    IF v_uids IS NULL THEN
        RETURN;
    END IF;
    SELECT sum(1 - (f & 1)), sum(f >> 3 & 1) INTO v_unseen, v_deleted FROM unnest(v_flags) f;
    SELECT sum(m.octets) INTO v_all_octets FROM message m
     WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = ANY (v_messages);

    IF p_move THEN
        DELETE FROM placement p WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_source AND p.uid = ANY (v_uids);
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            keywords_before)
        SELECT p_tenant, p_account, v_modseq, u.position - 1, 3, p_source, u.uid, u.message, u.flags,
               string_to_array(u.keywords, ' ')
          FROM unnest(v_uids, v_messages, v_flags, v_keywords) WITH ORDINALITY
               AS u (uid, message, flags, keywords, position);
        UPDATE mailbox m
           SET messages = m.messages - cardinality(v_uids), unseen = m.unseen - v_unseen,
               deleted = m.deleted - v_deleted, octets = m.octets - v_all_octets, modseq = v_modseq
         WHERE m.tenant_id = p_tenant AND m.id = p_source;
        v_seq := cardinality(v_uids);
    END IF;

    SELECT array_agg(CASE WHEN t.message_id IS NULL THEN u.message ELSE nextval('mail_id') END ORDER BY u.position)
      INTO v_placed
      FROM unnest(v_messages) WITH ORDINALITY AS u (message, position)
      LEFT JOIN placement t
        ON t.tenant_id = p_tenant AND t.message_id = u.message AND t.mailbox_id = p_target;

    IF v_placed <> v_messages THEN
        INSERT INTO message (
            tenant_id, account_id, id, thread_id, created_modseq, octets, received_at, sent_at, header_octets,
            wire_version, differs_in_utf8, has_attachment, subject, base_subject, sender, recipients, preview, header,
            segments, structure, envelope, bodystructure)
        SELECT m.tenant_id, m.account_id, u.placed, m.thread_id, v_modseq, m.octets, m.received_at, m.sent_at,
               m.header_octets, m.wire_version, m.differs_in_utf8, m.has_attachment, m.subject, m.base_subject, m.sender,
               m.recipients, m.preview, m.header, m.segments, m.structure, m.envelope, m.bodystructure
          FROM unnest(v_messages, v_placed) AS u (message, placed)
          JOIN message m ON m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = u.message
         WHERE u.placed <> u.message;
        INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
        SELECT b.tenant_id, u.placed, b.ordinal, b.digest
          FROM unnest(v_messages, v_placed) AS u (message, placed)
          JOIN message_blob b ON b.tenant_id = p_tenant AND b.message_id = u.message
         WHERE u.placed <> u.message;
        SELECT sum(m.octets) INTO v_octets
          FROM unnest(v_messages, v_placed) AS u (message, placed)
          JOIN message m ON m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = u.placed
         WHERE u.placed <> u.message;
        IF p_quota IS NOT NULL AND v_used + v_octets > p_quota THEN
            RAISE EXCEPTION 'over quota' USING ERRCODE = 'WP002', DETAIL = v_used::text;
        END IF;
        UPDATE account_state a
           SET used_octets = a.used_octets + v_octets,
               used_messages = a.used_messages
                   + (SELECT count(*) FROM unnest(v_messages, v_placed) AS u (message, placed)
                       WHERE u.placed <> u.message)
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    END IF;

    UPDATE mailbox m
       SET uidnext = m.uidnext + cardinality(v_uids), messages = m.messages + cardinality(v_uids),
           unseen = m.unseen + v_unseen, deleted = m.deleted + v_deleted, octets = m.octets + v_all_octets,
           modseq = v_modseq
     WHERE m.tenant_id = p_tenant AND m.id = p_target AND m.account_id = p_account AND m.deleted_at IS NULL
       AND m.is_selectable
    RETURNING m.uidnext - cardinality(v_uids) INTO v_first;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no target mailbox' USING ERRCODE = 'WP003';
    END IF;
    INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords)
    SELECT p_tenant, p_target, v_first + u.position - 1, p_account, u.placed, v_modseq, now(), u.flags,
           string_to_array(u.keywords, ' ')
      FROM unnest(v_placed, v_flags, v_keywords) WITH ORDINALITY AS u (placed, flags, keywords, position);
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after,
                        keywords_after)
    SELECT p_tenant, p_account, v_modseq, v_seq + u.position - 1, 1, p_target, v_first + u.position - 1, u.placed,
           u.flags, string_to_array(u.keywords, ' ')
      FROM unnest(v_placed, v_flags, v_keywords) WITH ORDINALITY AS u (placed, flags, keywords, position);
    RETURN QUERY
        SELECT u.uid, v_first + u.position - 1, v_modseq FROM unnest(v_uids) WITH ORDINALITY AS u (uid, position);
END $$;
