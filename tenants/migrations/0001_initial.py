"""The control-plane tables, made by makemigrations after a look at who migrates."""

from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
from django.core.management.base import CommandError
from django.db import migrations, models

ROLES = ("waypost_owner", "waypost_app", "waypost_system")


def demand_roles(_apps: Any, schema_editor: Any) -> None:
    """The roles are made by whoever sets up the cluster (the supervisor, or an administrator), never by a migration."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(ROLES)])
        found = {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT current_user")
        current = cursor.fetchone()[0]
    if missing := [role for role in ROLES if role not in found]:
        raise CommandError(
            f"the database roles {', '.join(missing)} do not exist; create them first:"
            " CREATE ROLE waypost_owner LOGIN; CREATE ROLE waypost_app LOGIN; CREATE ROLE waypost_system LOGIN"
        )
    if current != "waypost_owner":
        raise CommandError(f"migrate as waypost_owner (WAYPOST_OWNER_DATABASE_URL), not as {current}")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.RunPython(demand_roles, migrations.RunPython.noop),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("display_name", models.CharField(max_length=200)),
                ("password_hash", models.CharField(max_length=255)),
                ("is_administrator", models.BooleanField(default=False)),
                ("language", models.CharField(default="en", max_length=35)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("quota_octets", models.BigIntegerField(null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "active"), ("suspended", "suspended"), ("deleted", "deleted")],
                        default="active",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("password_changed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "account",
            },
        ),
        migrations.CreateModel(
            name="Tenant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.CharField(max_length=255)),
                ("name", models.CharField(max_length=200)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "active"), ("suspended", "suspended"), ("deleted", "deleted")],
                        default="active",
                        max_length=16,
                    ),
                ),
                ("cell", models.CharField(default="main", max_length=63)),
                ("language", models.CharField(default="en", max_length=35)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "tenant",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "deleted"), _negated=True),
                        fields=("slug",),
                        name="tenant_slug_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "suspended", "deleted"])),
                        name="tenant_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("slug__regex", "^[a-z0-9][a-z0-9.-]*$")), name="tenant_slug_plain"
                    ),
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="tenant_name_given"),
                    models.CheckConstraint(
                        condition=models.Q(("language__regex", "^[a-z]{2,3}(-[a-z0-9]{1,8})*$")),
                        name="tenant_language_tag",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Domain",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255, unique=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "active"), ("suspended", "suspended"), ("deleted", "deleted")],
                        default="active",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="domains", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "db_table": "domain",
            },
        ),
        migrations.CreateModel(
            name="Address",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("local_part", models.CharField(max_length=64)),
                ("is_primary", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="addresses",
                        to="tenants.account",
                    ),
                ),
                (
                    "domain",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="addresses",
                        to="tenants.domain",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "db_table": "address",
            },
        ),
        migrations.AddField(
            model_name="account",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="accounts", to="tenants.tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="domain_tenant_id_unique"),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "suspended", "deleted"])), name="domain_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("name__regex", "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
                ),
                name="domain_name_is_a_label",
            ),
        ),
        migrations.AddConstraint(
            model_name="address",
            constraint=models.UniqueConstraint(fields=("domain", "local_part"), name="address_unique"),
        ),
        migrations.AddConstraint(
            model_name="address",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_primary", True)), fields=("account",), name="address_one_primary"
            ),
        ),
        migrations.AddConstraint(
            model_name="address",
            constraint=models.CheckConstraint(
                condition=models.Q(("local_part", ""), _negated=True), name="address_local_part_given"
            ),
        ),
        migrations.AddConstraint(
            model_name="address",
            constraint=models.CheckConstraint(
                condition=models.Q(("local_part__contains", "+"), _negated=True), name="address_has_no_detail"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="account_tenant_id_unique"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "suspended", "deleted"])), name="account_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("password_hash__startswith", "$argon2id$")), name="account_password_is_argon2id"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("quota_octets__isnull", True), ("quota_octets__gt", 0), _connector="OR"),
                name="account_quota_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("language__regex", "^[a-z]{2,3}(-[a-z0-9]{1,8})*$")), name="account_language_tag"
            ),
        ),
    ]
