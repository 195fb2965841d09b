use domain::Fault;
use http::HeaderMap;

/// The value of a header that may stand once. Its fault's path is the header's name.
pub fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::new(name, "repeated", format!("the header {name} may stand once")));
    }
    let text = value.to_str().map_err(|_| {
        Fault::new(name, "not-ascii", format!("the header {name} takes visible ASCII characters and spaces"))
    })?;
    Ok(Some(text.trim()))
}
