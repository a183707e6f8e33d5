"""A database of its own that holds as much as a busy cell's tables look like to the planner; the queue of a tenant."""

from collections.abc import Iterator

import psycopg
import pytest

from deploy.local.postgres import start_postgres
from storage.key_files import make_master_key
from storage.store import MailStore
from tests.conftest import Company, RunningServices
from tests.storage.queue_box import Box

FILLED_TENANTS, ACCOUNTS_OF_EACH, MESSAGES_OF_EACH = 400, 5, 20

# Every tenant t (1 to 400) has accounts 10t to 10t+4 with an INBOX (its id is the account's) and 20 messages each.
_FILL = """
CREATE TEMPORARY TABLE filled_account AS
    SELECT t AS tenant_id, t * 10 + a AS account_id FROM generate_series(1, %(tenants)s) t,
           generate_series(0, %(accounts)s - 1) a;
CREATE TEMPORARY TABLE filled_message AS
    SELECT f.*, n, f.account_id * 1000 + n AS message_id, sha256(int8send(f.account_id * 1000 + n)) AS digest
      FROM filled_account f, generate_series(1, %(messages)s) n;
INSERT INTO data_key (tenant_id, id, purpose, wrapped, created_at)
    SELECT t, k, CASE k WHEN 1 THEN 'naming' ELSE 'data' END, '\\x00', now()
      FROM generate_series(1, 4 * %(tenants)s) t, generate_series(1, 2) k;
INSERT INTO account_state (tenant_id, account_id, modseq) SELECT tenant_id, account_id, 100 FROM filled_account;
INSERT INTO mailbox (tenant_id, id, account_id, name, uidvalidity, uidnext, messages)
    SELECT tenant_id, account_id * 10 + k, account_id, CASE k WHEN 0 THEN 'INBOX' ELSE 'Box ' || k END, 1, 21,
           CASE k WHEN 0 THEN %(messages)s ELSE 0 END
      FROM filled_account, generate_series(0, 5) k;
INSERT INTO message (
        tenant_id, account_id, id, thread_id, created_modseq, octets, received_at, header_octets, wire_version,
        differs_in_utf8, has_attachment, subject, base_subject, sender, recipients, preview, header, segments,
        structure, envelope, bodystructure)
    SELECT tenant_id, account_id, message_id, message_id, n, 4000, now(), 400, 1, false, false, 'Subject ' || n,
           'Subject ' || n, 'A. Sender', 'B. Recipient', repeat('preview ', 20), decode(repeat('00', 400), 'hex'), '',
           '\\x00', repeat('e', 200)::bytea, repeat('b', 200)::bytea
      FROM filled_message;
INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at)
    SELECT tenant_id, account_id * 10, n, account_id, message_id, n, now() FROM filled_message;
INSERT INTO tier_usage (
        tenant_id, account_id, day, messages, octets, hot_octets, cold_octets, part_octets, row_octets)
    SELECT tenant_id, account_id, CURRENT_DATE - n, 20, 80000, 20000, 20000, 0, 10000
      FROM filled_account, generate_series(0, 9) n;
INSERT INTO recoverable (tenant_id, account_id, message_id, mailbox_id, flags, octets, expunged_at)
    SELECT tenant_id, account_id, message_id + 1000000, account_id * 10, 0, 4000, now() - interval '1 hour' * n
      FROM filled_message;
INSERT INTO quota_notice (tenant_id, account_id, percent) SELECT tenant_id, account_id, 80 FROM filled_account;
INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after, logged_on)
    SELECT tenant_id, account_id, n, 0, 1, account_id * 10, n, message_id, 0, CURRENT_DATE - n %% 7 FROM filled_message;
INSERT INTO thread_reference (tenant_id, account_id, reference, thread_id)
    SELECT tenant_id, account_id, n * 77, message_id FROM filled_message;
INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at)
    SELECT tenant_id, digest, 3600, CURRENT_DATE - n %% 7, now() FROM filled_message;
INSERT INTO object (tenant_id, id, kind, state, octets, blobs, live_blobs, live_octets, created_at, doomed_at)
    SELECT t, k, 1 + k %% 2, k %% 3, 1000, 10, 10, CASE WHEN k %% 5 = 0 THEN 100 ELSE 1000 END, now(),
           CASE WHEN k %% 3 = 2 THEN now() END
      FROM generate_series(1, %(tenants)s) t, generate_series(1, 200) k;
UPDATE blob SET object_id = get_byte(digest, 0) %% 200 + 1, object_offset = 0, layout = '', stored_octets = 3000
 WHERE get_byte(digest, 1) %% 2 = 0;
INSERT INTO cold_read (tenant_id, digest, read_on)
    SELECT tenant_id, digest, CURRENT_DATE FROM blob WHERE object_id IS NOT NULL;
INSERT INTO work_lease (tenant_id, work, leased_until, token)
    SELECT t, 'tiering', now(), 1 FROM generate_series(1, %(tenants)s) t;
INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
    SELECT tenant_id, digest, 0, CURRENT_DATE - n %% 7, 2, 0, decode(repeat('00', 100), 'hex') FROM filled_message;
INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
    SELECT tenant_id, message_id, 0, digest FROM filled_message;
INSERT INTO search_page (tenant_id, mailbox_id, number, account_id, format, stamp, facts)
    SELECT tenant_id, account_id * 10, n, account_id, 1, n, decode(repeat('00', 100), 'hex') FROM filled_message;
INSERT INTO message_text (tenant_id, account_id, message_id, part, words)
    SELECT tenant_id, account_id, message_id, 0, ';subject ;' || n || '  filler ' || n || ' word' || account_id
      FROM filled_message;
INSERT INTO text_state (tenant_id, account_id, modseq) SELECT tenant_id, account_id, 100 FROM filled_account;
INSERT INTO text_vocabulary (tenant_id, account_id, number, words)
    SELECT tenant_id, account_id, 0, '\\x00' FROM filled_account;
INSERT INTO inbound_placed (tenant_id, account_id, inbound_id, placed_on)
    SELECT tenant_id, account_id, n, CURRENT_DATE FROM filled_message;
INSERT INTO outgoing (
        tenant_id, id, account_id, reverse_path, needs_utf8, body, octets, queued_at, content_name)
    SELECT tenant_id, message_id, account_id, 'ann@example.com', false, 8, 4000, now(), digest
      FROM filled_message WHERE n <= 5;
INSERT INTO outgoing_content (tenant_id, outgoing_id, chunk, key_id, codec, sealed)
    SELECT tenant_id, id, 0, 2, 0, decode(repeat('00', 100), 'hex') FROM outgoing;
INSERT INTO upload (tenant_id, account_id, id, name, octets)
    SELECT tenant_id, account_id, message_id, digest, 4000 FROM filled_message WHERE n <= 5;
INSERT INTO upload_content (tenant_id, upload_id, chunk, key_id, codec, sealed)
    SELECT tenant_id, id, 0, 2, 0, decode(repeat('00', 100), 'hex') FROM upload;
INSERT INTO push_subscription (
        tenant_id, account_id, sign_in_epoch, device_client_id, sealed, verification_code, is_verified, expires_at)
    SELECT tenant_id, account_id, 0, 'phone', '\\x00', 'code', true, now() + interval '1 day' FROM filled_account;
INSERT INTO outgoing_recipient (
        tenant_id, outgoing_id, ordinal, address, domain, state, held_reason, next_attempt_at, waits_since, report)
    SELECT tenant_id, id, k, 'bob@' || (id + k) %% 50 || '.example', (id + k) %% 50 || '.example',
           CASE k WHEN 4 THEN 1 ELSE 0 END, CASE k WHEN 4 THEN 2 END, now() + interval '1 hour' * k, now(),
           CASE WHEN (id + k) %% 500 = 0 THEN 1 ELSE 0 END
      FROM outgoing, generate_series(1, 4) k;
INSERT INTO outgoing_hold (tenant_id, id, created_at) SELECT t, t, now() FROM generate_series(1, %(tenants)s) t;
INSERT INTO sending_count (tenant_id, account_id, hour, shard, recipients)
    SELECT tenant_id, account_id, date_trunc('hour', now()) - interval '1 hour' * h, 0, 3
      FROM filled_account, generate_series(0, 23) h;
INSERT INTO smarthost (tenant_id, host, port, security)
    SELECT t, 'relay.example', 587, 'required' FROM generate_series(1, %(tenants)s) t;
INSERT INTO event (tenant_id, kind, account_id, outgoing_id, address)
    SELECT tenant_id, 2, account_id, message_id, 'bob@example.com' FROM filled_message;
INSERT INTO type_state (tenant_id, account_id, type_name, modseq)
    SELECT tenant_id, account_id, 'Identity', 5 FROM filled_account;
INSERT INTO identity (tenant_id, account_id, email, name, created_modseq, modseq, is_destroyed)
    SELECT tenant_id, account_id, 'ann@example.com', 'Ann', 1, n, n %% 3 = 0 FROM filled_message WHERE n <= 5;
INSERT INTO email_submission (
        tenant_id, account_id, identity_id, message_id, thread_id, envelope, send_at, undo_status, outgoing_id,
        created_modseq, modseq)
    SELECT tenant_id, account_id, 1, message_id, message_id, '{}', now() - interval '1 day' * n, 1, message_id, 1, n
      FROM filled_message;
INSERT INTO held_submission (tenant_id, submission_id, account_id, release_at)
    SELECT tenant_id, message_id, account_id, now() FROM filled_message WHERE n = 1;
INSERT INTO vacation (tenant_id, account_id, is_enabled) SELECT tenant_id, account_id, true FROM filled_account;
INSERT INTO vacation_answer (tenant_id, account_id, sender)
    SELECT tenant_id, account_id, 'bob' || n || '@example.com' FROM filled_message;
INSERT INTO reseal_order (tenant_id, asked_at) SELECT t, now() FROM generate_series(1, %(tenants)s) t;
INSERT INTO inbound (id, accepted_at, octets, tenant_ids, account_ids, leased_until)
    SELECT 1000000000 + n, now(), 4000, ARRAY[1], ARRAY[10], now() + interval '1 day' FROM generate_series(1, 5000) n;
INSERT INTO inbound_content (inbound_id, chunk, codec, sealed)
    SELECT 1000000000 + n, 0, 0, decode(repeat('00', 100), 'hex') FROM generate_series(1, 5000) n;
"""


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Postgres alone, migrated and filled, with statistics; partitions of weeks to come stay as they were made."""
    directory = tmp_path_factory.mktemp("filled")
    postgres = start_postgres(directory, durable=False)
    try:
        secrets = directory / "waypost-secrets"
        make_master_key(secrets)
        urls = postgres.urls()
        services = RunningServices(urls.owner, urls.app, urls.system, "", secrets)
        migrated = services.manage("migrate", "--verbosity", "0")
        assert migrated.returncode == 0, migrated.stderr
        postgres_grants = "GRANT TEMPORARY ON DATABASE waypost TO waypost_owner"
        with psycopg.connect(postgres.url("postgres", "waypost"), autocommit=True) as superuser:
            superuser.execute(postgres_grants)
        with psycopg.connect(urls.owner) as owner:
            with psycopg.ClientCursor(owner) as cursor:
                cursor.execute(
                    _FILL,
                    {"tenants": FILLED_TENANTS, "accounts": ACCOUNTS_OF_EACH, "messages": MESSAGES_OF_EACH},
                )
            owner.commit()
            owner.autocommit = True
            for (table,) in owner.execute(
                """
                SELECT c.oid::regclass::text FROM pg_class c
                 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND pg_relation_size(c.oid) > 0
                """
            ).fetchall():
                owner.execute(f"VACUUM ANALYZE {table}".encode())
        yield services
    finally:
        postgres.stop()


@pytest.fixture
def box(store: MailStore, company: Company) -> Box:
    return Box(store, company)
