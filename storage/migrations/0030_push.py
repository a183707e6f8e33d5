from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("storage", "0029_sending")]
    operations = []
