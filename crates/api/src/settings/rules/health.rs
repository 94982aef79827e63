//! The rules on how an instance is probed.

use domain::instance::HealthCheck;
use domain::instance::health::{INTERVAL_SECONDS_MAX, INTERVAL_SECONDS_MIN, TOOL_BYTES_MAX, TOOLS_MAX};

use crate::violation::Violations;

pub(in crate::settings) fn check(check: &HealthCheck, violations: &mut Violations) {
    if !(INTERVAL_SECONDS_MIN..=INTERVAL_SECONDS_MAX).contains(&check.interval_seconds) {
        let detail = format!("probes come every {INTERVAL_SECONDS_MIN} to {INTERVAL_SECONDS_MAX} seconds");
        violations.add_at(&["health_check", "interval_seconds"], detail);
    }
    if check.tools.len() > TOOLS_MAX {
        let detail = format!("at most {TOOLS_MAX} tools can be expected");
        violations.add_at(&["health_check", "tools"], detail);
    }
    for tool in &check.tools {
        if tool.is_empty() || tool.chars().any(char::is_control) {
            let detail = "the name of a tool is not empty and has no control characters";
            violations.add_at(&["health_check", "tools"], detail);
        }
        if tool.len() > TOOL_BYTES_MAX {
            let detail = format!("the name of a tool has at most {TOOL_BYTES_MAX} bytes");
            violations.add_beyond_form_at(&["health_check", "tools"], detail);
        }
    }
}
