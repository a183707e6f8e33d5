"""What RCPT asks since there are groups and forwarding, and who may read their tables."""

from django.db import migrations

COMPOSITE_KEYS = """
ALTER TABLE domain
    ADD CONSTRAINT domain_stands_for_of_tenant FOREIGN KEY (tenant_id, stands_for_id) REFERENCES domain (tenant_id, id),
    ADD CONSTRAINT domain_catch_all_account_of_tenant
        FOREIGN KEY (tenant_id, catch_all_account_id) REFERENCES account (tenant_id, id),
    ADD CONSTRAINT domain_catch_all_group_of_tenant
        FOREIGN KEY (tenant_id, catch_all_group_id) REFERENCES mail_group (tenant_id, id);
ALTER TABLE address
    ADD CONSTRAINT address_group_of_tenant FOREIGN KEY (tenant_id, group_id) REFERENCES mail_group (tenant_id, id);
ALTER TABLE group_member
    ADD CONSTRAINT group_member_group_of_tenant FOREIGN KEY (tenant_id, group_id) REFERENCES mail_group (tenant_id, id);
ALTER TABLE forwarding
    ADD CONSTRAINT forwarding_account_of_tenant FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id);
"""
DROP_COMPOSITE_KEYS = """
ALTER TABLE domain DROP CONSTRAINT domain_stands_for_of_tenant, DROP CONSTRAINT domain_catch_all_account_of_tenant,
    DROP CONSTRAINT domain_catch_all_group_of_tenant;
ALTER TABLE address DROP CONSTRAINT address_group_of_tenant;
ALTER TABLE group_member DROP CONSTRAINT group_member_group_of_tenant;
ALTER TABLE forwarding DROP CONSTRAINT forwarding_account_of_tenant;
"""


