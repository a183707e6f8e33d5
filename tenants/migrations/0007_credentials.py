"""What sign-in asks since there are app passwords, SCRAM and domains that stand for others."""

from django.db import migrations

COMPOSITE_KEYS = """
ALTER TABLE app_password ADD CONSTRAINT app_password_account_of_tenant
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id);
"""

POLICIES = """
ALTER TABLE app_password ENABLE ROW LEVEL SECURITY;
ALTER TABLE app_password FORCE ROW LEVEL SECURITY;
CREATE POLICY app_password_owner ON app_password TO waypost_owner USING (true) WITH CHECK (true);
CREATE POLICY app_password_app ON app_password FOR SELECT TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY app_password_system ON app_password FOR SELECT TO waypost_system USING (true);
"""
DROP_POLICIES = """
DROP POLICY app_password_owner ON app_password;
DROP POLICY app_password_app ON app_password;
DROP POLICY app_password_system ON app_password;
ALTER TABLE app_password NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app_password DISABLE ROW LEVEL SECURITY;
"""

# Nobody but the owner reads digests and keys from the tables: sign-in gets those of one address.
GRANTS = """
GRANT SELECT (id, tenant_id, account_id, name, scopes, created_at, expires_at, last_used_at, last_used_network)
    ON app_password TO waypost_app, waypost_system;
GRANT SELECT (app_passwords_only) ON account TO waypost_app, waypost_system;
"""
REVOKES = """
REVOKE ALL ON app_password FROM waypost_app, waypost_system;
REVOKE SELECT (app_passwords_only) ON account FROM waypost_app, waypost_system;
"""

# App passwords come as arrays of one order, without those that have expired. SCRAM keys of another password than that
# of today are not told: whoever changed it knew nothing of them.
FUNCTIONS = """
CREATE FUNCTION directory_login_v2(p_local_part text, p_domain text)
RETURNS TABLE (tenant_id bigint, account_id bigint, local_part text, domain text, display_name text,
               password_hash text, tenant_status text, domain_status text, account_status text,
               is_administrator boolean, language text, time_zone text, quota_octets bigint,
               app_passwords_only boolean, scram_salt bytea, scram_iterations integer, scram_stored_key bytea,
               scram_server_key bytea, app_ids bigint[], app_names text[], app_scopes text[], app_digests bytea[],
               app_stored_keys bytea[], app_server_keys bytea[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.id, c.id, pa.local_part::text, pd.name::text, c.display_name::text, c.password_hash::text,
           t.status::text,
           CASE WHEN 'deleted' IN (d.status, o.status) THEN 'deleted'
                WHEN 'suspended' IN (d.status, o.status) THEN 'suspended' ELSE 'active' END,
           c.status::text, c.is_administrator, c.language::text, c.time_zone::text,
           c.quota_octets, c.app_passwords_only, c.scram_salt, c.scram_iterations,
           CASE WHEN c.scram_made_for = c.password_hash THEN c.scram_stored_key END,
           CASE WHEN c.scram_made_for = c.password_hash THEN c.scram_server_key END,
           p.ids, p.names, p.scopes, p.digests, p.stored_keys, p.server_keys
      FROM domain d
      JOIN domain o ON o.id = coalesce(d.stands_for_id, d.id)
      JOIN address a ON a.domain_id = o.id AND a.local_part = p_local_part
      JOIN account c ON c.id = a.account_id
      JOIN tenant t ON t.id = c.tenant_id
      JOIN address pa ON pa.account_id = c.id AND pa.is_primary
      JOIN domain pd ON pd.id = pa.domain_id
      CROSS JOIN LATERAL (
          SELECT array_agg(w.id) AS ids, array_agg(w.name::text) AS names, array_agg(w.scopes::text) AS scopes,
                 array_agg(w.digest) AS digests, array_agg(w.scram_stored_key) AS stored_keys,
                 array_agg(w.scram_server_key) AS server_keys
            FROM app_password w
           WHERE w.account_id = c.id AND (w.expires_at IS NULL OR w.expires_at > now())) p
     WHERE d.name = p_domain;
END $$;

CREATE FUNCTION directory_sender_addresses_v2(p_tenant_id bigint, p_account_id bigint)
RETURNS TABLE (local_part text, domain text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT a.local_part::text, d.name::text
      FROM address a
      JOIN domain o ON o.id = a.domain_id
      JOIN domain d ON d.id = o.id OR d.stands_for_id = o.id
     WHERE a.account_id = p_account_id AND a.tenant_id = p_tenant_id AND d.status = 'active' AND o.status = 'active';
END $$;

CREATE FUNCTION directory_store_scram_v1(p_account_id bigint, p_password_hash text, p_salt bytea, p_iterations integer,
                                         p_stored_key bytea, p_server_key bytea)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE account
       SET scram_salt = p_salt, scram_iterations = p_iterations, scram_stored_key = p_stored_key,
           scram_server_key = p_server_key, scram_made_for = p_password_hash
     WHERE id = p_account_id AND password_hash = p_password_hash
       AND (scram_salt IS NULL OR (scram_salt = p_salt AND scram_iterations = p_iterations));
    RETURN FOUND;
END $$;

CREATE FUNCTION directory_note_app_password_use_v1(p_id bigint, p_network text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE app_password
       SET last_used_at = now(), last_used_network = p_network
     WHERE id = p_id
       AND (last_used_at IS NULL OR last_used_at < now() - interval '1 hour' OR last_used_network <> p_network);
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION directory_login_v2(text, text), directory_sender_addresses_v2(bigint, bigint),
    directory_store_scram_v1(bigint, text, bytea, integer, bytea, bytea),
    directory_note_app_password_use_v1(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_login_v2(text, text), directory_sender_addresses_v2(bigint, bigint),
    directory_store_scram_v1(bigint, text, bytea, integer, bytea, bytea),
    directory_note_app_password_use_v1(bigint, text) TO waypost_app;
"""
DROP_FUNCTIONS = """
DROP FUNCTION directory_login_v2(text, text);
DROP FUNCTION directory_sender_addresses_v2(bigint, bigint);
DROP FUNCTION directory_store_scram_v1(bigint, text, bytea, integer, bytea, bytea);
DROP FUNCTION directory_note_app_password_use_v1(bigint, text);
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_app_passwords")]

    operations = [
        migrations.RunSQL(COMPOSITE_KEYS, "ALTER TABLE app_password DROP CONSTRAINT app_password_account_of_tenant"),
        migrations.RunSQL(POLICIES, DROP_POLICIES),
        migrations.RunSQL(GRANTS, REVOKES),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
    ]
