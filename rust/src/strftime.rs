//! Python's strftime for the template function `strftime_now`: the C library does the work, as it does for Python.

use std::ffi::CString;

const MAX_BYTES: usize = 4096;

#[allow(unsafe_code)]
fn broken_down(unix_s: i64, is_local: bool) -> Option<libc::tm> {
    let time = libc::time_t::try_from(unix_s).ok()?;
    // SAFETY: both functions only read `time` and fill `tm`, for which all-zero is a valid value.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        let done = if is_local { libc::localtime_r(&time, &mut tm) } else { libc::gmtime_r(&time, &mut tm) };
        (!done.is_null()).then_some(tm)
    }
}

/// None: a time or a format that cannot be written in MAX_BYTES.
#[allow(unsafe_code)]
pub fn format(format: &str, unix_s: i64, is_local: bool) -> Option<String> {
    if format.is_empty() {
        return Some(String::new());
    }
    let tm = broken_down(unix_s, is_local)?;
    let c_format = CString::new(format).ok()?;
    let mut out = vec![0u8; MAX_BYTES];
    // SAFETY: strftime writes at most out.len() bytes and reads a terminated format.
    let written = unsafe { libc::strftime(out.as_mut_ptr().cast(), out.len(), c_format.as_ptr(), &tm) };
    if written == 0 {
        return None;
    }
    out.truncate(written);
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_python() {
        let now = 1_795_350_896; // 2026-11-22 12:34:56 UTC
        let text = |f| super::format(f, now, false).unwrap();
        assert_eq!(text("%d %b %Y"), "22 Nov 2026");
        assert_eq!(text("%Y-%m-%d %H:%M:%S %A %B %j %-d"), "2026-11-22 12:34:56 Sunday November 326 22");
        assert_eq!(super::format("%99999Y", now, false), None);
        assert_eq!(super::format("a\0b", now, false), None);
    }
}
