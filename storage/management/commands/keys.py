"""`manage.py keys`: the keys that seal mail, their rotation, and shredding a company by destroying its key."""

import argparse
import json
import math
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from django.core.management.base import CommandParser

from storage import key_rotation, master_rotation, old_keys
from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.database import Database
from storage.key_files import make_master_key, read_master_key
from storage.key_rotation import DataKeyFacts
from storage.keys import ANNOUNCED_S, KeyRing, check_tenant_keys
from storage.management.keys_reach import (
    bucket,
    owner,
    secrets_directory,
    tenant_called,
    tenants_with_keys,
    usable,
    working,
)
from storage.management.keys_wording import CHINESE
from storage.management.shredding_actions import add_shredding_actions
from storage.management.store_command import StoreCommand
from tenants.management.command import Options
from tenants.management.table import aligned
from tenants.models import Tenant
from tenants.quota import format_octets
from tenants.types import TenantId

PLACES = ("hot", "objects", "queue", "smarthost")


class Command(StoreCommand):
    help = "Make, check, rotate and retire keys; shred a company."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        init = actions.add_parser("init", help="make the master key, once; an existing one is left alone")
        init.set_defaults(run=self.init)
        check = actions.add_parser("check", help="open the keys of every tenant")
        check.set_defaults(run=self.open_all)

        listing = actions.add_parser("list", help="data keys, and what rests under each")
        listing.add_argument("--tenant", metavar="TENANT", help="only of this one")
        listing.add_argument("--json", action="store_true", help="as JSON")
        listing.set_defaults(run=self.list)
        for name, run, text in (
            ("rotate", self.rotate, "make new data keys; new mail is sealed with them"),
            ("reseal", self.reseal, "seal anew what old data keys sealed"),
            ("retire", self.retire, "give up old data keys under which nothing rests"),
        ):
            parser = actions.add_parser(name, help=text)
            whose = parser.add_mutually_exclusive_group(required=True)
            whose.add_argument("--tenant", metavar="TENANT", help="of this one")
            whose.add_argument("--all", action="store_true", help="of all tenants")
            if name == "rotate":
                parser.add_argument("--older-than", type=int, metavar="DAYS", help="only if the newest key is older")
            if name == "retire":
                parser.add_argument(
                    "--delete-after",
                    type=int,
                    metavar="DAYS",
                    help="delete those retired longer ago: archives of mailboxes from before cannot be restored then",
                )
            if name == "reseal":
                parser.add_argument(
                    "--later", action="store_true", help="upkeep does it; this command only asks for it"
                )
            parser.set_defaults(run=run)

        master = actions.add_parser("rotate-master", help="take a new master key into use")
        master.add_argument(
            "--prepare-only", action="store_true", help="only make it, to copy it to other hosts before it is used"
        )
        master.set_defaults(run=self.rotate_master)
        forget = actions.add_parser("forget-master", help="destroy replaced master keys that nothing needs")
        forget.add_argument(
            "--drop-signatures", action="store_true", help="do not wait until rewritten sender addresses expire"
        )
        forget.set_defaults(run=self.forget_master)

        add_shredding_actions(self, actions)

    # -- the master key

    def init(self, _options: Options) -> None:
        directory = secrets_directory(self)
        is_made = usable(lambda: make_master_key(directory))
        path = directory / "master.key"
        if is_made:
            self.tell("Made {path}. Keep a copy in a safe place: mail opens with it alone.", path=path)
        else:
            usable(lambda: read_master_key(directory))
            self.tell("{path} is there already.", path=path)

    def open_all(self, _options: Options) -> None:
        directory = secrets_directory(self)
        usable(lambda: read_master_key(directory))
        with owner(self) as connection:
            problems = check_tenant_keys(directory, connection)
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise self.failure("{count} tenants have keys that do not open.", count=len(problems))
        self.tell("The keys of every tenant open.")

    def rotate_master(self, options: Options) -> None:
        directory = secrets_directory(self)
        if options["prepare_only"]:
            usable(lambda: master_rotation.prepare_master_key(directory))
            self.tell(
                "The next master key is made. Copy {directory} to the other hosts, then say: manage.py keys"
                " rotate-master",
                directory=directory,
            )
            return
        done = usable(lambda: master_rotation.rotate_master_key(directory, wait=time.sleep))
        if done.is_new:
            self.tell(
                "The master key is new ({fingerprint}), {count} files are wrapped with it. Keep a copy of {directory}"
                " in a safe place, and copy it to the other hosts.",
                fingerprint=done.fingerprint,
                count=done.wrapped,
                directory=directory,
            )
        else:
            self.tell(
                "A rotation that had been interrupted is done: {count} files are wrapped with the master key"
                " {fingerprint}.",
                fingerprint=done.fingerprint,
                count=done.wrapped,
            )
        self.tell("The one before stays until nothing needs it: manage.py keys forget-master")

    def forget_master(self, options: Options) -> None:
        directory = secrets_directory(self)
        with owner(self) as connection:
            gone, needed = usable(
                lambda: master_rotation.forget_previous_masters(
                    directory, connection, now=datetime.now(UTC), keep_signatures=not options["drop_signatures"]
                )
            )
        for fingerprint in gone:
            self.tell("Destroyed the replaced master key {fingerprint}.", fingerprint=fingerprint)
        for each in needed:
            if each.inbound:
                self.tell(
                    "{fingerprint} is still needed by {count} messages on their way in.",
                    fingerprint=each.fingerprint,
                    count=each.inbound,
                )
            if each.signatures_until is not None:
                self.tell(
                    "{fingerprint} is still needed for rewritten sender addresses until {until}.",
                    fingerprint=each.fingerprint,
                    until=_day(each.signatures_until),
                )
        if not gone and not needed:
            self.tell("There are no replaced master keys.")

    # -- data keys

    def list(self, options: Options) -> None:
        tenants = [tenant_called(options["tenant"])] if options["tenant"] else tenants_with_keys()
        with owner(self) as connection:
            found = [(each, key_rotation.data_keys(connection, TenantId(each.pk))) for each in tenants]
        if options["json"]:
            facts = [_as_json(tenant, key) for tenant, keys in found for key in keys]
            self.stdout.write(json.dumps(facts, ensure_ascii=False, indent=1))
            return
        rows = [self._row(tenant, key, keys) for tenant, keys in found for key in keys]
        if not rows:
            self.tell("There are no data keys.")
            return
        heads = ["Tenant", "Key", "Made", "Is", "In Postgres", "In objects", "Queue", "Smarthost"]
        self.stdout.write(aligned([self.word(head) for head in heads], rows, right=frozenset({1, 4, 5, 6, 7})))

    def _row(self, tenant: Tenant, key: DataKeyFacts, keys: Sequence[DataKeyFacts]) -> Sequence[str]:
        current = next(each.id for each in keys if each.is_current)
        if key.is_current:
            state = "seals"
        elif key.id > current:
            state = "seals soon"
        else:
            state = "opens" if key.retired_at is None else "retired"
        sizes = [format_octets(key.rests[place][1]) if place in key.rests else "–" for place in PLACES]
        return [tenant.slug, str(key.id), _day(key.created_at), self.word(state), *sizes]

    def rotate(self, options: Options) -> None:
        directory = secrets_directory(self)
        made = 0
        with owner(self) as connection:
            for tenant in self._chosen(options):
                new = usable(
                    partial(
                        key_rotation.rotate_data_key,
                        directory,
                        connection,
                        TenantId(tenant.pk),
                        older_than_days=options["older_than"],
                    )
                )
                made += new is not None
        self.tell(
            "{count} new data keys; they seal in {minutes} minutes.", count=made, minutes=math.ceil(ANNOUNCED_S / 60)
        )

    def reseal(self, options: Options) -> None:
        tenants = self._chosen(options)
        with owner(self) as connection:
            for tenant in tenants:
                key_rotation.order_reseal(connection, TenantId(tenant.pk))
        if options["later"]:
            self.tell("Upkeep seals it anew: {count} tenants.", count=len(tenants))
            return
        for tenant in tenants:
            self._reseal(tenant)

    def _reseal(self, tenant: Tenant) -> None:
        tenant_id = TenantId(tenant.pk)
        directory = secrets_directory(self)

        async def work(database: Database) -> tuple[old_keys.Resealed, int, bool]:
            ring = KeyRing(directory, database)
            with working() as tell:
                done = await old_keys.reseal(
                    database, ring, tenant_id, tell=lambda so_far: tell(tenant.slug, so_far.chunks)
                )
                moved = 0
                if (config := bucket()) is not None:
                    objects = ObjectStore(config)
                    try:
                        moved = (await old_keys.reseal_objects(database, objects, ring, tenant_id)).blobs
                    finally:
                        await objects.close()
            return done, moved, await old_keys.finish_if_done(database, tenant_id)

        done, moved, is_done = self.with_database(work)
        self.tell(
            "{tenant}: {chunks} pieces of {octets} in Postgres and {blobs} blobs in objects are sealed anew.",
            tenant=tenant.slug,
            chunks=done.chunks,
            octets=format_octets(done.octets),
            blobs=moved,
        )
        if done.damaged:
            self.stderr.write(
                self.phrase("{tenant}: {count} pieces do not open; they stay.", tenant=tenant.slug, count=done.damaged)
            )
        if not is_done:
            self.tell("{tenant}: something in objects is left; upkeep goes on with it.", tenant=tenant.slug)

    def retire(self, options: Options) -> None:
        keep_days = options["delete_after"]
        least = int(os.environ.get("WAYPOST_S3_KEEP_DOOMED_DAYS") or ObjectsConfig().keep_doomed_days)
        if keep_days is not None and keep_days < least:
            raise self.failure("Objects of then are kept {days} days; keys have to stay as long.", days=least)
        with owner(self) as connection:
            for tenant in self._chosen(options):
                done = key_rotation.retire_data_keys(connection, TenantId(tenant.pk), keep_days=keep_days)
                for key_id in done.retired:
                    self.tell(
                        "{tenant}: key {key} is retired; --delete-after deletes it some day.",
                        tenant=tenant.slug,
                        key=key_id,
                    )
                for key_id in done.deleted:
                    self.tell("{tenant}: key {key} is deleted.", tenant=tenant.slug, key=key_id)
                for key_id in done.held:
                    self.tell("{tenant}: key {key} stays while the legal hold lasts.", tenant=tenant.slug, key=key_id)
                for key in done.in_use:
                    octets = sum(size for _, size in key.rests.values())
                    if not key.rests:
                        self.tell(
                            "{tenant}: key {key} was replaced within the last hour; processes may still seal with it.",
                            tenant=tenant.slug,
                            key=key.id,
                        )
                        continue
                    self.tell(
                        "{tenant}: key {key} is still needed for {octets}.",
                        tenant=tenant.slug,
                        key=key.id,
                        octets=format_octets(octets),
                    )

    def _chosen(self, options: Options) -> Sequence[Tenant]:
        return tenants_with_keys() if options["all"] else [tenant_called(options["tenant"])]


def _as_json(tenant: Tenant, key: DataKeyFacts) -> dict[str, object]:
    return {
        "tenant": tenant.slug,
        "key": key.id,
        "created_at": key.created_at.isoformat(),
        "retired_at": key.retired_at.isoformat() if key.retired_at else None,
        "is_current": key.is_current,
        "rests": {place: {"chunks": chunks, "octets": octets} for place, (chunks, octets) in key.rests.items()},
    }


def _day(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d")
