from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("storage", "0026_uploads")]
    operations = []
