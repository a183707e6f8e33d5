-- Objects: where content rests outside Postgres. An object is one immutable S3 object of one tenant: a pack of blobs
-- that went cold, or a large part. Its row is committed before its octets are written, and outlives them.

-- A blob's layout: its chunks in the object, one after the other from object_offset, each as 9 octets: key, codec and
-- sealed length (big-endian 32, 8 and 32 bits).

ALTER TABLE object SET (fillfactor = 70);
CREATE INDEX object_held ON object (tenant_id, id) WHERE is_held;
ALTER TABLE object ENABLE ROW LEVEL SECURITY;
ALTER TABLE object FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON object TO waypost_owner USING (true);
CREATE POLICY of_tenant ON object TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY of_system ON object TO waypost_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON object TO waypost_app;
GRANT SELECT ON object TO waypost_system;

ALTER TABLE work_lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE work_lease FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON work_lease TO waypost_owner USING (true);
CREATE POLICY of_tenant ON work_lease TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON work_lease TO waypost_app;

ALTER TABLE cold_read ENABLE ROW LEVEL SECURITY;
ALTER TABLE cold_read FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON cold_read TO waypost_owner USING (true);
CREATE POLICY of_tenant ON cold_read TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON cold_read TO waypost_app;

UPDATE blob b SET stored_octets = c.stored
  FROM (SELECT tenant_id, digest, content_on, sum(length(sealed)) AS stored FROM blob_content GROUP BY 1, 2, 3) c
 WHERE c.tenant_id = b.tenant_id AND c.digest = b.digest AND c.content_on = b.content_on;

-- As before, and the row says how much it stores. A partition may still hold a copy that went cold and came again.
CREATE OR REPLACE FUNCTION put_blob_v1(
    p_tenant bigint, p_digest bytea, p_octets bigint, p_key integer, p_codec smallint, p_sealed bytea
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_new boolean;
BEGIN
    INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at, stored_octets)
    VALUES (waypost_tenant(p_tenant), p_digest, p_octets, CURRENT_DATE, now(), length(p_sealed))
    ON CONFLICT (tenant_id, digest) DO UPDATE SET touched_at = now()
    RETURNING xmax = 0 INTO v_new;
    IF v_new THEN
        INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
        VALUES (p_tenant, p_digest, 0, CURRENT_DATE, p_key, p_codec, p_sealed)
        ON CONFLICT (tenant_id, digest, chunk, content_on)
        DO UPDATE SET key_id = EXCLUDED.key_id, codec = EXCLUDED.codec, sealed = EXCLUDED.sealed;
    END IF;
END $$;

