//! `instance probe`: what an instance answers right now.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, details, field};
use crate::rest::Rest;

/// # Errors
/// It is neither healthy nor restricted to clients with credentials of their own: the exit code is that of a failure.
pub(crate) async fn run(instance: &str, rest: &Rest, output: Output) -> Result<(), Failure> {
    let probed = rest.post(&["instances", instance, "probe"], None).await?;
    output.one(&probed, || describe(&probed))?;
    match field(&probed, "/status").as_str() {
        "healthy" | "restricted" => Ok(()),
        status => Err(Failure::Failed(anyhow::anyhow!("{instance} is {status}"))),
    }
}

fn describe(probed: &Value) -> String {
    const SHOWN: [(&str, &str); 10] = [
        ("container", "/container"),
        ("service", "/service"),
        ("mcp service", "/mcp"),
        ("asked", "/asked"),
        ("answered", "/answered"),
        ("took, ms", "/took_ms"),
        ("problem", "/problem/class"),
        ("detail", "/problem/detail"),
        ("it means", "/problem/meaning"),
        ("to check", "/problem/check"),
    ];
    details(&field(probed, "/status"), probed, &SHOWN)
}
