-- append_v1 as before; with p_sealed NULL the blobs were put before in the same transaction, so that several calls in
-- one transaction can all put theirs first, in the order of digests.

CREATE OR REPLACE FUNCTION append_v1(
    p_tenant bigint, p_account bigint, p_name text, p_quota bigint,
    p_flags smallint[], p_keywords text[],
    p_digests bytea[], p_blob_octets bigint[], p_keys integer[], p_codecs smallint[], p_sealed bytea[],
    p_octets bigint[], p_received_at timestamptz[], p_sent_at timestamptz[], p_header_octets integer[],
    p_wire_versions smallint[], p_differs_in_utf8 boolean[], p_has_attachment boolean[],
    p_subjects text[], p_base_subjects text[], p_senders text[], p_recipients text[], p_previews text[],
    p_references bigint[], p_reference_counts integer[],
    p_headers bytea[], p_segments bytea[], p_structures bytea[], p_envelopes bytea[], p_bodystructures bytea[]
) RETURNS TABLE (
    outcome text, mailbox_id bigint, uidvalidity bigint, first_uid bigint, message_ids bigint[], modseq bigint,
    used_octets bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_count integer := cardinality(p_octets);
    v_octets bigint;
    v_unseen integer;
    v_deleted integer;
    v_ids bigint[];
    v_threads bigint[];
    v_thread bigint;
    v_first_reference integer := 1;
    v_blob record;
    v_is_selectable boolean;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    IF v_count = 1 THEN
        IF p_sealed[1] IS NOT NULL THEN
            PERFORM put_blob_v1(p_tenant, p_digests[1], p_blob_octets[1], p_keys[1], p_codecs[1], p_sealed[1]);
        END IF;
        v_octets := p_octets[1];
        v_unseen := 1 - (p_flags[1] & 1);
        v_deleted := p_flags[1] >> 3 & 1;
    ELSE
        FOR v_blob IN
            SELECT DISTINCT ON (u.digest) u.* FROM unnest(p_digests, p_blob_octets, p_keys, p_codecs, p_sealed)
                   AS u (digest, octets, key_id, codec, sealed)
             WHERE u.sealed IS NOT NULL
             ORDER BY u.digest -- blobs are locked in this order everywhere
        LOOP
            PERFORM put_blob_v1(p_tenant, v_blob.digest, v_blob.octets, v_blob.key_id, v_blob.codec, v_blob.sealed);
        END LOOP;
        SELECT sum(u.octets), sum(1 - (u.flags & 1)), sum(u.flags >> 3 & 1) INTO v_octets, v_unseen, v_deleted
          FROM unnest(p_octets, p_flags) AS u (octets, flags);
    END IF;

    UPDATE account_state a
       SET modseq = a.modseq + 1, used_octets = a.used_octets + v_octets, used_messages = a.used_messages + v_count
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
       AND (p_quota IS NULL OR a.used_octets + v_octets <= p_quota)
    RETURNING a.modseq, a.used_octets INTO modseq, used_octets;
    IF NOT FOUND THEN
        SELECT a.used_octets INTO used_octets FROM account_state a
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
        outcome := CASE WHEN used_octets IS NULL THEN 'no account' ELSE 'over quota' END;
        RETURN NEXT;
        RETURN;
    END IF;

    UPDATE mailbox m
       SET uidnext = m.uidnext + v_count, messages = m.messages + v_count, unseen = m.unseen + v_unseen,
           deleted = m.deleted + v_deleted, octets = m.octets + v_octets, modseq = append_v1.modseq
     WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.name = p_name AND m.deleted_at IS NULL
       AND m.is_selectable
    RETURNING m.id, m.uidvalidity, m.uidnext - v_count INTO mailbox_id, uidvalidity, first_uid;
    IF NOT FOUND THEN
        UPDATE account_state a
           SET modseq = a.modseq - 1, used_octets = a.used_octets - v_octets, used_messages = a.used_messages - v_count
         WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
        SELECT m.is_selectable INTO v_is_selectable FROM mailbox m
         WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.name = p_name AND m.deleted_at IS NULL;
        outcome := CASE WHEN FOUND THEN 'not selectable' ELSE 'no mailbox' END;
        modseq := NULL;
        RETURN NEXT;
        RETURN;
    END IF;

    FOR i IN 1 .. v_count LOOP
        v_ids[i] := nextval('mail_id');
        v_thread := v_ids[i];
        IF p_reference_counts[i] > 0 THEN
            -- under the account's lock, so no other message of the account comes between
            SELECT least(min(t.thread_id), v_ids[i]) INTO v_thread FROM thread_reference t
             WHERE t.tenant_id = p_tenant AND t.account_id = p_account
               AND t.reference = ANY (p_references[v_first_reference : v_first_reference + p_reference_counts[i] - 1]);
            INSERT INTO thread_reference (tenant_id, account_id, reference, thread_id)
            SELECT p_tenant, p_account, r, v_thread
              FROM unnest(p_references[v_first_reference : v_first_reference + p_reference_counts[i] - 1]) r
            ON CONFLICT DO NOTHING;
            v_first_reference := v_first_reference + p_reference_counts[i];
        END IF;
        v_threads[i] := v_thread;
    END LOOP;

    IF v_count = 1 THEN
        INSERT INTO message (
            tenant_id, account_id, id, thread_id, created_modseq, octets, received_at, sent_at, header_octets,
            wire_version, differs_in_utf8, has_attachment, subject, base_subject, sender, recipients, preview, header,
            segments, structure, envelope, bodystructure)
        VALUES (
            p_tenant, p_account, v_ids[1], v_threads[1], append_v1.modseq, p_octets[1], p_received_at[1], p_sent_at[1],
            p_header_octets[1], p_wire_versions[1], p_differs_in_utf8[1], p_has_attachment[1], p_subjects[1],
            p_base_subjects[1], p_senders[1], p_recipients[1], p_previews[1], p_headers[1], p_segments[1],
            p_structures[1], p_envelopes[1], p_bodystructures[1]);
        IF p_digests[1] IS NOT NULL THEN
            INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
            VALUES (p_tenant, v_ids[1], 0, p_digests[1]);
        END IF;
        INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords)
        VALUES (p_tenant, append_v1.mailbox_id, first_uid, p_account, v_ids[1], append_v1.modseq, now(), p_flags[1],
                string_to_array(p_keywords[1], ' '));
        INSERT INTO change (
            tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after, keywords_after)
        VALUES (p_tenant, p_account, append_v1.modseq, 0, 1, append_v1.mailbox_id, first_uid, v_ids[1], p_flags[1],
                string_to_array(p_keywords[1], ' '));
    ELSE
        INSERT INTO message (
            tenant_id, account_id, id, thread_id, created_modseq, octets, received_at, sent_at, header_octets,
            wire_version, differs_in_utf8, has_attachment, subject, base_subject, sender, recipients, preview, header,
            segments, structure, envelope, bodystructure)
        SELECT p_tenant, p_account, u.id, u.thread, append_v1.modseq, u.octets, u.received_at, u.sent_at,
               u.header_octets, u.wire_version, u.differs, u.attached, u.subject, u.base_subject, u.sender,
               u.recipients, u.preview, u.header, u.segments, u.structure, u.envelope, u.bodystructure
          FROM unnest(
                   v_ids, v_threads, p_octets, p_received_at, p_sent_at, p_header_octets, p_wire_versions,
                   p_differs_in_utf8, p_has_attachment, p_subjects, p_base_subjects, p_senders, p_recipients,
                   p_previews, p_headers, p_segments, p_structures, p_envelopes, p_bodystructures)
               AS u (id, thread, octets, received_at, sent_at, header_octets, wire_version, differs, attached, subject,
                     base_subject, sender, recipients, preview, header, segments, structure, envelope, bodystructure);
        INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
        SELECT p_tenant, u.id, 0, u.digest FROM unnest(v_ids, p_digests) AS u (id, digest) WHERE u.digest IS NOT NULL;
        INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords)
        SELECT p_tenant, append_v1.mailbox_id, first_uid + u.position - 1, p_account, u.id, append_v1.modseq, now(),
               u.flags, string_to_array(u.keywords, ' ')
          FROM unnest(v_ids, p_flags, p_keywords) WITH ORDINALITY AS u (id, flags, keywords, position);
        INSERT INTO change (
            tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after, keywords_after)
        SELECT p_tenant, p_account, append_v1.modseq, u.position - 1, 1, append_v1.mailbox_id,
               first_uid + u.position - 1, u.id, u.flags, string_to_array(u.keywords, ' ')
          FROM unnest(v_ids, p_flags, p_keywords) WITH ORDINALITY AS u (id, flags, keywords, position);
    END IF;
    message_ids := v_ids;
    outcome := 'placed';
    RETURN NEXT;
END $$;