-- Takes blobs off the counts of their objects; an object that nothing uses is doomed. In the order of object ids.
CREATE FUNCTION forget_in_objects_v1(p_tenant bigint, p_objects bigint[], p_stored bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_object bigint;
    v_blobs integer;
    v_octets bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    FOR v_object, v_blobs, v_octets IN
        SELECT u.object, count(*)::integer, sum(u.stored)::bigint
          FROM unnest(p_objects, p_stored) AS u (object, stored) WHERE u.object IS NOT NULL GROUP BY 1 ORDER BY 1
    LOOP
        UPDATE object o
           SET live_blobs = o.live_blobs - v_blobs, live_octets = o.live_octets - v_octets,
               state = CASE WHEN o.live_blobs = v_blobs THEN 2 ELSE o.state END,
               doomed_at = CASE WHEN o.live_blobs = v_blobs THEN now() ELSE o.doomed_at END
         WHERE o.tenant_id = p_tenant AND o.id = v_object;
    END LOOP;
END $$;

-- Deletes blobs that nothing uses and nobody claimed within the grace time, wherever they rest. Returns how many.
-- Who uses a blob is looked up anew once its row is locked: a message that claimed it and committed while this waited
-- keeps it, also when a clock that leapt makes the grace time say nothing.
CREATE FUNCTION delete_blobs_v1(p_tenant bigint, p_digests bytea[], p_grace_s double precision) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_digests bytea[];
    v_days date[];
    v_objects bigint[];
    v_stored bigint[];
BEGIN
    PERFORM waypost_tenant(p_tenant);
    SELECT array_agg(i.digest) INTO v_digests FROM (
        SELECT b.digest FROM blob b
         WHERE b.tenant_id = p_tenant AND b.digest = ANY (p_digests)
           AND b.touched_at < now() - make_interval(secs => p_grace_s)
           AND NOT EXISTS (SELECT FROM message_blob u WHERE u.tenant_id = p_tenant AND u.digest = b.digest)
         ORDER BY b.digest FOR UPDATE) i;
    WITH gone AS (
        DELETE FROM blob b
         WHERE b.tenant_id = p_tenant AND b.digest = ANY (v_digests)
           AND b.touched_at < now() - make_interval(secs => p_grace_s)
           AND NOT EXISTS (SELECT FROM message_blob u WHERE u.tenant_id = p_tenant AND u.digest = b.digest)
        RETURNING b.digest, b.content_on, b.object_id, b.stored_octets
    )
    SELECT array_agg(g.digest), array_agg(g.content_on), array_agg(g.object_id), array_agg(g.stored_octets)
      INTO v_digests, v_days, v_objects, v_stored FROM gone g;
    IF v_digests IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM blob_content c USING unnest(v_digests, v_days) AS g (digest, content_on)
     WHERE c.tenant_id = p_tenant AND c.digest = g.digest AND c.content_on = g.content_on;
    PERFORM forget_in_objects_v1(p_tenant, v_objects, v_stored);
    RETURN cardinality(v_digests);
END $$;

-- Claims blobs that are here already; returns those. What is missing has to be put.
CREATE FUNCTION touch_blobs_v1(p_tenant bigint, p_digests bytea[]) RETURNS SETOF bytea
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waypost_tenant(p_tenant);
    RETURN QUERY
        WITH here AS (
            SELECT b.digest FROM blob b WHERE b.tenant_id = p_tenant AND b.digest = ANY (p_digests)
             ORDER BY b.digest FOR UPDATE
        )
        UPDATE blob b SET touched_at = now() FROM here
         WHERE b.tenant_id = p_tenant AND b.digest = here.digest
        RETURNING b.digest;
END $$;

-- Moves blobs into an object that was written and read back, each from Postgres (p_from NULL) or from another object.
-- A blob that is gone or rests elsewhere by now is left alone. Returns how many moved; with none the object is doomed.
CREATE FUNCTION move_to_object_v1(
    p_tenant bigint, p_object bigint, p_from bigint[], p_digests bytea[], p_offsets bigint[], p_layouts bytea[],
    p_stored bigint[], p_octets bigint, p_sha256 bytea
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_moved integer;
    v_octets bigint;
    v_from bigint[];
    v_before bigint[];
BEGIN
    PERFORM waypost_tenant(p_tenant);
    WITH asked AS (
        SELECT * FROM unnest(p_from, p_digests, p_offsets, p_layouts, p_stored)
            AS u (source, digest, "offset", layout, stored)
    ), there AS (
        SELECT b.digest, b.object_id, b.stored_octets FROM blob b
         WHERE b.tenant_id = p_tenant AND b.digest = ANY (p_digests) ORDER BY b.digest FOR UPDATE
    ), moved AS (
        UPDATE blob b
           SET object_id = p_object, object_offset = asked."offset", layout = asked.layout, stored_octets = asked.stored
          FROM there JOIN asked ON asked.digest = there.digest AND asked.source IS NOT DISTINCT FROM there.object_id
         WHERE b.tenant_id = p_tenant AND b.digest = there.digest
        RETURNING asked.stored, there.object_id AS source, there.stored_octets AS before
    )
    SELECT count(*)::integer, coalesce(sum(m.stored), 0)::bigint, array_agg(m.source), array_agg(m.before)
      INTO v_moved, v_octets, v_from, v_before FROM moved m;
    UPDATE object o
       SET state = CASE WHEN v_moved = 0 THEN 2 ELSE 1 END, doomed_at = CASE WHEN v_moved = 0 THEN now() END,
           octets = p_octets, sha256 = p_sha256, blobs = cardinality(p_digests), live_blobs = v_moved,
           live_octets = v_octets
     WHERE o.tenant_id = p_tenant AND o.id = p_object AND o.state = 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'object % was given up', p_object USING ERRCODE = 'WP010';
    END IF;
    IF v_moved > 0 THEN
        PERFORM forget_in_objects_v1(p_tenant, v_from, v_before);
    END IF;
    RETURN v_moved;
END $$;

-- Brings a blob back into Postgres; its chunks are handed over. Returns whether it still rested in that object.
CREATE FUNCTION promote_blob_v1(
    p_tenant bigint, p_digest bytea, p_object bigint, p_keys integer[], p_codecs smallint[], p_sealed bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_stored bigint;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    SELECT b.stored_octets INTO v_stored FROM blob b
     WHERE b.tenant_id = p_tenant AND b.digest = p_digest AND b.object_id = p_object FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
    SELECT p_tenant, p_digest, u.position - 1, CURRENT_DATE, u.key, u.codec, u.sealed
      FROM unnest(p_keys, p_codecs, p_sealed) WITH ORDINALITY AS u (key, codec, sealed, position)
    ON CONFLICT (tenant_id, digest, chunk, content_on)
    DO UPDATE SET key_id = EXCLUDED.key_id, codec = EXCLUDED.codec, sealed = EXCLUDED.sealed;
    UPDATE blob b
       SET object_id = NULL, object_offset = NULL, layout = NULL, content_on = CURRENT_DATE,
           stored_octets = (SELECT sum(length(s)) FROM unnest(p_sealed) s)
     WHERE b.tenant_id = p_tenant AND b.digest = p_digest;
    PERFORM forget_in_objects_v1(p_tenant, ARRAY[p_object], ARRAY[v_stored]);
    RETURN true;
END $$;

-- Messages with their octets, many in a call: read_messages_v1, which also says where in which object the content is.
CREATE FUNCTION read_messages_v2(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_uids bigint[], p_wire boolean, p_small bigint, p_enough bigint
) RETURNS TABLE (
    uid bigint, message_id bigint, email_id bigint, thread_id bigint, octets bigint, header_octets integer,
    received_at timestamptz, saved_at timestamptz, preview text, flags smallint, keywords text[], modseq bigint, wire_version smallint,
    differs_in_utf8 boolean, envelope bytea, bodystructure bytea, header bytea, structure bytea, is_small boolean,
    digest bytea, key_id integer, codec smallint, sealed bytea, object_id bigint, object_offset bigint,
    object_octets bigint, layout bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_sum bigint := 0;
    v_content_on date;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    FOR uid, message_id, email_id, thread_id, octets, header_octets, received_at, saved_at, preview, flags, keywords,
        modseq, wire_version, differs_in_utf8, envelope, bodystructure, header, structure, is_small, digest, v_content_on,
        object_id, object_offset, layout, object_octets IN
        SELECT p.uid, p.message_id, coalesce(m.origin_id, m.id), m.thread_id, m.octets, m.header_octets, m.received_at,
               p.saved_at, m.preview, p.flags, p.keywords, p.modseq, m.wire_version, m.differs_in_utf8,
               CASE WHEN p_wire THEN m.envelope ELSE '' END, CASE WHEN p_wire THEN m.bodystructure ELSE '' END,
               m.header, m.structure, s.is_small, u.digest, b.content_on, b.object_id, b.object_offset, b.layout,
               CASE WHEN b.object_id IS NOT NULL
                    THEN (SELECT o.octets FROM object o WHERE o.tenant_id = b.tenant_id AND o.id = b.object_id) END
          FROM placement p
          JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
         CROSS JOIN LATERAL (SELECT m.octets <= p_small AND m.segments = ''::bytea AS is_small) s
          LEFT JOIN message_blob u
            ON u.tenant_id = m.tenant_id AND u.message_id = m.id AND u.ordinal = 0 AND s.is_small
          LEFT JOIN blob b ON b.tenant_id = u.tenant_id AND b.digest = u.digest
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account AND p.uid = ANY (p_uids)
         ORDER BY p.uid
    LOOP
        key_id := NULL;
        codec := NULL;
        sealed := NULL;
        IF v_content_on IS NOT NULL AND object_id IS NULL THEN
            SELECT c.key_id, c.codec, c.sealed INTO key_id, codec, sealed
              FROM blob_content c
             WHERE c.tenant_id = p_tenant AND c.digest = read_messages_v2.digest AND c.content_on = v_content_on
               AND c.chunk = 0;
        END IF;
        RETURN NEXT;
        IF is_small THEN
            v_sum := v_sum + octets;
            EXIT WHEN v_sum >= p_enough;
        END IF;
    END LOOP;
END $$;

-- Where a blob rests, and its chunks by number if that is Postgres: then a row for each, else one without a chunk.
CREATE FUNCTION read_chunks_v2(p_tenant bigint, p_digest bytea, p_first integer, p_last integer)
RETURNS TABLE (
    octets bigint, object_id bigint, object_offset bigint, object_octets bigint, layout bytea, chunk integer,
    key_id integer, codec smallint, sealed bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_content_on date;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    SELECT b.octets, b.content_on, b.object_id, b.object_offset, b.layout
      INTO octets, v_content_on, object_id, object_offset, layout FROM blob b
     WHERE b.tenant_id = p_tenant AND b.digest = p_digest;
    IF object_id IS NOT NULL THEN
        SELECT o.octets INTO object_octets FROM object o WHERE o.tenant_id = p_tenant AND o.id = read_chunks_v2.object_id;
        RETURN NEXT;
        RETURN;
    END IF;
    FOR chunk, key_id, codec, sealed IN
        SELECT c.chunk, c.key_id, c.codec, c.sealed FROM blob_content c
         WHERE c.tenant_id = p_tenant AND c.digest = p_digest AND c.content_on = v_content_on
           AND c.chunk BETWEEN p_first AND p_last
         ORDER BY c.chunk
    LOOP
        RETURN NEXT;
    END LOOP;
END $$;

-- Whatever copy of a blob's chunks Postgres still holds, in any week: for when the one in an object is damaged.
CREATE FUNCTION read_spare_chunks_v1(p_tenant bigint, p_digest bytea, p_first integer, p_last integer)
RETURNS TABLE (octets bigint, content_on date, chunk integer, key_id integer, codec smallint, sealed bytea)
LANGUAGE sql STABLE AS $$
    SELECT b.octets, c.content_on, c.chunk, c.key_id, c.codec, c.sealed
      FROM blob b JOIN blob_content c ON c.tenant_id = b.tenant_id AND c.digest = b.digest
     WHERE b.tenant_id = waypost_tenant(p_tenant) AND b.digest = p_digest AND c.chunk BETWEEN p_first AND p_last
     ORDER BY c.content_on DESC, c.chunk
$$;

-- Notes that blobs were read today: old hot ones stay a while longer, and reads of cold ones are counted by days.
CREATE FUNCTION note_reads_v1(p_tenant bigint, p_digests bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waypost_tenant(p_tenant);
    WITH old AS (
        SELECT b.digest FROM blob b
         WHERE b.tenant_id = p_tenant AND b.digest = ANY (p_digests) AND b.object_id IS NULL
           AND b.content_on < CURRENT_DATE - 7 AND b.read_on IS DISTINCT FROM CURRENT_DATE
         ORDER BY b.digest FOR UPDATE SKIP LOCKED
    )
    UPDATE blob b SET read_on = CURRENT_DATE FROM old WHERE b.tenant_id = p_tenant AND b.digest = old.digest;
    INSERT INTO cold_read (tenant_id, digest, read_on)
    SELECT b.tenant_id, b.digest, CURRENT_DATE FROM blob b
     WHERE b.tenant_id = p_tenant AND b.digest = ANY (p_digests) AND b.object_id IS NOT NULL
    ON CONFLICT DO NOTHING;
END $$;

-- The chunks of hot blobs, by the order of p_digests and then of chunks; p_days says in which week each rests.
CREATE FUNCTION read_sealed_v1(p_tenant bigint, p_digests bytea[], p_days date[])
RETURNS TABLE (digest bytea, key_id integer, codec smallint, sealed bytea)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    PERFORM waypost_tenant(p_tenant);
    FOR i IN 1 .. cardinality(p_digests) LOOP
        digest := p_digests[i];
        FOR key_id, codec, sealed IN
            SELECT c.key_id, c.codec, c.sealed FROM blob_content c
             WHERE c.tenant_id = p_tenant AND c.digest = p_digests[i] AND c.content_on = p_days[i]
             ORDER BY c.chunk
        LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

-- What upkeep remembers between its looks, for the whole installation.
GRANT SELECT, INSERT, DELETE ON orphan_object TO waypost_system;

-- Whether the clock went on as clocks do since the last time this was asked. After a leap it is not, for p_wary_s.
CREATE FUNCTION clock_is_steady_v1(p_wary_s double precision) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_seen timestamptz;
    v_wary_until timestamptz;
BEGIN
    INSERT INTO clock_seen (id, seen_at, wary_until) VALUES (1, now(), now()) ON CONFLICT DO NOTHING;
    SELECT seen_at, wary_until INTO v_seen, v_wary_until FROM clock_seen WHERE id = 1 FOR UPDATE;
    IF now() > v_seen + interval '2 days' OR now() < v_seen - interval '1 hour' THEN
        v_wary_until := now() + make_interval(secs => p_wary_s);
    ELSIF v_wary_until > now() + make_interval(secs => p_wary_s) THEN
        v_wary_until := now() + make_interval(secs => p_wary_s);  -- the clock was ahead when that was written
    END IF;
    UPDATE clock_seen SET seen_at = now(), wary_until = v_wary_until WHERE id = 1;
    RETURN v_wary_until <= now();
END $$;
REVOKE ALL ON FUNCTION clock_is_steady_v1(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION clock_is_steady_v1(double precision) TO waypost_system;

-- The past weeks of content, and what each takes on disk.
CREATE FUNCTION content_weeks_v1() RETURNS TABLE (week text, monday date, octets bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.week, w.monday, pg_total_relation_size(w.oid)
      FROM (SELECT c.oid, c.relname::text AS week, to_date(right(c.relname, 8), 'YYYYMMDD') AS monday
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'blob_content'::regclass AND c.relname ~ '^blob_content_[0-9]{8}$') w
     WHERE w.monday + 14 <= CURRENT_DATE ORDER BY w.monday
$$;
REVOKE ALL ON FUNCTION content_weeks_v1() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content_weeks_v1() TO waypost_system;

-- Whose blobs rest in a week, and about how much, tenant by tenant until p_enough octets are together: a week that is in
-- use is not counted to its end. Tenants are those that have keys.
CREATE FUNCTION content_week_use_v1(p_monday date, p_enough bigint) RETURNS TABLE (tenant_id bigint, live_octets bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_all bigint := 0;
    v_stored bigint;
BEGIN
    FOR tenant_id IN SELECT k.tenant_id FROM data_key k WHERE k.purpose = 'naming' ORDER BY 1 LOOP
        live_octets := 0;
        FOR v_stored IN
            SELECT b.stored_octets FROM blob b
             WHERE b.tenant_id = content_week_use_v1.tenant_id AND b.object_id IS NULL
               AND b.content_on >= p_monday AND b.content_on < p_monday + 7
        LOOP
            live_octets := live_octets + v_stored + 100;
            EXIT WHEN v_all + live_octets >= p_enough;
        END LOOP;
        IF live_octets > 0 THEN
            RETURN NEXT;
            v_all := v_all + live_octets;
            EXIT WHEN v_all >= p_enough;
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION content_week_use_v1(date, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content_week_use_v1(date, bigint) TO waypost_system;

-- Drops a week of content in which nothing is in use, once that was so for p_quiet_s: no statement that began before can
-- look for something there, and until then it is a second copy. One in a transaction, for all content is locked until its
-- end; gives way to whoever reads. Returns whether it dropped one.
CREATE FUNCTION drop_content_week_v1(p_quiet_s double precision) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_week record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_week_partitions'));
    PERFORM set_config('lock_timeout', '250ms', true);
    FOR v_week IN SELECT w.week, w.monday FROM content_weeks_v1() w LOOP
        IF EXISTS (SELECT FROM content_week_use_v1(v_week.monday, 1)) THEN
            DELETE FROM idle_week i WHERE i.week = v_week.week;
            CONTINUE;
        END IF;
        INSERT INTO idle_week (week, since) VALUES (v_week.week, now()) ON CONFLICT DO NOTHING;
        CONTINUE WHEN NOT EXISTS (SELECT FROM idle_week i WHERE i.week = v_week.week
                                     AND i.since <= now() - make_interval(secs => p_quiet_s));
        BEGIN
            LOCK TABLE ONLY blob_content IN ACCESS EXCLUSIVE MODE;
            -- whoever was writing here has ended: a clock that leapt back writes into weeks that are long past
            IF EXISTS (SELECT FROM content_week_use_v1(v_week.monday, 1)) THEN
                RAISE EXCEPTION 'in use' USING ERRCODE = 'lock_not_available';
            END IF;
            EXECUTE format('DROP TABLE %I', v_week.week);
        EXCEPTION WHEN lock_not_available THEN
            RETURN false;
        END;
        DELETE FROM idle_week i WHERE i.week = v_week.week;
        RETURN true;
    END LOOP;
    RETURN false;
END $$;
REVOKE ALL ON FUNCTION drop_content_week_v1(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_content_week_v1(double precision) TO waypost_system;

-- Takes a tenant's hot blobs out of an old week, at most p_limit, into this one. Returns how many.
CREATE FUNCTION rehome_blobs_v1(p_tenant bigint, p_monday date, p_limit integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_digests bytea[];
    v_days date[];
BEGIN
    PERFORM waypost_tenant(p_tenant);
    SELECT array_agg(h.digest), array_agg(h.content_on) INTO v_digests, v_days FROM (
        SELECT b.digest, b.content_on FROM blob b
         WHERE b.tenant_id = p_tenant AND b.object_id IS NULL AND b.content_on >= p_monday AND b.content_on < p_monday + 7
         ORDER BY b.digest LIMIT p_limit FOR UPDATE) h;
    IF v_digests IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
    SELECT c.tenant_id, c.digest, c.chunk, CURRENT_DATE, c.key_id, c.codec, c.sealed
      FROM unnest(v_digests, v_days) AS h (digest, content_on)
      JOIN blob_content c ON c.tenant_id = p_tenant AND c.digest = h.digest AND c.content_on = h.content_on
    ON CONFLICT (tenant_id, digest, chunk, content_on)
    DO UPDATE SET key_id = EXCLUDED.key_id, codec = EXCLUDED.codec, sealed = EXCLUDED.sealed;
    UPDATE blob b SET content_on = CURRENT_DATE WHERE b.tenant_id = p_tenant AND b.digest = ANY (v_digests);
    RETURN cardinality(v_digests);
END $$;
