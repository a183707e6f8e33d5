"""What commands share that work on the mail store: a database, the keys, and the object store, from the environment."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.database import Database, DatabaseConfig
from storage.errors import KeyUnusable, StorageError
from storage.keys import KeyRing
from tenants.management.command import ActionCommand

Result = TypeVar("Result")


CHINESE = {
    "The mail store cannot be reached: {reason}": "无法访问邮件存储：{reason}",
    "The keys cannot be used: {reason}": "密钥不可用：{reason}",
    "{variable} is not set, so there is no mail store to work on.": "未设置 {variable}，无法访问邮件存储。",
}


class StoreCommand(ActionCommand):
    """`manage.py NAME ACTION …` over the mail store."""

    def phrase(self, text: str, **values: object) -> str:
        if self.language == "zh-hans" and text in CHINESE and text not in self.chinese:
            return CHINESE[text].format(**values)
        return super().phrase(text, **values)

    def with_database(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            database = Database(
                DatabaseConfig(self.needed("WAYPOST_DATABASE_URL"), self.needed("WAYPOST_SYSTEM_DATABASE_URL"))
            )
            try:
                return await work(database)
            finally:
                await database.close()

        try:
            return asyncio.run(run())
        except KeyUnusable as problem:
            raise self.failure("The keys cannot be used: {reason}", reason=problem) from None
        except StorageError as error:
            raise self.failure("The mail store cannot be reached: {reason}", reason=error) from None

    def with_keys(self, work: Callable[[Database, KeyRing], Awaitable[Result]]) -> Result:
        secrets = Path(self.needed("WAYPOST_SECRETS"))
        return self.with_database(lambda database: work(database, KeyRing(secrets, database)))

    def with_objects(self, work: Callable[[Database, KeyRing, ObjectStore], Awaitable[Result]]) -> Result:
        config = self._objects_config()

        async def run(database: Database, keys: KeyRing) -> Result:
            objects = ObjectStore(config)
            try:
                return await work(database, keys, objects)
            finally:
                await objects.close()

        return self.with_keys(run)

    def needed(self, variable: str) -> str:
        found = os.environ.get(variable, "")
        if not found:
            raise self.failure("{variable} is not set, so there is no mail store to work on.", variable=variable)
        return found

    def _objects_config(self) -> ObjectsConfig:
        ca_file = os.environ.get("WAYPOST_S3_CA_FILE", "")
        return ObjectsConfig(
            url=self.needed("WAYPOST_S3_URL"),
            access_key=self.needed("WAYPOST_S3_ACCESS_KEY"),
            secret_key=self.needed("WAYPOST_S3_SECRET_KEY"),
            bucket=os.environ.get("WAYPOST_S3_BUCKET") or ObjectsConfig().bucket,
            region=os.environ.get("WAYPOST_S3_REGION") or ObjectsConfig().region,
            ca_file=Path(ca_file) if ca_file else None,
            keep_doomed_days=int(os.environ.get("WAYPOST_S3_KEEP_DOOMED_DAYS") or ObjectsConfig().keep_doomed_days),
        )
