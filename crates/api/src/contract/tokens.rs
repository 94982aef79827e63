//! Tokens of an instance.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation, field};
use crate::paging::Page;
use crate::tokens::{CredentialDocument, TokenDocument};

fn token(description: &'static str) -> Answer {
    Answer::json::<TokenDocument<'_>>(description).with(field::ETAG)
}

fn credential(description: &'static str) -> Answer {
    Answer::json::<CredentialDocument<'_>>(description).with(field::ETAG)
}

pub(crate) fn list() -> Operation {
    Operation::new("list_tokens", "List the tokens of an instance, oldest first")
        .answers(S::OK, Answer::json::<Page<TokenDocument<'_>>>("One page of tokens"))
        .problems([T::INSTANCE_NOT_FOUND])
}

pub(crate) fn issue() -> Operation {
    let issued =
        credential("The token with its credential in clear, which lists never show").with(field::LOCATION);
    Operation::new("issue_token", "Issue a token")
        .answers(S::CREATED, issued.identifies("instance", "/instance").identifies("token", "/id"))
        .problems(CREDENTIAL_PROBLEMS)
        .problems([
            T::DIRECT_HAS_NO_TOKENS,
            T::TOKEN_EXISTS,
            T::EXPIRY_PASSED,
            T::BEYOND_A_BOUND,
            T::UNPROCESSABLE_REQUEST,
        ])
}

/// What stands in the way of a new credential.
const CREDENTIAL_PROBLEMS: [crate::problem::ProblemType; 8] = [
    T::INSTANCE_NOT_FOUND,
    T::INSTANCE_DELETED,
    T::TOKEN_NOT_FOUND,
    T::TOKEN_REVOKED,
    T::TOKEN_EXPIRED,
    T::CREDENTIAL_TAKEN,
    T::SECRET_UNREADABLE,
    T::NO_RANDOMNESS,
];

pub(crate) fn show() -> Operation {
    Operation::new("show_token", "Show a token").answers(S::OK, token("The token")).problems([
        T::INSTANCE_NOT_FOUND,
        T::TOKEN_NOT_FOUND,
        T::AMBIGUOUS_LABEL,
    ])
}

pub(crate) fn edit() -> Operation {
    Operation::new("edit_token", "Edit a token").answers(S::OK, token("The token as it is now")).problems([
        T::INSTANCE_NOT_FOUND,
        T::TOKEN_NOT_FOUND,
        T::TOKEN_REVOKED,
        T::TOKEN_EXPIRED,
        T::EXPIRY_PASSED,
        T::BEYOND_A_BOUND,
        T::UNPROCESSABLE_REQUEST,
        T::SECRET_UNREADABLE,
        T::AMBIGUOUS_LABEL,
    ])
}

pub(crate) fn rotate() -> Operation {
    Operation::new("rotate_token", "Put another credential in the place of a token's")
        .description(
            "The old credential is refused from the next request on, or once the overlap is over. The new one is \
             random, or your own.",
        )
        .answers(S::OK, credential("The token with its new credential in clear"))
        .problems(CREDENTIAL_PROBLEMS)
        .problems([T::UNPROCESSABLE_REQUEST, T::AMBIGUOUS_LABEL])
}

pub(crate) fn revoke() -> Operation {
    Operation::new("revoke_token", "Revoke a token")
        .description("Its credential is refused from the next request on, and can never be read again.")
        .answers(S::OK, token("The token, revoked"))
        .problems([T::INSTANCE_NOT_FOUND, T::TOKEN_NOT_FOUND, T::AMBIGUOUS_LABEL])
}
