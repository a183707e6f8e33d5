from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("storage", "0028_message_text")]
    operations = []
