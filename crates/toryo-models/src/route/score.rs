//! The strategy `scored`: success, speed, load and fitness for the kind of work in one number (requirements
//! R131–R135; the weights and tables are theirs).

use crate::config::Specialisation;

/// What kind of work a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// Code is written.
    CodeGeneration,
    /// Weaknesses are looked for.
    SecurityAnalysis,
    /// Slowness is looked for.
    PerformanceTest,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Work {
    /// From the name that a caller gives; what is not known is [`Unknown`](Self::Unknown).
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "code_generation" => Self::CodeGeneration,
            "security_analysis" => Self::SecurityAnalysis,
            "performance_test" | "performance_testing" => Self::PerformanceTest,
            _ => Self::Unknown,
        }
    }
}

/// What is known of a deployment at the moment of the choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    /// Of the last 100 requests, 0 to 1.
    pub success_rate: f64,
    /// Moving mean of the time to answer, in seconds.
    pub response_seconds: f64,
    /// Requests under way.
    pub connections: u32,
    /// Requests at once that it serves well; at least 1.
    pub capacity: u32,
    /// What it is best at.
    pub specialisation: Option<Specialisation>,
    /// Its strength, 1 to 10.
    pub weight: u32,
}

/// R132: the higher, the better. `complexity` is 0 to 1.
pub(crate) fn score(standing: &Standing, work: Work, complexity: f64) -> f64 {
    let load = f64::from(standing.connections) / f64::from(standing.capacity);
    0.3 * standing.success_rate
        + 0.25 / (1.0 + standing.response_seconds)
        + 0.2 * (1.0 - load)
        + 0.15 * compatibility(standing.specialisation, work)
        + 0.1 * complexity_fit(standing.weight, complexity)
}

/// R133.
const fn compatibility(specialisation: Option<Specialisation>, work: Work) -> f64 {
    use Specialisation::{CodeGenerator, PerformanceTester, SecurityScanner};
    let Some(specialisation) = specialisation else { return 0.5 };
    match (work, specialisation) {
        (Work::CodeGeneration, CodeGenerator)
        | (Work::SecurityAnalysis, SecurityScanner)
        | (Work::PerformanceTest, PerformanceTester) => 1.0,
        (Work::CodeGeneration, SecurityScanner) | (Work::PerformanceTest, CodeGenerator) => 0.3,
        (Work::CodeGeneration, PerformanceTester) | (Work::PerformanceTest, SecurityScanner) => 0.2,
        (Work::SecurityAnalysis, CodeGenerator) => 0.4,
        (Work::SecurityAnalysis, PerformanceTester) => 0.1,
        (Work::Unknown, _) => 0.5,
    }
}

/// R134: simple work fits everywhere, middling work a middling strength, hard work the strongest.
fn complexity_fit(weight: u32, complexity: f64) -> f64 {
    let weight = f64::from(weight.min(10));
    if complexity <= 0.3 {
        1.0
    } else if complexity <= 0.7 {
        1.0 - (weight - 5.0).abs() / 5.0
    } else {
        weight / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of R132.
    #[test]
    fn the_golden_vectors_hold() {
        let first = Standing {
            success_rate: 0.95,
            response_seconds: 2.5,
            connections: 0,
            capacity: 10,
            specialisation: Some(Specialisation::CodeGenerator),
            weight: 8,
        };
        let second = Standing {
            success_rate: 0.92,
            response_seconds: 3.1,
            specialisation: Some(Specialisation::SecurityScanner),
            weight: 6,
            ..first
        };
        let of = |standing| (score(standing, Work::CodeGeneration, 0.5) * 1e5).round() / 1e5;
        assert_eq!((of(&first), of(&second)), (0.74643, 0.66198));
        let busy = Standing { connections: 10, ..first };
        assert!(
            (score(&first, Work::CodeGeneration, 0.5) - score(&busy, Work::CodeGeneration, 0.5) - 0.2).abs()
                < 1e-12
        );
    }

    #[test]
    fn fitness_follows_the_tables() {
        use Specialisation::{CodeGenerator, PerformanceTester, SecurityScanner};
        let rows = [
            (Work::CodeGeneration, [1.0, 0.3, 0.2]),
            (Work::SecurityAnalysis, [0.4, 1.0, 0.1]),
            (Work::PerformanceTest, [0.3, 0.2, 1.0]),
            (Work::Unknown, [0.5, 0.5, 0.5]),
        ];
        for (work, expected) in rows {
            let found =
                [CodeGenerator, SecurityScanner, PerformanceTester].map(|one| compatibility(Some(one), work));
            assert_eq!(found, expected, "{work:?}");
        }
        assert_eq!(
            [0.3, 0.5, 0.7, 0.71].map(|complexity| complexity_fit(9, complexity)),
            [1.0, 1.0 - 4.0 / 5.0, 1.0 - 4.0 / 5.0, 0.9]
        );
    }
}
