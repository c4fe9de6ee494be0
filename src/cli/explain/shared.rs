//! Where a record of the shared cache comes from.

use super::super::wording::utc;
use matssl_remote::Origin;
use serde_json::{Value, json};

/// The shared cache that has a record, and who pushed it.
pub(super) struct Shared<'s> {
    pub(super) cache: &'s str,
    pub(super) origin: Option<Origin>,
}

impl Shared<'_> {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let Some(Origin { user, host, at, signed_by }) = &self.origin else { return format!("from {}", self.cache) };
        let signed = signed_by.map_or_else(|| "not signed".to_owned(), |key| format!("signed with {key}"));
        format!("pushed to {} by {user} on {host}, {}; {signed}", self.cache, utc(*at))
    }

    /// For programs.
    pub(super) fn as_json(&self) -> Value {
        let origin = self.origin.as_ref();
        json!({
            "cache": self.cache,
            "user": origin.map(|origin| &origin.user),
            "host": origin.map(|origin| &origin.host),
            "at": origin.map(|origin| origin.at),
            "signed_by": origin.and_then(|origin| origin.signed_by).map(|key| key.to_string()),
        })
    }
}
