-- The log of changes is cut: weeks that no client may still ask for go, a partition at a time. First the horizon of each
-- account is moved beyond what will go (account_state.oldest_modseq: from there on the log is whole). Whoever is asked in
-- between answers from the messages that are there, which is right whatever the log holds.

-- Is anything logged before p_before still kept?
CREATE FUNCTION has_changes_before_v1(p_before date) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'change'::regclass AND c.relname ~ '^change_[0-9]{8}$'
           AND to_date(right(c.relname, 8), 'YYYYMMDD') + 7 <= p_before)
        OR EXISTS (SELECT FROM change_default d WHERE d.logged_on < p_before)
$$;

-- Moves the horizon of at most p_limit accounts, those that follow the one given, and returns the last one it looked at;
-- no row when there was none. Rows are locked in the order in which everybody locks them.
CREATE FUNCTION move_change_horizon_v1(p_before date, p_tenant bigint, p_account bigint, p_limit integer)
RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_account record;
BEGIN
    IF p_before > CURRENT_DATE - 7 THEN
        RAISE EXCEPTION 'the log of the last week is not cut';
    END IF;
    FOR v_account IN
        SELECT a.tenant_id, a.account_id,
               (SELECT max(c.modseq) FROM change c
                 WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.logged_on < p_before) AS newest
          FROM account_state a
         WHERE (a.tenant_id, a.account_id) > (p_tenant, p_account)
         ORDER BY a.tenant_id, a.account_id LIMIT p_limit
    LOOP
        tenant_id := v_account.tenant_id;
        account_id := v_account.account_id;
        UPDATE account_state a SET oldest_modseq = v_account.newest + 1
         WHERE a.tenant_id = v_account.tenant_id AND a.account_id = v_account.account_id
           AND a.oldest_modseq <= v_account.newest;
    END LOOP;
    IF tenant_id IS NOT NULL THEN
        RETURN NEXT;
    END IF;
END $$;

-- Drops the oldest partition that ends before p_before, and returns its name; NULL when there is none left. Refuses while
-- an account's horizon does not lie beyond it. Dropping locks the whole log: if that is not to be had within a second,
-- nothing is dropped, for whoever writes a change would wait behind us (55P03).
CREATE FUNCTION drop_change_partition_v1(p_before date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_name text;
BEGIN
    IF p_before > CURRENT_DATE - 7 THEN
        RAISE EXCEPTION 'the log of the last week is not cut';
    END IF;
    IF EXISTS (
        SELECT FROM account_state a
         WHERE EXISTS (
            SELECT FROM change c
             WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.modseq >= a.oldest_modseq
               AND c.logged_on < p_before)
    ) THEN
        RAISE EXCEPTION 'an account would answer from a log that is gone';
    END IF;
    DELETE FROM change_default d WHERE d.logged_on < p_before;
    SELECT c.relname INTO v_name
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'change'::regclass AND c.relname ~ '^change_[0-9]{8}$'
       AND to_date(right(c.relname, 8), 'YYYYMMDD') + 7 <= p_before
     ORDER BY c.relname LIMIT 1;
    IF v_name IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '1s', true);
        EXECUTE format('DROP TABLE %I', v_name);
    END IF;
    RETURN v_name;
END $$;

REVOKE ALL ON FUNCTION has_changes_before_v1(date) FROM PUBLIC;
REVOKE ALL ON FUNCTION move_change_horizon_v1(date, bigint, bigint, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION drop_change_partition_v1(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION has_changes_before_v1(date) TO waypost_system;
GRANT EXECUTE ON FUNCTION move_change_horizon_v1(date, bigint, bigint, integer) TO waypost_system;
GRANT EXECUTE ON FUNCTION drop_change_partition_v1(date) TO waypost_system;
