-- What mail takes in each tier, day by day.
ALTER TABLE tier_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE tier_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON tier_usage TO waypost_owner USING (true);
CREATE POLICY of_tenant ON tier_usage TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON tier_usage TO waypost_app;
