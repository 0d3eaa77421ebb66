//! Reading columns as domain types; a stored value that does not read is named as corrupt.

use crate::Error;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::str::FromStr;

/// A column of a type that Postgres knows.
pub fn get<'r, T>(row: &'r PgRow, column: &'static str) -> Result<T, Error>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(|error| Error::corrupt(column, error))
}

/// A text column that reads as a domain type.
pub fn parse<T>(row: &PgRow, column: &'static str) -> Result<T, Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    get::<String>(row, column)?.parse().map_err(|error| Error::corrupt(column, error))
}

/// A text column, null or a domain type.
pub fn parse_opt<T>(row: &PgRow, column: &'static str) -> Result<Option<T>, Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    get::<Option<String>>(row, column)?
        .map(|text| text.parse().map_err(|error| Error::corrupt(column, error)))
        .transpose()
}

/// A JSON column.
pub fn json<T: serde::de::DeserializeOwned>(row: &PgRow, column: &'static str) -> Result<T, Error> {
    let value: serde_json::Value = get(row, column)?;
    serde_json::from_value(value).map_err(|error| Error::corrupt(column, error))
}

/// A JSON column, null or a value.
pub fn json_opt<T: serde::de::DeserializeOwned>(
    row: &PgRow,
    column: &'static str,
) -> Result<Option<T>, Error> {
    get::<Option<serde_json::Value>>(row, column)?
        .map(|value| serde_json::from_value(value).map_err(|error| Error::corrupt(column, error)))
        .transpose()
}

/// An integer column that is never negative.
pub fn unsigned(row: &PgRow, column: &'static str) -> Result<u64, Error> {
    u64::try_from(get::<i64>(row, column)?).map_err(|error| Error::corrupt(column, error))
}

/// A value as JSON for a column.
pub fn to_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map(|value| without_nul(&value)).map_err(|error| Error::corrupt(what, error))
}

/// Postgres' `text` and `jsonb` hold no NUL character; output of hostile programs and replies of models may.
pub fn without_nul(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(storable(text)),
        Value::Array(items) => Value::Array(items.iter().map(without_nul).collect()),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (storable(name), without_nul(field))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A text without NUL characters.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A cursor over ids: the id of the last item of a page, as text.
pub fn cursor(text: Option<&str>) -> Result<uuid::Uuid, Error> {
    match text {
        None => Ok(uuid::Uuid::max()),
        Some(text) => {
            text.parse().map_err(|_| Error::Conflict("`cursor` is not one that a list gave".into()))
        }
    }
}
