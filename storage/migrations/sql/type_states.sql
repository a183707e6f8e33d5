-- States of the types that the log of mail does not know: the account's modseq at which they last changed.
ALTER TABLE type_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE type_state FORCE ROW LEVEL SECURITY;
CREATE POLICY of_owner ON type_state TO waypost_owner USING (true);
CREATE POLICY of_tenant ON type_state TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON type_state TO waypost_app;

-- A message that is removed may be gone when somebody asks what became of its thread, so the log says which that was.
-- Whatever removes a placement logs that while the message is still there.
CREATE FUNCTION note_thread_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.thread_id := (SELECT m.thread_id FROM message m
                       WHERE m.tenant_id = NEW.tenant_id AND m.account_id = NEW.account_id AND m.id = NEW.message_id);
    RETURN NEW;
END $$;

CREATE TRIGGER note_thread BEFORE INSERT ON change
    FOR EACH ROW WHEN (NEW.kind = 3 AND NEW.message_id IS NOT NULL) EXECUTE FUNCTION note_thread_v1();

-- States of an account go with it.
CREATE FUNCTION forget_type_states_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM type_state t WHERE t.tenant_id = OLD.tenant_id AND t.account_id = OLD.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_type_states AFTER DELETE ON account_state
    FOR EACH ROW EXECUTE FUNCTION forget_type_states_v1();
