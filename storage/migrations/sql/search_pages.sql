-- Pages that search, SORT and THREAD read: immutable facts of the messages of up to 1,024 consecutive uids, packed.
--
-- A page holds all messages of its uids up to its last one; later ones are beside it until it is made again. What leaves
-- its mailbox takes the page along in the same transaction: no page holds words of a message that is gone.

ALTER TABLE search_page ALTER COLUMN facts SET STORAGE EXTERNAL;
ALTER TABLE search_page ALTER COLUMN subjects SET STORAGE EXTERNAL;
ALTER TABLE search_page ALTER COLUMN addresses SET STORAGE EXTERNAL;
ALTER TABLE search_page ALTER COLUMN sorting SET STORAGE EXTERNAL;
ALTER TABLE search_page ALTER COLUMN threading SET STORAGE EXTERNAL;

ALTER TABLE search_page ENABLE ROW LEVEL SECURITY;
ALTER TABLE search_page FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON search_page TO waypost_owner USING (true);
CREATE POLICY of_tenant ON search_page TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON search_page TO waypost_app;

-- Keeps a page of p_messages messages, the last of uid p_last, unless one of them has gone meanwhile. Under the account's lock, as all that
-- removes placements, so that none goes between the look and the commit.
CREATE FUNCTION keep_search_page_v1(
    p_tenant bigint, p_account bigint, p_mailbox bigint, p_number integer, p_format smallint, p_stamp bigint,
    p_messages integer, p_last bigint, p_facts bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waypost_tenant(p_tenant);
    PERFORM FROM account_state a WHERE a.tenant_id = p_tenant AND a.account_id = p_account FOR UPDATE;
    IF (SELECT count(*) FROM placement p
         WHERE p.tenant_id = p_tenant AND p.mailbox_id = p_mailbox AND p.account_id = p_account
           AND p.uid >= p_number::bigint << 10 AND p.uid <= p_last) <> p_messages THEN
        RETURN false;
    END IF;
    INSERT INTO search_page (tenant_id, mailbox_id, number, account_id, format, stamp, facts)
    VALUES (p_tenant, p_mailbox, p_number, p_account, p_format, p_stamp, p_facts)
    ON CONFLICT (tenant_id, mailbox_id, number) DO UPDATE
       SET format = excluded.format, stamp = excluded.stamp, facts = excluded.facts,
           subjects = NULL, addresses = NULL, sorting = NULL, threading = NULL;
    RETURN true;
END $$;

CREATE FUNCTION drop_search_pages_v1() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM search_page s
     USING (SELECT DISTINCT g.tenant_id, g.mailbox_id, (g.uid >> 10)::integer AS number FROM gone g) d
     WHERE s.tenant_id = d.tenant_id AND s.mailbox_id = d.mailbox_id AND s.number = d.number;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION drop_search_pages_v1() FROM PUBLIC;

CREATE TRIGGER drop_search_pages AFTER DELETE ON placement
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION drop_search_pages_v1();
