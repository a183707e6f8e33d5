-- Row-level security and grants: waypost_app sees the tenant its connection carries, waypost_system what its work needs.

-- Every statement on mail names its tenant through this function. It raises when the connection carries another one (or
-- none), so that a mistake is an error rather than an empty answer.
CREATE FUNCTION waypost_tenant(p_tenant bigint) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF current_setting('waypost.tenant', true) IS DISTINCT FROM p_tenant::text THEN
        RAISE EXCEPTION 'the connection carries tenant %, the statement is for %',
            coalesce(nullif(current_setting('waypost.tenant', true), ''), 'none'), p_tenant
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN p_tenant;
END $$;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY[
        'account_state', 'mailbox', 'message', 'placement', 'change', 'change_default', 'thread_reference', 'data_key',
        'blob', 'blob_content', 'blob_content_default', 'message_blob', 'inbound_placed'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY of_owner ON %I TO waypost_owner USING (true)', v_table);
        CONTINUE WHEN v_table LIKE '%\_default';
        EXECUTE format(
            'CREATE POLICY of_tenant ON %I TO waypost_app
             USING (tenant_id = nullif(current_setting(''waypost.tenant'', true), '''')::bigint)', v_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO waypost_app', v_table);
    END LOOP;
    -- what upkeep and the hint poll look at, never content or headers
    FOREACH v_table IN ARRAY ARRAY['account_state', 'blob', 'message_blob', 'mailbox', 'inbound_placed'] LOOP
        EXECUTE format('CREATE POLICY of_system ON %I TO waypost_system USING (true)', v_table);
    END LOOP;
END $$;

-- Keys are made and rotated by the owner; whoever serves mail must not be able to lose them.
REVOKE INSERT, UPDATE, DELETE ON data_key FROM waypost_app;

GRANT USAGE ON SEQUENCE mail_id TO waypost_app, waypost_system;
GRANT SELECT ON account_state, blob, message_blob TO waypost_system;
GRANT SELECT (tenant_id, account_id, id, deleted_at, is_selectable, messages) ON mailbox TO waypost_system;
GRANT SELECT, DELETE ON inbound_placed TO waypost_system;

-- Mail on its way in belongs to no tenant yet: the system role writes and lists it, the app role reads the sealed octets.
GRANT SELECT, INSERT, UPDATE, DELETE ON inbound TO waypost_system;
GRANT INSERT, DELETE ON inbound_content TO waypost_system;
GRANT SELECT (inbound_id) ON inbound_content TO waypost_system;
GRANT SELECT ON inbound_content TO waypost_app;

-- A process refuses to serve tables that are older than its code.
GRANT SELECT ON django_migrations TO waypost_app, waypost_system;
