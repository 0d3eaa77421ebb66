//! What a repository's commands cannot do.

use crate::support::{one, python, shell};
use toryo_sandbox::Exit;

#[tokio::test]
async fn the_network_is_unreachable() {
    let output = one(python(
        "import os, socket\n\
         print(sorted(os.listdir('/sys/class/net')))\n\
         for address in [('1.1.1.1', 53), ('172.17.0.1', 80), ('169.254.169.254', 80)]:\n\
         \x20   try: socket.create_connection(address, timeout=3); print('connected', address)\n\
         \x20   except OSError as error: print(type(error).__name__, error.errno)\n\
         try: socket.getaddrinfo('example.com', 80); print('resolved')\n\
         except socket.gaierror: print('unresolved')",
    ))
    .await;
    // 101 is ENETUNREACH.
    assert_eq!(output.text, "['lo']\nOSError 101\nOSError 101\nOSError 101\nunresolved\n");
}

#[tokio::test]
async fn the_root_cannot_be_written() {
    let output = one(shell(
        "for place in / /etc/passwd /usr/bin/x /opt/venv/x /var/tmp/x /home/x /root/x /proc/sys/kernel/hostname; do\n\
           if (echo x > $place/toryo-probe || echo x > $place) 2> /dev/null; then echo \"wrote $place\"; fi\n\
         done; echo x > /tmp/x && echo x > x && echo done",
    ))
    .await;
    assert_eq!((output.exit, output.text.as_str()), (Exit::Code(0), "done\n"));
}

#[tokio::test]
async fn there_are_no_capabilities_no_root_and_no_way_to_them() {
    let output = one(shell(
        "id -u; id -g; id -G; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -s '\\t' ' '",
    ))
    .await;
    let none = "0000000000000000";
    assert_eq!(
        output.text,
        format!(
            "1000\n1000\n1000\nCapInh: {none}\nCapPrm: {none}\nCapEff: {none}\nCapBnd: {none}\nCapAmb: {none}\nNoNewPrivs: 1\nSeccomp: 2\n"
        )
    );
    let output =
        one(shell("mount -t tmpfs none /workspace; su -c id; unshare -r id; chown 0 .; mknod d b 8 0; true"))
            .await;
    assert!(!output.text.contains("uid=0"), "{}", output.text);
    assert!(
        output.text.matches("ermitted").count() + output.text.matches("ermission denied").count() >= 3,
        "{}",
        output.text
    );
}

#[tokio::test]
async fn temporary_files_cannot_be_executed_and_nothing_of_this_machine_is_mounted() {
    let output = one(shell(
        "cp /bin/true /tmp/t; chmod 755 /tmp/t; /tmp/t; cp /bin/true t && ./t && echo workspace runs",
    ))
    .await;
    assert!(
        output.text.contains("Permission denied") && output.text.contains("workspace runs"),
        "{}",
        output.text
    );
    let mounts = one(shell("cut -d' ' -f2-4 /proc/mounts; ls /var/run/docker.sock")).await.text;
    assert!(mounts.contains("No such file"), "{mounts}");
    let on_disk: Vec<_> =
        mounts.lines().filter(|line| line.contains(" ext4 ") || line.contains(" xfs ")).collect();
    // The engine's own files: the first process, and three about the network.
    let own =
        ["/usr/sbin/docker-init", "/sbin/docker-init", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"];
    let is_own = |line: &&str| own.iter().any(|file| line.starts_with(&format!("{file} ")));
    assert!(on_disk.iter().all(is_own), "{on_disk:?}");
}

#[tokio::test]
async fn tools_see_the_environment_they_need() {
    let output = one(python(
        "import multiprocessing, os, sys, tempfile\n\
         lock = multiprocessing.Lock()\n\
         print(sys.prefix, os.getcwd(), os.path.expanduser('~'), tempfile.gettempdir(), sys.getfilesystemencoding())\n\
         import coverage, pytest, pytest_cov, pytest_timeout",
    ))
    .await;
    assert_eq!(
        (output.exit, output.text.as_str()),
        (Exit::Code(0), "/opt/venv /workspace /tmp /tmp utf-8\n")
    );
}
