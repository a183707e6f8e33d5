"""Signing in with a browser: sessions, second factors, and an epoch that ends whatever a person has open."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

TABLES = ("web_session", "totp", "recovery_code", "passkey")


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


# People make and revoke their own app passwords; digests and keys are written here and still read by nobody.
GRANTS = """
GRANT SELECT (sign_in_epoch) ON account TO waypost_app;
GRANT DELETE ON app_password TO waypost_app;
GRANT INSERT (tenant_id, account_id, name, scopes, digest, scram_stored_key, scram_server_key, expires_at)
    ON app_password TO waypost_app;
GRANT USAGE ON SEQUENCE app_password_id_seq, web_session_id_seq, totp_id_seq, recovery_code_id_seq, passkey_id_seq
    TO waypost_app;
CREATE POLICY app_password_app_insert ON app_password FOR INSERT TO waypost_app
    WITH CHECK (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY app_password_app_delete ON app_password FOR DELETE TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
"""
REVOKES = """
DROP POLICY app_password_app_insert ON app_password;
DROP POLICY app_password_app_delete ON app_password;
REVOKE INSERT, DELETE ON app_password FROM waypost_app;
REVOKE SELECT (sign_in_epoch) ON account FROM waypost_app;
"""

# Whoever has a second factor signs in to mail programs with app passwords only: the password alone opens nothing.
FUNCTIONS = """
CREATE FUNCTION directory_login_v3(p_local_part text, p_domain text)
RETURNS TABLE (tenant_id bigint, account_id bigint, local_part text, domain text, display_name text,
               password_hash text, tenant_status text, domain_status text, account_status text,
               is_administrator boolean, language text, time_zone text, quota_octets bigint,
               app_passwords_only boolean, scram_salt bytea, scram_iterations integer, scram_stored_key bytea,
               scram_server_key bytea, app_ids bigint[], app_names text[], app_scopes text[], app_digests bytea[],
               app_stored_keys bytea[], app_server_keys bytea[], sign_in_epoch bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.id, c.id, pa.local_part::text, pd.name::text, c.display_name::text, c.password_hash::text,
           t.status::text,
           CASE WHEN 'deleted' IN (d.status, o.status) THEN 'deleted'
                WHEN 'suspended' IN (d.status, o.status) THEN 'suspended' ELSE 'active' END,
           c.status::text, c.is_administrator, c.language::text, c.time_zone::text, c.quota_octets,
           c.app_passwords_only
               OR EXISTS (SELECT FROM totp f WHERE f.account_id = c.id AND f.confirmed_at IS NOT NULL)
               OR EXISTS (SELECT FROM passkey k WHERE k.account_id = c.id),
           c.scram_salt, c.scram_iterations,
           CASE WHEN c.scram_made_for = c.password_hash THEN c.scram_stored_key END,
           CASE WHEN c.scram_made_for = c.password_hash THEN c.scram_server_key END,
           p.ids, p.names, p.scopes, p.digests, p.stored_keys, p.server_keys, c.sign_in_epoch
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

CREATE FUNCTION directory_web_session_v1(p_digest bytea, p_network text, p_idle_s integer)
RETURNS TABLE (session_id bigint, stage text, created_at timestamptz, verified_at timestamptz, tenant_id bigint,
               account_id bigint, local_part text, domain text, display_name text, is_administrator boolean,
               language text, time_zone text, quota_octets bigint, sign_in_epoch bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.id, s.stage::text, s.created_at, s.verified_at, c.tenant_id, c.id, pa.local_part::text, pd.name::text,
           c.display_name::text, c.is_administrator, c.language::text, c.time_zone::text, c.quota_octets,
           c.sign_in_epoch
      FROM web_session s
      JOIN account c ON c.id = s.account_id
      JOIN tenant t ON t.id = c.tenant_id
      JOIN address pa ON pa.account_id = c.id AND pa.is_primary
      JOIN domain pd ON pd.id = pa.domain_id
     WHERE s.digest = p_digest AND s.expires_at > now() AND s.seen_at > now() - make_interval(secs => p_idle_s)
       AND c.status = 'active' AND t.status = 'active' AND pd.status = 'active';
    IF FOUND THEN
        UPDATE web_session w SET seen_at = now(), network = p_network
         WHERE w.digest = p_digest AND w.seen_at < now() - interval '1 minute';
    END IF;
END $$;

CREATE FUNCTION directory_passkey_v1(p_credential_id bytea)
RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT k.tenant_id, k.account_id FROM passkey k WHERE k.credential_id = p_credential_id;
END $$;

CREATE FUNCTION directory_end_sign_ins_v1(p_tenant_id bigint, p_account_id bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_epoch bigint;
BEGIN
    UPDATE account SET sign_in_epoch = sign_in_epoch + 1, sign_ins_ended_at = clock_timestamp()
     WHERE id = p_account_id AND tenant_id = p_tenant_id
    RETURNING sign_in_epoch INTO v_epoch;
    RETURN v_epoch;
END $$;

CREATE FUNCTION directory_sign_in_ends_v1(p_within_s double precision)
RETURNS TABLE (account_id bigint, sign_in_epoch bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.id, c.sign_in_epoch FROM account c
     WHERE c.sign_ins_ended_at > clock_timestamp() - make_interval(secs => p_within_s);
END $$;

CREATE FUNCTION directory_change_password_v1(p_tenant_id bigint, p_account_id bigint, p_old_hash text, p_new_hash text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE account SET password_hash = p_new_hash, password_changed_at = now()
     WHERE id = p_account_id AND tenant_id = p_tenant_id AND password_hash = p_old_hash;
    RETURN FOUND;
END $$;

CREATE FUNCTION directory_salting_v1(p_tenant_id bigint, p_account_id bigint, p_salt bytea, p_iterations integer)
RETURNS TABLE (salt bytea, iterations integer)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    UPDATE account
       SET scram_salt = coalesce(scram_salt, p_salt), scram_iterations = coalesce(scram_iterations, p_iterations)
     WHERE id = p_account_id AND tenant_id = p_tenant_id
    RETURNING scram_salt, scram_iterations;
END $$;

REVOKE ALL ON FUNCTION directory_login_v3(text, text), directory_web_session_v1(bytea, text, integer),
    directory_passkey_v1(bytea), directory_end_sign_ins_v1(bigint, bigint),
    directory_sign_in_ends_v1(double precision), directory_change_password_v1(bigint, bigint, text, text),
    directory_salting_v1(bigint, bigint, bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_login_v3(text, text), directory_web_session_v1(bytea, text, integer),
    directory_passkey_v1(bytea), directory_end_sign_ins_v1(bigint, bigint),
    directory_sign_in_ends_v1(double precision), directory_change_password_v1(bigint, bigint, text, text),
    directory_salting_v1(bigint, bigint, bytea, integer) TO waypost_app;
"""
DROP_FUNCTIONS = """
DROP FUNCTION directory_login_v3(text, text);
DROP FUNCTION directory_web_session_v1(bytea, text, integer);
DROP FUNCTION directory_passkey_v1(bytea);
DROP FUNCTION directory_end_sign_ins_v1(bigint, bigint);
DROP FUNCTION directory_sign_in_ends_v1(double precision);
DROP FUNCTION directory_change_password_v1(bigint, bigint, text, text);
DROP FUNCTION directory_salting_v1(bigint, bigint, bytea, integer);
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_policies")]

    operations = [
        migrations.CreateModel(
            name="Passkey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential_id", models.BinaryField()),
                ("public_key", models.BinaryField()),
                ("sign_count", models.BigIntegerField()),
                ("rp_id", models.CharField(max_length=255)),
                ("transports", models.CharField(db_default="", default="", max_length=100)),
                ("is_backed_up", models.BooleanField()),
                ("name", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("last_used_at", models.DateTimeField(null=True)),
                ("last_challenge_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "passkey",
            },
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("used_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "recovery_code",
            },
        ),
        migrations.CreateModel(
            name="Totp",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("last_step", models.BigIntegerField(db_default=0, default=0)),
            ],
            options={
                "db_table": "totp",
            },
        ),
        migrations.CreateModel(
            name="WebSession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField()),
                ("stage", models.CharField(choices=[("code", "code"), ("open", "open")], max_length=8)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("seen_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("verified_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("expires_at", models.DateTimeField()),
                ("network", models.CharField(max_length=64)),
                ("client", models.CharField(max_length=300)),
            ],
            options={
                "db_table": "web_session",
            },
        ),
        migrations.AddField(
            model_name="account",
            name="sign_in_epoch",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="account",
            name="sign_ins_ended_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("sign_ins_ended_at__isnull", False)),
                fields=["sign_ins_ended_at"],
                name="account_sign_ins_ended",
            ),
        ),
        migrations.AddField(
            model_name="passkey",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="passkeys",
                to="tenants.account",
            ),
        ),
        migrations.AddField(
            model_name="passkey",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"),
        ),
        migrations.AddField(
            model_name="recoverycode",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="recovery_codes",
                to="tenants.account",
            ),
        ),
        migrations.AddField(
            model_name="recoverycode",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"),
        ),
        migrations.AddField(
            model_name="totp",
            name="account",
            field=models.OneToOneField(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="totp",
                to="tenants.account",
            ),
        ),
        migrations.AddField(
            model_name="totp",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"),
        ),
        migrations.AddField(
            model_name="websession",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="web_sessions",
                to="tenants.account",
            ),
        ),
        migrations.AddField(
            model_name="websession",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"),
        ),
        migrations.AddConstraint(
            model_name="passkey",
            constraint=models.UniqueConstraint(fields=("credential_id",), name="passkey_credential_unique"),
        ),
        migrations.AddConstraint(
            model_name="passkey",
            constraint=models.UniqueConstraint(fields=("account", "name"), name="passkey_name_unique"),
        ),
        migrations.AddConstraint(
            model_name="recoverycode",
            constraint=models.UniqueConstraint(fields=("account", "digest"), name="recovery_code_unique"),
        ),
        migrations.AddConstraint(
            model_name="websession",
            constraint=models.UniqueConstraint(fields=("digest",), name="web_session_digest_unique"),
        ),
        migrations.AddConstraint(
            model_name="websession",
            constraint=models.CheckConstraint(
                condition=models.Q(("stage__in", ["code", "open"])), name="web_session_stage_known"
            ),
        ),
        *[migrations.RunSQL(_protect(table), _unprotect(table)) for table in TABLES],
        migrations.RunSQL(GRANTS, REVOKES),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
    ]
