-- As whom people write, what they sent or will send, and what answers for them while they are away.
ALTER TABLE identity ALTER COLUMN id SET DEFAULT nextval('mail_id');
ALTER TABLE email_submission ALTER COLUMN id SET DEFAULT nextval('mail_id');
ALTER TABLE vacation_answer ALTER COLUMN answered_at SET DEFAULT now();

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['identity', 'email_submission', 'held_submission', 'vacation', 'vacation_answer'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY of_owner ON %I TO waypost_owner USING (true)', v_table);
        EXECUTE format(
            'CREATE POLICY of_tenant ON %I TO waypost_app
             USING (tenant_id = nullif(current_setting(''waypost.tenant'', true), '''')::bigint)', v_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO waypost_app', v_table);
    END LOOP;
    -- what upkeep looks through: whose time has come, and what nobody asks for any more
    FOREACH v_table IN ARRAY ARRAY['identity', 'email_submission', 'held_submission', 'vacation_answer'] LOOP
        EXECUTE format('CREATE POLICY of_system ON %I TO waypost_system USING (true)', v_table);
    END LOOP;
END $$;
GRANT SELECT, UPDATE (leased_until, token) ON held_submission TO waypost_system;
GRANT SELECT (tenant_id, account_id, id, modseq, is_destroyed), DELETE ON identity TO waypost_system;
GRANT SELECT (tenant_id, account_id, id, modseq, is_destroyed, send_at, undo_status, outgoing_id), DELETE ON email_submission
   TO waypost_system;
GRANT SELECT (tenant_id, account_id, sender, answered_at), DELETE ON vacation_answer TO waypost_system;

-- All of it goes with the account. Octets of held mail go with the next look of upkeep, as those of a message without
-- recipients.
CREATE FUNCTION forget_sending_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM identity i WHERE i.tenant_id = OLD.tenant_id AND i.account_id = OLD.account_id;
    DELETE FROM email_submission s WHERE s.tenant_id = OLD.tenant_id AND s.account_id = OLD.account_id;
    DELETE FROM held_submission h WHERE h.tenant_id = OLD.tenant_id AND h.account_id = OLD.account_id;
    DELETE FROM vacation v WHERE v.tenant_id = OLD.tenant_id AND v.account_id = OLD.account_id;
    DELETE FROM vacation_answer a WHERE a.tenant_id = OLD.tenant_id AND a.account_id = OLD.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_sending AFTER DELETE ON account_state
    FOR EACH ROW EXECUTE FUNCTION forget_sending_v1();

-- Messages of which nobody waits any more go; those that wait for their time have no recipients yet, and stay.
CREATE OR REPLACE FUNCTION forget_outgoing_v1(p_tenants bigint[], p_outgoings bigint[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_count integer;
BEGIN
    WITH gone AS (
        DELETE FROM outgoing o
         USING (SELECT DISTINCT tenant_id, id FROM unnest(p_tenants, p_outgoings) AS g (tenant_id, id)) g
         WHERE o.tenant_id = g.tenant_id AND o.id = g.id
           AND NOT EXISTS (SELECT FROM outgoing_recipient r WHERE r.tenant_id = o.tenant_id AND r.outgoing_id = o.id)
           AND NOT EXISTS (SELECT FROM held_submission h WHERE h.tenant_id = o.tenant_id AND h.submission_id = o.id)
        RETURNING o.tenant_id, o.id
    ), emptied AS (
        DELETE FROM outgoing_content c USING gone WHERE c.tenant_id = gone.tenant_id AND c.outgoing_id = gone.id
    )
    SELECT count(*) INTO v_count FROM gone;
    RETURN v_count;
END $$;
