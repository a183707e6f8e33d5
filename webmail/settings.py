"""The Django project's settings, read once from WAYPOST_* variables.

Two kinds of process use them. Management commands (`manage.py`) speak to Postgres as waypost_owner
(WAYPOST_OWNER_DATABASE_URL); the web role speaks as waypost_app (WAYPOST_DATABASE_URL), under row-level security.
WAYPOST_DATABASE_ROLE says which: `owner` (set by manage.py) or `app` (set by webmail/asgi.py); tools that only look at
the code set neither and get no database.
"""

import os

from webmail.environment import allowed_hosts, database_settings, scram_iterations, secret_key, trusted_origins

_ROLE = os.environ.get("WAYPOST_DATABASE_ROLE", "")

SECRET_KEY = secret_key(os.environ, is_required=_ROLE == "app")
DEBUG = False
ALLOWED_HOSTS = allowed_hosts(os.environ)

DATABASES = database_settings(os.environ, _ROLE)
WAYPOST_WEB_DATABASE_URL = os.environ.get("WAYPOST_DATABASE_URL", "")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["tenants", "storage", "webmail.pages", "webmail.operations"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "webmail.pages.headers.security_headers",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "webmail.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_HSTS_SECONDS = 31_536_000  # said over TLS only
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # TLS ends in front of us; who lies harms themselves
CSRF_COOKIE_NAME = "waypost-csrf"
CSRF_COOKIE_SECURE = True  # but on this machine without TLS: `headers`
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "webmail.pages.sign_in.entering.csrf_failure"
CSRF_TRUSTED_ORIGINS = trusted_origins(ALLOWED_HOSTS)  # where nobody says that TLS ends in front of us
X_FRAME_OPTIONS = "DENY"

LOGGING_CONFIG = None  # logging is set up by the process (mailserver), not by Django

# Called with the new tenant's id by `manage.py tenant add`, in this order, inside its transaction: if one raises, there
# is no tenant. `tenants` may not import what lies above it, so what else a tenant needs (its mail keys) is named here,
# each "package.module.function" with `(tenant_id: int) -> None`, safe to call twice.
WAYPOST_TENANT_CREATED = ["storage.provisioning.on_tenant_created"]

# How often SCRAM-SHA-256 hashes what is kept of a password (RFC 5802 §2.2); 0: nothing is kept for it.
WAYPOST_SCRAM_ITERATIONS = scram_iterations(os.environ)

# Whoever knows where failed sign-ins are counted: a class as `tenants.sign_in_blocks.SignInBlocks` describes it.
WAYPOST_SIGN_IN_BLOCKS = "mailserver.sign_in_blocks.RedisBlocks"
