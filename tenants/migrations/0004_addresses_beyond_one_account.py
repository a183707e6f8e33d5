"""Groups, forwarding, catch-alls and domains that stand for others: made by makemigrations."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0003_postmaster"),
    ]

    operations = [
        migrations.CreateModel(
            name="GroupMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("written", models.CharField(max_length=320)),
                ("local_part", models.CharField(max_length=64)),
                ("domain", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "group_member",
            },
        ),
        migrations.AddField(
            model_name="account",
            name="keeps_copy",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="domain",
            name="catch_all_account",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.account",
            ),
        ),
        migrations.AddField(
            model_name="domain",
            name="stands_for",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="stood_for_by",
                to="tenants.domain",
            ),
        ),
        migrations.AlterField(
            model_name="address",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="addresses",
                to="tenants.account",
            ),
        ),
        migrations.CreateModel(
            name="Forwarding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("written", models.CharField(max_length=320)),
                ("local_part", models.CharField(max_length=64)),
                ("domain", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="forwardings",
                        to="tenants.account",
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
                "db_table": "forwarding",
            },
        ),
        migrations.CreateModel(
            name="Group",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "who_may_send",
                    models.CharField(
                        choices=[("anyone", "anyone"), ("tenant", "tenant"), ("members", "members")],
                        default="anyone",
                        max_length=16,
                    ),
                ),
                ("owner_address", models.CharField(db_default="", default="", max_length=320)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="groups", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "db_table": "mail_group",
            },
        ),
        migrations.AddField(
            model_name="address",
            name="group",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="addresses",
                to="tenants.group",
            ),
        ),
        migrations.AddField(
            model_name="domain",
            name="catch_all_group",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.group",
            ),
        ),
        migrations.AddConstraint(
            model_name="address",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_primary", True)), fields=("group",), name="address_one_primary_of_group"
            ),
        ),
        migrations.AddConstraint(
            model_name="address",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("account__isnull", False), ("group__isnull", True)),
                    models.Q(("account__isnull", True), ("group__isnull", False)),
                    _connector="OR",
                ),
                name="address_of_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("catch_all_account__isnull", True), ("catch_all_group__isnull", True), _connector="OR"
                ),
                name="domain_one_catch_all",
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("stands_for__isnull", True),
                    models.Q(
                        ("catch_all_account__isnull", True),
                        ("catch_all_group__isnull", True),
                        models.Q(("stands_for", models.F("id")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="domain_that_stands_for_another_is_nothing_itself",
            ),
        ),
        migrations.AddField(
            model_name="groupmember",
            name="group",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="tenants.group",
            ),
        ),
        migrations.AddField(
            model_name="groupmember",
            name="tenant",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"),
        ),
        migrations.AddConstraint(
            model_name="forwarding",
            constraint=models.UniqueConstraint(fields=("account", "domain", "local_part"), name="forwarding_unique"),
        ),
        migrations.AddConstraint(
            model_name="group",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="mail_group_tenant_id_unique"),
        ),
        migrations.AddConstraint(
            model_name="group",
            constraint=models.CheckConstraint(
                condition=models.Q(("who_may_send__in", ["anyone", "tenant", "members"])),
                name="mail_group_senders_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="groupmember",
            constraint=models.UniqueConstraint(fields=("group", "domain", "local_part"), name="group_member_unique"),
        ),
    ]
