-- Queueing a message for recipients of other systems: one call, one round trip.

-- What an account (0: the tenant) sent to so far: in the last 60 minutes, the hour before counted by its share that is
-- still within them, and in the last 24 hours, by whole hours.
CREATE FUNCTION sent_recipients_v1(p_tenant bigint, p_account bigint, OUT in_hour integer, OUT in_day integer)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(CASE
               WHEN c.hour = date_trunc('hour', now()) THEN c.recipients
               WHEN c.hour = date_trunc('hour', now()) - interval '1 hour'
               THEN c.recipients * (1 - extract(epoch FROM now() - date_trunc('hour', now())) / 3600)
               ELSE 0 END), 0)::integer,
           coalesce(sum(c.recipients), 0)::integer
      FROM sending_count c
     WHERE c.tenant_id = p_tenant AND c.account_id = p_account AND c.hour > now() - interval '24 hours'
$$;

-- Adds to what an account sent to. The shard is the backend's, so that submissions of one account at the same time, on
-- connections of their own, do not wait for each other's commits.
CREATE FUNCTION count_sent_v1(p_tenant bigint, p_account bigint, p_recipients integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO sending_count (tenant_id, account_id, hour, shard, recipients)
    VALUES (p_tenant, p_account, date_trunc('hour', now()), pg_backend_pid() % 64, p_recipients)
    ON CONFLICT (tenant_id, account_id, hour, shard)
    DO UPDATE SET recipients = sending_count.recipients + excluded.recipients
$$;

-- p_account NULL: the installation itself sends, and nothing is counted. p_id NULL: a new id; else chunks of the content
-- were put under it before, in this transaction. p_sealed is the only chunk, if there is just one. A lease of p_lease_s
-- keeps the rows from being sent until the caller releases them. Outcomes:
--   queued       id is filled
--   limit        limit_recipients and limit_hours say which; limit_hours of 24 or 1, is_tenants whose
CREATE FUNCTION enqueue_v1(
    p_tenant bigint, p_account bigint, p_id bigint, p_reverse_path text, p_envelope_id text, p_return smallint,
    p_needs_utf8 boolean, p_body smallint, p_octets bigint, p_queued_at timestamptz, p_content_name bytea,
    p_key integer, p_codec smallint, p_sealed bytea,
    p_addresses text[], p_domains text[], p_originals text[], p_notifies smallint[],
    p_held smallint, p_first_attempt_at timestamptz, p_lease_s double precision,
    p_person_hour integer, p_person_day integer, p_tenant_hour integer, p_tenant_day integer
) RETURNS TABLE (outcome text, id bigint, limit_recipients integer, limit_hours integer, is_tenants boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_id bigint;
    v_count integer := cardinality(p_addresses);
    v_hour integer;
    v_day integer;
    v_holds_all boolean;
    v_held_domains text[];
    v_first timestamptz := greatest(coalesce(p_first_attempt_at, now()), now());
BEGIN
    PERFORM waypost_tenant(p_tenant);
    IF p_account IS NOT NULL THEN
        SELECT s.in_hour, s.in_day INTO v_hour, v_day FROM sent_recipients_v1(p_tenant, p_account) s;
        IF v_hour + v_count > p_person_hour THEN
            RETURN QUERY SELECT 'limit', NULL::bigint, p_person_hour, 1, false;
            RETURN;
        ELSIF v_day + v_count > p_person_day THEN
            RETURN QUERY SELECT 'limit', NULL::bigint, p_person_day, 24, false;
            RETURN;
        END IF;
        SELECT s.in_hour, s.in_day INTO v_hour, v_day FROM sent_recipients_v1(p_tenant, 0) s;
        IF v_hour + v_count > p_tenant_hour THEN
            RETURN QUERY SELECT 'limit', NULL::bigint, p_tenant_hour, 1, true;
            RETURN;
        ELSIF v_day + v_count > p_tenant_day THEN
            RETURN QUERY SELECT 'limit', NULL::bigint, p_tenant_day, 24, true;
            RETURN;
        END IF;
        PERFORM count_sent_v1(p_tenant, p_account, v_count);
        PERFORM count_sent_v1(p_tenant, 0, v_count);
    END IF;
    SELECT coalesce(bool_or(h.domain IS NULL), false), array_agg(h.domain) FILTER (WHERE h.domain IS NOT NULL)
      INTO v_holds_all, v_held_domains
      FROM outgoing_hold h
     WHERE h.tenant_id = p_tenant AND (h.account_id IS NULL OR h.account_id = p_account);
    v_id := coalesce(p_id, nextval('mail_id'));
    INSERT INTO outgoing (
        tenant_id, id, account_id, reverse_path, envelope_id, return_content, needs_utf8, body, octets, queued_at,
        content_name)
    VALUES (
        p_tenant, v_id, p_account, p_reverse_path, p_envelope_id, p_return, p_needs_utf8, p_body, p_octets,
        p_queued_at, p_content_name);
    IF p_sealed IS NOT NULL THEN
        INSERT INTO outgoing_content (tenant_id, outgoing_id, chunk, key_id, codec, sealed)
        VALUES (p_tenant, v_id, 0, p_key, p_codec, p_sealed);
    END IF;
    INSERT INTO outgoing_recipient (
        tenant_id, outgoing_id, ordinal, address, domain, original_recipient, notify, state, held_reason,
        next_attempt_at, waits_since, leased_until)
    SELECT p_tenant, v_id, r.ordinal, r.address, r.domain, r.original, r.notify,
           CASE WHEN held.reason IS NULL OR held.reason = 4 THEN 0 ELSE 1 END, held.reason, v_first, v_first,
           CASE WHEN p_lease_s > 0 THEN now() + make_interval(secs => p_lease_s) END
      FROM unnest(p_addresses, p_domains, p_originals, p_notifies)
           WITH ORDINALITY AS r (address, domain, original, notify, ordinal)
     CROSS JOIN LATERAL (
           SELECT CASE
               WHEN v_holds_all OR r.domain = ANY (v_held_domains) THEN 2::smallint
               WHEN p_held IS NOT NULL THEN p_held
               WHEN v_first > now() THEN 4::smallint END AS reason) held;
    INSERT INTO event (tenant_id, kind, account_id, outgoing_id, recipients) VALUES (p_tenant, 1, p_account, v_id, v_count);
    RETURN QUERY SELECT 'queued', v_id, NULL::integer, NULL::integer, NULL::boolean;
END $$;

-- Takes back what was queued a moment ago, with its part in the limits.
CREATE FUNCTION withdraw_v1(p_tenant bigint, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_account bigint;
    v_count integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    DELETE FROM outgoing_recipient WHERE tenant_id = p_tenant AND outgoing_id = p_id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    DELETE FROM outgoing WHERE tenant_id = p_tenant AND id = p_id RETURNING account_id INTO v_account;
    DELETE FROM outgoing_content WHERE tenant_id = p_tenant AND outgoing_id = p_id;
    IF v_account IS NOT NULL THEN
        PERFORM count_sent_v1(p_tenant, v_account, -v_count);
        PERFORM count_sent_v1(p_tenant, 0, -v_count);
    END IF;
    INSERT INTO event (tenant_id, kind, account_id, outgoing_id, recipients) VALUES (p_tenant, 8, v_account, p_id, v_count);
END $$;
