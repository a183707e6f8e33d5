from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("storage", "0024_tier_indexes")]
    operations = []
