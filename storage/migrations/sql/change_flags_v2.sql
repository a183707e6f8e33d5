-- STOREs of one account, several in a transaction, each at a modseq of its own; nothing changes at no modseq.

-- What change_flags_v1 does, at a modseq that the caller took under the account's lock; is_any_changed: it was used.
CREATE FUNCTION change_flags_at_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_operation smallint, p_flags smallint,
    p_keywords text[], p_unchanged_since bigint, p_keyword_limit integer, p_modseq bigint
) RETURNS TABLE (uid bigint, outcome text, flags smallint, keywords text[], modseq bigint, is_any_changed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
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
        UPDATE placement p SET flags = t.after, keywords = t.keywords_after, modseq = p_modseq
          FROM target t
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = t.mailbox_id AND p.uid = t.uid
           AND (t.before <> t.after OR t.keywords_before IS DISTINCT FROM t.keywords_after)
        RETURNING p.mailbox_id, p.uid, p.message_id, t.before, t.after, t.keywords_before, t.keywords_after
    ), logged AS (
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_before,
                            flags_after, keywords_before, keywords_after)
        SELECT p_tenant, p_account, p_modseq, row_number() OVER (ORDER BY c.mailbox_id, c.uid) - 1, 2, c.mailbox_id,
               c.uid, c.message_id, c.before, c.after, c.keywords_before, c.keywords_after
          FROM changed c
    ), counted AS (
        UPDATE mailbox m SET unseen = m.unseen + d.unseen, deleted = m.deleted + d.deleted, modseq = p_modseq
          FROM (SELECT c.mailbox_id, sum((c.before & 1) - (c.after & 1))::integer AS unseen,
                       sum((c.after >> 3 & 1) - (c.before >> 3 & 1))::integer AS deleted
                  FROM changed c GROUP BY c.mailbox_id) d
         WHERE m.tenant_id = p_tenant AND m.id = d.mailbox_id
    )
    SELECT n.uid,
           CASE WHEN NOT n.is_chosen THEN 'newer' WHEN c.uid IS NOT NULL THEN 'changed' ELSE 'same' END,
           coalesce(c.after, n.flags), CASE WHEN c.uid IS NOT NULL THEN c.keywords_after ELSE n.keywords END,
           CASE WHEN c.uid IS NOT NULL THEN p_modseq ELSE n.modseq END, EXISTS (SELECT FROM changed)
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

-- STORE number i is p_counts[i] of p_uids (those after the ones of the STOREs before it), in p_mailboxes[i]; its keywords
-- are p_keywords[i], with spaces between. Rows name their STORE by its number from 1; the others are as in
-- change_flags_v1, and so are the outcomes. Raises WP001.
--
-- A single message that stands in no other mailbox, without keywords to change, is most STOREs there are: that one goes
-- by plain statements, for the general one takes twice their time to begin.
CREATE FUNCTION change_flags_v2(
    p_tenant bigint, p_account bigint, p_mailboxes bigint[], p_counts integer[], p_uids bigint[],
    p_operations smallint[], p_flags smallint[], p_keywords text[], p_unchanged_since bigint[], p_keyword_limit integer
) RETURNS TABLE (request integer, uid bigint, outcome text, flags smallint, keywords text[], modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_last bigint; -- the modseq that was given out last
    v_taken bigint;
    v_at integer := 1;
    v_mailbox bigint;
    v_message bigint;
    v_flags smallint;
    v_before smallint;
    v_is_elsewhere boolean;
    v_is_used boolean;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE account_state a SET modseq = a.modseq + cardinality(p_mailboxes)
     WHERE a.tenant_id = p_tenant AND a.account_id = p_account
    RETURNING a.modseq, a.modseq - cardinality(p_mailboxes) INTO v_taken, v_last;

    FOR i IN 1 .. cardinality(p_mailboxes) LOOP
        request := i;
        v_mailbox := p_mailboxes[i];
        v_flags := p_flags[i];
        IF p_counts[i] = 1 AND p_keywords[i] IS NULL THEN
            SELECT p.uid, p.message_id, p.flags, p.keywords, p.modseq,
                   EXISTS (SELECT FROM placement o
                            WHERE o.tenant_id = p_tenant AND o.message_id = p.message_id AND o.mailbox_id <> v_mailbox)
              INTO uid, v_message, v_before, keywords, modseq, v_is_elsewhere
              FROM placement p
             WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox AND p.uid = p_uids[v_at]
               AND p.account_id = p_account;
            IF NOT FOUND THEN
                v_at := v_at + 1;
                CONTINUE;
            END IF;
            flags := CASE p_operations[i]
                         WHEN 0 THEN v_flags WHEN 1 THEN v_before | v_flags ELSE v_before & ~v_flags
                     END;
            outcome := CASE
                           WHEN modseq > p_unchanged_since[i] THEN 'newer'
                           WHEN flags <> v_before THEN 'changed'
                           ELSE 'same'
                       END;
            IF outcome = 'newer' THEN
                flags := v_before;
            END IF;
            IF outcome = 'newer' OR NOT (v_is_elsewhere OR (p_operations[i] = 0 AND keywords IS NOT NULL)) THEN
                IF outcome = 'changed' THEN
                    v_last := v_last + 1;
                    modseq := v_last;
                    UPDATE placement p SET flags = change_flags_v2.flags, modseq = v_last
                     WHERE p.tenant_id = p_tenant AND p.mailbox_id = v_mailbox AND p.uid = change_flags_v2.uid;
                    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id,
                                        flags_before, flags_after, keywords_before, keywords_after)
                    VALUES (p_tenant, p_account, v_last, 0, 2, v_mailbox, change_flags_v2.uid, v_message, v_before,
                            change_flags_v2.flags, change_flags_v2.keywords, change_flags_v2.keywords);
                    UPDATE mailbox m
                       SET unseen = m.unseen + (v_before & 1) - (change_flags_v2.flags & 1),
                           deleted = m.deleted + (change_flags_v2.flags >> 3 & 1) - (v_before >> 3 & 1),
                           modseq = v_last
                     WHERE m.tenant_id = p_tenant AND m.id = v_mailbox;
                END IF;
                RETURN NEXT;
                v_at := v_at + 1;
                CONTINUE;
            END IF;
        END IF;
        v_is_used := false;
        FOR uid, outcome, flags, keywords, modseq, v_is_used IN
            SELECT c.uid, c.outcome, c.flags, c.keywords, c.modseq, c.is_any_changed
              FROM change_flags_at_v1(
                  p_tenant, p_account, v_mailbox, p_uids[v_at : v_at + p_counts[i] - 1], p_operations[i], v_flags,
                  string_to_array(p_keywords[i], ' '), p_unchanged_since[i], p_keyword_limit, v_last + 1) c
        LOOP
            RETURN NEXT;
        END LOOP;
        IF v_is_used THEN
            v_last := v_last + 1;
        END IF;
        v_at := v_at + p_counts[i];
    END LOOP;

    IF v_last < v_taken THEN
        UPDATE account_state a SET modseq = v_last WHERE a.tenant_id = p_tenant AND a.account_id = p_account;
    END IF;
END $$;
