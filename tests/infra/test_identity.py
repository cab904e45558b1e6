"""Who may sign in: the user pool, its groups and its clients."""

import json

from firstread.policy import MACHINES, Role
from portal.identity.people import DEFAULT_GROUPS
from portal.pages.sign_in import RETURN_PATH, SIGNED_OUT_PATH
from tests.infra.account import Account

URL = "https://firstread.invalid"


def test_nobody_signs_up_and_everybody_has_a_second_factor(account: Account) -> None:
    pool = account.one("AWS::Cognito::UserPool", "PortalIdentityPeople")
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("ON", ["SOFTWARE_TOKEN_MFA"])
    assert pool["DeletionProtection"] == "ACTIVE"
    assert pool["UserPoolTier"] == "PLUS"
    assert pool["UserPoolAddOns"] == {"AdvancedSecurityMode": "ENFORCED"}
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 14
    assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [
        {"Name": "admin_only", "Priority": 1},
    ]


def test_groups_are_the_roles_of_people(account: Account) -> None:
    groups = {each["GroupName"] for each in account.properties("AWS::Cognito::UserPoolGroup").values()}
    assert groups == set(DEFAULT_GROUPS)
    assert len(groups) == len(set(Role) - MACHINES)


def test_the_portal_takes_codes_and_nothing_else(account: Account) -> None:
    client = account.one("AWS::Cognito::UserPoolClient", "PortalIdentityPortalClient")
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["CallbackURLs"] == [URL + RETURN_PATH]
    assert client["LogoutURLs"] == [URL + SIGNED_OUT_PATH]
    assert client["GenerateSecret"] is True
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]  # no password goes around the pages


def test_programs_have_a_client_of_their_own(account: Account) -> None:
    client = account.one("AWS::Cognito::UserPoolClient", "PortalIdentityMachineClient")
    assert client["AllowedOAuthFlows"] == ["client_credentials"]
    assert "CallbackURLs" not in client
    (container,) = account.one("AWS::ECS::TaskDefinition", "PortalWebTask")["ContainerDefinitions"]
    told = {each["Name"]: account.text(each["Value"]) for each in container["Environment"]}
    clients = json.loads(told["FIRSTREAD_MACHINE_CLIENTS"])
    ((client_id, role),) = clients.items()
    assert client_id.startswith("PortalIdentityMachineClient")
    assert role == "service"
    assert told["FIRSTREAD_OIDC_CLIENT_ID"].startswith("PortalIdentityPortalClient")
    assert told["FIRSTREAD_OIDC_ISSUER"].startswith("https://cognito-idp.")
    assert [each["Name"] for each in container["Secrets"]] == ["FIRSTREAD_OIDC_CLIENT_SECRET"]
