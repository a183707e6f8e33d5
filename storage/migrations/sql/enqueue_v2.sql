-- Queueing messages of one tenant: all that wait, in one call and one commit.

-- Element i of the arrays from p_accounts to p_sealed is one message; p_messages says of each recipient which one it
-- belongs to, and p_counts how many each message has. An account NULL: the installation itself sends, and nothing is
-- counted. An id NULL: a new one; else chunks of the content were put under it before, in this transaction. Sealed is
-- the only chunk, if there is just one. A lease of p_lease_s keeps the rows from being sent until the caller releases
-- them. One row for each message, in their order; outcomes:
--   queued       id is filled
--   limit        limit_recipients and limit_hours say which; limit_hours of 24 or 1, is_tenants whose
--   singly       together they would pass a limit, and nothing was queued: each is to come alone, then it shows whose
CREATE FUNCTION enqueue_v2(
    p_tenant bigint, p_accounts bigint[], p_ids bigint[], p_reverse_paths text[], p_envelope_ids text[],
    p_returns smallint[], p_needs_utf8 boolean[], p_bodies smallint[], p_octets bigint[], p_queued_at timestamptz[],
    p_content_names bytea[], p_counts integer[], p_keys integer[], p_codecs smallint[], p_sealed bytea[],
    p_messages integer[], p_ordinals integer[], p_addresses text[], p_domains text[], p_originals text[],
    p_notifies smallint[],
    p_held smallint, p_first_attempt_at timestamptz, p_lease_s double precision,
    p_person_hour integer, p_person_day integer, p_tenant_hour integer, p_tenant_day integer
) RETURNS TABLE (outcome text, id bigint, limit_recipients integer, limit_hours integer, is_tenants boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_hour timestamptz := date_trunc('hour', now());
    v_limit integer;
    v_hours integer;
    v_is_tenants boolean;
    v_ids bigint[];
    v_has_holds boolean;
    v_first timestamptz := greatest(coalesce(p_first_attempt_at, now()), now());
BEGIN
    PERFORM waypost_tenant(p_tenant);
    -- In the last 60 minutes, the hour before counted by its share that is still within them, and in the last 24 hours,
    -- by whole hours. Account 0 is the tenant. The shard is the backend's, so that those who submit at the same time, on
    -- connections of their own, do not wait for each other's commits; in this order two of them never do so in a circle.
    WITH asked AS MATERIALIZED (
        SELECT m.account_id, sum(m.recipients)::integer AS recipients
          FROM unnest(p_accounts, p_counts) AS m (account_id, recipients)
         WHERE m.account_id IS NOT NULL GROUP BY m.account_id
        UNION ALL
        SELECT 0, sum(m.recipients)::integer
          FROM unnest(p_accounts, p_counts) AS m (account_id, recipients)
         WHERE m.account_id IS NOT NULL HAVING count(*) > 0
    ), passed AS MATERIALIZED (
        SELECT l.recipients, l.hours, a.account_id = 0 AS is_tenants
          FROM asked a
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(CASE
                          WHEN c.hour = v_hour THEN c.recipients
                          WHEN c.hour = v_hour - interval '1 hour'
                          THEN c.recipients * (1 - extract(epoch FROM now() - v_hour) / 3600)
                          ELSE 0 END), 0)::integer AS in_hour,
                      coalesce(sum(c.recipients), 0)::integer AS in_day
                 FROM sending_count c
                WHERE c.tenant_id = p_tenant AND c.account_id = a.account_id AND c.hour > now() - interval '24 hours') s
         CROSS JOIN LATERAL (
               VALUES (s.in_hour, CASE WHEN a.account_id = 0 THEN p_tenant_hour ELSE p_person_hour END, 1),
                      (s.in_day, CASE WHEN a.account_id = 0 THEN p_tenant_day ELSE p_person_day END, 24))
               AS l (sent, recipients, hours)
         WHERE l.sent + a.recipients > l.recipients
    ), counted AS (
        INSERT INTO sending_count (tenant_id, account_id, hour, shard, recipients)
        SELECT p_tenant, a.account_id, v_hour, pg_backend_pid() % 64, a.recipients
          FROM asked a WHERE NOT EXISTS (SELECT FROM passed) ORDER BY a.account_id = 0, a.account_id
        ON CONFLICT (tenant_id, account_id, hour, shard)
        DO UPDATE SET recipients = sending_count.recipients + excluded.recipients
    )
    SELECT p.recipients, p.hours, p.is_tenants INTO v_limit, v_hours, v_is_tenants
      FROM passed p ORDER BY p.is_tenants, p.hours LIMIT 1;
    IF v_limit IS NOT NULL THEN
        RETURN QUERY SELECT CASE WHEN cardinality(p_counts) = 1 THEN 'limit' ELSE 'singly' END, NULL::bigint, v_limit,
                            v_hours, v_is_tenants
                       FROM unnest(p_counts);
        RETURN;
    END IF;
    v_ids := ARRAY(SELECT coalesce(g.id, nextval('mail_id')) FROM unnest(p_ids) AS g (id));
    v_has_holds := EXISTS (SELECT FROM outgoing_hold h WHERE h.tenant_id = p_tenant);
    INSERT INTO outgoing (
        tenant_id, id, account_id, reverse_path, envelope_id, return_content, needs_utf8, body, octets, queued_at,
        content_name)
    SELECT p_tenant, m.*
      FROM unnest(v_ids, p_accounts, p_reverse_paths, p_envelope_ids, p_returns, p_needs_utf8, p_bodies, p_octets,
                  p_queued_at, p_content_names) AS m;
    INSERT INTO outgoing_content (tenant_id, outgoing_id, chunk, key_id, codec, sealed)
    SELECT p_tenant, c.id, 0, c.key_id, c.codec, c.sealed
      FROM unnest(v_ids, p_keys, p_codecs, p_sealed) AS c (id, key_id, codec, sealed)
     WHERE c.sealed IS NOT NULL;
    INSERT INTO outgoing_recipient (
        tenant_id, outgoing_id, ordinal, address, domain, original_recipient, notify, state, held_reason,
        next_attempt_at, waits_since, leased_until)
    SELECT p_tenant, v_ids[r.message], r.ordinal, r.address, r.domain, r.original, r.notify,
           CASE WHEN held.reason IS NULL OR held.reason = 4 THEN 0 ELSE 1 END, held.reason, v_first, v_first,
           CASE WHEN p_lease_s > 0 THEN now() + make_interval(secs => p_lease_s) END
      FROM unnest(p_messages, p_ordinals, p_addresses, p_domains, p_originals, p_notifies)
           AS r (message, ordinal, address, domain, original, notify)
     CROSS JOIN LATERAL (
           SELECT CASE
               WHEN v_has_holds AND EXISTS (
                    SELECT FROM outgoing_hold h
                     WHERE h.tenant_id = p_tenant
                       AND (h.account_id IS NULL OR h.account_id = p_accounts[r.message])
                       AND (h.domain IS NULL OR h.domain = r.domain)) THEN 2::smallint
               WHEN p_held IS NOT NULL THEN p_held
               WHEN v_first > now() THEN 4::smallint END AS reason) held;
    INSERT INTO event (tenant_id, kind, account_id, outgoing_id, recipients)
    SELECT p_tenant, 1, m.account_id, m.id, m.recipients
      FROM unnest(v_ids, p_accounts, p_counts) AS m (id, account_id, recipients);
    RETURN QUERY SELECT 'queued', m.id, NULL::integer, NULL::integer, NULL::boolean FROM unnest(v_ids) AS m (id);
END $$;
