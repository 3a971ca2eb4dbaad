//! Bytes of a list or a template, as a path of this system.

use std::ffi::{OsStr, OsString};

use percept_core::Result;

/// On Unix any bytes are a name.
#[cfg(unix)]
pub(super) fn os_string(bytes: Vec<u8>) -> Result<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes))
}

/// Elsewhere a name in a list is UTF-8.
#[cfg(not(unix))]
pub(super) fn os_string(bytes: Vec<u8>) -> Result<OsString> {
    String::from_utf8(bytes)
        .map(OsString::from)
        .map_err(|error| percept_core::Error::argument(format!("a path is not UTF-8: {error}")))
}

/// Whether a path as typed ends in a separator, which only a folder does.
pub(super) fn ends_in_separator(path: &OsStr) -> bool {
    path.as_encoded_bytes().last().is_some_and(|byte| std::path::is_separator(char::from(*byte)))
}

/// `left` and `right` without a separator between them.
pub(super) fn concat(left: &OsStr, right: impl AsRef<OsStr>) -> OsString {
    let mut whole = left.to_owned();
    whole.push(right);
    whole
}
