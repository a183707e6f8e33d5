-- Large parts: blobs whose place is an object of their own, where they are put before the transaction of their message.
-- A part that came while S3 was away waits in Postgres (`is_waiting`).

-- Claims a part whose octets were written to an object, in the transaction of its message. Returns whether that object
-- is its home now: then its row has to be settled with `true` before the commit.
CREATE FUNCTION claim_part_v1(
    p_tenant bigint, p_digest bytea, p_octets bigint, p_object bigint, p_layout bytea, p_stored bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_new boolean;
BEGIN
    INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at, object_id, object_offset, layout, stored_octets)
    VALUES (waypost_tenant(p_tenant), p_digest, p_octets, CURRENT_DATE, now(), p_object, 0, p_layout, p_stored)
    ON CONFLICT (tenant_id, digest) DO UPDATE SET touched_at = now()
    RETURNING xmax = 0 INTO v_new;
    RETURN v_new;
END $$;

-- What becomes of objects that were written for parts: homes go live, what was here already dooms the others. In the
-- order of object ids, after all blobs were claimed. Returns those homes that were given up meanwhile.
CREATE FUNCTION settle_parts_v1(
    p_tenant bigint, p_objects bigint[], p_are_homes boolean[], p_octets bigint[], p_sha256 bytea[]
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    v_object bigint;
    v_home boolean;
    v_octets bigint;
    v_sha256 bytea;
BEGIN
    PERFORM waypost_tenant(p_tenant);
    FOR v_object, v_home, v_octets, v_sha256 IN
        SELECT u.object, u.is_home, u.octets, u.sha256
          FROM unnest(p_objects, p_are_homes, p_octets, p_sha256) AS u (object, is_home, octets, sha256) ORDER BY 1
    LOOP
        UPDATE object o
           SET state = CASE WHEN v_home THEN 1 ELSE 2 END, doomed_at = CASE WHEN NOT v_home THEN now() END,
               octets = v_octets, sha256 = v_sha256, blobs = 1, live_blobs = v_home::integer,
               live_octets = CASE WHEN v_home THEN v_octets ELSE 0 END
         WHERE o.tenant_id = p_tenant AND o.id = v_object AND o.state = 0;
        IF v_home AND NOT FOUND THEN
            RETURN NEXT v_object;
        END IF;
    END LOOP;
END $$;

-- Moves a part that waited in Postgres to its object. Returns whether it did; if not, the object is doomed, by this or
-- by whoever gave it up meanwhile.
CREATE FUNCTION move_part_v1(
    p_tenant bigint, p_digest bytea, p_object bigint, p_layout bytea, p_stored bigint, p_sha256 bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_moved boolean;
BEGIN
    v_moved := move_to_object_v1(p_tenant, p_object, ARRAY[NULL::bigint], ARRAY[p_digest], ARRAY[0::bigint],
                                 ARRAY[p_layout], ARRAY[p_stored], p_stored, p_sha256) = 1;
    UPDATE blob b SET is_waiting = false WHERE b.tenant_id = p_tenant AND b.digest = p_digest AND b.is_waiting;
    RETURN v_moved;
EXCEPTION WHEN SQLSTATE 'WP010' THEN
    RETURN false;
END $$;
