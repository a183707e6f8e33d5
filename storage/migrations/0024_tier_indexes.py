from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("storage", "0023_large_parts")]
    operations = []
