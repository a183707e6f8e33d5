-- place_v1 with less to do: blobs that are not handed over were put before in the same transaction, so they are there
-- (their rows are locked until it ends) and need no look; and an array of one blob is not read as a table.

-- Places one copy. Several calls in one transaction go in the order of the accounts; blobs of more than one chunk, or
-- several, or of several messages are put before. Outcomes:
--   placed        the rest of the row is filled
--   already       this inbound message was placed for the account before
--   over quota    used_octets is filled; nothing was written but perhaps an unused blob
--   no account    account_state is missing: the account was never provisioned
--   no mailbox    p_mailbox is not a live, selectable mailbox of the account
CREATE FUNCTION place_v2(
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
BEGIN
    PERFORM waypost_tenant(p_tenant);
    IF p_digest IS NOT NULL THEN
        PERFORM put_blob_v1(p_tenant, p_digest, p_blob_octets, p_key, p_codec, p_sealed);
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
    FOR i IN 1 .. cardinality(p_digests) LOOP
        INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
        VALUES (p_tenant, v_message, i - 1, p_digests[i]);
    END LOOP;
    INSERT INTO placement (
        tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords
    ) VALUES (p_tenant, v_mailbox, v_uid, p_account, v_message, v_modseq, now(), p_flags, p_keywords);
    INSERT INTO change (
        tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after, keywords_after
    ) VALUES (p_tenant, p_account, v_modseq, 0, 1, v_mailbox, v_uid, v_message, p_flags, p_keywords);

    RETURN QUERY SELECT 'placed', v_mailbox, v_message, v_uid, v_uidvalidity, v_modseq, v_used;
END $$;
