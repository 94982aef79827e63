//! The problem types (RFC 9457 section 3.1.1): each kind of failure has its status, its stable code and its title here
//! and nowhere else. Programs go by the code, so a code that was released is never given another meaning.

use http::StatusCode as S;

use crate::problem::ProblemType;

const fn problem(status: S, code: &'static str, title: &'static str) -> ProblemType {
    ProblemType { status, code, title, worth_repeating: false }
}

/// What goes over by itself: the same request may succeed a moment later.
const fn passing(status: S, code: &'static str, title: &'static str) -> ProblemType {
    ProblemType { status, code, title, worth_repeating: true }
}

// The request itself.
pub(crate) const UNAUTHORIZED: ProblemType = problem(S::UNAUTHORIZED, "unauthorized", "Admin key needed");
pub(crate) const UNKNOWN_ROUTE: ProblemType = problem(S::NOT_FOUND, "unknown_route", "Unknown path");
pub(crate) const METHOD_NOT_ALLOWED: ProblemType =
    problem(S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed");
pub(crate) const INVALID_PATH: ProblemType = problem(S::BAD_REQUEST, "invalid_path", "Invalid path");
pub(crate) const INVALID_QUERY: ProblemType = problem(S::BAD_REQUEST, "invalid_query", "Invalid query");
pub(crate) const NOT_JSON: ProblemType = problem(S::UNSUPPORTED_MEDIA_TYPE, "not_json", "JSON needed");
pub(crate) const BODY_TOO_LARGE: ProblemType =
    problem(S::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large");
pub(crate) const BODY_TIMEOUT: ProblemType = problem(S::REQUEST_TIMEOUT, "body_timeout", "Body too slow");
pub(crate) const BODY_INCOMPLETE: ProblemType = problem(S::BAD_REQUEST, "body_incomplete", "Incomplete body");
pub(crate) const MALFORMED_JSON: ProblemType = problem(S::BAD_REQUEST, "malformed_json", "Malformed JSON");
pub(crate) const INVALID_REQUEST: ProblemType = problem(S::BAD_REQUEST, "invalid_request", "Invalid request");
pub(crate) const UNPROCESSABLE_REQUEST: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "unprocessable_request", "Impossible request");
pub(crate) const INVALID_KEY: ProblemType =
    problem(S::BAD_REQUEST, "invalid_idempotency_key", "Invalid idempotency key");
pub(crate) const INVALID_IF_MATCH: ProblemType =
    problem(S::BAD_REQUEST, "invalid_if_match", "Invalid If-Match");
pub(crate) const KEY_REUSED: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused");

// What it is for.
pub(crate) const COMMAND_NOT_FOUND: ProblemType =
    problem(S::NOT_FOUND, "command_not_found", "Command not found");
pub(crate) const INSTANCE_NOT_FOUND: ProblemType =
    problem(S::NOT_FOUND, "instance_not_found", "Instance not found");
pub(crate) const INSTANCE_DELETED: ProblemType = problem(S::GONE, "instance_deleted", "Instance deleted");
pub(crate) const INSTANCE_EXISTS: ProblemType = problem(S::CONFLICT, "instance_exists", "Instance exists");
pub(crate) const NAME_TAKEN: ProblemType = problem(S::CONFLICT, "name_taken", "Name taken");
pub(crate) const NOBODY_PROBES: ProblemType =
    problem(S::SERVICE_UNAVAILABLE, "nobody_probes", "Nobody probes");
pub(crate) const NOT_PROBED: ProblemType = problem(S::CONFLICT, "not_probed", "Instance not probed");
pub(crate) const NOT_HOSTED: ProblemType = problem(S::CONFLICT, "not_hosted", "Instance not hosted");
pub(crate) const NOT_RUNNING: ProblemType = problem(S::CONFLICT, "not_running", "Instance not running");
pub(crate) const SUPERSEDED: ProblemType = problem(S::CONFLICT, "superseded", "Generation superseded");
pub(crate) const UNKNOWN_REPLICA: ProblemType = problem(S::CONFLICT, "unknown_replica", "Unknown replica");
pub(crate) const UPSTREAM_ADDRESS_REFUSED: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "upstream_address_refused", "Address refused");
pub(crate) const TRANSPORT_NOT_OFFERED: ProblemType =
    problem(S::CONFLICT, "transport_not_offered", "Transport not offered");
pub(crate) const DIRECT_HAS_NO_TOKENS: ProblemType =
    problem(S::CONFLICT, "direct_has_no_tokens", "A direct instance has no tokens");
pub(crate) const TOKEN_NOT_FOUND: ProblemType = problem(S::NOT_FOUND, "token_not_found", "Token not found");
pub(crate) const TOKEN_REVOKED: ProblemType = problem(S::GONE, "token_revoked", "Token revoked");
pub(crate) const TOKEN_EXPIRED: ProblemType = problem(S::GONE, "token_expired", "Token expired");
pub(crate) const EXPIRY_PASSED: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "expiry_passed", "Expiry lies in the past");
pub(crate) const MOMENT_TO_COME: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "moment_to_come", "Moment lies in the future");
pub(crate) const PLACE_TO_COME: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "place_to_come", "No row at this place yet");
pub(crate) const EXPORT_TOO_LARGE: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "export_too_large", "More rows than a file may have");
pub(crate) const TOKEN_NOT_DUE: ProblemType = problem(S::CONFLICT, "token_not_due", "Token not expired yet");
pub(crate) const CREDENTIAL_TAKEN: ProblemType = problem(S::CONFLICT, "credential_taken", "Credential taken");
pub(crate) const TEMPLATE_NOT_FOUND: ProblemType =
    problem(S::NOT_FOUND, "template_not_found", "Template not found");
