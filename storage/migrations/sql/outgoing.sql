-- The queue's storage parameters, the day partitions of event, row-level security and grants.

-- A lease changes no indexed column: with room in the page it is a HOT update.
ALTER TABLE outgoing_recipient SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.5);
ALTER TABLE outgoing SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE outgoing_content ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE outgoing_content SET (autovacuum_vacuum_scale_factor = 0.05, toast_tuple_target = 8160);
ALTER TABLE sending_count SET (fillfactor = 50);

ALTER TABLE event RENAME TO event_plain;
CREATE TABLE event (LIKE event_plain INCLUDING DEFAULTS) PARTITION BY RANGE (happened_on);
DROP TABLE event_plain;
ALTER TABLE event ALTER COLUMN id SET DEFAULT nextval('mail_id');
ALTER TABLE event ALTER COLUMN happened_on SET DEFAULT CURRENT_DATE;
ALTER TABLE event ALTER COLUMN happened_at SET DEFAULT clock_timestamp();
ALTER TABLE event ADD CONSTRAINT event_pkey PRIMARY KEY (tenant_id, id, happened_on);
CREATE INDEX event_of_outgoing ON event (tenant_id, outgoing_id);
CREATE TABLE event_default PARTITION OF event DEFAULT;

-- Makes the partitions of the days from p_from on; what exists already is left alone.
CREATE FUNCTION make_day_partitions_v1(p_from date, p_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_day date;
    v_name text;
    v_made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_day_partitions'));
    FOR i IN 0 .. p_days - 1 LOOP
        v_day := p_from + i;
        v_name := 'event_' || to_char(v_day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(v_name) IS NOT NULL;
        -- made beside the table and attached, so that rows the default partition caught can move in first
        EXECUTE format('CREATE TABLE %I (LIKE event INCLUDING ALL)', v_name);
        EXECUTE format('WITH caught AS (DELETE FROM event_default WHERE happened_on = %L RETURNING *)
                        INSERT INTO %I SELECT * FROM caught', v_day, v_name);
        EXECUTE format('ALTER TABLE event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_day, v_day + 1);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_name);
        v_made := v_made + 1;
    END LOOP;
    RETURN v_made;
END $$;
REVOKE ALL ON FUNCTION make_day_partitions_v1(date, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_day_partitions_v1(date, integer) TO waypost_system;

-- Drops the partitions of days before p_before; returns how many. Dropping locks the whole table for a moment: where that
-- is not to be had at once (somebody reads for long), it is tried another time, and nobody waits behind it.
CREATE FUNCTION drop_day_partitions_v1(p_before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '1s' SET search_path = public, pg_temp AS $$
DECLARE
    v_name text;
    v_dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_day_partitions'));
    FOR v_name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'event'::regclass AND c.relname ~ '^event_\d{8}$'
           AND to_date(substr(c.relname, 7), 'YYYYMMDD') < p_before
         ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', v_name);
        v_dropped := v_dropped + 1;
    END LOOP;
    RETURN v_dropped;
END $$;
REVOKE ALL ON FUNCTION drop_day_partitions_v1(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_day_partitions_v1(date) TO waypost_system;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY[
        'outgoing', 'outgoing_content', 'outgoing_recipient', 'outgoing_hold', 'sending_count', 'smarthost', 'event',
        'event_default'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY of_owner ON %I TO waypost_owner USING (true)', v_table);
        CONTINUE WHEN v_table LIKE '%\_default';
        EXECUTE format(
            'CREATE POLICY of_tenant ON %I TO waypost_app
             USING (tenant_id = nullif(current_setting(''waypost.tenant'', true), '''')::bigint)', v_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO waypost_app', v_table);
    END LOOP;
    -- whoever leases works for all tenants: envelopes, never content, subjects or credentials
    FOREACH v_table IN ARRAY ARRAY[
        'outgoing', 'outgoing_content', 'outgoing_recipient', 'outgoing_hold', 'sending_count', 'event'
    ] LOOP
        EXECUTE format('CREATE POLICY of_system ON %I TO waypost_system USING (true)', v_table);
    END LOOP;
END $$;

REVOKE UPDATE, DELETE ON event FROM waypost_app;  -- a trace is written and read

GRANT SELECT, DELETE ON outgoing TO waypost_system;
GRANT SELECT (tenant_id, outgoing_id, chunk), DELETE ON outgoing_content TO waypost_system;
GRANT SELECT, UPDATE, DELETE ON outgoing_recipient TO waypost_system;
GRANT SELECT, INSERT, DELETE ON outgoing_hold TO waypost_system;
GRANT SELECT, DELETE ON sending_count TO waypost_system;
GRANT SELECT, INSERT ON event TO waypost_system;

SELECT make_day_partitions_v1(CURRENT_DATE - 1, 9);
