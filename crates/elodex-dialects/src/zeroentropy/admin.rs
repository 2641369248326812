//! `/admin/*`: the API keys of this deployment. There is one organization, [`ORGANIZATION`], and no other can be made.

use super::collections::success;
use crate::json::{Fields, clip, write};
use crate::problem::Problem;
use crate::{KeyEntry, KeysCall, Permission};
use elodex_types::Fault;
use serde::Serialize;
use utoipa::ToSchema;

/// The id of the only organization.
const ORGANIZATION: &str = "00000000-0000-0000-0000-000000000000";

const PERMISSIONS: [(&str, Permission); 2] = [("all", Permission::All), ("read_only", Permission::ReadOnly)];

/// Longest name of a key, in bytes.
const LONGEST_NAME: usize = 256;

/// Body of a `POST /admin/add-api-key`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::AddApiKeyBody)]
pub struct AddApiKeyBody {
    /// Whose key it is.
    pub name: String,
    /// What it may do.
    pub permission: Permission,
    /// The organization of this deployment, where named.
    pub organization_id: Option<String>,
}

/// Body of a call about the organization.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::OrganizationBody)]
pub struct OrganizationBody {
    /// The organization of this deployment, where named.
    pub organization_id: Option<String>,
}

/// Body of a `POST /admin/delete-api-key`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::ApiKeyBody)]
pub struct ApiKeyBody {
    /// The key's id, from the list.
    pub api_key_id: String,
}

/// Body of a `POST /admin/update-api-key`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::UpdateApiKeyBody)]
pub struct UpdateApiKeyBody {
    /// The key's id, from the list.
    pub api_key_id: String,
    /// Its name from now on.
    pub name: Option<String>,
    /// What it may do from now on.
    pub permission: Option<Permission>,
}

pub(super) fn parse_add(body: &[u8]) -> Result<KeysCall, Problem> {
    let fields = Fields::split(body)?;
    check_organization(&fields)?;
    let name: String = fields.required("name")?;
    check_name(&fields, &name)?;
    let permission = fields.required_choice("permission", &PERMISSIONS)?;
    Ok(KeysCall::Add { name, permission, render: |key| write(&AddApiKeyAnswer { api_key: key }, 128) })
}

pub(super) fn parse_list(body: &[u8]) -> Result<KeysCall, Problem> {
    check_organization(&Fields::split_or_none(body)?)?;
    Ok(KeysCall::List { render: render_list })
}

pub(super) fn parse_delete(body: &[u8]) -> Result<KeysCall, Problem> {
    let fields = Fields::split(body)?;
    check_organization(&fields)?;
    Ok(KeysCall::Delete { id: fields.required("api_key_id")?, render: |()| success() })
}

pub(super) fn parse_update(body: &[u8]) -> Result<KeysCall, Problem> {
    let fields = Fields::split(body)?;
    check_organization(&fields)?;
    let name: Option<String> = fields.optional("name")?;
    if let Some(name) = &name {
        check_name(&fields, name)?;
    }
    let id = fields.required("api_key_id")?;
    let permission = fields.optional_choice("permission", &PERMISSIONS)?;
    Ok(KeysCall::Update { id, name, permission, render: |()| success() })
}

pub(super) fn parse_organization(body: &[u8]) -> Result<KeysCall, Problem> {
    check_organization(&Fields::split_or_none(body)?)?;
    Ok(KeysCall::Organization { render: render_organization })
}

pub(super) fn refuse_organization(body: &[u8]) -> Result<KeysCall, Problem> {
    Fields::split(body)?;
    let message =
        format!("this deployment is one organization, `{ORGANIZATION}`; run another server for another");
    Err(Problem::new(Fault::Conflict, message))
}

pub(super) fn refuse_change(body: &[u8]) -> Result<KeysCall, Problem> {
    Fields::split(body)?;
    let message = "the organization's limits are settings of this deployment; change them there";
    Err(Problem::new(Fault::User, message))
}

fn check_organization(fields: &Fields<'_>) -> Result<(), Problem> {
    match fields.optional::<String>("organization_id")? {
        Some(id) if id != ORGANIZATION => {
            let message = format!("no organization `{}`; this deployment's is `{ORGANIZATION}`", clip(&id));
            Err(Problem::new(Fault::NotFound, message))
        }
        _ => Ok(()),
    }
}

fn check_name(fields: &Fields<'_>, name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {LONGEST_NAME} bytes and no control characters");
        return Err(fields.refuse("name", message));
    }
    Ok(())
}

/// Answer of a `POST /admin/add-api-key`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::AddApiKeyAnswer)]
pub struct AddApiKeyAnswer<'a> {
    /// The key; it is shown this once.
    pub api_key: &'a str,
}

fn render_list(keys: &[KeyEntry]) -> Result<Vec<u8>, Problem> {
    let key = |key| -> ApiKey<'_> {
        let entry: &KeyEntry = key;
        ApiKey {
            api_key_id: &entry.id,
            organization_id: ORGANIZATION,
            name: &entry.name,
            permission: entry.permission,
            created_at: entry.created,
        }
    };
    write(&ListApiKeysAnswer { api_keys: keys.iter().map(key).collect() }, 64 + 192 * keys.len())
}

/// Answer of a `POST /admin/list-api-keys`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::ListApiKeysAnswer)]
pub struct ListApiKeysAnswer<'a> {
    /// In order of creation.
    pub api_keys: Vec<ApiKey<'a>>,
}

/// A key without the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::ApiKey)]
pub struct ApiKey<'a> {
    /// Names it.
    pub api_key_id: &'a str,
    /// The organization of this deployment.
    pub organization_id: &'a str,
    /// Whose key it is.
    pub name: &'a str,
    /// What it may do.
    pub permission: Permission,
    /// Unix seconds.
    pub created_at: u64,
}

fn render_organization((): &()) -> Result<Vec<u8>, Problem> {
    let answer = Organization {
        organization_id: ORGANIZATION,
        name: "local",
        subscription_tier: "enterprise",
        override_bpm_fast: None,
        override_bpm_slow: None,
        override_max_bytes_per_request: None,
        zdr: true,
    };
    write(&answer, 256)
}

/// Answer of a `POST /admin/get-organization`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::Organization)]
pub struct Organization {
    /// The same on every deployment.
    pub organization_id: &'static str,
    /// `local`.
    pub name: &'static str,
    /// `enterprise`: nothing is withheld.
    pub subscription_tier: &'static str,
    /// Always `null`: rates are settings.
    pub override_bpm_fast: Option<u64>,
    /// Always `null`: rates are settings.
    pub override_bpm_slow: Option<u64>,
    /// Always `null`: the limit is a setting.
    pub override_max_bytes_per_request: Option<u64>,
    /// Zero data retention: texts sent to the models are not kept.
    pub zdr: bool,
}
