"""Ends that miss nothing: a way in is made while its person's row is held, and what a token opened ends with it."""

from django.db import migrations

# Whoever makes a way in (a session, a password, a token, a leave) and whoever ends all of them take the person's row
# first, then grants, then the rest: the later of two sees what the earlier did, and no two wait for each other.
FUNCTIONS = """
CREATE FUNCTION directory_hold_sign_ins_v1(p_tenant_id bigint, p_account_id bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_epoch bigint;
BEGIN
    SELECT c.sign_in_epoch INTO v_epoch FROM account c
     WHERE c.id = p_account_id AND c.tenant_id = p_tenant_id AND c.status = 'active' FOR NO KEY UPDATE;
    RETURN v_epoch;
END $$;

CREATE FUNCTION directory_token_v2(p_digest bytea, p_network text)
RETURNS TABLE (token_id bigint, grant_id bigint, expires_at timestamptz, name text, scopes text, tenant_id bigint,
               account_id bigint, local_part text, domain text, display_name text, tenant_status text,
               account_status text, is_administrator boolean, language text, time_zone text, quota_octets bigint,
               sign_in_epoch bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.id, b.grant_id, b.expires_at, b.name::text, b.scopes::text, c.tenant_id, c.id, pa.local_part::text,
           pd.name::text, c.display_name::text,
           CASE WHEN pd.status = 'suspended' THEN pd.status::text ELSE t.status::text END,
           c.status::text, c.is_administrator, c.language::text, c.time_zone::text, c.quota_octets, c.sign_in_epoch
      FROM bearer_token b
      JOIN account c ON c.id = b.account_id
      JOIN tenant t ON t.id = c.tenant_id
      JOIN address pa ON pa.account_id = c.id AND pa.is_primary
      JOIN domain pd ON pd.id = pa.domain_id
     WHERE b.digest = p_digest AND (b.expires_at IS NULL OR b.expires_at > now())
       AND 'deleted' NOT IN (c.status, t.status, pd.status)
       AND (b.grant_id IS NULL
            OR EXISTS (SELECT FROM oauth_grant g JOIN oauth_client o ON o.client_id = g.client_id
                        WHERE g.id = b.grant_id));
    IF FOUND THEN
        UPDATE bearer_token u SET last_used_at = now(), last_used_network = p_network
         WHERE u.digest = p_digest AND (u.last_used_at IS NULL OR u.last_used_at < now() - interval '1 minute');
    END IF;
END $$;

CREATE FUNCTION directory_tokens_gone_v1(p_ids bigint[])
RETURNS TABLE (token_id bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT asked.id FROM unnest(p_ids) AS asked (id)
     WHERE NOT EXISTS (SELECT FROM bearer_token b
                        WHERE b.id = asked.id AND (b.expires_at IS NULL OR b.expires_at > now())
                          AND (b.grant_id IS NULL
                               OR EXISTS (SELECT FROM oauth_grant g JOIN oauth_client o ON o.client_id = g.client_id
                                           WHERE g.id = b.grant_id)));
END $$;

REVOKE ALL ON FUNCTION directory_hold_sign_ins_v1(bigint, bigint), directory_token_v2(bytea, text),
    directory_tokens_gone_v1(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_hold_sign_ins_v1(bigint, bigint), directory_token_v2(bytea, text),
    directory_tokens_gone_v1(bigint[]) TO waypost_app;
"""
DROP_FUNCTIONS = """
DROP FUNCTION directory_hold_sign_ins_v1(bigint, bigint);
DROP FUNCTION directory_token_v2(bytea, text);
DROP FUNCTION directory_tokens_gone_v1(bigint[]);
"""

# Called as before, also by processes of the version before. An authenticator app that waits to be confirmed goes with
# an end: whoever had a session that was ended may have seen its secret.
BETTER = """
CREATE OR REPLACE FUNCTION directory_end_sign_ins_v1(p_tenant_id bigint, p_account_id bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_epoch bigint;
BEGIN
    UPDATE account SET sign_in_epoch = sign_in_epoch + 1, sign_ins_ended_at = clock_timestamp()
     WHERE id = p_account_id AND tenant_id = p_tenant_id
    RETURNING sign_in_epoch INTO v_epoch;
    DELETE FROM totp WHERE account_id = p_account_id AND tenant_id = p_tenant_id AND confirmed_at IS NULL;
    RETURN v_epoch;
END $$;

CREATE OR REPLACE FUNCTION directory_end_grant_v1(p_grant bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE account SET sign_ins_ended_at = clock_timestamp()
     WHERE id IN (SELECT g.account_id FROM oauth_grant g WHERE g.id = p_grant);
    DELETE FROM bearer_token WHERE grant_id = p_grant;
    DELETE FROM oauth_grant WHERE id = p_grant;
END $$;

CREATE OR REPLACE FUNCTION directory_spend_code_v1(p_code bytea, p_client text, p_redirect_uri text, p_challenge text)
RETURNS TABLE (grant_id bigint, tenant_id bigint, account_id bigint, scopes text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_grant oauth_grant%ROWTYPE;
BEGIN
    PERFORM FROM account c
      WHERE c.id IN (SELECT g.account_id FROM oauth_grant g WHERE g.code_digest = p_code AND g.client_id = p_client)
        FOR NO KEY UPDATE OF c;
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

CREATE OR REPLACE FUNCTION directory_refresh_v1(p_refresh bytea, p_client text, p_new bytea, p_grace_s integer)
RETURNS TABLE (grant_id bigint, tenant_id bigint, account_id bigint, scopes text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_grant oauth_grant%ROWTYPE;
BEGIN
    PERFORM FROM account c
      WHERE c.id IN (SELECT g.account_id FROM oauth_grant g
                      WHERE (g.refresh_digest = p_refresh OR g.replaced_digest = p_refresh) AND g.client_id = p_client)
        FOR NO KEY UPDATE OF c;
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
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0011_tokens")]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        migrations.RunSQL(BETTER, migrations.RunSQL.noop),  # right for the version before too
    ]
