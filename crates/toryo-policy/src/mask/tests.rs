//! Tests of masking. The secrets are put together here, so that no scanner takes this file for a leak.

use super::*;
use proptest::prelude::*;

fn mask(text: &str) -> String {
    Masker::default().mask(text).into_owned()
}

fn pem() -> String {
    format!(
        "-----BEGIN RSA {0}-----\n{1}\n{1}\nQ==\n-----END RSA {0}-----",
        "PRIVATE KEY", "MIIEowIBAAKCAQEA1c7+9z5Pad7OejecsQ0b"
    )
}

fn samples() -> Vec<(String, &'static str)> {
    let random = "kJ8s7dHq2LmZ0xPvB4nT6wYc9RfGaE1uXoQi";
    vec![
        (format!("{}{}", "AKIA", "Z7Q3MPLW5XKD2RVN"), "aws_key"),
        (format!("{}_{random}", "ghp"), "github_token"),
        (format!("{}_{random}{random}", "github_pat"), "github_token"),
        (format!("{}-{random}", "glpat"), "gitlab_token"),
        (format!("{}-ant-api03-{random}", "sk"), "model_key"),
        (format!("{}-{random}", "sk"), "model_key"),
        (format!("{}-123456789012-{random}", "xoxb"), "slack_token"),
        (format!("{}{}", "AIza", &random[..35]), "google_key"),
        (format!("{}_live_{random}", "sk"), "stripe_key"),
        (format!("{}_{random}", "npm"), "package_token"),
        (format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{random}"), "jwt"),
        (pem(), "private_key"),
        (pem().replace('\n', "\\n"), "private_key"),
    ]
}

#[test]
fn well_known_shapes_are_masked_wherever_they_stand() {
    for (secret, kind) in samples() {
        for (before, after) in [("", ""), ("see ", " there"), ("x = \"", "\""), ("(", ")"), ("日本", "語")]
        {
            let masked = mask(&format!("{before}{secret}{after}"));
            assert_eq!(
                masked.trim_end(),
                format!("{before}[masked:{kind}]{}{after}", "\n".repeat(secret.matches('\n').count()))
                    .trim_end(),
                "{secret}"
            );
        }
    }
}

#[test]
fn values_after_telling_names_are_masked() {
    let random = "kJ8s7dHq2LmZ0xPv";
    for (text, expected) in [
        (format!("api_key = \"{random}\""), "api_key = \"[masked:assigned_secret]\""),
        ("apiKey: 'supersecretvalue'".into(), "apiKey: '[masked:assigned_secret]'"),
        ("{\"password\": \"hunter2\"}".into(), "{\"password\": \"[masked:assigned_secret]\"}"),
        (
            format!("export AWS_SECRET_ACCESS_KEY={random}"),
            "export AWS_SECRET_ACCESS_KEY=[masked:assigned_secret]",
        ),
        (format!("Authorization: Bearer {random}"), "Authorization: Bearer [masked:authorization]"),
        (format!("-H 'authorization: token {random}'"), "-H 'authorization: token [masked:authorization]'"),
        ("postgres://app:s3cr3t@db/app".into(), "postgres://app:[masked:url_password]@db/app"),
        (format!("https://{random}:x-oauth@host/a"), "https://kJ8s7dHq2LmZ0xPv:[masked:url_password]@host/a"),
        ("token := `Abcdef1234`".into(), "token := `[masked:assigned_secret]`"),
    ] {
        assert_eq!(mask(&text), expected);
    }
}

#[test]
fn ordinary_code_and_prose_stay() {
    for text in [
        "self.password = hashed_password",
        "token = next(tokens)",
        "password = os.environ[\"DB_PASSWORD\"]",
        "api_key = \"your-key-here\"",
        "api_key = \"${API_KEY}\"",
        "grant = {\"token\": \"access_token\", \"label\": \"Password\"}",
        "def check(password: str, token: Token) -> None:",
        "if line == \"-----BEGIN PRIVATE KEY-----\":\n    return parse(line)",
        "The bearer of this letter; bearer authentication is used",
        "secret = sha256_of_the_token",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "https://host:8080/path@2024",
        "task-based risk-aware sk-learn",
        "user@example.com",
    ] {
        assert!(matches!(Masker::default().mask(text), Cow::Borrowed(_)), "{}", mask(text));
    }
}

#[test]
fn lines_stay_lines() {
    let text = format!("a\n{}\nb\n", pem());
    let masked = mask(&text);
    assert_eq!(masked.lines().count(), text.lines().count());
    assert_eq!(masked.lines().next_back(), Some("b"));
}

#[test]
fn known_secrets_and_addresses_are_masked_on_request() {
    let masker = Masker::new(["hunter22", "hunter22-long", "short", ""]).with_emails();
    assert_eq!(
        masker.mask("hunter22-long hunter22 short ann@example.org"),
        "[masked:known] [masked:known] short [masked:email]"
    );
    assert!(!format!("{masker:?}").contains("hunter"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn masking_twice_changes_nothing_more(parts in proptest::collection::vec(fragment(), 0..12), emails in any::<bool>()) {
        let masker = Masker::new(["masked", "known]", "hunter22", "aws_key", "=\"abcdef"]);
        let masker = if emails { masker.with_emails() } else { masker };
        let text = parts.concat();
        let once = masker.mask(&text).into_owned();
        prop_assert_eq!(masker.mask(&once).into_owned(), once);
    }

    #[test]
    fn a_secret_never_survives_its_surroundings(index in 0_usize..13, before in "[ \"'(=:\n]{0,3}", after in "[ \"'),;\n]{0,3}") {
        let (secret, _) = samples().swap_remove(index);
        let masked = mask(&format!("{before}{secret}{after}"));
        prop_assert!(!masked.contains(&secret));
    }

    #[test]
    fn lines_are_kept_for_any_text(parts in proptest::collection::vec(fragment(), 0..12)) {
        let text = parts.concat();
        prop_assert_eq!(mask(&text).matches('\n').count(), text.matches('\n').count());
    }
}

/// Pieces of which secrets, marks and ordinary text are made.
fn fragment() -> impl Strategy<Value = String> {
    let samples =
        proptest::sample::select(samples().into_iter().map(|(secret, _)| secret).collect::<Vec<_>>());
    let pieces = proptest::sample::select(vec![
        "password",
        "token",
        "api_key",
        " = ",
        ": ",
        "\"",
        "'",
        "\n",
        "[masked:",
        "]",
        "known",
        "bearer ",
        "Authorization",
        "://",
        "@",
        ":",
        "https",
        "hunter22",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "a1b2c3d4e5f6g7h8",
        " ",
    ]);
    prop_oneof![samples, pieces.prop_map(str::to_owned), ".{0,6}"]
}
