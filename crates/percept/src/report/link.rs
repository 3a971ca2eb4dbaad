//! Links between files of one disk.

use std::fs;
use std::path::{Component, Path, PathBuf, absolute};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// All but the unreserved characters of RFC 3986: no name is taken for a scheme, a query or a place in a page.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The relative link from a page in `folder` to `path`; `None` where there is no way, as between drives.
///
/// Steps up are counted in the paths as they are written, as browsers do, not in what symbolic links mean.
pub(super) fn relative(folder: &Path, path: &Path) -> Option<String> {
    let (from, to) = (settled(folder)?, settled(path)?);
    let (mut from, mut to) = (from.components().peekable(), to.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| "..".to_owned());
    let down = to.map(|component| match component {
        Component::Normal(name) => Some(percent_encode(name.as_encoded_bytes(), RESERVED).to_string()),
        _ => None,
    });
    let steps: Vec<String> = up.map(Some).chain(down).collect::<Option<_>>()?;
    Some(if steps.is_empty() { ".".to_owned() } else { steps.join("/") })
}

/// The absolute path without steps up.
fn settled(path: &Path) -> Option<PathBuf> {
    // `.` is where the process is; an empty path is none.
    let path = absolute(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()?;
    if !path.components().any(|component| component == Component::ParentDir) {
        return Some(path);
    }
    // Only the disk knows what is above a symbolic link.
    if let Ok(real) = fs::canonicalize(&path) {
        return Some(real);
    }
    let mut settled = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                settled.pop();
            }
            other => settled.push(other),
        }
    }
    Some(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_the_page_to_the_file() {
        let link = |folder: &str, path: &str| relative(Path::new(folder), Path::new(path)).unwrap();
        assert_eq!(link("", "in/a.wav"), "in/a.wav");
        assert_eq!(link("out/pages", "in/a.wav"), "../../in/a.wav");
        assert_eq!(link("/x/y", "/x/y/z"), "z");
        assert_eq!(link("/x/y", "/x/../v/w"), "../../v/w");
        assert_eq!(link("/x/y", "/x/y"), ".");
    }

    #[test]
    fn names_stay_names() {
        let link = |path: &str| relative(Path::new(""), Path::new(path)).unwrap();
        assert_eq!(link("javascript:alert(1)"), "javascript%3Aalert%281%29");
        assert_eq!(link("a b#c?d%20\"<e"), "a%20b%23c%3Fd%2520%22%3Ce");
        assert_eq!(link("\u{e9}/x"), "%C3%A9/x");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff"));
            assert_eq!(relative(Path::new(""), path).unwrap(), "a%FF");
        }
    }
}
