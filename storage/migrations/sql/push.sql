-- Push subscriptions. Their URLs and keys are sealed; what a process needs to find its work is not.
ALTER TABLE push_subscription ALTER COLUMN id SET DEFAULT nextval('mail_id');
ALTER TABLE push_subscription ALTER COLUMN not_before SET DEFAULT now();
ALTER TABLE push_subscription SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

ALTER TABLE push_subscription ENABLE ROW LEVEL SECURITY;
ALTER TABLE push_subscription FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON push_subscription TO waypost_owner USING (true);
CREATE POLICY of_tenant ON push_subscription TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY of_system ON push_subscription TO waypost_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON push_subscription TO waypost_app;
GRANT SELECT (tenant_id, id, account_id, is_verified, expires_at, not_before), DELETE ON push_subscription TO waypost_system;

-- They go with their account.
CREATE FUNCTION forget_push_subscriptions_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM push_subscription s WHERE s.tenant_id = OLD.tenant_id AND s.account_id = OLD.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_push_subscriptions AFTER DELETE ON account_state
    FOR EACH ROW EXECUTE FUNCTION forget_push_subscriptions_v1();
