-- Messages with their octets, many in a call.

-- Rows of p_uids by ascending uid, as far as p_enough octets of content, and the one with which they pass it. Content
-- comes with a message that is one blob of one chunk and at most p_small octets long; `digest` NULL: it has no blob.
-- Envelope and bodystructure come if p_wire.
--
-- The content is looked up by a statement of its own, for its partition is known only then: in one statement with the
-- rest, the executor would get every partition ready, of which a year has fifty.
CREATE FUNCTION read_messages_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_wire boolean, p_small bigint, p_enough bigint
) RETURNS TABLE (
    uid bigint, message_id bigint, email_id bigint, thread_id bigint, octets bigint, header_octets integer,
    received_at timestamptz, saved_at timestamptz, preview text, flags smallint, keywords text[], modseq bigint, wire_version smallint,
    differs_in_utf8 boolean, envelope bytea, bodystructure bytea, header bytea, structure bytea, is_small boolean,
    digest bytea, key_id integer, codec smallint, sealed bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_sum bigint := 0;
    v_content_on date;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    FOR uid, message_id, email_id, thread_id, octets, header_octets, received_at, saved_at, preview, flags, keywords,
        modseq, wire_version, differs_in_utf8, envelope, bodystructure, header, structure, is_small, digest, v_content_on IN
        SELECT p.uid, p.message_id, coalesce(m.origin_id, m.id), m.thread_id, m.octets, m.header_octets, m.received_at,
               p.saved_at, m.preview, p.flags, p.keywords, p.modseq, m.wire_version, m.differs_in_utf8,
               CASE WHEN p_wire THEN m.envelope ELSE '' END, CASE WHEN p_wire THEN m.bodystructure ELSE '' END,
               m.header, m.structure, s.is_small, u.digest, b.content_on
          FROM placement p
          JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
         CROSS JOIN LATERAL (SELECT m.octets <= p_small AND m.segments = ''::bytea AS is_small) s
          LEFT JOIN message_blob u
            ON u.tenant_id = m.tenant_id AND u.message_id = m.id AND u.ordinal = 0 AND s.is_small
          LEFT JOIN blob b ON b.tenant_id = u.tenant_id AND b.digest = u.digest
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account AND p.uid = ANY (p_uids)
         ORDER BY p.uid
    LOOP
        key_id := NULL;
        codec := NULL;
        sealed := NULL;
        IF v_content_on IS NOT NULL THEN
            SELECT c.key_id, c.codec, c.sealed INTO key_id, codec, sealed
              FROM blob_content c
             WHERE c.tenant_id = p_tenant AND c.digest = read_messages_v1.digest AND c.content_on = v_content_on
               AND c.chunk = 0;
        END IF;
        RETURN NEXT;
        IF is_small THEN
            v_sum := v_sum + octets;
            EXIT WHEN v_sum >= p_enough;
        END IF;
    END LOOP;
END $$;

-- Chunks of a blob, by number. The partition is known only once the blob is found; see read_messages_v1.
CREATE FUNCTION read_chunks_v1(p_tenant bigint, p_digest bytea, p_first integer, p_last integer)
RETURNS TABLE (octets bigint, chunk integer, key_id integer, codec smallint, sealed bytea)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_content_on date;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    SELECT b.octets, b.content_on INTO octets, v_content_on FROM blob b
     WHERE b.tenant_id = p_tenant AND b.digest = p_digest;
    FOR chunk, key_id, codec, sealed IN
        SELECT c.chunk, c.key_id, c.codec, c.sealed FROM blob_content c
         WHERE c.tenant_id = p_tenant AND c.digest = p_digest AND c.content_on = v_content_on
           AND c.chunk BETWEEN p_first AND p_last
         ORDER BY c.chunk
    LOOP
        RETURN NEXT;
    END LOOP;
END $$;
