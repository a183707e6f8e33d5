-- MOVE: what leaves a mailbox is logged with its thread. The body of copy_origin.sql, with that.
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
    v_threads bigint[];
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
    SELECT sum(m.octets), array_agg(m.thread_id ORDER BY u.position) INTO v_all_octets, v_threads
      FROM unnest(v_messages) WITH ORDINALITY AS u (message, position)
      LEFT JOIN LATERAL (
        SELECT o.thread_id, o.octets FROM message o
         WHERE o.tenant_id = p_tenant AND o.account_id = p_account AND o.id = u.message OFFSET 0) m ON true;

    IF p_move THEN
        DELETE FROM placement p WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_source AND p.uid = ANY (v_uids);
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            keywords_before, thread_id)
        SELECT p_tenant, p_account, v_modseq, u.position - 1, 3, p_source, u.uid, u.message, u.flags,
               string_to_array(u.keywords, ' '), u.thread
          FROM unnest(v_uids, v_messages, v_flags, v_keywords, v_threads) WITH ORDINALITY
               AS u (uid, message, flags, keywords, thread, position);
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
            segments, structure, envelope, bodystructure, origin_id)
        SELECT m.tenant_id, m.account_id, u.placed, m.thread_id, v_modseq, m.octets, m.received_at, m.sent_at,
               m.header_octets, m.wire_version, m.differs_in_utf8, m.has_attachment, m.subject, m.base_subject, m.sender,
               m.recipients, m.preview, m.header, m.segments, m.structure, m.envelope, m.bodystructure,
               coalesce(m.origin_id, m.id)
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
