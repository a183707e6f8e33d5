-- Partitions and storage parameters of the mail tables.

-- change and blob_content are partitioned by day of writing, a partition a week; upkeep makes them ahead and drops the
-- old ones. The default partition only catches what is written when upkeep has not run for weeks (doctor tells).
ALTER TABLE change RENAME TO change_plain;
CREATE TABLE change (LIKE change_plain INCLUDING DEFAULTS) PARTITION BY RANGE (logged_on);
DROP TABLE change_plain;
ALTER TABLE change ALTER COLUMN logged_on SET DEFAULT CURRENT_DATE;
ALTER TABLE change ADD CONSTRAINT change_pkey PRIMARY KEY (tenant_id, account_id, modseq, seq, logged_on);
CREATE TABLE change_default PARTITION OF change DEFAULT;

ALTER TABLE blob_content RENAME TO blob_content_plain;
CREATE TABLE blob_content (LIKE blob_content_plain INCLUDING DEFAULTS) PARTITION BY RANGE (content_on);
DROP TABLE blob_content_plain;
ALTER TABLE blob_content ADD CONSTRAINT blob_content_pkey PRIMARY KEY (tenant_id, digest, chunk, content_on);
ALTER TABLE blob_content ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE TABLE blob_content_default PARTITION OF blob_content DEFAULT;
ALTER TABLE blob_content_default SET (toast_tuple_target = 8160);

ALTER TABLE account_state SET (fillfactor = 50);
ALTER TABLE mailbox SET (fillfactor = 70);
ALTER TABLE placement SET (fillfactor = 80);
ALTER TABLE blob SET (fillfactor = 90);

-- These are compressed already, or are read by the thousand: Postgres must not compress them again.
ALTER TABLE message ALTER COLUMN header SET STORAGE EXTERNAL;
ALTER TABLE message ALTER COLUMN segments SET STORAGE EXTERNAL;
ALTER TABLE message ALTER COLUMN structure SET STORAGE EXTERNAL;
ALTER TABLE message ALTER COLUMN envelope SET STORAGE EXTERNAL;
ALTER TABLE message ALTER COLUMN bodystructure SET STORAGE EXTERNAL;
ALTER TABLE message SET (toast_tuple_target = 4080);
ALTER TABLE inbound_content ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Makes the partitions of the weeks from the one that holds p_from on; what exists already is left alone.
CREATE FUNCTION make_week_partitions_v1(p_from date, p_weeks integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_table text;
    v_monday date;
    v_name text;
    v_column text;
    v_made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_week_partitions'));
    FOREACH v_table IN ARRAY ARRAY['change', 'blob_content'] LOOP
        FOR i IN 0 .. p_weeks - 1 LOOP
            v_monday := date_trunc('week', p_from)::date + 7 * i;
            v_name := v_table || '_' || to_char(v_monday, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(v_name) IS NOT NULL;
            -- made beside the table and attached, so that rows the default partition caught can move in first
            v_column := CASE v_table WHEN 'change' THEN 'logged_on' ELSE 'content_on' END;
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', v_name, v_table);
            EXECUTE format('WITH caught AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *)
                            INSERT INTO %I SELECT * FROM caught',
                           v_table || '_default', v_column, v_monday, v_column, v_monday + 7, v_name);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           v_table, v_name, v_monday, v_monday + 7);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_name);
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_name);
            IF v_table = 'blob_content' THEN
                EXECUTE format('ALTER TABLE %I SET (toast_tuple_target = 8160)', v_name);
            END IF;
            v_made := v_made + 1;
        END LOOP;
    END LOOP;
    RETURN v_made;
END $$;
REVOKE ALL ON FUNCTION make_week_partitions_v1(date, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_week_partitions_v1(date, integer) TO waypost_system;
SELECT make_week_partitions_v1(CURRENT_DATE - 7, 6);
