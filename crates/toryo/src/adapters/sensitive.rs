//! What the gateway's routes take for sensitive: the policy's secrets and personal data, and the settings' own secrets.

use crate::config::Config;
use toryo_models::mask::{Found, Mask};
use toryo_policy::Masker;
use toryo_policy::pii::Finder;

/// The policy's finder as the gateway asks it.
#[derive(Debug)]
pub struct Sensitive(Finder);

impl Sensitive {
    /// By the settings.
    pub fn of(config: &Config) -> Self {
        let secrets = Masker::new(config.secrets());
        Self(Finder::new(secrets).with_ip_addresses(config.models.mask_ip_addresses))
    }
}

impl Mask for Sensitive {
    fn find(&self, text: &str) -> Vec<Found> {
        let found = self.0.find(text).into_iter();
        found.map(|found| Found { range: found.range, kind: found.kind.as_str() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_models::chat::{Chat, Event, Part, ToolCall, Turn};
    use toryo_models::mask::masked;

    #[test]
    fn what_the_policy_finds_leaves_as_placeholders_and_comes_back() {
        let text =
            "Ann (ann@example.org, +49 30 901820) pays with 4111 1111 1111 1111 or DE89370400440532013000";
        let arguments = r#"{"password":"Hunter22x","card":4111111111111111,"to":["ann@example.org"]}"#;
        let call = ToolCall { id: "c".into(), name: "pay".into(), arguments: arguments.into() };
        let chat = Chat {
            turns: vec![
                Turn::User(vec![Part::Text(text.into())]),
                Turn::Assistant { parts: Vec::new(), tool_calls: vec![call] },
            ],
            ..Chat::default()
        };
        let (sent, mut restorer) = masked(&chat, &Sensitive::of(&Config::default()));
        let [Turn::User(parts), Turn::Assistant { tool_calls, .. }] = &sent.turns[..] else {
            panic!("{sent:?}")
        };
        let [Part::Text(words)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!(words, "Ann ([EMAIL_1], [PHONE_1]) pays with [CARD_1] or [IBAN_1]");
        assert_eq!(
            tool_calls[0].arguments,
            r#"{"password":"[SECRET_1]","card":"[CARD_2]","to":["[EMAIL_1]"]}"#
        );
        let mut out = Vec::new();
        restorer.event(Event::Text(words.clone()), &mut out);
        assert_eq!(out, [Event::Text(text.into())]);
    }
}
