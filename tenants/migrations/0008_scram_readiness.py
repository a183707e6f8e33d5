"""Whether SCRAM can be offered: a program that sees it offered uses it, and fails where nothing is kept for it."""

from django.db import migrations

FUNCTION = """
CREATE INDEX account_lacks_scram ON account (id)
    WHERE status = 'active' AND NOT app_passwords_only AND scram_made_for <> password_hash;

CREATE FUNCTION directory_somebody_lacks_scram_v1()
RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM account
                    WHERE status = 'active' AND NOT app_passwords_only AND scram_made_for <> password_hash);
END $$;

REVOKE ALL ON FUNCTION directory_somebody_lacks_scram_v1() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_somebody_lacks_scram_v1() TO waypost_app;
"""
DROP_FUNCTION = """
DROP FUNCTION directory_somebody_lacks_scram_v1();
DROP INDEX account_lacks_scram;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_credentials")]

    operations = [migrations.RunSQL(FUNCTION, DROP_FUNCTION)]
