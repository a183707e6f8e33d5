"""The paths of OAuth 2, and of what a person sees of programs."""

from django.urls import path

from webmail.pages.programs import account, authorize, tokens

urlpatterns = [
    path("oauth/authorize", authorize.authorize, name="authorize"),
    path("oauth/token", tokens.token, name="token"),
    path("oauth/revoke", tokens.revoke, name="revoke"),
    path(".well-known/oauth-authorization-server", tokens.metadata, name="oauth-metadata"),
    path("account/programs", account.overview, name="programs"),
    path("account/programs/take-back", account.take_back, name="take-back"),
    path("account/tokens/new", account.add_token, name="add-token"),
    path("account/tokens/revoke", account.revoke_token, name="revoke-token"),
]
