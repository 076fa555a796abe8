# Sourced, not run, by the shell that the dev container tools make PID 1 (its `entrypoint` lines, pasted into `sh -c`). That shell ends at once on
# SIGTERM, and the kernel then kills the database. So its last words, `exec "$@"`, are made to start dbkit, which runs what they would have been.
# `exec` of nothing does nothing: with `overrideCommand` true there is no command, and dbkit alone stays until it is told to stop.
set -- /usr/local/share/dbkit/feature-init.sh "$@"
