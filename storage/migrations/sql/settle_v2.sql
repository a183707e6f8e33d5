-- As in settle_v1.sql, with leases counted that nobody settled, and reports that end no lease but their own.

-- Element i of every array is one recipient. p_ending: 0 delivered, 1 deferred, 2 failed, 3 expired, 4 held,
-- 5 given back, 6 put off without an attempt. A recipient whose ending is final leaves the queue, unless p_report says
-- that its sender is still to be told: then it stays as state 2 until end_report_v2. Who was not tried (5, 6) counts as
-- never leased; who was is settled now, and its leases that nobody settled are forgotten. Reports wait p_report_wait_s, so that recipients of one message
-- that fail together are told of together. Returns the places in the arrays of those that were settled.
CREATE FUNCTION settle_v2(
    p_tenants bigint[], p_outgoings bigint[], p_ordinals integer[], p_tokens integer[], p_endings smallint[],
    p_next timestamptz[], p_held smallint[], p_reports smallint[], p_codes smallint[], p_enhanced text[],
    p_texts text[], p_hosts text[], p_report_wait_s double precision
) RETURNS SETOF integer LANGUAGE plpgsql AS $$
DECLARE
    v_settled integer[];
BEGIN
    -- in the order of the key, so that two of these never wait for each other
    PERFORM 1 FROM outgoing_recipient r
      JOIN unnest(p_tenants, p_outgoings, p_ordinals) AS g (tenant_id, outgoing_id, ordinal)
           USING (tenant_id, outgoing_id, ordinal)
     ORDER BY r.tenant_id, r.outgoing_id, r.ordinal FOR UPDATE OF r;
    WITH given AS MATERIALIZED (
        SELECT g.*, g.ending IN (0, 2, 3) AS is_final, (g.ending IN (0, 2, 3) AND g.report = 0) AS goes
          FROM unnest(p_tenants, p_outgoings, p_ordinals, p_tokens, p_endings, p_next, p_held, p_reports, p_codes,
                      p_enhanced, p_texts, p_hosts) WITH ORDINALITY
               AS g (tenant_id, outgoing_id, ordinal, token, ending, next_attempt_at, held, report, code, enhanced,
                     text, host, n)
    ), kept AS (
        UPDATE outgoing_recipient r
           SET state = CASE WHEN g.is_final THEN 2 WHEN g.ending = 4 THEN 1 ELSE r.state END,
               held_reason = CASE WHEN g.ending = 4 THEN g.held WHEN r.state = 1 OR g.ending = 5 THEN r.held_reason END,
               next_attempt_at = coalesce(g.next_attempt_at, r.next_attempt_at),
               attempts = r.attempts + CASE WHEN g.ending IN (4, 5) THEN 0 ELSE 1 END,
               attempted_at = CASE WHEN g.ending IN (4, 5, 6) THEN r.attempted_at ELSE now() END,
               unsettled_leases = CASE WHEN g.ending IN (5, 6) THEN greatest(r.unsettled_leases - 1, 0) ELSE 0 END,
               leased_until = CASE WHEN g.report <> 0 THEN now() + make_interval(secs => p_report_wait_s) END,
               reply_code = CASE WHEN g.ending IN (4, 5) THEN r.reply_code ELSE g.code END,
               reply_enhanced = CASE WHEN g.ending IN (4, 5) THEN r.reply_enhanced ELSE g.enhanced END,
               reply_text = CASE WHEN g.ending IN (4, 5) THEN r.reply_text ELSE g.text END,
               reply_host = CASE WHEN g.ending IN (4, 5) THEN r.reply_host ELSE g.host END,
               report = CASE WHEN g.report <> 0 THEN g.report ELSE r.report END,
               report_id = CASE WHEN g.report <> 0 THEN NULL ELSE r.report_id END
          FROM given g
         WHERE NOT g.goes AND r.tenant_id = g.tenant_id AND r.outgoing_id = g.outgoing_id AND r.ordinal = g.ordinal
           AND r.token = g.token AND r.state <> 2  -- held meanwhile: it stays so, unless this is its end
        RETURNING g.n, r.address
    ), gone AS (
        DELETE FROM outgoing_recipient r USING given g
         WHERE g.goes AND r.tenant_id = g.tenant_id AND r.outgoing_id = g.outgoing_id AND r.ordinal = g.ordinal
           AND r.token = g.token AND r.state <> 2
        RETURNING g.n, r.address
    ), settled AS (
        SELECT n, address FROM kept UNION ALL SELECT n, address FROM gone
    ), told AS (
        INSERT INTO event (tenant_id, kind, account_id, outgoing_id, address, reply_code, reply_enhanced, reply_text,
                           reply_host)
        SELECT g.tenant_id, (ARRAY[2, 3, 4, 5, 6])[g.ending + 1], o.account_id, g.outgoing_id, s.address, g.code,
               g.enhanced, g.text, g.host
          FROM settled s JOIN given g ON g.n = s.n
          LEFT JOIN outgoing o ON o.tenant_id = g.tenant_id AND o.id = g.outgoing_id
         WHERE g.ending < 5
    )
    SELECT array_agg(s.n::integer) INTO v_settled FROM settled s;
    PERFORM forget_outgoing_v1(p_tenants, p_outgoings);
    RETURN QUERY SELECT unnest(v_settled);
END $$;

-- A report is written: those it tells of leave the queue if they ended, and go on if they only wait. Returns how many
-- recipients it was; none if another process has done it. p_tokens are those of the claim: a recipient that only waits may
-- have been leased for its next attempt since, if the report took long, and that lease is not ours to end.
CREATE FUNCTION end_report_v2(
    p_tenant bigint, p_outgoing bigint, p_report bigint, p_ordinals integer[], p_tokens integer[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_count integer;
    v_gone integer;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    UPDATE outgoing_recipient r
       SET report = 0, report_id = NULL, is_delay_told = true,
           leased_until = CASE WHEN r.token = c.token THEN NULL ELSE r.leased_until END,
           unsettled_leases = CASE WHEN r.token = c.token THEN 0 ELSE r.unsettled_leases END
      FROM outgoing_recipient m
      LEFT JOIN unnest(p_ordinals, p_tokens) AS c (ordinal, token) ON c.ordinal = m.ordinal
     WHERE m.tenant_id = p_tenant AND m.outgoing_id = p_outgoing AND m.report <> 0 AND m.report_id = p_report
       AND m.state <> 2
       AND r.tenant_id = m.tenant_id AND r.outgoing_id = m.outgoing_id AND r.ordinal = m.ordinal
       AND r.report_id = p_report AND r.state <> 2;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    DELETE FROM outgoing_recipient
     WHERE tenant_id = p_tenant AND outgoing_id = p_outgoing AND report <> 0 AND report_id = p_report AND state = 2;
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    IF v_count + v_gone > 0 THEN
        INSERT INTO event (tenant_id, kind, account_id, outgoing_id, recipients)
        SELECT p_tenant, 9, o.account_id, o.id, v_count + v_gone
          FROM outgoing o WHERE o.tenant_id = p_tenant AND o.id = p_outgoing;
        PERFORM forget_outgoing_v1(ARRAY[p_tenant], ARRAY[p_outgoing]);
    END IF;
    RETURN v_count + v_gone;
END $$;
