//! What a line of a server's output says of itself: its level, and the part of the server that wrote it.
//!
//! Lines are told by their form, the beginning of each only; what has no known form says nothing, and no level is
//! guessed from words in a text. Beside that, the lines of a Python traceback are errors while they stand in one. The
//! text of a line stays as it is. `logs` asks for each line, in order.

#[cfg(test)]
mod tests;
mod word;

use std::borrow::Cow;
use std::sync::LazyLock;

use access_log::{Level, Stream};
use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// How much of a line is looked at, in bytes. Of a line that is JSON, all of it is, which has a bound of its own.
const LOOK_BYTES_MAX: usize = 1024;
/// The longest name of a module, in bytes.
const MODULE_BYTES_MAX: usize = 128;

/// A moment as it begins a line, in brackets or not: ISO 8601 and what Python, Go, Node and `rich` make of it.
const TIME: &str = concat!(
    r"\[?(?:\d{4}[-/]\d{2}[-/]\d{2}[T ]|\d{2}/\d{2}/\d{2} )?",
    r"\d{1,2}:\d{2}(?:AM|PM|:\d{2}(?:[.,:]\d+)*(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)\]?",
);
const LEVEL: &str = r"(?<level>[A-Za-z]{3,13})";
/// With a dot, colons or in lower case: an ordinary word that begins a sentence is none.
const MODULE: &str = r"(?<module>[a-z_][\w.$/-]*(?:::\w+)*|[A-Z]\w*(?:\.|::)[\w.:$]+)";

/// The forms, the more particular ones first. What stands in braces is put in.
const FORMS: [&str; 21] = [
    // [I 2025-11-20 12:00:03.686.686] text; Tornado: [I 251120 12:00:03 web:2348]; Jupyter: [I … ServerApp]
    r"^\[(?<level>[TDIWEFC]) (?:\d{4}-\d{2}-\d{2}|\d{6}) \d{2}:\d{2}:\d{2}[.,\d]*(?: (?<module>[A-Za-z_][\w.-]*)(?::\d+)?)?\]",
    // klog and glog: I1120 12:00:03.686000    22 server.go:12] text
    r"^(?<level>[IWEF])\d{4} \d{2}:\d{2}:\d{2}\.\d+ +\d+ (?<module>[\w./-]+):\d+\]",
    // loguru: 2025-11-20 12:00:03.686 | INFO     | server.main:run:22 - text
    r"^{time} \| {level} *\| (?<module>[\w.<>]+):",
    // Python, as documented: 2025-11-20 12:00:03,686 - server.main - INFO - text
    r"^{time} - (?<module>[\w.-]+) - {level} - ",
    // Spring: 2025-11-20T12:00:03.686Z  INFO 1 --- [main] o.s.Main : text
    r"^{time} +{level} +\d+ --- \[[^\]]*\] +(?<module>[\w.$]+) *:",
    // Logback: 12:00:03.686 [main] INFO  com.example.Main - text
    r"^{time} \[[^\]]+\] {level} +{module} +- ",
    // gunicorn: [2025-11-20 12:00:03 +0000] [22] [INFO] text
    r"^{time} \[\d+\] \[{level}\]",
    // pino-pretty: [12:00:03.686] INFO (server/22): text
    r"^{time} {level} \((?<module>[A-Za-z][\w.-]*)/\d+\)",
    // rich, as FastMCP has it: [11/20/25 12:00:03] INFO     text     server.py:22
    r"^{time} {level} +.* {2,}(?<module>\w+\.py):\d+ *$",
    // env_logger: [2025-11-20T12:00:03Z INFO  server::main] text
    r"^\[\d{4}-\d{2}-\d{2}T[\d:.]+Z {level} +{module}\]",
    // tracing of Rust, and Python with a name: 2025-11-20T12:00:03.686Z  INFO server::main: text
    r"^{time}[ |:-]+\[?{level} *\]?[ |:-]+\[?{module}\]?: ",
    // structlog, winston with a moment, slog's default: 2025-11-20 12:00:03 [info     ] text
    r"^{time}[ |:-]+\[?{level} *\]?(?:[ :|-]|$)",
    // 2025-11-20 12:00:03,686 server.main INFO text
    r"^{time} (?<module>[A-Za-z_][\w.-]*) \[?(?<level>[A-Z]{4,8})\]?[ :]",
    // FastMCP of TypeScript: [FastMCP warning] text
    r"^\[(?<module>[A-Za-z][\w.-]*) (?<level>(?i-u:debug|info|notice|warn|warning|error|fatal))\]",
    // [INFO] [server.main] text
    r"^\[{level} *\][ :]+\[(?<module>[A-Za-z_][\w.:-]*)\]",
    r"^\[{level} *\](?:[ :]|$)",
    // logging.basicConfig: INFO:server.main:text; .NET: info: Server.Main[14]
    r"^(?<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?<module>[\w.-]+):",
    r"^(?<level>trce|dbug|info|warn|fail|crit): (?<module>[\w.]+)\[\d+\]",
    // Alembic: INFO  [server.main] text
    r"^(?<level>[A-Z]{4,8}) +\[(?<module>[\w.-]+)\] ",
    // uvicorn: INFO:     text; winston: info: text; and what says no more than its level
    r"^{level}: ",
    r"^(?<level>[A-Z]{4,8})(?: |$)",
];

