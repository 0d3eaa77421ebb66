//! Numbers with a check digit: bank accounts and payment cards, written in one piece or in groups.

use std::ops::Range;

/// Digits of a card number (ISO/IEC 7812-1 allows 19; the shortest in use has 13).
const CARD: Range<usize> = 13..20;

/// Characters of a bank account number by country, from the IBAN registry (SWIFT, ISO 13616).
const IBAN_LENGTHS: &str = "\
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 \
    IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 \
    NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 \
    SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// Payment cards: an issuer's prefix with its length, and a right check digit.
pub(super) fn cards(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() || (at > 0 && touches(bytes[at - 1])) {
            at += 1;
            continue;
        }
        let run = run(bytes, at, CARD.end - 1, u8::is_ascii_digit);
        let longest = CARD.rev().find_map(|length| {
            let digits = run.get(..length)?;
            let end = digits.last()? + 1;
            let alone = !bytes.get(end).is_some_and(|next| touches(*next));
            (alone && is_card(bytes, digits)).then_some(end)
        });
        match longest {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Bank accounts: a country's length, and right check digits.
pub(super) fn ibans(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        let head = &bytes[at..at + 4];
        let begins = head[..2].iter().all(u8::is_ascii_alphabetic)
            && head[2..].iter().all(u8::is_ascii_digit)
            && (at == 0 || !touches(bytes[at - 1]));
        let length = if begins { iban_length(&head[..2]) } else { None };
        let end = length.and_then(|length| {
            let run = run(bytes, at, length, u8::is_ascii_alphanumeric);
            let end = run.last()? + 1;
            let alone = !bytes.get(end).is_some_and(|next| touches(*next));
            (run.len() == length && alone && remainder(bytes, &run) == 1).then_some(end)
        });
        match end {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn iban_length(country: &[u8]) -> Option<usize> {
    let of =
        |entry: &str| entry.as_bytes()[..2].eq_ignore_ascii_case(country).then(|| entry[2..].parse().ok());
    IBAN_LENGTHS.split(' ').find_map(of).flatten()
}

/// Places of the characters of a number from here on, single spaces and dashes between them left out.
fn run(bytes: &[u8], from: usize, most: usize, belongs: impl Fn(&u8) -> bool) -> Vec<usize> {
    let mut places = Vec::with_capacity(most);
    let mut at = from;
    while places.len() < most {
        match bytes.get(at) {
            Some(byte) if belongs(byte) => places.push(at),
            Some(b' ' | b'-') if bytes.get(at + 1).is_some_and(&belongs) => {}
            _ => break,
        }
        at += 1;
    }
    places
}

/// A byte that makes a number part of something longer. Bytes from 0x80 on are letters of other scripts, or signs: they
/// do not count, as such texts often have no spaces.
const fn touches(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Prefixes and lengths of the issuers that are in general use.
fn is_card(bytes: &[u8], digits: &[usize]) -> bool {
    let first = |count: usize| {
        digits[..count].iter().fold(0_u32, |number, at| number * 10 + u32::from(bytes[*at] - b'0'))
    };
    let lengths = match (first(1), first(2), first(4)) {
        (_, 34 | 37, _) => 15..=15,
        (_, 36 | 38 | 39, _) | (_, _, 3000..=3059) => 14..=19,
        (_, 51..=55, _) | (_, _, 2221..=2720) => 16..=16,
        (_, 60 | 62 | 64 | 65, _) | (_, _, 3528..=3589) => 16..=19,
        (4, _, _) | (_, 50 | 56..=59 | 63 | 67, _) => 13..=19,
        _ => return false,
    };
    lengths.contains(&digits.len()) && has_check_digit(bytes, digits)
}

/// Luhn's formula (ISO/IEC 7812-1, annex B).
fn has_check_digit(bytes: &[u8], digits: &[usize]) -> bool {
    let sum: u32 = digits.iter().rev().enumerate().fold(0, |sum, (place, at)| {
        let digit = u32::from(bytes[*at] - b'0');
        let weighted = if place % 2 == 1 { digit * 2 } else { digit };
        sum + weighted / 10 + weighted % 10
    });
    sum.is_multiple_of(10)
}

/// The number, its first four characters moved to its end and letters written as 10 to 35, modulo 97 (ISO 7064).
fn remainder(bytes: &[u8], places: &[usize]) -> u32 {
    let turned = places[4..].iter().chain(&places[..4]);
    turned.fold(0, |rest, at| match bytes[*at] {
        digit @ b'0'..=b'9' => (rest * 10 + u32::from(digit - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter.to_ascii_uppercase() - b'A') + 10) % 97,
    })
}
