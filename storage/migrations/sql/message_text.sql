-- Full-text search: the words of every message, indexed by account.
--
-- `words` is the form of a text (mailserver.mime.searchable): words with single spaces between; two spaces part fields and
-- parts. Words of the subject begin with `;`, of people with `:`. Every entry of the index begins with tenant and account,
-- so that an account's words stand together: what one searches or writes touches pages of that account only.

-- Words beside the row: so the rows of ten thousand hits are few pages.
ALTER TABLE message_text SET (toast_tuple_target = 128, autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX message_text_words ON message_text USING gin (
    array_to_tsvector(string_to_array(
        to_hex(tenant_id) || '.' || to_hex(account_id) || '.'
            || replace(words, ' ', ' ' || to_hex(tenant_id) || '.' || to_hex(account_id) || '.'), ' '))
) WITH (fastupdate = on, gin_pending_list_limit = 1024);
CREATE INDEX message_text_problem ON message_text (tenant_id, account_id, problem, message_id) WHERE problem > 0;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['message_text', 'text_state', 'text_vocabulary'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY of_owner ON %I TO waypost_owner USING (true)', v_table);
        EXECUTE format(
            'CREATE POLICY of_tenant ON %I TO waypost_app
             USING (tenant_id = nullif(current_setting(''waypost.tenant'', true), '''')::bigint)', v_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO waypost_app', v_table);
    END LOOP;
END $$;
CREATE POLICY of_system ON text_state TO waypost_system USING (true);
GRANT SELECT ON text_state TO waypost_system;

-- Keeps the words of messages, and says that those up to the modseq are indexed. What is gone meanwhile is left out; what
-- is here already stays, unless it was noted as a problem. Returns how many rows it wrote.
CREATE FUNCTION put_texts_v1(
    p_tenant bigint, p_account bigint, p_modseq bigint, p_messages bigint[], p_parts integer[], p_words text[],
    p_problems integer[]
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_rows integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    WITH here AS (
        SELECT m.id FROM message m
         WHERE m.tenant_id = p_tenant AND m.account_id = p_account AND m.id = ANY (p_messages)
         ORDER BY m.id FOR KEY SHARE  -- whoever deletes one of them waits, and then deletes these rows too
    )
    INSERT INTO message_text AS t (tenant_id, account_id, message_id, part, problem, words)
    SELECT p_tenant, p_account, u.message, u.part::smallint, u.problem::smallint, u.words
      FROM unnest(p_messages, p_parts, p_problems, p_words) AS u (message, part, problem, words)
     WHERE u.message IN (SELECT h.id FROM here h)
        ON CONFLICT (tenant_id, account_id, message_id, part) DO UPDATE
       SET words = excluded.words, problem = excluded.problem
     WHERE t.problem <> 0;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    IF p_modseq IS NOT NULL THEN
        INSERT INTO text_state AS s (tenant_id, account_id, modseq) VALUES (p_tenant, p_account, p_modseq)
            ON CONFLICT (tenant_id, account_id) DO UPDATE SET modseq = greatest(s.modseq, excluded.modseq)
         WHERE s.modseq < excluded.modseq;
    END IF;
    RETURN v_rows;
END $$;

-- Whether one of some phrases stands in words, which have a space around them here. A function, so that they are unpacked
-- once; strpos, for LIKE takes twice as long.
CREATE FUNCTION holds_v1(p_words text, p_phrases text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_words text := ' ' || p_words || ' ';
    v_phrase text;
BEGIN
    FOREACH v_phrase IN ARRAY p_phrases LOOP
        IF strpos(v_words, v_phrase) > 0 THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- Messages whose words match: packed ids, each once. The words of p_words carry tenant and account as the index has them.
-- p_phrases: one of these has to stand in the same row, too; NULL: none is asked for. It runs as its owner, for under
-- row-level security `@@` uses no index; the tenant is asserted, and no row of another one is read.
CREATE FUNCTION find_texts_v1(p_tenant bigint, p_account bigint, p_words text, p_phrases text[]) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM waypost_tenant(p_tenant);
    RETURN (
        SELECT string_agg(int8send(f.message_id), ''::bytea) FROM (
            SELECT DISTINCT t.message_id FROM message_text t
             WHERE array_to_tsvector(string_to_array(
                       to_hex(t.tenant_id) || '.' || to_hex(t.account_id) || '.'
                           || replace(t.words, ' ', ' ' || to_hex(t.tenant_id) || '.' || to_hex(t.account_id) || '.'),
                       ' ')) @@ p_words::tsquery
               AND t.tenant_id + 0 = p_tenant AND t.account_id + 0 = p_account  -- + 0: never by the primary key
               AND (p_phrases IS NULL OR holds_v1(t.words, p_phrases))) f);
END $$;
REVOKE ALL ON FUNCTION find_texts_v1(bigint, bigint, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_texts_v1(bigint, bigint, text, text[]) TO waypost_app;

-- The same within one mailbox: packed uids.
CREATE FUNCTION find_texts_in_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_words text, p_phrases text[]
) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM waypost_tenant(p_tenant);
    RETURN (
        SELECT string_agg(int8send(p.uid), ''::bytea) FROM (
            SELECT DISTINCT t.message_id FROM message_text t
             WHERE array_to_tsvector(string_to_array(
                       to_hex(t.tenant_id) || '.' || to_hex(t.account_id) || '.'
                           || replace(t.words, ' ', ' ' || to_hex(t.tenant_id) || '.' || to_hex(t.account_id) || '.'),
                       ' ')) @@ p_words::tsquery
               AND t.tenant_id + 0 = p_tenant AND t.account_id + 0 = p_account
               AND (p_phrases IS NULL OR holds_v1(t.words, p_phrases))) f
         CROSS JOIN LATERAL (
            SELECT q.uid FROM placement q
             WHERE q.tenant_id = p_tenant AND q.message_id = f.message_id AND q.mailbox_id = p_mailbox LIMIT 1) p);
END $$;
REVOKE ALL ON FUNCTION find_texts_in_v1(bigint, bigint, bigint, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_texts_in_v1(bigint, bigint, bigint, text, text[]) TO waypost_app;

-- In one mailbox, uids of messages above an id whose words hold one of p_phrases and match p_pattern: by reading them.
CREATE FUNCTION scan_texts_in_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_after bigint, p_phrases text[], p_pattern text
) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM waypost_tenant(p_tenant);
    RETURN (
        SELECT string_agg(int8send(p.uid), ''::bytea) FROM (
            SELECT DISTINCT t.message_id FROM message_text t
             WHERE t.tenant_id = p_tenant AND t.account_id = p_account AND t.message_id > p_after
               AND holds_v1(t.words, p_phrases)
               AND (p_pattern IS NULL OR ' ' || t.words ~ p_pattern)) f
         CROSS JOIN LATERAL (
            SELECT q.uid FROM placement q
             WHERE q.tenant_id = p_tenant AND q.message_id = f.message_id AND q.mailbox_id = p_mailbox LIMIT 1) p);
END $$;
REVOKE ALL ON FUNCTION scan_texts_in_v1(bigint, bigint, bigint, bigint, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scan_texts_in_v1(bigint, bigint, bigint, bigint, text[], text) TO waypost_app;

-- Adds words to an account's vocabulary, which then knows the messages up to an id; with p_replaces instead of what was
-- there, with p_begins_anew as if nothing had been deleted before. Nothing happens if it has not come to p_from, for then
-- somebody else went on.
CREATE FUNCTION put_vocabulary_v1(
    p_tenant bigint, p_account bigint, p_from bigint, p_until bigint, p_words bytea, p_replaces boolean,
    p_begins_anew boolean
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE text_state s
       SET vocabulary_id = p_until, purged = CASE WHEN p_begins_anew THEN 0 ELSE s.purged END
     WHERE s.tenant_id = p_tenant AND s.account_id = p_account AND s.vocabulary_id = p_from;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT coalesce(max(v.number), 0) + 1 INTO v_number FROM text_vocabulary v
     WHERE v.tenant_id = p_tenant AND v.account_id = p_account;
    IF p_replaces THEN
        DELETE FROM text_vocabulary v WHERE v.tenant_id = p_tenant AND v.account_id = p_account;
    END IF;
    INSERT INTO text_vocabulary (tenant_id, account_id, number, words)
    VALUES (p_tenant, p_account, v_number, p_words);
    RETURN true;
END $$;

-- What is deleted for good takes its words along, in the same transaction; of the vocabulary when it is made anew.
CREATE FUNCTION drop_texts_v1() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_tenant bigint;
    v_account bigint;
    v_messages bigint[];
BEGIN
    FOR v_tenant, v_account, v_messages IN
        SELECT g.tenant_id, g.account_id, array_agg(g.id) FROM gone g GROUP BY 1, 2
    LOOP
        DELETE FROM message_text t
         WHERE t.tenant_id = v_tenant AND t.account_id = v_account AND t.message_id = ANY (v_messages);
        UPDATE text_state s SET purged = s.purged + cardinality(v_messages)
         WHERE s.tenant_id = v_tenant AND s.account_id = v_account;
    END LOOP;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION drop_texts_v1() FROM PUBLIC;
CREATE TRIGGER drop_texts AFTER DELETE ON message
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION drop_texts_v1();

-- An account that has ended takes along what search knew of it.
CREATE FUNCTION drop_text_state_v1() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM text_state s WHERE s.tenant_id = old.tenant_id AND s.account_id = old.account_id;
    DELETE FROM text_vocabulary v WHERE v.tenant_id = old.tenant_id AND v.account_id = old.account_id;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION drop_text_state_v1() FROM PUBLIC;
CREATE TRIGGER drop_text_state AFTER DELETE ON account_state FOR EACH ROW EXECUTE FUNCTION drop_text_state_v1();

-- How large the index and what it stands for have grown.
CREATE FUNCTION text_index_octets_v1() RETURNS TABLE (index_octets bigint, table_octets bigint, rows bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT pg_relation_size('message_text_words'), pg_table_size('message_text'),
           greatest(0, (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'message_text'::regclass))::bigint
$$;
REVOKE ALL ON FUNCTION text_index_octets_v1() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION text_index_octets_v1() TO waypost_system;

-- From PostgreSQL 17 on upkeep may build the index anew beside itself; before, only its owner may (manage.py search reindex).
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        GRANT MAINTAIN ON message_text TO waypost_system;
    END IF;
END $$;
