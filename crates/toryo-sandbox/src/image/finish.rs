//! The script that turns a bare root with Python into the base image.

use super::How;

/// Shell commands run as root in the image's root; with network only where the tools come from a registry of Python
/// packages. The virtual environment belongs to user 1000, so that preparing a repository needs no other rights.
pub(crate) fn script(how: How) -> String {
    let tools = match how {
        // Installed as packages already.
        How::FromDebianPackages | How::Provided => "",
        How::FromRegistry => {
            "python3 -m pip install --progress-bar off --no-cache-dir --root-user-action ignore \\\n  \
             pytest pytest-cov pytest-timeout coverage\n\
             # Git is wanted by packages that ask it for their version; without a Debian mirror they do without.\n\
             { apt-get update -qq && apt-get install -y -qq --no-install-recommends git ca-certificates; } \\\n  \
             || echo 'Git could not be installed; going on without it'\n\
             rm -rf /var/lib/apt/lists/*\n"
        }
    };
    format!(
        "export DEBIAN_FRONTEND=noninteractive\n\
         {tools}\
         getent group 1000 > /dev/null || groupadd --gid 1000 sandbox\n\
         getent passwd 1000 > /dev/null || useradd --uid 1000 --gid 1000 --home-dir /tmp --no-create-home --shell /bin/sh sandbox\n\
         python3 -m venv --system-site-packages /opt/venv\n\
         # The system's own scripts would start the system's Python, which does not see the environment.\n\
         for tool in pytest coverage; do\n\
           printf '#!/bin/sh\\nexec /opt/venv/bin/python3 -m %s \"$@\"\\n' \"$tool\" > \"/opt/venv/bin/$tool\"\n\
           chmod 755 \"/opt/venv/bin/$tool\"\n\
         done\n\
         chown -R 1000:1000 /opt/venv\n\
         /opt/venv/bin/python3 -c 'import pytest, pytest_cov, pytest_timeout, coverage'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        insta::assert_snapshot!("script_registry", script(How::FromRegistry));
        insta::assert_snapshot!("script_debian", script(How::FromDebianPackages));
    }
}
