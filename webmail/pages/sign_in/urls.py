"""The paths of signing in and of one's own account."""

from django.urls import path

from webmail.pages.sign_in import account, entering, factors, passwords

urlpatterns = [
    path("sign-in", entering.sign_in, name="sign-in"),
    path("sign-in/passkey", entering.by_passkey, name="sign-in-by-passkey"),
    path("sign-in/code", entering.second_step, name="second-step"),
    path("sign-in/again", entering.again, name="again"),
    path("sign-in/forgotten", entering.forgotten, name="forgotten"),
    path("sign-out", entering.sign_out, name="sign-out"),
    path("account", account.overview, name="account"),
    path("account/sessions/end", account.end_session, name="end-session"),
    path("account/sessions/end-others", account.end_others, name="end-others"),
    path("account/password", passwords.change_password, name="change-password"),
    path("account/app-passwords/new", passwords.add_app_password, name="add-app-password"),
    path("account/app-passwords/revoke", passwords.revoke_app_password, name="revoke-app-password"),
    path("account/authenticator", factors.set_up_totp, name="set-up-totp"),
    path("account/authenticator/remove", factors.remove_totp, name="remove-totp"),
    path("account/recovery-codes", factors.renew_codes, name="renew-codes"),
    path("account/passkeys/new", factors.add_passkey, name="add-passkey"),
    path("account/passkeys/<int:passkey_id>", factors.edit_passkey, name="edit-passkey"),
    path("account/passkeys/<int:passkey_id>/remove", factors.remove_passkey, name="remove-passkey"),
]