def _policies(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY {table}_owner ON {table} TO waypost_owner USING (true) WITH CHECK (true);
CREATE POLICY {table}_app ON {table} FOR SELECT TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY {table}_system ON {table} FOR SELECT TO waypost_system USING (true);
GRANT SELECT ON {table} TO waypost_app, waypost_system;
"""


def _drop_policies(table: str) -> str:
    return f"""
REVOKE ALL ON {table} FROM waypost_app, waypost_system;
DROP POLICY {table}_owner ON {table};
DROP POLICY {table}_app ON {table};
DROP POLICY {table}_system ON {table};
ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
"""


# One address usually is one account, which is the first answer and the only one. What is a group, or passes mail on, is
# followed breadth first, everything once; so loops end. The edges come back as they are: `tenants.resolution` decides
# what they mean. The first row is the address that was asked: none if its domain is unknown, one without account and
# group if nobody has it.
RESOLVE = """
CREATE FUNCTION directory_recipient_v2(p_local_part text, p_domain text, p_limit integer)
RETURNS TABLE (source_account_id bigint, source_group_id bigint, written text, asked_local_part text, asked_domain text,
               local_part text, domain text, tenant_id bigint, tenant_status text, domain_status text,
               account_id bigint, account_status text, quota_octets bigint, language text, time_zone text,
               keeps_copy boolean, is_forwarding boolean,
               group_id bigint, group_address text, group_owner text, who_may_send text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_accounts bigint[] := '{}';
    v_groups bigint[] := '{}';
    v_all_accounts bigint[] := '{}';
    v_all_groups bigint[] := '{}';
    v_source_accounts bigint[];
    v_source_groups bigint[];
    v_written text[];
    v_local_parts text[];
    v_domains text[];
    v_known integer := 0;
    v_row record;
BEGIN
    FOR v_row IN
        SELECT o.id AS domain_id, o.name::text AS domain, t.id AS tenant_id, t.status::text AS tenant_status,
               CASE WHEN 'deleted' IN (d.status, o.status) THEN 'deleted'
                    WHEN 'suspended' IN (d.status, o.status) THEN 'suspended' ELSE 'active' END AS domain_status,
               c.id AS account_id, c.status::text AS account_status, c.quota_octets, c.language::text AS language,
               c.time_zone::text AS time_zone, c.keeps_copy,
               c.id IS NOT NULL AND EXISTS (SELECT FROM forwarding f WHERE f.account_id = c.id) AS is_forwarding,
               CASE WHEN c.id IS NULL THEN coalesce(a.group_id, o.catch_all_group_id) END AS group_id
          FROM domain d
          JOIN domain o ON o.id = coalesce(d.stands_for_id, d.id)
          JOIN tenant t ON t.id = o.tenant_id
          LEFT JOIN address a ON a.domain_id = o.id AND a.local_part = p_local_part
          LEFT JOIN account c ON c.id = coalesce(a.account_id,
              CASE WHEN a.id IS NULL THEN coalesce(
                  CASE WHEN p_local_part = 'postmaster' THEN
                      (SELECT p.id FROM account p
                        WHERE p.tenant_id = t.id AND p.is_administrator AND p.status = 'active' ORDER BY p.id LIMIT 1)
                  END, o.catch_all_account_id) END)
         WHERE d.name = p_domain
    LOOP
        source_account_id := NULL; source_group_id := NULL; written := NULL;
        asked_local_part := p_local_part; asked_domain := p_domain;
        local_part := p_local_part; domain := v_row.domain;
        tenant_id := v_row.tenant_id; tenant_status := v_row.tenant_status; domain_status := v_row.domain_status;
        account_id := v_row.account_id; account_status := v_row.account_status; quota_octets := v_row.quota_octets;
        language := v_row.language; time_zone := v_row.time_zone; keeps_copy := v_row.keeps_copy;
        is_forwarding := v_row.is_forwarding; group_id := v_row.group_id;
        IF group_id IS NOT NULL THEN
            SELECT g.owner_address::text, g.who_may_send::text,
                   (SELECT ga.local_part || '@' || gd.name FROM address ga JOIN domain gd ON gd.id = ga.domain_id
                     WHERE ga.group_id = g.id AND ga.is_primary)
              INTO group_owner, who_may_send, group_address
              FROM mail_group g WHERE g.id = v_row.group_id;
            v_groups := ARRAY[v_row.group_id];
        END IF;
        IF is_forwarding THEN
            v_accounts := ARRAY[v_row.account_id];
        END IF;
        RETURN NEXT;
    END LOOP;

    WHILE cardinality(v_accounts) + cardinality(v_groups) > 0 LOOP
        v_all_accounts := v_all_accounts || v_accounts;
        v_all_groups := v_all_groups || v_groups;
        SELECT array_agg(e.account_id), array_agg(e.group_id), array_agg(e.written), array_agg(e.local_part),
               array_agg(e.domain)
          INTO v_source_accounts, v_source_groups, v_written, v_local_parts, v_domains
          FROM (SELECT NULL::bigint AS account_id, m.group_id, m.written::text AS written,
                       m.local_part::text AS local_part, m.domain::text AS domain
                  FROM group_member m WHERE m.group_id = ANY (v_groups)
                UNION ALL
                SELECT f.account_id, NULL, f.written::text, f.local_part::text, f.domain::text
                  FROM forwarding f WHERE f.account_id = ANY (v_accounts)) e;
        v_known := v_known + coalesce(cardinality(v_written), 0);
        IF v_known > p_limit THEN
            RAISE EXCEPTION 'the address reaches more than % others', p_limit USING ERRCODE = 'program_limit_exceeded';
        END IF;
        v_accounts := '{}';
        v_groups := '{}';
        FOR v_row IN
            SELECT e.source_account_id, e.source_group_id, e.written, e.asked_local_part, e.asked_domain,
                   e.plain, o.name::text AS domain, t.id AS tenant_id, t.status::text AS tenant_status,
                   CASE WHEN 'deleted' IN (d.status, o.status) THEN 'deleted'
                        WHEN 'suspended' IN (d.status, o.status) THEN 'suspended'
                        WHEN d.id IS NOT NULL THEN 'active' END AS domain_status,
                   c.id AS account_id, c.status::text AS account_status, c.quota_octets, c.language::text AS language,
                   c.time_zone::text AS time_zone, c.keeps_copy,
                   c.id IS NOT NULL AND EXISTS (SELECT FROM forwarding f WHERE f.account_id = c.id) AS is_forwarding,
                   g.id AS group_id, g.owner_address::text AS group_owner, g.who_may_send::text AS who_may_send,
                   (SELECT ga.local_part || '@' || gd.name FROM address ga JOIN domain gd ON gd.id = ga.domain_id
                     WHERE ga.group_id = g.id AND ga.is_primary) AS group_address
              FROM (SELECT u.source_account_id, u.source_group_id, u.written, u.asked_local_part, u.asked_domain,
                           CASE WHEN position('+' IN u.asked_local_part) > 1
                                THEN split_part(u.asked_local_part, '+', 1) ELSE u.asked_local_part END AS plain
                      FROM unnest(v_source_accounts, v_source_groups, v_written, v_local_parts, v_domains)
                           AS u (source_account_id, source_group_id, written, asked_local_part, asked_domain)) e
              LEFT JOIN domain d ON d.name = e.asked_domain
              LEFT JOIN domain o ON o.id = coalesce(d.stands_for_id, d.id)
              LEFT JOIN tenant t ON t.id = o.tenant_id
              LEFT JOIN address a ON a.domain_id = o.id AND a.local_part = e.plain
              LEFT JOIN account c ON c.id = coalesce(a.account_id,
                  CASE WHEN a.id IS NULL THEN coalesce(
                      CASE WHEN e.plain = 'postmaster' THEN
                          (SELECT p.id FROM account p
                            WHERE p.tenant_id = t.id AND p.is_administrator AND p.status = 'active'
                            ORDER BY p.id LIMIT 1)
                      END, o.catch_all_account_id) END)
              LEFT JOIN mail_group g ON c.id IS NULL AND g.id = coalesce(a.group_id, o.catch_all_group_id)
        LOOP
            source_account_id := v_row.source_account_id; source_group_id := v_row.source_group_id;
            written := v_row.written; asked_local_part := v_row.asked_local_part; asked_domain := v_row.asked_domain;
            local_part := v_row.plain; domain := v_row.domain;
            tenant_id := v_row.tenant_id; tenant_status := v_row.tenant_status; domain_status := v_row.domain_status;
            account_id := v_row.account_id; account_status := v_row.account_status; quota_octets := v_row.quota_octets;
            language := v_row.language; time_zone := v_row.time_zone; keeps_copy := v_row.keeps_copy;
            is_forwarding := v_row.is_forwarding;
            group_id := v_row.group_id; group_address := v_row.group_address; group_owner := v_row.group_owner;
            who_may_send := v_row.who_may_send;
            IF group_id IS NOT NULL AND NOT group_id = ANY (v_all_groups) AND NOT group_id = ANY (v_groups) THEN
                v_groups := v_groups || group_id;
            END IF;
            IF is_forwarding AND NOT account_id = ANY (v_all_accounts) AND NOT account_id = ANY (v_accounts) THEN
                v_accounts := v_accounts || account_id;
            END IF;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION directory_recipient_v2(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_recipient_v2(text, text, integer) TO waypost_app;
"""

TABLES = ("mail_group", "group_member", "forwarding")


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_addresses_beyond_one_account")]

    operations = [
        migrations.RunSQL(COMPOSITE_KEYS, DROP_COMPOSITE_KEYS),
        *[migrations.RunSQL(_policies(table), _drop_policies(table)) for table in TABLES],
        migrations.RunSQL(
            "GRANT SELECT (keeps_copy) ON account TO waypost_app, waypost_system",
            "REVOKE SELECT (keeps_copy) ON account FROM waypost_app, waypost_system",
        ),
        migrations.RunSQL(RESOLVE, "DROP FUNCTION directory_recipient_v2(text, text, integer)"),
    ]