pub(crate) const TEMPLATE_DELETED: ProblemType = problem(S::GONE, "template_deleted", "Template deleted");
pub(crate) const TEMPLATE_EXISTS: ProblemType = problem(S::CONFLICT, "template_exists", "Template exists");
pub(crate) const NOT_OF_MODE: ProblemType =
    problem(S::CONFLICT, "not_of_mode", "Not a setting of this access mode");
pub(crate) const NO_COMMAND: ProblemType = problem(S::CONFLICT, "no_command", "No command to change");
pub(crate) const REQUEST_ABOVE_LIMIT: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "request_above_limit", "Request above its limit");
pub(crate) const BEYOND_A_BOUND: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "beyond_a_bound", "Beyond a bound");
pub(crate) const REVISION_CHANGED: ProblemType =
    problem(S::PRECONDITION_FAILED, "revision_changed", "Changed since it was seen");
pub(crate) const EVENT_NOT_FOUND: ProblemType = problem(S::NOT_FOUND, "event_not_found", "Event not found");
pub(crate) const UNKNOWN_AGGREGATE: ProblemType =
    problem(S::NOT_FOUND, "unknown_aggregate", "Unknown kind of aggregate");
pub(crate) const NEVER_EXISTED: ProblemType = problem(S::NOT_FOUND, "never_existed", "Never existed");
pub(crate) const DID_NOT_EXIST_YET: ProblemType =
    problem(S::NOT_FOUND, "did_not_exist_yet", "Did not exist yet");
pub(crate) const WAS_GONE: ProblemType = problem(S::GONE, "was_gone", "Did not exist any more");
pub(crate) const VIEW_NOT_FOUND: ProblemType = problem(S::NOT_FOUND, "view_not_found", "View not found");
pub(crate) const TOKEN_EXISTS: ProblemType = problem(S::CONFLICT, "token_exists", "Token exists");
pub(crate) const AMBIGUOUS_LABEL: ProblemType = problem(S::CONFLICT, "ambiguous_label", "Ambiguous label");
pub(crate) const NO_ACTIVE_TOKEN: ProblemType = problem(S::CONFLICT, "no_active_token", "No active token");

pub(crate) const NOT_UNDONE: ProblemType = problem(S::CONFLICT, "not_undone", "Change not undone");

// Documents.
pub(crate) const DOCUMENT_REFUSED: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "document_refused", "Document refused");

// Imports.
pub(crate) const ARCHIVE_DAMAGED: ProblemType =
    problem(S::UNPROCESSABLE_ENTITY, "archive_damaged", "No whole file of exported events");
pub(crate) const OTHER_MASTER_KEY: ProblemType =
    problem(S::CONFLICT, "other_master_key", "Another master key");
pub(crate) const IMPORT_RUNNING: ProblemType = passing(S::CONFLICT, "import_running", "Import under way");
pub(crate) const IMPORT_BUSY: ProblemType = passing(S::CONFLICT, "import_busy", "Commands under way");
pub(crate) const LOG_DIFFERS: ProblemType =
    problem(S::CONFLICT, "log_differs", "The log says something else");
pub(crate) const LOG_GAP: ProblemType = problem(S::CONFLICT, "log_gap", "Events before these are missing");
pub(crate) const NO_ROOM: ProblemType =
    problem(S::SERVICE_UNAVAILABLE, "no_room", "No room to keep the file");

// The platform.
pub(crate) const UNDECIDED: ProblemType =
    passing(S::SERVICE_UNAVAILABLE, "undecided", "Command not decided yet");
pub(crate) const NOT_VISIBLE: ProblemType =
    passing(S::SERVICE_UNAVAILABLE, "not_visible_yet", "Command not visible yet");
pub(crate) const LOG_UNREADABLE: ProblemType =
    problem(S::SERVICE_UNAVAILABLE, "log_unreadable", "Log unreadable");
pub(crate) const TOO_MANY_TAILS: ProblemType =
    passing(S::SERVICE_UNAVAILABLE, "too_many_tails", "Too many event streams");
pub(crate) const TOO_MANY_EXPORTS: ProblemType =
    passing(S::SERVICE_UNAVAILABLE, "too_many_exports", "Too many exports");
pub(crate) const CLIENT_TOO_SLOW: ProblemType =
    problem(S::REQUEST_TIMEOUT, "client_too_slow", "Client too slow");
pub(crate) const STORE_UNAVAILABLE: ProblemType =
    passing(S::SERVICE_UNAVAILABLE, "store_unavailable", "Event store away");
pub(crate) const SECRET_UNREADABLE: ProblemType =
    problem(S::SERVICE_UNAVAILABLE, "secret_unreadable", "Secret unreadable");
pub(crate) const ACCESS_LOG_UNAVAILABLE: ProblemType =
    passing(S::SERVICE_UNAVAILABLE, "access_log_unavailable", "Access log away");
pub(crate) const ACCESS_LOG_UNREADABLE: ProblemType =
    problem(S::SERVICE_UNAVAILABLE, "access_log_unreadable", "Access log unreadable");
pub(crate) const NO_RANDOMNESS: ProblemType =
    problem(S::SERVICE_UNAVAILABLE, "no_randomness", "No random bytes");
pub(crate) const PANICKED: ProblemType =
    problem(S::INTERNAL_SERVER_ERROR, "internal_error", "Defect of the platform");
