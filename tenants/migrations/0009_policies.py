"""Policies of tenants, legal hold, retention rules, and accounts that can be restored for a while."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# A deleted account's window is over: whoever deletes its mail hears of it, and nobody restores it any more. Of tenants
# that were deleted the keys are destroyed, elsewhere.
FUNCTIONS = """
CREATE INDEX account_to_be_ended ON account (id) WHERE status = 'deleted' AND gone_at IS NULL;

CREATE FUNCTION directory_end_accounts_v1() RETURNS TABLE (tenant_id bigint, account_id bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE account a SET ended_at = now()
      FROM tenant t
     WHERE a.status = 'deleted' AND a.gone_at IS NULL AND a.ended_at IS NULL AND NOT a.is_held
       AND t.id = a.tenant_id AND NOT t.is_held
       AND a.deleted_at <= now() - make_interval(days => t.account_recovery_days);
    RETURN QUERY
    SELECT a.tenant_id, a.id FROM account a JOIN tenant t ON t.id = a.tenant_id
     WHERE a.status = 'deleted' AND a.gone_at IS NULL AND a.ended_at IS NOT NULL AND NOT a.is_held AND NOT t.is_held
     ORDER BY a.id;
END $$;

CREATE FUNCTION directory_account_is_gone_v1(p_account_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE account SET gone_at = now() WHERE id = p_account_id AND ended_at IS NOT NULL;
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION directory_end_accounts_v1(), directory_account_is_gone_v1(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory_end_accounts_v1(), directory_account_is_gone_v1(bigint) TO waypost_system;
"""
DROP_FUNCTIONS = """
DROP FUNCTION directory_end_accounts_v1();
DROP FUNCTION directory_account_is_gone_v1(bigint);
DROP INDEX account_to_be_ended;
"""

COLUMNS_AND_POLICIES = """
UPDATE account SET deleted_at = now() WHERE status = 'deleted';

ALTER TABLE retention_rule
    ADD CONSTRAINT retention_rule_account_of_tenant
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id);
ALTER TABLE retention_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE retention_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY retention_rule_owner ON retention_rule TO waypost_owner USING (true) WITH CHECK (true);
CREATE POLICY retention_rule_app ON retention_rule FOR SELECT TO waypost_app
    USING (tenant_id = nullif(current_setting('waypost.tenant', true), '')::bigint);
CREATE POLICY retention_rule_system ON retention_rule FOR SELECT TO waypost_system USING (true);
GRANT SELECT ON retention_rule TO waypost_app, waypost_system;
GRANT SELECT (is_held, deleted_at, ended_at, gone_at) ON account TO waypost_app, waypost_system;
"""
UNDO_COLUMNS_AND_POLICIES = """
REVOKE SELECT (is_held, deleted_at, ended_at, gone_at) ON account FROM waypost_app, waypost_system;
REVOKE ALL ON retention_rule FROM waypost_app, waypost_system;
DROP POLICY retention_rule_owner ON retention_rule;
DROP POLICY retention_rule_app ON retention_rule;
DROP POLICY retention_rule_system ON retention_rule;
ALTER TABLE retention_rule DROP CONSTRAINT retention_rule_account_of_tenant;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0008_scram_readiness"),
    ]

    operations = [
        migrations.CreateModel(
            name="RetentionRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("folder", models.CharField(max_length=1000)),
                ("days", models.IntegerField()),
                ("action", models.CharField(choices=[("remove", "remove"), ("trash", "trash")], max_length=16)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "retention_rule",
            },
        ),
        migrations.AddField(
            model_name="account",
            name="deleted_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="ended_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="gone_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="hold_reason",
            field=models.CharField(db_default="", default="", max_length=500),
        ),
        migrations.AddField(
            model_name="account",
            name="is_held",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="tenant",
            name="account_recovery_days",
            field=models.IntegerField(db_default=30, default=30),
        ),
        migrations.AddField(
            model_name="tenant",
            name="cold_after_days",
            field=models.IntegerField(db_default=90, default=90, null=True),
        ),
        migrations.AddField(
            model_name="tenant",
            name="hold_reason",
            field=models.CharField(db_default="", default="", max_length=500),
        ),
        migrations.AddField(
            model_name="tenant",
            name="hot_budget_octets",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="tenant",
            name="is_held",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="tenant",
            name="promote_within_days",
            field=models.IntegerField(db_default=7, default=7, null=True),
        ),
        migrations.AddField(
            model_name="tenant",
            name="quota_octets",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="tenant",
            name="recoverable_days",
            field=models.IntegerField(db_default=30, default=30),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ended_at__isnull", True),
                    models.Q(("deleted_at__isnull", False), ("status", "deleted")),
                    _connector="OR",
                ),
                name="account_ends_deleted",
            ),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("cold_after_days__isnull", True),
                        models.Q(("cold_after_days__gte", 0), ("cold_after_days__lte", 36500)),
                        _connector="OR",
                    ),
                    models.Q(
                        ("promote_within_days__isnull", True),
                        models.Q(("promote_within_days__gte", 0), ("promote_within_days__lte", 36500)),
                        _connector="OR",
                    ),
                ),
                name="tenant_tier_days",
            ),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("recoverable_days__isnull", True),
                        models.Q(("recoverable_days__gte", 0), ("recoverable_days__lte", 36500)),
                        _connector="OR",
                    ),
                    models.Q(
                        ("account_recovery_days__isnull", True),
                        models.Q(("account_recovery_days__gte", 0), ("account_recovery_days__lte", 36500)),
                        _connector="OR",
                    ),
                ),
                name="tenant_recovery_days",
            ),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("quota_octets__isnull", True), ("quota_octets__gt", 0), _connector="OR"),
                    models.Q(("hot_budget_octets__isnull", True), ("hot_budget_octets__gte", 0), _connector="OR"),
                ),
                name="tenant_octets_positive",
            ),
        ),
        migrations.AddField(
            model_name="retentionrule",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.account",
            ),
        ),
        migrations.AddField(
            model_name="retentionrule",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="retention_rules", to="tenants.tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="retentionrule",
            constraint=models.UniqueConstraint(
                fields=("tenant", "account", "folder"), name="retention_rule_unique", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="retentionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("folder", ""), _negated=True), name="retention_rule_folder_given"
            ),
        ),
        migrations.AddConstraint(
            model_name="retentionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("days__gte", 1), ("days__lte", 36500)), name="retention_rule_days"
            ),
        ),
        migrations.AddConstraint(
            model_name="retentionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("action__in", ["remove", "trash"])), name="retention_rule_action_known"
            ),
        ),
        migrations.RunSQL(COLUMNS_AND_POLICIES, UNDO_COLUMNS_AND_POLICIES),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
    ]
