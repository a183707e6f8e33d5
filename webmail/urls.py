"""Every path the web role answers through Django."""

from django.urls import path

from webmail.pages import health, views

urlpatterns = [
    path("", views.start, name="start"),
    path("ca.pem", views.certificate_authority, name="ca"),
    path("assets/waypost.css", views.stylesheet, name="stylesheet"),
    path("healthz", health.is_alive, name="healthz"),
    path("readyz", health.is_ready, name="readyz"),
]
handler404 = "webmail.pages.views.not_found"
