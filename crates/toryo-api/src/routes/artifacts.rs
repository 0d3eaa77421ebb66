//! Blobs: text from repositories and models, so it is never served as something a browser would execute.

use crate::app::App;
use crate::extract::Id;
use crate::problem::{Problem, ProblemBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use toryo_blackboard::artifacts;
use toryo_domain::ArtifactId;

/// The bytes of an artifact.
#[utoipa::path(get, path = "/artifacts/{id}", tag = "runs",
    params(("id" = String, Path, description = "The artifact.", format = Uuid)),
    responses((status = 200, description = "The bytes.", body = Vec<u8>, content_type = "application/octet-stream"),
              (status = 304, description = "The bytes are those you have."),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    Id(id): Id<ArtifactId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let artifact = artifacts::get(app.db(), id).await?;
    let tag = format!("\"{}\"", artifact.digest);
    let unchanged = headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes());
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        app.blobs.get(&artifact.digest).await?.into_response()
    };
    let sealed = [
        (header::CONTENT_TYPE, safe_type(&artifact.media_type).to_owned()),
        (header::CONTENT_DISPOSITION, attachment(&artifact.name)),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; frame-ancestors 'none'".to_owned()),
        (header::ETAG, tag),
        // Immutable under its id, and for this person only.
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned()),
    ];
    for (name, value) in sealed {
        let value = HeaderValue::try_from(value).map_err(|error| Problem::internal(&error))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// A type that no browser executes: JSON, a diff, or plain text; everything else is bytes.
fn safe_type(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => "application/json",
        "text/x-diff" => "text/x-diff; charset=utf-8",
        text if text.starts_with("text/") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// RFC 6266, with the name in both forms; only harmless characters in the plain one.
fn attachment(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = base
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || "._-#+ ".contains(char) { char } else { '_' })
        .take(120)
        .collect();
    let encoded: String = base
        .bytes()
        .take(240)
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_served_that_a_browser_executes() {
        for hostile in
            ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/javascript", ""]
        {
            let served = safe_type(hostile);
            assert!(
                matches!(served, "text/plain; charset=utf-8" | "application/octet-stream"),
                "{hostile}: {served}"
            );
        }
        assert_eq!(safe_type("text/x-diff"), "text/x-diff; charset=utf-8");
        assert_eq!(safe_type("application/json; x=y"), "application/json");
    }

    #[test]
    fn a_hostile_name_cannot_leave_its_header() {
        insta::assert_snapshot!(attachment(
            "../../etc/a\"; filename=\"b\r\nSet-Cookie: x\u{e9}\u{68df}.html"
        ));
        assert!(HeaderValue::try_from(attachment("a\r\nb: c")).is_ok());
    }
}
