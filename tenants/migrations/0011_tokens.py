"""Bearer tokens: those that people make for a program, and those that a program gets by OAuth 2 with their leave."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

TABLES = ("oauth_grant", "bearer_token")


def _protect(table: str) -> str:
    """The application writes here, of the tenant of its session only."""
    return f"""
ALTER TABLE {table}
    ADD CONSTRAINT {table}_account_of_tenant FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id);
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY {table}_owner ON {table} TO waypost_owner USING (true) WITH CHECK (true);
CREATE POLICY {table}_app ON {table} TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint)
    WITH CHECK (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY {table}_system ON {table} FOR SELECT TO waypost_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO waypost_app;
GRANT USAGE ON SEQUENCE {table}_id_seq TO waypost_app;
"""


def _unprotect(table: str) -> str:
    return f"""
REVOKE ALL ON {table} FROM waypost_app;
DROP POLICY {table}_owner ON {table};
DROP POLICY {table}_app ON {table};
DROP POLICY {table}_system ON {table};
ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
ALTER TABLE {table} DROP CONSTRAINT {table}_account_of_tenant;
"""


# A token says who bears it before a tenant is known, and so do a code and a refresh token. What was stolen shows when
# it comes a second time: then the grant ends, with all its tokens (RFC 6749 §4.1.2, RFC 9700 §4.14.2).
FUNCTIONS = """
GRANT SELECT ON oauth_client TO waypost_app;

CREATE FUNCTION directory_token_v1(p_digest bytea, p_network text)
RETURNS TABLE (token_id bigint, name text, scopes text, tenant_id bigint, account_id bigint, local_part text,
               domain text, display_name text, tenant_status text, account_status text, is_administrator boolean,
               language text, time_zone text, quota_octets bigint, sign_in_epoch bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.id, b.name::text, b.scopes::text, c.tenant_id, c.id, pa.local_part::text, pd.name::text,
           c.display_name::text, CASE WHEN pd.status = 'suspended' THEN pd.status::text ELSE t.status::text END,
           c.status::text, c.is_administrator, c.language::text,
           c.time_zone::text, c.quota_octets, c.sign_in_epoch
      FROM bearer_token b
      JOIN account c ON c.id = b.account_id
      JOIN tenant t ON t.id = c.tenant_id
      JOIN address pa ON pa.account_id = c.id AND pa.is_primary
      JOIN domain pd ON pd.id = pa.domain_id
     WHERE b.digest = p_digest AND (b.expires_at IS NULL OR b.expires_at > now())
       AND 'deleted' NOT IN (c.status, t.status, pd.status)
       AND (b.grant_id IS NULL OR EXISTS (SELECT FROM oauth_grant g WHERE g.id = b.grant_id));
    IF FOUND THEN
        UPDATE bearer_token u SET last_used_at = now(), last_used_network = p_network
         WHERE u.digest = p_digest AND (u.last_used_at IS NULL OR u.last_used_at < now() - interval '1 minute');
    END IF;
END $$;

CREATE FUNCTION directory_end_grant_v1(p_grant bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM bearer_token WHERE grant_id = p_grant;
    DELETE FROM oauth_grant WHERE id = p_grant;
END $$;

CREATE FUNCTION directory_spend_code_v1(p_code bytea, p_client text, p_redirect_uri text, p_challenge text)
RETURNS TABLE (grant_id bigint, tenant_id bigint, account_id bigint, scopes text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_grant oauth_grant%ROWTYPE;
BEGIN
    SELECT * INTO v_grant FROM oauth_grant g WHERE g.code_digest = p_code AND g.client_id = p_client FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_grant.code_spent_at IS NOT NULL OR v_grant.code_expires_at <= now() OR v_grant.redirect_uri <> p_redirect_uri
       OR v_grant.code_challenge <> p_challenge THEN
        PERFORM directory_end_grant_v1(v_grant.id);
        RETURN;
    END IF;
    UPDATE oauth_grant SET code_spent_at = now() WHERE id = v_grant.id;
    RETURN QUERY SELECT v_grant.id, v_grant.tenant_id, v_grant.account_id, v_grant.scopes::text;
END $$;

CREATE FUNCTION directory_refresh_v1(p_refresh bytea, p_client text, p_new bytea, p_grace_s integer)
RETURNS TABLE (grant_id bigint, tenant_id bigint, account_id bigint, scopes text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_grant oauth_grant%ROWTYPE;
BEGIN
    SELECT * INTO v_grant FROM oauth_grant g
     WHERE (g.refresh_digest = p_refresh OR g.replaced_digest = p_refresh) AND g.client_id = p_client FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_grant.refresh_digest IS DISTINCT FROM p_refresh
       AND v_grant.refreshed_at <= now() - make_interval(secs => p_grace_s) THEN
        PERFORM directory_end_grant_v1(v_grant.id);
        RETURN;
    END IF;
    UPDATE oauth_grant SET refresh_digest = p_new, replaced_digest = p_refresh, refreshed_at = now()
     WHERE id = v_grant.id;
    RETURN QUERY SELECT v_grant.id, v_grant.tenant_id, v_grant.account_id, v_grant.scopes::text;
END $$;

CREATE FUNCTION directory_revoke_token_v1(p_digest bytea, p_client text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_grant bigint;
BEGIN
    SELECT g.id INTO v_grant FROM oauth_grant g
     WHERE g.client_id = p_client
       AND (p_digest IN (g.refresh_digest, g.replaced_digest)
            OR EXISTS (SELECT FROM bearer_token b WHERE b.digest = p_digest AND b.grant_id = g.id));
    IF FOUND THEN
        PERFORM directory_end_grant_v1(v_grant);
    END IF;
    RETURN v_grant IS NOT NULL;
END $$;

REVOKE ALL ON FUNCTION directory_token_v1(bytea, text), directory_end_grant_v1(bigint),
    directory_spend_code_v1(bytea, text, text, text), directory_refresh_v1(bytea, text, bytea, integer),
    directory_revoke_token_v1(bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_token_v1(bytea, text), directory_spend_code_v1(bytea, text, text, text),
    directory_refresh_v1(bytea, text, bytea, integer), directory_revoke_token_v1(bytea, text) TO waypost_app;
"""
DROP_FUNCTIONS = """
DROP FUNCTION directory_token_v1(bytea, text);
DROP FUNCTION directory_spend_code_v1(bytea, text, text, text);
DROP FUNCTION directory_refresh_v1(bytea, text, bytea, integer);
DROP FUNCTION directory_revoke_token_v1(bytea, text);
DROP FUNCTION directory_end_grant_v1(bigint);
REVOKE ALL ON oauth_client FROM waypost_app;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0010_web_sign_in"),
    ]

    operations = [
        migrations.CreateModel(
            name="OAuthClient",
            fields=[
                ("client_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                (
                    "redirect_uris",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=1000), size=None),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "oauth_client",
                "constraints": [models.UniqueConstraint(fields=("name",), name="oauth_client_name_unique")],
            },
        ),
        migrations.CreateModel(
            name="OAuthGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scopes", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("code_digest", models.BinaryField()),
                ("code_challenge", models.CharField(max_length=43)),
                ("code_expires_at", models.DateTimeField()),
                ("code_spent_at", models.DateTimeField(null=True)),
                ("redirect_uri", models.CharField(max_length=1000)),
                ("refresh_digest", models.BinaryField(null=True)),
                ("replaced_digest", models.BinaryField(null=True)),
                ("refreshed_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.account",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.oauthclient",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "db_table": "oauth_grant",
            },
        ),
        migrations.CreateModel(
            name="BearerToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(db_default="", default="", max_length=200)),
                ("scopes", models.CharField(max_length=64)),
                ("digest", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("expires_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("last_used_network", models.CharField(db_default="", default="", max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.account",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
                    ),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tokens",
                        to="tenants.oauthgrant",
                    ),
                ),
            ],
            options={
                "db_table": "bearer_token",
            },
        ),
        migrations.AddIndex(
            model_name="oauthgrant",
            index=models.Index(
                condition=models.Q(("replaced_digest__isnull", False)),
                fields=["replaced_digest"],
                name="oauth_grant_replaced",
            ),
        ),
        migrations.AddIndex(
            model_name="oauthgrant",
            index=models.Index(fields=["account"], name="oauth_grant_of_account"),
        ),
        migrations.AddConstraint(
            model_name="oauthgrant",
            constraint=models.UniqueConstraint(fields=("code_digest",), name="oauth_grant_code_unique"),
        ),
        migrations.AddConstraint(
            model_name="oauthgrant",
            constraint=models.UniqueConstraint(fields=("refresh_digest",), name="oauth_grant_refresh_unique"),
        ),
        migrations.AddConstraint(
            model_name="bearertoken",
            constraint=models.UniqueConstraint(fields=("digest",), name="bearer_token_digest_unique"),
        ),
        migrations.AddConstraint(
            model_name="bearertoken",
            constraint=models.UniqueConstraint(
                condition=models.Q(("name", ""), _negated=True),
                fields=("account", "name"),
                name="bearer_token_name_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="bearertoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("scopes__regex", "^(imap|pop|smtp|jmap)( (imap|pop|smtp|jmap))*$")),
                name="bearer_token_scopes_known",
            ),
        ),
        *[migrations.RunSQL(_protect(table), _unprotect(table)) for table in TABLES],
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
    ]
