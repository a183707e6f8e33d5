-- What people upload waits here until a message takes it in, a day at most.
ALTER TABLE upload_content ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE upload_content SET (autovacuum_vacuum_scale_factor = 0.05, toast_tuple_target = 8160);
ALTER TABLE upload ALTER COLUMN id SET DEFAULT nextval('mail_id');
ALTER TABLE upload ALTER COLUMN uploaded_at SET DEFAULT now();

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['upload', 'upload_content'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY of_owner ON %I TO waypost_owner USING (true)', v_table);
        EXECUTE format(
            'CREATE POLICY of_tenant ON %I TO waypost_app
             USING (tenant_id = nullif(current_setting(''waypost.tenant'', true), '''')::bigint)', v_table);
        EXECUTE format('CREATE POLICY of_system ON %I TO waypost_system USING (true)', v_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO waypost_app', v_table);
    END LOOP;
END $$;
GRANT SELECT (tenant_id, account_id, id, uploaded_at), DELETE ON upload TO waypost_system;
GRANT SELECT (tenant_id, upload_id, chunk), DELETE ON upload_content TO waypost_system;

-- Its octets go with an upload, whoever deletes it, and the uploads with their account.
CREATE FUNCTION forget_upload_content_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM upload_content c WHERE c.tenant_id = OLD.tenant_id AND c.upload_id = OLD.id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_upload_content AFTER DELETE ON upload
    FOR EACH ROW EXECUTE FUNCTION forget_upload_content_v1();

CREATE FUNCTION forget_uploads_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM upload u WHERE u.tenant_id = OLD.tenant_id AND u.account_id = OLD.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_uploads AFTER DELETE ON account_state
    FOR EACH ROW EXECUTE FUNCTION forget_uploads_v1();

-- An upload is whole. The account's oldest make room: those beyond so many octets, or so many uploads, go (RFC 8620 §6).
CREATE FUNCTION finish_upload_v1(
    p_tenant bigint, p_account bigint, p_id bigint, p_octets bigint, p_most_octets bigint, p_most_uploads integer)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_made integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE upload u SET octets = p_octets, uploaded_at = now()
     WHERE u.tenant_id = p_tenant AND u.account_id = p_account AND u.id = p_id AND u.octets IS NULL;
    GET DIAGNOSTICS v_made = ROW_COUNT;
    DELETE FROM upload u
     USING (SELECT k.id, sum(k.octets) OVER newer AS octets, row_number() OVER newer AS place
              FROM upload k
             WHERE k.tenant_id = p_tenant AND k.account_id = p_account AND k.octets IS NOT NULL
            WINDOW newer AS (ORDER BY k.uploaded_at DESC, k.id DESC)) kept
     WHERE u.tenant_id = p_tenant AND u.account_id = p_account AND u.id = kept.id AND u.id <> p_id
       AND (kept.octets > p_most_octets OR kept.place > p_most_uploads);
    RETURN v_made;
END $$;

-- What rests under each data key of a tenant and can still be asked for. Content of a blob that is gone does not count.
CREATE OR REPLACE FUNCTION sealed_under_v1(p_tenant bigint)
RETURNS TABLE (key_id integer, place text, chunks bigint, octets bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    PERFORM waypost_tenant(p_tenant);
    RETURN QUERY
        SELECT c.key_id, 'hot', count(*), sum(length(c.sealed))::bigint
          FROM blob_content c JOIN blob b ON b.tenant_id = c.tenant_id AND b.digest = c.digest
         WHERE c.tenant_id = p_tenant GROUP BY c.key_id
        UNION ALL
        SELECT k.key_id, 'objects', count(*), sum(k.octets)::bigint
          FROM blob b CROSS JOIN LATERAL layout_keys_v1(b.layout) k
         WHERE b.tenant_id = p_tenant AND b.object_id IS NOT NULL GROUP BY k.key_id
        UNION ALL
        SELECT c.key_id, 'queue', count(*), sum(length(c.sealed))::bigint
          FROM outgoing_content c WHERE c.tenant_id = p_tenant GROUP BY c.key_id
        UNION ALL
        SELECT c.key_id, 'uploads', count(*), sum(length(c.sealed))::bigint
          FROM upload_content c WHERE c.tenant_id = p_tenant GROUP BY c.key_id
        UNION ALL
        SELECT s.key_id, 'smarthost', count(*), sum(length(s.sealed_password))::bigint
          FROM smarthost s WHERE s.tenant_id = p_tenant AND s.key_id IS NOT NULL GROUP BY s.key_id;
END $$;
