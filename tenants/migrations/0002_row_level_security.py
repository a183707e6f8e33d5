"""Who may read the directory: composite keys, row-level security, the directory functions and the grants."""

from django.db import migrations

COMPOSITE_KEYS = """
ALTER TABLE address
    ADD CONSTRAINT address_domain_of_tenant FOREIGN KEY (tenant_id, domain_id) REFERENCES domain (tenant_id, id),
    ADD CONSTRAINT address_account_of_tenant FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id);
"""
DROP_COMPOSITE_KEYS = """
ALTER TABLE address DROP CONSTRAINT address_domain_of_tenant, DROP CONSTRAINT address_account_of_tenant;
"""


def _policies(table: str, tenant_column: str) -> str:
    """FORCE binds the owner too, so it gets a policy of its own; the application sees the tenant of its session."""
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY {table}_owner ON {table} TO waypost_owner USING (true) WITH CHECK (true);
CREATE POLICY {table}_app ON {table} FOR SELECT TO waypost_app
    USING ({tenant_column} = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY {table}_system ON {table} FOR SELECT TO waypost_system USING (true);
"""


def _drop_policies(table: str) -> str:
    return f"""
DROP POLICY {table}_owner ON {table};
DROP POLICY {table}_app ON {table};
DROP POLICY {table}_system ON {table};
ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
"""


# Nobody but the owner reads password_hash from the table: sign-in gets it for one address from directory_login_v1.
GRANTS = """
GRANT SELECT ON tenant, domain, address TO waypost_app, waypost_system;
GRANT SELECT (id, tenant_id, display_name, is_administrator, language, time_zone, quota_octets, status, created_at,
              password_changed_at) ON account TO waypost_app, waypost_system;
"""
REVOKES = """
REVOKE ALL ON tenant, domain, address, account FROM waypost_app, waypost_system;
"""

# plpgsql, because it keeps plans between calls. To RCPT a missing domain gives no row, a missing local part a row
# without account.
DIRECTORY_FUNCTIONS = """
CREATE FUNCTION directory_recipient_v1(p_local_part text, p_domain text)
RETURNS TABLE (tenant_id bigint, account_id bigint, tenant_status text, domain_status text, account_status text,
               quota_octets bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, c.id, t.status::text, d.status::text, c.status::text, c.quota_octets
      FROM domain d
      JOIN tenant t ON t.id = d.tenant_id
      LEFT JOIN address a ON a.domain_id = d.id AND a.local_part = p_local_part
      LEFT JOIN account c ON c.id = a.account_id
     WHERE d.name = p_domain;
END $$;

CREATE FUNCTION directory_login_v1(p_local_part text, p_domain text)
RETURNS TABLE (tenant_id bigint, account_id bigint, local_part text, domain text, display_name text,
               password_hash text, tenant_status text, domain_status text, account_status text,
               is_administrator boolean, language text, time_zone text, quota_octets bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.id, c.id, pa.local_part::text, pd.name::text, c.display_name::text, c.password_hash::text,
           t.status::text, d.status::text, c.status::text, c.is_administrator, c.language::text, c.time_zone::text,
           c.quota_octets
      FROM domain d
      JOIN address a ON a.domain_id = d.id AND a.local_part = p_local_part
      JOIN account c ON c.id = a.account_id
      JOIN tenant t ON t.id = c.tenant_id
      JOIN address pa ON pa.account_id = c.id AND pa.is_primary
      JOIN domain pd ON pd.id = pa.domain_id
     WHERE d.name = p_domain;
END $$;

CREATE FUNCTION directory_sender_addresses_v1(p_tenant_id bigint, p_account_id bigint)
RETURNS TABLE (local_part text, domain text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT a.local_part::text, d.name::text
      FROM address a JOIN domain d ON d.id = a.domain_id
     WHERE a.account_id = p_account_id AND a.tenant_id = p_tenant_id AND d.status = 'active';
END $$;

CREATE FUNCTION directory_upgrade_password_v1(p_account_id bigint, p_old_hash text, p_new_hash text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE account SET password_hash = p_new_hash WHERE id = p_account_id AND password_hash = p_old_hash;
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION directory_recipient_v1(text, text), directory_login_v1(text, text),
    directory_sender_addresses_v1(bigint, bigint), directory_upgrade_password_v1(bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_recipient_v1(text, text), directory_login_v1(text, text),
    directory_sender_addresses_v1(bigint, bigint), directory_upgrade_password_v1(bigint, text, text) TO waypost_app;
"""
DROP_DIRECTORY_FUNCTIONS = """
DROP FUNCTION directory_recipient_v1(text, text);
DROP FUNCTION directory_login_v1(text, text);
DROP FUNCTION directory_sender_addresses_v1(bigint, bigint);
DROP FUNCTION directory_upgrade_password_v1(bigint, text, text);
"""

TENANT_COLUMNS = {"tenant": "id", "domain": "tenant_id", "account": "tenant_id", "address": "tenant_id"}


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(COMPOSITE_KEYS, DROP_COMPOSITE_KEYS),
        *[
            migrations.RunSQL(_policies(table, column), _drop_policies(table))
            for table, column in TENANT_COLUMNS.items()
        ],
        migrations.RunSQL(GRANTS, REVOKES),
        migrations.RunSQL(DIRECTORY_FUNCTIONS, DROP_DIRECTORY_FUNCTIONS),
    ]
