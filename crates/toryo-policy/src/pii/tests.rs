//! Tests of finding personal data. Numbers are the issuers' own test numbers, addresses are those kept for examples.

use super::*;
use proptest::prelude::*;

fn marked(finder: &Finder, text: &str) -> String {
    let mut marked = String::new();
    let mut end = 0;
    for Found { range, kind } in finder.find(text) {
        marked.push_str(&text[end..range.start]);
        marked.extend(["<", kind.as_str(), ">"]);
        end = range.end;
    }
    marked.push_str(&text[end..]);
    marked
}

fn found(text: &str) -> String {
    marked(&Finder::default(), text)
}

#[test]
fn each_kind_is_found_where_it_stands() {
    for (text, expected) in [
        ("write to ann.b+x@mail.example.org.", "write to <EMAIL>."),
        ("DE89370400440532013000", "<IBAN>"),
        ("pay to DE89 3704 0044 0532 0130 00, please", "pay to <IBAN>, please"),
        ("gb29-nwbk-6016-1331-9268-19", "<IBAN>"),
        ("card 4111111111111111 until 12/30", "card <CARD> until 12/30"),
        ("4111 1111 1111 1111 2030", "<CARD> 2030"),
        ("12 5555-5555-5555-4444", "12 <CARD>"),
        ("378282246310005;", "<CARD>;"),
        ("カード4111111111111111です", "カード<CARD>です"),
        ("call +49 (30) 901820 or +1-202-555-0143.", "call <PHONE> or <PHONE>."),
        ("(Ann, +49 30 901820) said", "(Ann, <PHONE>) said"),
        ("tel:+442079460958", "tel:<PHONE>"),
        ("password = \"Abcdef1234\"", "password = \"<SECRET>\""),
        ("postgres://app:s3cr3t@db.example.org/app", "postgres://app:<SECRET>@db.example.org/app"),
    ] {
        assert_eq!(found(text), expected);
    }
}

#[test]
fn what_only_looks_like_it_stays() {
    for text in [
        "4111111111111112",
        "order 1234567890123456",
        "DE89370400440532013001",
        "XX89370400440532013000",
        "x4111111111111111",
        "0.4111111111111111e1x",
        "a+4915112345678b",
        "1+2+3 = 6",
        "+12 34",
        "2024-02-29T12:00:00+01:00",
        "@example.org and user@localhost",
        "1700000000000",
        "version 10.2.3.4",
    ] {
        assert_eq!(found(text), text);
    }
}

#[test]
fn network_addresses_are_found_on_request() {
    let finder = Finder::default().with_ip_addresses(true);
    for (text, expected) in [
        ("from 203.0.113.7, port 80", "from <IP>, port 80"),
        ("203.0.113.7:443", "<IP>:443"),
        ("It is 203.0.113.7.", "It is <IP>."),
        ("[2001:db8::8a2e:370:7334]:80", "[<IP>]:80"),
        ("127.0.0.1 0.0.0.0 ::1 256.1.1.1 1.2.3.4.5", "127.0.0.1 0.0.0.0 ::1 256.1.1.1 1.2.3.4.5"),
        ("a::b 12:30:00 std::fmt", "a::b 12:30:00 std::fmt"),
    ] {
        assert_eq!(marked(&finder, text), expected);
    }
}

#[test]
fn the_services_own_secrets_are_found() {
    let finder = Finder::new(Masker::new(["hunter22-long", "ann@example.org"]));
    assert_eq!(
        marked(&finder, "hunter22-long, ann@example.org, bob@example.org"),
        "<SECRET>, <SECRET>, <EMAIL>"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn places_are_in_order_and_on_character_borders(parts in proptest::collection::vec(fragment(), 0..12)) {
        let text = parts.concat();
        let mut end = 0;
        for found in Finder::default().with_ip_addresses(true).find(&text) {
            prop_assert!(found.range.start >= end && !found.range.is_empty());
            prop_assert!(text.get(found.range.clone()).is_some());
            end = found.range.end;
        }
    }

    #[test]
    fn one_wrong_digit_is_noticed(at in 0_usize..16, by in 1_u8..10) {
        let mut digits = *b"5555555555554444";
        digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
        let text = String::from_utf8_lossy(&digits).into_owned();
        prop_assert_eq!(found(&text), text.clone());
    }
}

fn fragment() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "ann@example.org",
        "+49 30 901820",
        "203.0.113.7",
        "2001:db8::1:2",
        "password = \"Abcdef1234\"",
        " ",
        "-",
        "+",
        ".",
        ":",
        "é",
        "日",
        "1",
        "4",
        "DE",
        "@",
    ]);
    prop_oneof![3 => pieces.prop_map(str::to_owned), 1 => ".{0,4}"]
}
