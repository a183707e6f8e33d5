-- STORE: flags and keywords of messages, equal in every placement of a message, \Deleted in the named mailbox only.

-- Keywords are compared without case and kept as first spelt. NULL means none.
CREATE FUNCTION add_keywords_v1(p_current text[], p_more text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(k.word ORDER BY k.word)
      FROM (SELECT DISTINCT ON (lower(a.word)) a.word
              FROM unnest(p_current || p_more) WITH ORDINALITY AS a (word, position)
             ORDER BY lower(a.word), a.position) k
$$;
CREATE FUNCTION remove_keywords_v1(p_current text[], p_less text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(c.word ORDER BY c.word)
      FROM unnest(p_current) AS c (word)
     WHERE NOT EXISTS (SELECT FROM unnest(p_less) AS l (word) WHERE lower(l.word) = lower(c.word))
$$;
-- The new ones, in the spelling of the current ones where they are the same.
CREATE FUNCTION replace_keywords_v1(p_current text[], p_new text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT add_keywords_v1(array_agg(c.word), p_new)
      FROM unnest(p_current) AS c (word)
     WHERE EXISTS (SELECT FROM unnest(p_new) AS n (word) WHERE lower(n.word) = lower(c.word))
$$;

-- p_operation: 0 replace, 1 add, 2 remove. Outcome of each named uid that exists: changed, same, or newer (its modseq is
-- above p_unchanged_since, RFC 7162 §3.1.3). flags, keywords and modseq are those after the call.
-- Raises WP001 when a message would have more than p_keyword_limit keywords.
CREATE FUNCTION change_flags_v1(
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
        UPDATE mailbox m SET unseen = m.unseen + d.delta, modseq = v_modseq
          FROM (SELECT c.mailbox_id, sum((c.before & 1) - (c.after & 1))::integer AS delta
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
