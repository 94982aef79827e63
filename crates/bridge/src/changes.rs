//! What a server tells of changes, in the words of both eras.

use mcp::splice;

/// Resources that one client subscribes to.
pub(crate) const RESOURCES_MAX: usize = 1024;
/// Bytes in the address of a resource that is subscribed to.
pub(crate) const URI_BYTES_MAX: usize = 8 * 1024;
/// Says that a resource has changed.
pub(crate) const UPDATED: &str = "notifications/resources/updated";

/// A list that may change.
pub(crate) struct Change {
    /// The member of a filter of 2026-07-28 that asks to be told.
    pub(crate) member: &'static str,
    /// The capability whose `listChanged` promises to tell.
    pub(crate) capability: &'static str,
    /// The notification.
    pub(crate) method: &'static str,
}

pub(crate) const CHANGES: [Change; 3] = [
    Change { member: "toolsListChanged", capability: "tools", method: "notifications/tools/list_changed" },
    Change {
        member: "promptsListChanged",
        capability: "prompts",
        method: "notifications/prompts/list_changed",
    },
    Change {
        member: "resourcesListChanged",
        capability: "resources",
        method: "notifications/resources/list_changed",
    },
];

/// Whether a notification tells of a change, and belongs to no call.
pub(crate) fn is_change(method: &str) -> bool {
    method == UPDATED || CHANGES.iter().any(|change| change.method == method)
}

/// The address in the parameters of whatever is about one resource.
pub(crate) fn uri(params: &str) -> Option<String> {
    serde_json::from_str(&params[splice::find(params, &["uri"])?]).ok()
}
