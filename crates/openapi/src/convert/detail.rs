//! How much tools say, from the most to the least: the first that fits is taken.

use crate::limit::{DESCRIPTION_CHARS_MAX, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX};

pub(crate) struct Detail {
    /// Characters of a tool's description.
    pub(crate) description_chars: usize,
    /// Characters of descriptions in schemas.
    pub(crate) schema_chars: usize,
    pub(crate) input_bytes: usize,
    /// Without any, tools do not say what they answer.
    pub(crate) output_bytes: usize,
}

pub(crate) const DETAILS: [Detail; 10] = [
    detail(DESCRIPTION_CHARS_MAX, 400, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX),
    detail(DESCRIPTION_CHARS_MAX, 300, INPUT_BYTES_MAX, 4096),
    detail(800, 200, 12 * 1024, 2048),
    detail(600, 160, 8192, 1024),
    detail(500, 120, 6144, 512),
    detail(500, 120, 6144, 0),
    detail(300, 80, 4096, 0),
    detail(200, 40, 2048, 0),
    detail(120, 0, 1024, 0),
    detail(60, 0, 256, 0),
];

const fn detail(
    description_chars: usize,
    schema_chars: usize,
    input_bytes: usize,
    output_bytes: usize,
) -> Detail {
    Detail { description_chars, schema_chars, input_bytes, output_bytes }
}
