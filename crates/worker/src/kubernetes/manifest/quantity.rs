//! Quantities as the API server itself writes them: what it would write in another way would look like drift.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths of a core.
pub(crate) fn millis(millis: u32) -> Quantity {
    Quantity(if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") })
}

/// Bytes, with the largest suffix that loses nothing.
pub(crate) fn bytes(bytes: u64) -> Quantity {
    const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let (base, suffixes) = if bytes.is_multiple_of(1024) { (1024, BINARY) } else { (1000, DECIMAL) };
    let (mut number, mut power) = (bytes, 0);
    while number > 0 && number.is_multiple_of(base) && power + 1 < suffixes.len() {
        number /= base;
        power += 1;
    }
    Quantity(format!("{number}{}", suffixes[power]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_their_canonical_form() {
        assert_eq!([100, 1000, 1500].map(|number| millis(number).0), ["100m", "1", "1500m"]);
        let written = [512 << 20, 1 << 30, 1500, 1_000_000, 1025].map(|number| bytes(number).0);
        assert_eq!(written, ["512Mi", "1Gi", "1500", "1M", "1025"]);
    }
}
