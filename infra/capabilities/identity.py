"""Who may sign in: an Amazon Cognito user pool with groups that are roles, and a client for programs."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy, SecretValue
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from firstread.policy import MACHINES, Role, group_of
from infra.capabilities.secret import secret_with_key

_RETURN: Final = "/sign-in/return"
_SIGNED_OUT: Final = "/signed-out"
_RESOURCES: Final = "firstread"


class Identity(Construct):
    """Nobody signs up: people are added by an administrator, to the group of their role, and bring a second factor.

    Parameters
    ----------
    portal_url
        The one place that people are sent back to.

    Attributes
    ----------
    issuer
        As tokens name it.
    client_id, secret
        What the pool calls the portal, and how the portal proves to be it.
    machine_clients
        The setting that says which client is a program.
    """

    def __init__(self, scope: Construct, construct_id: str, *, portal_url: str) -> None:
        super().__init__(scope, construct_id)
        self._pool = self._make_pool()
        self._add_groups()
        portal = self._make_portal_client(portal_url)
        machine = self._make_machine_client()
        self._make_domain(portal)
        self.issuer = f"https://cognito-idp.{Aws.REGION}.{Aws.URL_SUFFIX}/{self._pool.user_pool_id}"
        self.pool_id = self._pool.user_pool_id
        self.client_id = portal.ref
        self.machine_clients = f'{{"{machine.ref}":"{Role.SERVICE.value}"}}'
        self.secret = self._keep(portal)

    def _make_pool(self) -> cognito.UserPool:
        return cognito.UserPool(
            self,
            "People",
            sign_in_aliases=cognito.SignInAliases(username=True),
            sign_in_case_sensitive=False,
            self_sign_up_enabled=False,
            mfa=cognito.Mfa.REQUIRED,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            password_policy=cognito.PasswordPolicy(
                min_length=14,
                require_lowercase=True,
                require_uppercase=True,
                require_digits=True,
                require_symbols=True,
                password_history_size=10,
                temp_password_validity=Duration.days(2),
            ),
            # A mailbox that was taken over must not open an account: an administrator sets a new password.
            account_recovery=cognito.AccountRecovery.NONE,
            feature_plan=cognito.FeaturePlan.PLUS,
            standard_threat_protection_mode=cognito.StandardThreatProtectionMode.FULL_FUNCTION,
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _add_groups(self) -> None:
        for role in Role:
            if role not in MACHINES:
                cognito.CfnUserPoolGroup(
                    self,
                    role.value.title().replace(" ", ""),
                    user_pool_id=self._pool.user_pool_id,
                    group_name=group_of(role),
                    description=f"FirstRead: {role.value}",
                )

    def _make_portal_client(self, portal_url: str) -> cognito.CfnUserPoolClient:
        return cognito.CfnUserPoolClient(
            self,
            "PortalClient",
            user_pool_id=self._pool.user_pool_id,
            generate_secret=True,
            allowed_o_auth_flows_user_pool_client=True,
            allowed_o_auth_flows=["code"],
            allowed_o_auth_scopes=["openid"],
            supported_identity_providers=["COGNITO"],
            callback_ur_ls=[portal_url + _RETURN],
            logout_ur_ls=[portal_url + _SIGNED_OUT],
            explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH"],
            # The portal looks at a token once, and keeps none.
            id_token_validity=5,
            access_token_validity=5,
            refresh_token_validity=60,
            token_validity_units=_minutes(refresh=True),
            auth_session_validity=5,
            enable_token_revocation=True,
            prevent_user_existence_errors="ENABLED",
            read_attributes=["preferred_username"],
            write_attributes=["preferred_username"],
        )

    def _make_machine_client(self) -> cognito.CfnUserPoolClient:
        scope = cognito.ResourceServerScope(
            scope_name="read", scope_description="Read the state and the findings of studies"
        )
        server = self._pool.add_resource_server("Api", identifier=_RESOURCES, scopes=[scope])
        client = cognito.CfnUserPoolClient(
            self,
            "MachineClient",
            user_pool_id=self._pool.user_pool_id,
            generate_secret=True,
            allowed_o_auth_flows_user_pool_client=True,
            allowed_o_auth_flows=["client_credentials"],
            allowed_o_auth_scopes=[f"{_RESOURCES}/read"],
            supported_identity_providers=["COGNITO"],
            explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH"],
            access_token_validity=15,
            token_validity_units=_minutes(refresh=False),
            enable_token_revocation=True,
            prevent_user_existence_errors="ENABLED",
        )
        client.node.add_dependency(server)
        return client

    def _make_domain(self, portal: cognito.CfnUserPoolClient) -> None:
        """Make the pages of the pool; the newer ones ask again for a password where the portal wants it."""
        cognito.UserPoolDomain(
            self,
            "Pages",
            user_pool=self._pool,
            cognito_domain=cognito.CognitoDomainOptions(domain_prefix=f"firstread-{Aws.ACCOUNT_ID}"),
            managed_login_version=cognito.ManagedLoginVersion.NEWER_MANAGED_LOGIN,
        )
        cognito.CfnManagedLoginBranding(
            self,
            "Style",
            user_pool_id=self._pool.user_pool_id,
            client_id=portal.ref,
            use_cognito_provided_values=True,
        )

    def _keep(self, portal: cognito.CfnUserPoolClient) -> secrets.Secret:
        return secret_with_key(
            self,
            "ClientSecret",
            key_id="ClientKey",
            key_for="FirstRead: the portal's secret at Cognito",
            description="FirstRead: how the portal proves to Cognito that it is the portal",
            value=SecretValue.resource_attribute(portal.attr_client_secret),
            keep=False,
            unrotated="Cognito makes it and cannot rotate it: a new client is a new secret, by a deployment.",
        )


def _minutes(*, refresh: bool) -> cognito.CfnUserPoolClient.TokenValidityUnitsProperty:
    return cognito.CfnUserPoolClient.TokenValidityUnitsProperty(
        access_token="minutes",  # noqa: S106 - a unit
        id_token="minutes",  # noqa: S106 - a unit
        refresh_token="minutes" if refresh else None,
    )
