//! The content of a message: a text or a list of parts.

use crate::chat::{Image, Part};
use crate::dialect::at::{At, BadRequest, leave, list, may_text, need_text, object, take};
use serde_json::{Map, Value};

/// Reads `content`.
pub(super) fn read(
    content: Value,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Vec<Part>, BadRequest> {
    if let Value::String(text) = content {
        return Ok(vec![Part::Text(text)]);
    }
    let Value::Array(list) = content else {
        return Err(at.wrong("has to be a string or a list of parts"));
    };
    let mut parts = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        part(value, at.index(index), &mut parts, extra)?;
    }
    Ok(parts)
}

fn part(
    value: Value,
    at: At<'_>,
    parts: &mut Vec<Part>,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let mut part = object(value, at)?;
    let kind = need_text(&mut part, "type", &at)?;
    // Anthropic's mark, which clients of many servers put into this dialect as well.
    let cache = take(&mut part, "cache_control").is_some();
    parts.push(match kind.as_str() {
        "text" => Part::Text(need_text(&mut part, "text", &at)?),
        "refusal" => Part::Refusal(need_text(&mut part, "refusal", &at)?),
        "image_url" => {
            let at = at.key("image_url");
            let mut image = object(take(&mut part, "image_url").ok_or_else(|| at.missing())?, at)?;
            let url = need_text(&mut image, "url", &at)?;
            let detail = may_text(&mut image, "detail", &at)?;
            leave(image, &at, extra);
            self::image(url, detail, at.key("url"))?
        }
        "input_audio" | "file" => {
            part.insert("type".into(), kind.into());
            Part::Other(Value::Object(std::mem::take(&mut part)))
        }
        _ => return Err(at.key("type").unknown(&kind, "text, refusal, image_url, input_audio and file")),
    });
    leave(part, &at, extra);
    if cache {
        parts.push(Part::CachePoint);
    }
    Ok(())
}

/// A picture by its address, or in it.
pub(in crate::dialect) fn image(url: String, detail: Option<String>, at: At<'_>) -> Result<Part, BadRequest> {
    if let Some(inline) = url.strip_prefix("data:") {
        let (media_type, data) =
            inline.split_once(";base64,").ok_or_else(|| at.wrong("has to carry its data in Base64"))?;
        let (media_type, data) = (media_type.to_owned(), data.to_owned());
        return Ok(Part::Image(Image::Inline { media_type, data, detail }));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(Part::Image(Image::Url { url, detail }));
    }
    Err(at.wrong("has to begin with https:, http: or data:"))
}

/// Earlier reasoning in the provider's own form.
pub(super) fn thinking(value: Value, at: At<'_>) -> Result<Vec<Part>, BadRequest> {
    let blocks = list(value, at)?;
    Ok(blocks.into_iter().map(Part::Reasoning).collect())
}
