#!/bin/bash
# Every option, as a user who is not root.
set -e
. dev-container-features-test-lib

check 'nobody is root here' bash -c '[ "$(id -un)" = node ]'
check 'the database answers' dbkit status --wait
check 'role, database and port are as asked for' bash -lc "psql -tAc \"select current_user, current_database(), current_setting('port')\" | grep -x 'shop|orders|25439'"
check 'the server runs as the remote user' bash -c "ps -eo user=,args= | grep -q '^node .*bin/postgres -D /var/lib/postgresql-data'"
check 'no backup was taken by itself' bash -c 'dbkit backup list --json | grep -q "\"backups\": *\[\]"'
check 'the remote user needs no sudo for one' dbkit backup create

reportResults
