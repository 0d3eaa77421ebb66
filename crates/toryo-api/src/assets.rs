//! Style sheet, script and icon: embedded, under names that hold their digest, so that they may be kept for ever.

use crate::problem::Problem;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;
use toryo_domain::Digest;

/// A file that pages use.
pub struct Asset {
    /// Its name with its digest.
    name: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { name: format!("{stem}-{}.{extension}", Digest::of(bytes).short()), media_type, bytes }
    }

    /// Where it is served.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// All assets.
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// The script of all pages.
    pub script: Asset,
    /// The script of the page of usage.
    pub usage: Asset,
    /// Sets the chosen theme before the first paint.
    pub theme: Asset,
    /// The icon.
    pub icon: Asset,
}

/// The assets, named once.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("toryo", "css", "text/css; charset=utf-8", include_bytes!("assets/toryo.css")),
    script: Asset::new("toryo", "js", "text/javascript; charset=utf-8", include_bytes!("assets/toryo.js")),
    usage: Asset::new("usage", "js", "text/javascript; charset=utf-8", include_bytes!("assets/usage.js")),
    theme: Asset::new("theme", "js", "text/javascript; charset=utf-8", include_bytes!("assets/theme.js")),
    icon: Asset::new("icon", "svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
});

/// Serves an asset by its name.
pub async fn serve(Path(name): Path<String>) -> Response {
    let Assets { style, script, usage, theme, icon } = &*ASSETS;
    match [style, script, usage, theme, icon].into_iter().find(|asset| asset.name == name) {
        Some(asset) => send(asset, "public, max-age=31536000, immutable"),
        None => Problem::not_found(format!("`/assets/{name}`")).into_response(),
    }
}

/// The icon under the name that browsers ask for by themselves.
pub async fn icon() -> Response {
    send(&ASSETS.icon, "public, max-age=86400")
}

fn send(asset: &'static Asset, caching: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, caching)];
    (headers, asset.bytes).into_response()
}