/// Every name in [`FORMS`] and in these stands for the same.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| FORMS.iter().map(|form| pattern(form)).collect());

static PARTICULAR: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    // npm itself, and Node about what it was asked to do.
    [
        r"^(?<module>npm) (?<level>[A-Za-z]+!?)(?: |$)",
        r"^\((?<module>node):\d+\) (?:\[\w+\] )?\w*(?<level>Warning): ",
    ]
    .map(pattern)
});

/// Colours and the like (ECMA-48, control sequences).
static CONTROL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\x1b\[[0-9;:?]*[@-~]"));

/// A member of logfmt, or of what structlog makes of key and value.
static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?:^| )(?<key>[\w.]+)=(?:"(?<double>[^"]*)"|'(?<single>[^']*)'|(?<bare>[^ "']\S*))"#)
});

/// Members that name the level, and those that name the module, of JSON and of logfmt.
const LEVEL_KEYS: [&str; 7] = ["level", "severity", "levelname", "lvl", "log.level", "log_level", "@l"];
const MODULE_KEYS: [&str; 8] =
    ["logger", "logger_name", "logger.name", "target", "module", "component", "name", "caller"];

fn pattern(form: &str) -> Regex {
    let form = form.replace("{time}", TIME).replace("{level}", LEVEL).replace("{module}", MODULE);
    Regex::new(&form).expect("the forms are regular expressions")
}

/// Reads the lines of one replica, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Whether the last line of stdout, and of stderr, stood in a traceback.
    in_traceback: [bool; 2],
}

impl Reader {
    /// The level and the module that a line names; the module is empty if it names none.
    pub(super) fn read(&mut self, stream: Stream, text: &str) -> (Option<Level>, String) {
        let plain = CONTROL.replace_all(text, "");
        if self.is_of_traceback(stream, &plain) {
            return (Some(Level::Error), String::new());
        }
        let (level, module) = said(plain.trim_start());
        (level, module[..module.floor_char_boundary(MODULE_BYTES_MAX)].to_owned())
    }

    /// A traceback goes on as long as lines are indented; the line after that names the exception.
    fn is_of_traceback(&mut self, stream: Stream, plain: &str) -> bool {
        let state = match stream {
            Stream::Stdout => &mut self.in_traceback[0],
            Stream::Stderr => &mut self.in_traceback[1],
        };
        let was_in = *state;
        let begins = plain.starts_with("Traceback (most recent call last):");
        *state = begins || (was_in && plain.starts_with([' ', '\t']));
        begins || was_in
    }
}

fn said(line: &str) -> (Option<Level>, Cow<'_, str>) {
    if line.starts_with('{') {
        return serde_json::from_str(line).map(|object| of_json(&object)).unwrap_or_default();
    }
    let line = &line[..line.floor_char_boundary(LOOK_BYTES_MAX)];
    let mut found = PARTICULAR.iter().chain(&*PATTERNS).filter_map(|pattern| pattern.captures(line));
    let known = found.find_map(|captures| Some((word::level(captures.name("level")?.as_str())?, captures)));
    match known {
        Some((level, captures)) => (Some(level), text_of(&captures, "module")),
        None => of_members(line),
    }
}

fn text_of<'a>(captures: &Captures<'a>, name: &str) -> Cow<'a, str> {
    captures.name(name).map(|found| Cow::Borrowed(found.as_str())).unwrap_or_default()
}

/// Of a line that is one JSON object, as loggers for machines write it.
fn of_json(object: &Map<String, Value>) -> (Option<Level>, Cow<'static, str>) {
    // loguru keeps all of it one level deeper.
    let object = object.get("record").and_then(Value::as_object).unwrap_or(object);
    let level = LEVEL_KEYS.iter().find_map(|key| match object.get(*key)? {
        Value::String(word) => word::level(word),
        Value::Number(number) => word::level_of_number(number.as_u64()?),
        Value::Object(level) => word::level(level.get("name")?.as_str()?),
        _ => None,
    });
    // Without a level it is any JSON, and a name in it anything.
    let module = level.and_then(|_| MODULE_KEYS.iter().find_map(|key| object.get(*key)?.as_str()));
    (level, Cow::Owned(module.unwrap_or_default().to_owned()))
}

/// Of a line that begins with a key and a value.
fn of_members(line: &str) -> (Option<Level>, Cow<'_, str>) {
    let members: Vec<(&str, &str)> = MEMBER.captures_iter(line).filter_map(|found| member(&found)).collect();
    if !members.first().is_some_and(|(key, _)| line.starts_with(key)) {
        return Default::default();
    }
    let value = |wanted: &&str| members.iter().find(|(key, _)| key == wanted).map(|(_, value)| *value);
    let level = LEVEL_KEYS.iter().filter_map(value).find_map(word::level);
    let module = level.and_then(|_| MODULE_KEYS.iter().find_map(value));
    (level, Cow::Borrowed(module.unwrap_or_default()))
}

fn member<'a>(found: &Captures<'a>) -> Option<(&'a str, &'a str)> {
    let value = ["double", "single", "bare"].into_iter().find_map(|name| found.name(name))?;
    Some((found.name("key")?.as_str(), value.as_str()))
}
