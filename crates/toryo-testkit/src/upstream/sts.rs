//! AssumeRole of AWS's Security Token Service: credentials that expire.

use super::State;
use super::bedrock::check_signature;
use super::http::{SeenCall, Steps, whole};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) fn answer(call: &SeenCall, state: &State) -> Steps {
    let form = String::from_utf8_lossy(&call.raw).into_owned();
    let field = |name: &str| {
        let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| unescaped(value))
    };
    let wrong = match (check_signature(call, "sts"), field("Action").as_deref(), field("RoleArn")) {
        (Ok(_), Some("AssumeRole"), Some(role)) if role.starts_with("arn:aws:iam::") => {
            let session = field("RoleSessionName").unwrap_or_default();
            let external = field("ExternalId").map(|id| format!(" {id}")).unwrap_or_default();
            return hand_out(state, format!("{role} {session}{external}"));
        }
        (Err(refusal), ..) => refusal.message,
        _ => format!("not AssumeRole of a role: {form}"),
    };
    state.violation(wrong.clone());
    let body = format!(
        "<ErrorResponse><Error><Code>ValidationError</Code><Message>{wrong}</Message></Error></ErrorResponse>"
    );
    whole(400, "text/xml", &[], body.into_bytes())
}

fn hand_out(state: &State, who: String) -> Steps {
    let mut memory = state.memory();
    memory.assumed.push(who);
    let (count, lasts) = (memory.assumed.len(), memory.credentials_last);
    drop(memory);
    let expires = SystemTime::now() + lasts;
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIA{count}</AccessKeyId><SecretAccessKey>secret{count}</SecretAccessKey>\
         <SessionToken>token{count}</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleResult>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>",
        rfc3339(expires.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
    );
    whole(200, "text/xml", &[], body.into_bytes())
}

/// `2026-11-21T20:00:00Z` (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (digit(rest.next()).unwrap_or(0), digit(rest.next()).unwrap_or(0));
                u8::try_from(high * 16 + low).unwrap_or(b'?')
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_767_225_599), "2025-12-31T23:59:59Z");
    }
}
