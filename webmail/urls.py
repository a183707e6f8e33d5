"""Every path the web role answers through Django."""

from django.urls import include, path

from webmail.pages import discovery, health, views

urlpatterns = [
    path("", views.start, name="start"),
    path("ca.pem", views.certificate_authority, name="ca"),
    path("assets/waypost.css", views.stylesheet, name="stylesheet"),
    path("assets/passkeys.js", views.passkey_script, name="passkey-script"),
    path("", include("webmail.pages.sign_in.urls")),
    path("", include("webmail.pages.programs.urls")),
    path(".well-known/autoconfig/mail/config-v1.1.xml", discovery.autoconfiguration, name="autoconfig"),
    path("mail/config-v1.1.xml", discovery.autoconfiguration, name="autoconfig-of-host"),
    path("autodiscover/autodiscover.xml", discovery.autodiscovery, name="autodiscover"),
    path("Autodiscover/Autodiscover.xml", discovery.autodiscovery, name="autodiscover-as-outlook-spells-it"),
    path("healthz", health.is_alive, name="healthz"),
    path("readyz", health.is_ready, name="readyz"),
]
handler404 = "webmail.pages.views.not_found"
