from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("storage", "0027_type_states")]
    operations = []
