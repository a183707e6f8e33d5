"""App passwords and SCRAM keys: made by makemigrations."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0005_resolution"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="app_passwords_only",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="account",
            name="scram_iterations",
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="scram_made_for",
            field=models.CharField(db_default="", default="", max_length=255),
        ),
        migrations.AddField(
            model_name="account",
            name="scram_salt",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="scram_server_key",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="scram_stored_key",
            field=models.BinaryField(null=True),
        ),
        migrations.CreateModel(
            name="AppPassword",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("scopes", models.CharField(max_length=64)),
                ("digest", models.BinaryField()),
                ("scram_stored_key", models.BinaryField()),
                ("scram_server_key", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("expires_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("last_used_network", models.CharField(db_default="", default="", max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="app_passwords",
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
                "db_table": "app_password",
                "constraints": [
                    models.UniqueConstraint(fields=("account", "name"), name="app_password_name_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("scopes__regex", "^(imap|pop|smtp|jmap)( (imap|pop|smtp|jmap))*$")),
                        name="app_password_scopes_known",
                    ),
                ],
            },
        ),
    ]
