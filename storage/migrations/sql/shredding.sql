-- Keys grow old and go; tenants are shredded.

-- Asked for by an administrator: what is sealed with old keys of the tenant is to be sealed anew. Upkeep does it.
ALTER TABLE reseal_order ENABLE ROW LEVEL SECURITY;
ALTER TABLE reseal_order FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON reseal_order TO waypost_owner USING (true);
CREATE POLICY of_tenant ON reseal_order TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY of_system ON reseal_order TO waypost_system USING (true);
GRANT SELECT, DELETE ON reseal_order TO waypost_app;
GRANT SELECT ON reseal_order TO waypost_system;

-- `shredding` belongs to no tenant: it outlives them. Only the owner sees it.

-- Whether any chunk of a layout (9 octets each, the key id first) is sealed with another key than this one.
CREATE FUNCTION layout_has_other_key_v1(p_layout bytea, p_key integer) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    FOR i IN 0 .. length(p_layout) / 9 - 1 LOOP
        IF substr(p_layout, 9 * i + 1, 4) <> int4send(p_key) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION layout_keys_v1(p_layout bytea) RETURNS TABLE (key_id integer, octets bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (get_byte(p_layout, 9 * i) << 24) | (get_byte(p_layout, 9 * i + 1) << 16)
         | (get_byte(p_layout, 9 * i + 2) << 8) | get_byte(p_layout, 9 * i + 3),
           (get_byte(p_layout, 9 * i + 5)::bigint << 24) | (get_byte(p_layout, 9 * i + 6) << 16)
         | (get_byte(p_layout, 9 * i + 7) << 8) | get_byte(p_layout, 9 * i + 8)
      FROM generate_series(0, length(p_layout) / 9 - 1) AS i
$$;

-- What rests under each data key of a tenant and can still be asked for. Content of a blob that is gone does not count.
CREATE FUNCTION sealed_under_v1(p_tenant bigint)
RETURNS TABLE (key_id integer, place text, chunks bigint, octets bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    PERFORM waypost_tenant(p_tenant);
    RETURN QUERY
        SELECT c.key_id, 'hot', count(*), sum(length(c.sealed))::bigint
          FROM blob_content c JOIN blob b ON b.tenant_id = c.tenant_id AND b.digest = c.digest
         WHERE c.tenant_id = p_tenant GROUP BY c.key_id
        UNION ALL
        SELECT k.key_id, 'objects', count(*), sum(k.octets)::bigint
          FROM blob b CROSS JOIN LATERAL layout_keys_v1(b.layout) k
         WHERE b.tenant_id = p_tenant AND b.object_id IS NOT NULL GROUP BY k.key_id
        UNION ALL
        SELECT c.key_id, 'queue', count(*), sum(length(c.sealed))::bigint
          FROM outgoing_content c WHERE c.tenant_id = p_tenant GROUP BY c.key_id
        UNION ALL
        SELECT s.key_id, 'smarthost', count(*), sum(length(s.sealed_password))::bigint
          FROM smarthost s WHERE s.tenant_id = p_tenant AND s.key_id IS NOT NULL GROUP BY s.key_id;
END $$;
