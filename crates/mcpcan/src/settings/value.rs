//! Words of the command line that stand for more than text.

use serde_json::{Value, json};

pub(super) fn env_pair(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return pair(text, '=').ok_or_else(|| "the name is missing".to_owned());
    }
    let value = std::env::var(text).map_err(|_| format!("no value is given, and {text} is not set here"))?;
    Ok((text.to_owned(), value))
}

pub(crate) fn header_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = pair(text, ':').ok_or("NAME:VALUE was expected")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn label_pair(text: &str) -> Result<(String, String), &'static str> {
    pair(text, '=').ok_or("KEY=VALUE was expected")
}

pub(super) fn mount_pair(text: &str) -> Result<(String, Value), &'static str> {
    let wrong = "PATH=claim:NAME, PATH=claim:NAME:ro, PATH=config:NAME or PATH=empty was expected";
    let (path, mount) = pair(text, '=').ok_or(wrong)?;
    let mount = match mount.split(':').collect::<Vec<_>>()[..] {
        ["claim", name] => json!({ "kind": "claim", "name": name, "read_only": false }),
        ["claim", name, "ro"] => json!({ "kind": "claim", "name": name, "read_only": true }),
        ["config", name] => json!({ "kind": "config", "name": name }),
        ["empty"] => json!({ "kind": "empty" }),
        _ => return Err(wrong),
    };
    Ok((path, mount))
}

/// Cores, as Kubernetes writes them: `2`, `0.5`, `500m`. In thousandths.
pub(super) fn cpu(text: &str) -> Result<u64, &'static str> {
    let wrong = "cores were expected: 2, 0.5 or 500m";
    if let Some(millis) = text.strip_suffix('m') {
        return millis.parse().map_err(|_| wrong);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong);
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().map_err(|_| wrong)?;
    let whole: u64 = whole.parse().map_err(|_| wrong)?;
    whole.checked_mul(1000).and_then(|millis| millis.checked_add(fraction)).ok_or(wrong)
}

/// Bytes, as Kubernetes writes them: `512Mi`, `2Gi`, `500M`, `1048576`.
pub(super) fn memory(text: &str) -> Result<u64, &'static str> {
    const UNITS: [(&str, u64); 9] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    let wrong = "an amount of memory was expected: 512Mi, 2Gi or a number of bytes";
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (number, bytes) = unit.ok_or(wrong)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes)).ok_or(wrong)
}

fn pair(text: &str, separator: char) -> Option<(String, String)> {
    let (name, value) = text.split_once(separator)?;
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_bytes_are_read_as_kubernetes_writes_them() {
        assert_eq!(["2", "0.5", "500m", "1.25"].map(cpu), [Ok(2000), Ok(500), Ok(500), Ok(1250)]);
        assert_eq!(["512Mi", "2G", "7"].map(memory), [Ok(512 << 20), Ok(2_000_000_000), Ok(7)]);
        for wrong in ["", "m", "1.", ".5", "0.1234", "-1", "two"] {
            assert!(cpu(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "Mi", "1.5Gi", "1mi", "99999999999999Ti"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mount_says_what_and_where() {
        let claim = json!({ "kind": "claim", "name": "disk", "read_only": true });
        assert_eq!(mount_pair("/data=claim:disk:ro"), Ok(("/data".to_owned(), claim)));
        for wrong in ["/data", "/data=disk", "=empty", "/data=claim:disk:rw"] {
            assert!(mount_pair(wrong).is_err(), "{wrong}");
        }
    }
}
