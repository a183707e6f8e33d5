"""Every domain has a postmaster (RFC 5321 §4.5.1): where nobody has that address, the tenant's first administrator."""

from django.db import migrations

POSTMASTER = """
CREATE FUNCTION directory_postmaster_v1(p_domain text)
RETURNS TABLE (tenant_id bigint, account_id bigint, tenant_status text, domain_status text, account_status text,
               quota_octets bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, c.id, t.status::text, d.status::text, c.status::text, c.quota_octets
      FROM domain d
      JOIN tenant t ON t.id = d.tenant_id
      JOIN account c ON c.tenant_id = t.id AND c.is_administrator AND c.status = 'active'
     WHERE d.name = p_domain
     ORDER BY c.id
     LIMIT 1;
END $$;

REVOKE ALL ON FUNCTION directory_postmaster_v1(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_postmaster_v1(text) TO waypost_app;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_row_level_security")]

    operations = [migrations.RunSQL(POSTMASTER, "DROP FUNCTION directory_postmaster_v1(text);")]
