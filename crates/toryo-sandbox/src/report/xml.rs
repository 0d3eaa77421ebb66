//! The little of XML that reports need, bounded.

use super::Error;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// The largest report that is read, in bytes.
pub(super) const LARGEST: usize = 64 << 20;

/// How deep elements may lie; reports use six levels.
pub(super) const DEEPEST: usize = 32;

/// A part of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Open { name: String, attributes: Vec<(String, String)> },
    Text(String),
    Close { name: String },
}

/// Calls `see` for each part. An element without content is opened and closed.
pub(super) fn read(bytes: &[u8], mut see: impl FnMut(Part) -> Result<(), Error>) -> Result<(), Error> {
    if bytes.len() > LARGEST {
        return Err(Error::TooLarge { size: bytes.len(), limit: LARGEST });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Broken {
        at: error.valid_up_to() as u64,
        reason: "it is not UTF-8".into(),
    })?;
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut depth, mut opened) = (0_usize, false);
    loop {
        let event = reader.read_event();
        let at = reader.buffer_position();
        let broken = |reason: String| Error::Broken { at, reason };
        match event.map_err(|error| broken(error.to_string()))? {
            Event::Start(start) => {
                depth += 1;
                opened = true;
                if depth > DEEPEST {
                    return Err(Error::TooDeep { limit: DEEPEST });
                }
                see(open(&start, at)?)?;
            }
            Event::Empty(start) => {
                opened = true;
                see(open(&start, at)?)?;
                see(Part::Close { name: start.name().0.to_owned() })?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                see(Part::Close { name: end.name().0.to_owned() })?;
            }
            Event::Text(text) => see(Part::Text(clean(&text.xml10_content())))?,
            Event::CData(text) => see(Part::Text(clean(&text.xml10_content())))?,
            Event::GeneralRef(entity) => {
                let character = entity.resolve_char_ref().map_err(|error| broken(error.to_string()))?;
                let text = match character {
                    Some(character) => character.to_string(),
                    None => resolve_predefined_entity(&entity)
                        .ok_or_else(|| Error::UnknownEntity(entity.chars().take(80).collect()))?
                        .to_owned(),
                };
                see(Part::Text(clean(&text)))?;
            }
            Event::DocType(_) => return Err(Error::DocumentType),
            Event::Eof if depth > 0 => return Err(broken("it ends within an element".into())),
            Event::Eof if !opened => return Err(broken("it holds no element".into())),
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn open(start: &BytesStart<'_>, at: u64) -> Result<Part, Error> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| Error::Broken { at, reason: error.to_string() })?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0);
        let value = value.map_err(|error| Error::Broken { at, reason: error.to_string() })?;
        attributes.push((attribute.key.0.to_owned(), clean(&value)));
    }
    Ok(Part::Open { name: start.name().0.to_owned(), attributes })
}

/// The text without the control characters that XML forbids and that a database would refuse.
fn clean(text: &str) -> String {
    let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n');
    text.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The value of an attribute.
pub(super) fn value<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
